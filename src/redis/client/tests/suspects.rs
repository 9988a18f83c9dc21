//! What a lost process held: what counts an attempt, and who gets it.

use super::server::with_redis;
use super::*;

/// What a lost process had only fetched counts no attempt. And all that it held is handed out one at a time.
#[test]
fn what_nobody_was_handed_counts_no_attempt_and_suspects_come_one_at_a_time() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        a.put_numbers(1..=5).await;
        let ClaimReply::Items { first, .. } = b.claim(4, 0).await.expect("claimed") else { panic!("there are items") };
        // It heard of two.
        b.renew(first + 1).await.expect("renewed");
        server.silence(&b).await;
        a.clear_up().await;
        let r = a.checked().await;
        assert_eq!((r.back, r.ready, r.redelivered), (4, 1, 4));
        // Each process has one of them at most; new items go by.
        let (x, c) = (a.take(9).await, server.join("c", &settings()).await);
        assert_eq!((payloads(&x), x[0].1), (vec!["1", "5"], 1));
        let y = c.take(9).await;
        assert_eq!((payloads(&y), y[0].1), (vec!["2"], 1));
        assert_eq!(a.claim(9, 0).await.expect("claimed"), ClaimReply::Empty { next_due: None });
        assert_eq!(c.done(1, &[Op::Undo(y[0].0)]).await, 0);
        a.ack_all(1, &x).await;
        let mut rest = a.take(9).await;
        assert_eq!((payloads(&rest), rest[0].1), (vec!["2"], 1), "it still is one");
        a.ack_all(2, &rest).await;
        rest = a.take(9).await;
        assert_eq!((payloads(&rest), rest[0].1), (vec!["3"], 0), "that one had only been fetched");
        // A suspect counts when it was given, whether Redis heard that a consumer was handed it or not.
        let d = server.join("d", &settings()).await;
        let ClaimReply::Items { entries, .. } = d.claim(9, 0).await.expect("claimed") else { panic!("there is one") };
        assert_eq!(entries[0].attempts, 0);
        server.silence(&d).await;
        a.clear_up().await;
        a.ack_all(3, &rest).await;
        rest = a.take(9).await;
        assert_eq!((payloads(&rest), rest[0].1), (vec!["4"], 1));
    });
}

/// Of two calls under way at a time, the one that was made first may come last.
#[test]
fn what_was_handed_out_stays_so_when_an_earlier_call_comes_late() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        a.put_numbers(1..=4).await;
        assert!(matches!(b.claim(2, 0).await.expect("claimed"), ClaimReply::Items { first: 1, .. }));
        b.renew(2).await.expect("renewed");
        assert!(matches!(b.claim(1, 0).await.expect("claimed"), ClaimReply::Items { first: 3, .. }));
        b.settle(1, 1, &[], &[]).await.expect("settled");
        b.renew(1).await.expect("renewed");
        server.silence(&b).await;
        a.clear_up().await;
        let mut attempts = Vec::new();
        for batch in 1..=3 {
            let item = a.take(1).await;
            attempts.push(item[0].1);
            a.ack_all(batch, &item).await;
        }
        assert_eq!(attempts, [1, 1, 0]);
    });
}

#[test]
fn the_attempts_of_items_whose_processes_die_are_bounded() {
    with_redis(|server| async move {
        let settings = Settings { max_attempts: 2, ..settings() };
        let a = server.alone(&settings).await;
        a.put_numbers(1..=2).await;
        for (process, attempts) in [("b", 0), ("c", 1)] {
            let doomed = server.join(process, &settings).await;
            let other = server.join(&format!("{process}2"), &settings).await;
            for client in [&doomed, &other] {
                let most = if attempts == 0 { 1 } else { 9 };
                assert_eq!(client.take(most).await.iter().map(|item| item.1).collect::<Vec<_>>(), [attempts]);
            }
            server.silence(&other).await;
            server.silence(&doomed).await;
            a.clear_up().await;
        }
        let r = a.checked().await;
        assert_eq!((r.dead, r.back, r.redelivered, r.lost_processes), (2, 0, 2, 4));
        let letters = server.letters().await;
        let of_second = letters.iter().find(|letter| letter["item"] == 2).expect("a letter");
        assert_eq!(of_second["attempts"], 2);
        assert_eq!(of_second["last_worker"], "name of c2");
    });
}

#[test]
fn when_a_suspect_is_settled_others_hear_of_the_next_one() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let (b, c) = (server.join("b", &settings()).await, server.join("c", &settings()).await);
        let [_, channel] = c.channels();
        let mut notifications = server.listen(std::slice::from_ref(&channel)).await;
        a.put_numbers(1..=2).await;
        b.take(2).await;
        server.silence(&b).await;
        a.clear_up().await;
        let first = a.take(9).await;
        let () = server.command(&["HSET", a.process.key(Key::Wc), "c", "1"]).await;
        a.ack_all(1, &first).await;
        assert_eq!(server.heard(&mut notifications, &channel).await, ["items"]);
    });
}

#[test]
fn the_suspect_of_a_process_that_leaves_still_is_one() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let (b, c) = (server.join("b", &settings()).await, server.join("c", &settings()).await);
        a.put_numbers(1..=2).await;
        b.take(2).await;
        server.silence(&b).await;
        a.clear_up().await;
        assert_eq!(payloads(&c.take(9).await), ["1"]);
        while c.leave().await.expect("left") {}
        for _ in 0..2 {
            let d = server.join(&format!("d{}", fastrand::u64(..)), &settings()).await;
            assert_eq!(d.take(9).await.len(), 1);
        }
        assert_eq!(a.take(9).await, []);
    });
}
