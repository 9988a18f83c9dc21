//! What comes out, and how it ends.

use super::server::with_redis;
use super::*;

#[test]
fn items_come_in_order_and_those_that_came_back_first() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=2_500).await;
        let first = a.take(1_000).await;
        assert!(
            first
                .iter()
                .zip(1..)
                .all(|((_, attempts, payload), number)| (*attempts, payload) == (0, &number.to_string()))
        );
        let ids: Vec<u64> = first.iter().map(|(id, ..)| *id).collect();

        // Failed ones in the order in which they failed; before them what nobody has looked at.
        let failed = [failed(ids[7], Duration::ZERO), failed(ids[3], Duration::ZERO)];
        assert_eq!(a.done(1, &failed).await, 0);
        assert_eq!(a.done(2, &[Op::Undo(ids[500]), Op::Undo(ids[501]), Op::Undo(ids[502])]).await, 0);
        assert_eq!(a.done(3, &[Op::Undo(ids[498]), Op::Undo(ids[499])]).await, 0);
        let again = a.take(9).await;
        assert_eq!(payloads(&again), ["499", "500", "501", "502", "503", "8", "4", "1001", "1002"]);
        assert_eq!(again.iter().map(|item| item.1).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 1, 0, 0]);
        assert_eq!(a.checked().await.redelivered, 2, "the others were not looked at");
    });
}

#[test]
fn a_batch_of_settlings_is_done_once() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=6).await;
        let ids: Vec<u64> = a.take(6).await.iter().map(|(id, ..)| *id).collect();
        let ops = [
            Op::Child(b"7".to_vec()),
            Op::Ack(ids[0]),
            Op::Taken(ids[1]),
            failed(ids[2], Duration::ZERO),
            failed(ids[3], Duration::from_secs(600)),
            Op::Undo(ids[4]),
            Op::Dead(ids[5], b"{}".to_vec()),
            Op::Ack(12_345),
        ];
        for _ in 0..2 {
            assert_eq!(a.done(1, &ops).await, 1);
            let r = a.checked().await;
            assert_eq!((r.accepted, r.acked, r.taken, r.dead, r.redelivered), (7, 1, 1, 1, 2));
            assert_eq!((r.ready, r.back, r.delayed, r.in_flight, r.letters), (1, 2, 1, 0, 1));
        }
        // All these deliveries are over.
        assert_eq!(a.done(2, &ops[1..7]).await, 6);
        // An op that says the same twice in one batch, too.
        let id = a.take(1).await[0].0;
        assert_eq!(a.done(3, &[Op::Undo(id), Op::Undo(id), failed(id, Duration::ZERO), Op::Ack(id)]).await, 3);
        a.checked().await;
    });
}

#[test]
fn nobody_settles_the_deliveries_of_others_or_earlier_ones() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        a.put_numbers(1..=1).await;
        let first = a.take(1).await[0].0;
        assert_eq!(b.done(1, &[Op::Ack(first)]).await, 1);
        assert_eq!(a.done(1, &[failed(first, Duration::ZERO)]).await, 0);
        let second = a.take(1).await[0].0;
        assert_eq!(a.done(2, &[Op::Ack(first)]).await, 1);
        assert_eq!(a.done(3, &[Op::Ack(second)]).await, 0);
        assert_eq!(a.checked().await.acked, 1);
    });
}

#[test]
fn delayed_items_come_when_they_are_due() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=12).await;
        let items = a.take(12).await;
        let delay = Duration::from_millis(30);
        let ops: Vec<Op> = items.iter().map(|(id, ..)| failed(*id, delay)).collect();
        assert_eq!(a.done(1, &ops).await, 0);
        assert_eq!(a.checked().await.delayed, 12);
        let mut again = Vec::new();
        while again.len() < 12 {
            match a.claim(5, HANDED).await.expect("claimed") {
                ClaimReply::Items { entries, .. } => {
                    again.extend(entries.into_iter().map(|entry| (entry.attempts, entry.payload)));
                }
                ClaimReply::Empty { next_due } => {
                    let wait = next_due.expect("a time when something is due");
                    assert!(wait <= delay);
                    tokio::time::sleep(wait).await;
                }
                ClaimReply::Ended => panic!("ended with items"),
            }
        }
        let expected: Vec<_> = (1..=12).map(|number| (1, number.to_string().into_bytes())).collect();
        assert_eq!(again, expected);
        assert_eq!(a.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
    });
}

