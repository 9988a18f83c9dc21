//! Processes that come, leave, and are lost.

use std::collections::BTreeMap;

use super::server::with_redis;
use super::*;

/// Suspects come one at a time.
async fn claim_all(client: &QueueClient) -> Vec<String> {
    let mut all = Vec::new();
    for batch in 1.. {
        let items = client.take(1).await;
        if items.is_empty() {
            break;
        }
        client.ack_all(batch, &items).await;
        all.extend(items.into_iter().map(|(_, _, payload)| payload));
    }
    all
}

#[test]
fn the_items_of_a_lost_process_come_back_in_bounded_steps_and_in_order() {
    with_redis(|server| async move {
        let a = server.join("a", &settings()).await;
        let b = server.join("b", &settings()).await;
        a.endpoints(1, 1).await;
        b.endpoints(2, 3).await;
        a.put_numbers(1..=2_600).await;
        for _ in 0..2 {
            b.take(1_000).await;
        }
        b.take(500).await;
        a.seal().await.expect("sealed");
        a.endpoints(0, 1).await;
        server.silence(&b).await;

        // From the first step on it is none any more, and nothing of it counts but its items.
        assert_eq!(a.renew(HANDED).await.expect("renewed"), Renewed::Ok { more: true });
        assert!(matches!(b.claim(1, HANDED).await, Err(Failure::Fenced)));
        assert!(matches!(b.renew(HANDED).await, Err(Failure::Fenced)));
        let r = a.checked().await;
        assert_eq!((r.producers, r.consumers, r.openers), (0, 1, 1));
        assert_eq!((r.lost_producers, r.lost_processes, r.ended), (2, 1, None));
        assert_eq!(r.in_flight, 2_500);
        let mut steps = 1;
        while a.checked().await.in_flight > 0 {
            let before = a.checked().await;
            assert!(matches!(a.renew(HANDED).await.expect("renewed"), Renewed::Ok { .. }));
            let after = a.checked().await;
            assert!(after.back - before.back <= 1_000);
            steps += 1;
        }
        assert!(steps >= 3);
        let r = a.checked().await;
        assert_eq!((r.back, r.ready, r.redelivered, r.lost_processes), (2_500, 100, 2_500, 1));
        let all = claim_all(&a).await;
        assert!(all.iter().zip(1..=2_600).all(|(item, number)| *item == number.to_string()) && all.len() == 2_600);
        assert_eq!(a.clear_up().await, 1);
    });
}

#[test]
fn a_fenced_process_can_ask_what_was_accepted_and_join_anew() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let mut b = server.join("b", &settings()).await;
        b.endpoints(1, 1).await;
        b.put_numbers(1..=7).await;
        assert_eq!(a.last_put_of("b").await.expect("known"), None);
        let items = b.take(2).await;
        server.silence(&b).await;
        a.clear_up().await;

        assert!(matches!(b.put(8, &["8"]).await, Err(Failure::Fenced)));
        assert!(matches!(b.settle(1, HANDED, &[Op::Ack(items[0].0)], &[]).await, Err(Failure::Fenced)));
        assert!(matches!(b.attach().await, Err(Failure::Fenced)));
        assert!(matches!(b.register(1, 1, true, &[]).await, Err(Failure::Fenced)));
        assert_eq!(b.last_put_of("b").await.expect("known"), Some(7));
        assert!(matches!(b.rejoin("b").await, Err(Failure::Fenced)), "an id is for one life");
        assert_eq!(b.rejoin("b2").await.expect("joined"), Rejoined::Ok);
        assert_eq!(b.rejoin("b2").await.expect("joined"), Rejoined::Ok);
        b.endpoints(1, 1).await;
        assert_eq!(b.put(1, &["8"]).await.expect("put"), accepted(1));
        let again = b.take(9).await;
        assert_eq!(payloads(&again), ["1", "3", "4", "5", "6", "7", "8"]);
        assert!(again[0].0 > items[1].0);
        assert_eq!((again[0].1, again[1].1), (1, 0));
        assert_eq!(payloads(&a.take(9).await), ["2"]);
        let r = a.checked().await;
        assert_eq!((r.openers, r.producers, r.processes.len()), (2, 2, 2));
    });
}

#[test]
fn whoever_leaves_gives_everything_back_uncounted() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        b.endpoints(2, 1).await;
        a.put_numbers(1..=2_500).await;
        for _ in 0..3 {
            b.take(1_000).await;
        }
        // It waits as well, and will not do so any more.
        assert!(matches!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { .. }));
        let mut steps = 1;
        while b.leave().await.expect("left") {
            a.checked().await;
            steps += 1;
        }
        assert!(steps >= 3);
        assert!(!b.leave().await.expect("left"), "once more, as the answer was lost");
        let r = a.checked().await;
        assert_eq!((r.producers, r.openers, r.lost_processes, r.lost_producers), (1, 1, 0, 0));
        assert_eq!((r.back, r.in_flight, r.processes.len()), (2_500, 0, 1));
        assert!(!server.command::<bool>(&["HEXISTS", a.process.key(Key::Wc), "b"]).await);
        let first = a.take(1_000).await;
        assert_eq!((&first[0].2[..], first[0].1, &first[999].2[..]), ("1", 0, "1000"));
        assert!(matches!(b.claim(1, HANDED).await, Err(Failure::Fenced)));
        assert_eq!(a.last_put_of("b").await.expect("known"), Some(0));
    });
}