#[test]
fn whoever_waits_hears_of_items() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        b.endpoints(0, 1).await;
        let [_, to_b] = b.channels();
        let mut notifications = server.listen(std::slice::from_ref(&to_b)).await;
        let mut number = 1;
        let mut notified = async |server: &TestServer| server.heard(&mut notifications, &to_b).await;

        a.put_numbers(1..=1).await;
        assert_eq!(notified(&server).await, [""; 0], "b does not wait");
        let id = a.take(1).await[0].0;
        let mut batch = async |op: Op| {
            assert_eq!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
            assert_eq!(a.done(number, &[op]).await, 0);
            number += 1;
        };
        batch(Op::Child(b"2".to_vec())).await;
        assert_eq!(notified(&server).await, ["items"]);
        let item = b.take(1).await;
        batch(failed(id, Duration::ZERO)).await;
        assert_eq!(notified(&server).await, ["items"]);
        b.ack_all(1, &item).await;

        // Of delayed ones, too, so that it comes when they are due.
        let id = a.take(1).await[0].0;
        assert_eq!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
        assert_eq!(a.done(3, &[failed(id, Duration::from_secs(600))]).await, 0);
        assert_eq!(notified(&server).await, ["items"]);
        assert!(matches!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: Some(_) }));
        assert_eq!(a.put(2, &["3"]).await.expect("put"), accepted(2));
        assert_eq!(notified(&server).await, ["items"]);

        // A process that has no consumer any more must not use up a notification that others need.
        assert_eq!(payloads(&b.take(1).await), ["3"]);
        assert!(matches!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { .. }));
        b.endpoints(0, 0).await;
        assert_eq!(a.put(3, &["4"]).await.expect("put"), accepted(3));
        assert_eq!(notified(&server).await, [""; 0]);
    });
}

#[test]
fn a_new_connection_makes_the_earlier_one_stale() {
    with_redis(|server| async move {
        let old = server.alone(&settings()).await;
        old.put_numbers(1..=3).await;
        // Its answer may have been lost.
        let lost = old.take(2).await;
        assert_eq!(old.done(1, &[Op::Ack(lost[0].0)]).await, 0);

        let mut new = old.clone();
        new.reconnected(server.connect().await);
        assert!(matches!(new.renew(HANDED).await, Err(Failure::Stale)), "not before it has attached");
        for _ in 0..2 {
            assert_eq!(new.attach().await.expect("attached"), Attached { last_put: 3, last_batch: 1 });
        }
        assert_eq!(new.in_flight().await.expect("what it holds"), [lost[1].0]);
        let claimed = new.last_claim().await.expect("of it");
        let claimed = claimed.iter().map(|(id, entry)| (*id, entry.attempts, &entry.payload[..]));
        assert_eq!(claimed.collect::<Vec<_>>(), [(lost[1].0, 0, &b"2"[..])]);

        // Whatever the old one still says was overtaken: for instance that there is no producer.
        assert!(matches!(old.attach().await, Err(Failure::Stale)));
        assert!(matches!(old.claim(1, HANDED).await, Err(Failure::Stale)));
        assert!(matches!(old.put(4, &["4"]).await, Err(Failure::Stale)));
        assert!(matches!(old.settle(2, HANDED, &[Op::Ack(lost[1].0)], &[]).await, Err(Failure::Stale)));
        assert!(matches!(old.register(0, 0, false, &[]).await, Err(Failure::Stale)));
        assert!(matches!(old.renew(HANDED).await, Err(Failure::Stale)));
        assert!(matches!(old.seal().await, Err(Failure::Stale)));
        assert!(matches!(old.abort().await, Err(Failure::Stale)));
        assert!(matches!(old.leave().await, Err(Failure::Stale)));
        let r = new.checked().await;
        assert_eq!((r.sealed, r.ended, r.producers, r.openers, r.in_flight, r.ready), (false, None, 1, 1, 1, 1));
        let next = new.take(1).await;
        assert!(next[0].0 > lost[1].0 && next[0].2 == "3");
    });
}

#[test]
fn what_a_process_holds_is_listed_whole() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=2_500).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.extend(a.take(1_000).await.into_iter().map(|(id, ..)| id));
        }
        assert_eq!(a.in_flight().await.expect("what it holds"), ids);
        let last: Vec<u64> = a.last_claim().await.expect("of it").into_iter().map(|(id, _)| id).collect();
        assert_eq!(last, ids[2_000..]);
    });
}