#[test]
fn others_finish_what_a_leaving_process_left_undone() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        a.put_numbers(1..=1_500).await;
        for _ in 0..2 {
            b.take(1_000).await;
        }
        assert!(b.leave().await.expect("left"));
        a.clear_up().await;
        let r = a.checked().await;
        assert_eq!((r.back, r.lost_processes), (1_500, 0));
        assert!(a.take(1_000).await.iter().all(|item| item.1 == 0));
    });
}

#[test]
fn a_report_names_the_processes() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        b.endpoints(0, 1).await;
        let names = ["http".to_owned(), "a \"file\"".to_owned()];
        assert_eq!(a.register(2, 0, false, &names).await.expect("registered"), Registered::Ok);
        a.put_numbers(1..=3).await;
        b.take(2).await;
        let r = b.checked().await;
        assert_eq!((r.producers, r.consumers, r.openers, r.sealed, r.ended), (2, 1, 1, false, None));
        let row = |id: &str| r.processes.iter().find(|process| process.id == id).expect("a row");
        let (a, b) = (row("a"), row("b"));
        assert_eq!((&a.name[..], a.producers, a.consumers, a.opener, a.in_flight), ("name of a", 2, 0, false, 0));
        assert_eq!(a.producer_names, names);
        assert_eq!((b.producers, b.consumers, b.opener, b.in_flight), (0, 1, true, 2));
        assert!(b.silent < Duration::from_secs(120) && b.age < Duration::from_secs(120));
    });
}

/// As in a deploy. Each process counts its deliveries from 1, and items may look the same.
#[test]
fn what_several_processes_held_that_go_at_a_time_is_not_mixed_up() {
    with_redis(|server| async move {
        let settings = Settings { max_attempts: 2, ..settings() };
        let a = server.alone(&settings).await;
        let mut gone = Vec::new();
        // They go in any order of their ids.
        for process in ["lost", "m", "z", "b"] {
            gone.push(server.join(process, &settings).await);
        }
        let items = vec!["null"; 800];
        assert_eq!(a.put(1, &items).await.expect("put"), accepted(800));
        for client in &gone {
            assert_eq!(client.take(200).await.len(), 200);
        }
        server.silence(&gone[0]).await;
        assert_eq!(a.renew(HANDED).await.expect("renewed"), Renewed::Ok { more: true });
        // The clock has been set back since, so those that go now would seem to have gone before.
        let () = server.command(&["ZADD", a.process.key(Key::Gone), "XX", "9000000000000", "lost"]).await;
        // Step by step, beside each other.
        let mut leaving = vec![true; 3];
        while leaving.contains(&true) {
            for (client, leaves) in gone[1..].iter().zip(&mut leaving) {
                *leaves = *leaves && client.leave().await.expect("left");
                a.checked().await;
            }
        }
        a.clear_up().await;
        let r = a.checked().await;
        assert_eq!((r.in_flight, r.back, r.redelivered, r.dead), (0, 800, 200, 0));
        // Those that left had counted nothing; and what the lost one had held are suspects, each with its attempt.
        let mut attempts = BTreeMap::<_, u32>::new();
        let suspect = a.take(1).await;
        assert_eq!(suspect[0].1, 1);
        a.take(999).await.iter().for_each(|item| *attempts.entry(item.1).or_default() += 1);
        assert_eq!(attempts, BTreeMap::from([(0, 600)]));
    });
}

#[test]
fn whoever_waits_hears_of_what_lost_processes_held() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let (b, c) = (server.join("b", &settings()).await, server.join("c", &settings()).await);
        let [_, channel] = c.channels();
        let mut notifications = server.listen(std::slice::from_ref(&channel)).await;
        a.put_numbers(1..=2).await;
        b.take(2).await;
        assert_eq!(c.take(9).await, []);
        server.silence(&b).await;
        a.clear_up().await;
        assert_eq!(server.heard(&mut notifications, &channel).await, ["items"]);
    });
}

/// Notifications for it would be lost.
#[test]
fn whoever_is_lost_waits_for_nothing() {
    with_redis(|server| async move {
        let a = server.alone(&Settings { capacity: Some(1), ..settings() }).await;
        let b = server.alone_as("b", &Settings { capacity: Some(1), ..settings() }).await;
        assert_eq!(b.take(1).await, []);
        assert_eq!(b.put(1, &["1", "2"]).await.expect("put"), PutReply::Full(1));
        let () = server.command(&["HSET", a.process.key(Key::Wc), "b", "1"]).await;
        server.silence(&b).await;
        a.clear_up().await;
        let waits: u32 = server.command(&["EXISTS", a.process.key(Key::Wc), a.process.key(Key::Wp)]).await;
        assert_eq!(waits, 0);
    });
}

/// Between the two steps in which they go back, they are in neither place where items are else.
#[test]
fn it_does_not_end_while_items_are_on_their_way_back() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        a.put_numbers(1..=2).await;
        b.take(2).await;
        a.seal().await.expect("sealed");
        a.endpoints(0, 1).await;
        server.silence(&b).await;
        assert_eq!(a.renew(HANDED).await.expect("renewed"), Renewed::Ok { more: true });
        assert_eq!(server.command::<u32>(&["ZCARD", a.process.key(Key::Left)]).await, 2);
        assert_eq!(a.checked().await.ended, None);
        a.clear_up().await;
        assert_eq!(claim_all(&a).await, ["1", "2"]);
        assert_eq!(a.checked().await.ended, Some(QueueEnd::Complete));
    });
}