#[test]
fn an_item_past_its_deadline_comes_back_until_its_attempts_are_used_up() {
    with_redis(|server| async move {
        let settings = Settings { max_attempts: 3, ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        a.put_numbers(1..=3).await;
        let items = a.take(3).await;
        a.ack_all(1, &items[1..2]).await;
        let overdue = |items: &[(u64, u32, String)]| [Op::Overdue(items[0].0..=items[items.len() - 1].0)];
        assert_eq!(a.done(2, &overdue(&items)).await, 0);
        let r = a.checked().await;
        assert_eq!((r.back, r.redelivered, r.lost_processes, r.in_flight), (2, 2, 0, 0));
        assert_eq!(a.done(3, &[Op::Ack(items[0].0)]).await, 1, "it is not a's any more");

        // With a delay of its own for each attempt.
        let again = b.take(2).await;
        assert_eq!((payloads(&again), again[0].1), (vec!["1", "3"], 1));
        let delays = [Duration::ZERO, Duration::from_secs(600)];
        assert_eq!(
            b.settle(1, HANDED, &overdue(&again), &delays).await.expect("settled"),
            SettleReply::Done { late: 0 }
        );
        assert_eq!(a.checked().await.delayed, 2);
        let delayed = a.process.key(Key::Delayed);
        for member in server.command::<Vec<String>>(&["ZRANGE", delayed, "0", "-1"]).await {
            let () = server.command(&["ZADD", delayed, "1", &member]).await;
        }
        let last = b.take(9).await;
        assert_eq!(last.iter().map(|item| item.1).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(b.done(2, &overdue(&last)).await, 0);
        assert_eq!(a.checked().await.dead, 2);
        let expected = r#"{"attempts":3,"reason":"attempts used up","last_worker":"name of b","panic":null,"item":1}"#;
        assert_eq!(server.letters().await[0], serde_json::from_str::<serde_json::Value>(expected).expect("JSON"));
    });
}

#[test]
fn a_claim_is_bounded_in_bytes() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let large = "1".repeat(100_000);
        for number in 0..40 {
            assert_eq!(a.put(number + 1, &[&large]).await.expect("put"), accepted(number + 1));
        }
        let claims = [a.take(1_000).await.len(), a.take(1_000).await.len()];
        assert!(claims.iter().all(|count| (10..=12).contains(count)), "{claims:?} of 100 kB");
        // One item comes in any case.
        let huge = "1".repeat(3_000_000);
        let b = server.alone_as("b", &settings()).await;
        while !b.take(1_000).await.is_empty() {}
        assert_eq!(b.put(1, &[&huge, &huge]).await.expect("put"), accepted(2));
        assert_eq!((b.take(1_000).await.len(), b.take(1_000).await.len(), b.take(9).await.len()), (1, 1, 0));
    });
}

/// A notification is for as many processes as there are items for; where the first ones leave some, others hear of them.
#[test]
fn notifications_are_for_as_many_processes_as_items_are_for() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let mut waiting = Vec::new();
        for (name, wanted) in [("b", 10), ("c", 10), ("d", 10)] {
            let client = server.join(name, &settings()).await;
            client.endpoints(0, 1).await;
            assert_eq!(client.claim(wanted, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
            let channels = client.channels();
            waiting.push((client, server.listen(&channels[1..]).await, channels[1].clone()));
        }
        let mut woken = async || {
            let mut woken = Vec::new();
            for (index, (_, notifications, channel)) in waiting.iter_mut().enumerate() {
                if !server.heard(notifications, channel).await.is_empty() {
                    woken.push(index);
                }
            }
            woken
        };
        a.put_numbers(1..=10).await;
        let first = woken().await;
        assert_eq!(first.len(), 1);
        a.put_numbers(11..=30).await;
        let mut all = woken().await;
        assert_eq!(all.len(), 2);
        all.extend(first);
        // They take less than they wanted, so others are told.
        let e = server.join("e", &settings()).await;
        e.endpoints(0, 1).await;
        while !e.take(1_000).await.is_empty() {}
        let [_, to_e] = e.channels();
        let mut notifications = server.listen(std::slice::from_ref(&to_e)).await;
        a.put_numbers(31..=32).await;
        assert_eq!(server.heard(&mut notifications, &to_e).await, ["items"]);
        // One that takes less than it was woken for leaves the rest to others.
        assert!(matches!(waiting[0].0.claim(10, HANDED).await.expect("claimed"), ClaimReply::Items { .. }));
    });
}

/// It was woken for all of them, and somebody else has begun to wait meanwhile.
#[test]
fn what_a_process_leaves_of_the_items_it_was_woken_for_is_for_others() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        let [_, channel] = b.channels();
        let mut heard = server.listen(std::slice::from_ref(&channel)).await;
        assert!(matches!(a.claim(1_000, HANDED).await.expect("claimed"), ClaimReply::Empty { .. }));
        a.put_numbers(1..=3).await;
        for (claimed, notifications) in [(2, vec!["items"]), (1, vec![])] {
            let () = server.command(&["HSET", a.process.key(Key::Wc), "b", "1"]).await;
            assert_eq!(a.take(2).await.len(), claimed);
            assert_eq!(server.heard(&mut heard, &channel).await, notifications);
        }
    });
}

#[test]
fn a_process_that_waits_hears_of_what_is_due() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        let [_, channel] = b.channels();
        let mut heard = server.listen(std::slice::from_ref(&channel)).await;
        a.put_numbers(1..=1).await;
        let id = a.take(1).await[0].0;
        assert_eq!(a.done(1, &[failed(id, Duration::from_millis(1))]).await, 0);
        let () = server.command(&["HSET", a.process.key(Key::Wc), "b", "1"]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        a.renew(HANDED).await.expect("renewed");
        assert_eq!(server.heard(&mut heard, &channel).await, ["items"]);
    });
}
