//! What is in Redis, and for how long.

use super::server::{with_redis, with_redis_like};
use super::*;

/// All keys, each with the milliseconds that it has left (-1: for ever).
async fn keys(server: &TestServer) -> Vec<(String, i64)> {
    let mut keys = Vec::new();
    for key in server.command::<Vec<String>>(&["KEYS", "*"]).await {
        let left = server.command(&["PTTL", &key]).await;
        keys.push((key, left));
    }
    keys
}

/// While the queue is open.
async fn none_expires(server: &TestServer) {
    for (key, left) in keys(server).await {
        assert_eq!(left, -1, "{key} would go");
    }
}

/// After the end, and where nobody and nothing is left.
async fn all_expire(server: &TestServer) {
    for (key, left) in keys(server).await {
        if key.contains(":dead:") {
            assert_eq!(left, -1, "letters stay until they are read");
            continue;
        }
        assert!((3_000_000..=3_600_000).contains(&left), "{key}: {left}");
    }
}

/// Makes keys of all kinds.
async fn everything(server: &TestServer) -> [QueueClient; 4] {
    let settings = Settings { capacity: Some(1_600), ..settings() };
    let a = server.alone(&settings).await;
    let b = server.join("b", &settings).await;
    let c = server.join("c", &settings).await;
    let d = server.join("d", &settings).await;
    none_expires(server).await;
    a.put_numbers(1..=1_500).await;
    c.claim(1, HANDED).await.expect("claimed");
    assert!(matches!(a.put(1_501, &["1"; 200]).await.expect("put"), PutReply::Full(_)));
    let items = a.take(5).await;
    b.take(1_000).await;
    b.take(200).await;
    let ops = [
        Op::Undo(items[0].0),
        failed(items[1].0, Duration::from_secs(600)),
        failed(items[2].0, Duration::ZERO),
        Op::Dead(items[3].0, b"{}".to_vec()),
        Op::Dead(items[4].0, b"{}".to_vec()),
    ];
    for (batch, op) in (1..).zip(ops) {
        assert_eq!(a.done(batch, &[op]).await, 0);
        none_expires(server).await;
    }
    server.silence(&b).await;
    a.renew(HANDED).await.expect("renewed");
    none_expires(server).await;
    [a, b, c, d]
}

#[test]
fn no_key_of_an_open_queue_has_an_expiry_and_all_of_one_that_was_aborted_have() {
    with_redis(|server| async move {
        let [a, _, c, d] = everything(&server).await;
        none_expires(&server).await;
        let mut all = keys(&server).await;
        a.clear_up().await;
        a.attach().await.expect("attached");
        all.extend(keys(&server).await);
        for key in Key::ALL {
            let name = a.process.key(*key);
            // Nobody waits, and no letter came back.
            let none = [Key::LetterWc, Key::Wc, Key::Wp, Key::LetterBack, Key::LetterSuspects, Key::LetterDelayed];
            assert!(none.contains(key) || all.iter().any(|(key, _)| key == name), "{name} in {all:?}");
        }
        assert!(d.leave().await.is_ok());
        a.clear_up().await;
        none_expires(&server).await;
        a.abort().await.expect("aborted");
        all_expire(&server).await;
        for client in [a, c] {
            while client.leave().await.expect("left") {}
            all_expire(&server).await;
        }
    });
}

/// Without a process, too, for as long as it takes.
#[test]
fn a_queue_that_holds_anything_has_no_expiry_when_everybody_has_left() {
    with_redis(|server| async move {
        type Settle = fn(u64) -> Op;
        let holds: [(Key, Option<Settle>); 3] = [
            (Key::Ready, None),
            (Key::Back, Some(Op::Undo)),
            (Key::Delayed, Some(|id| failed(id, Duration::from_secs(600)))),
        ];
        for (kind, op) in holds {
            let a = server.alone(&settings()).await;
            a.put_numbers(1..=1).await;
            if let Some(op) = op {
                let id = a.take(1).await[0].0;
                assert_eq!(a.done(1, &[op(id)]).await, 0);
            }
            while a.leave().await.expect("left") {}
            none_expires(&server).await;
            assert!(keys(&server).await.iter().any(|(key, _)| *key == a.process.key(kind)));
            let () = server.command(&["FLUSHALL"]).await;
        }
    });
}

#[test]
fn a_queue_with_nobody_and_nothing_in_it_goes_unless_somebody_comes() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        a.put_numbers(1..=1).await;
        let items = a.take(1).await;
        a.ack_all(1, &items).await;
        while a.leave().await.expect("left") {}
        none_expires(&server).await;
        while b.leave().await.expect("left") {}
        assert!(!keys(&server).await.is_empty());
        all_expire(&server).await;
        let c = server.join("c", &settings()).await;
        none_expires(&server).await;
        assert_eq!(c.process.generation, a.process.generation);
        assert_eq!(c.checked().await.acked, 1);
    });
}

#[test]
fn whoever_is_no_more_is_remembered_for_the_retention() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        for process in ["b", "c"] {
            let lost = server.join(process, &settings()).await;
            server.silence(&lost).await;
            a.clear_up().await;
        }
        let () = server.command(&["ZADD", a.process.key(Key::Past), "1", "b"]).await;
        a.renew(HANDED).await.expect("renewed");
        assert_eq!(a.last_put_of("b").await.expect("an answer"), None);
        assert_eq!(a.last_put_of("c").await.expect("an answer"), Some(0));
        assert_eq!(server.command::<Vec<String>>(&["ZRANGE", a.process.key(Key::Past), "0", "-1"]).await, ["c"]);
    });
}

#[test]
fn a_renewal_brings_the_pointer_back() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let () = server.command(&["DEL", a.process.key(Key::Pointer)]).await;
        a.renew(HANDED).await.expect("renewed");
        assert_eq!(server.join("c", &settings()).await.process.generation, a.process.generation);
        none_expires(&server).await;
    });
}

#[test]
fn hardly_anything_is_left_after_the_end() {
    with_redis(|server| async move {
        let settings = Settings { ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        b.endpoints(0, 1).await;
        assert_eq!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
        a.put_numbers(1..=3).await;
        let items = a.take(3).await;
        assert_eq!(
            a.done(1, &[Op::Undo(items[0].0), Op::Dead(items[1].0, b"{}".to_vec()), Op::Ack(items[2].0)]).await,
            0
        );
        let undone = b.take(1).await;
        a.seal().await.expect("sealed");
        a.endpoints(0, 1).await;
        b.ack_all(1, &undone).await;
        assert_eq!(a.checked().await.ended, Some(QueueEnd::Complete));
        assert!(!a.leave().await.expect("left"));
        assert!(!b.leave().await.expect("left"));
        all_expire(&server).await;
        let mut names: Vec<String> = keys(&server).await.into_iter().map(|(key, _)| key).collect();
        names.sort();
        let mut expected = vec![a.process.key(Key::Pointer).to_owned()];
        expected.extend([Key::Meta, Key::LetterMeta, Key::LetterReady].map(|key| a.process.key(key).to_owned()));
        expected.sort();
        assert_eq!(names, expected);
    });
}

#[test]
fn a_cluster_has_all_keys_of_a_queue_in_one_slot() {
    with_redis_like(&["--cluster-enabled", "yes"], |server| async move {
        let () = server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
        while !server.command::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
            tokio::task::yield_now().await;
        }
        let settings = Settings { capacity: Some(9), ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        a.put_numbers(1..=5).await;
        let items = a.take(3).await;
        b.take(1).await;
        let ops = [failed(items[0].0, Duration::from_secs(600)), Op::Dead(items[1].0, b"{}".to_vec())];
        assert_eq!(a.done(1, &ops).await, 0);
        server.silence(&b).await;
        a.clear_up().await;
        assert_eq!(server.letters().await.len(), 1);
        let r = a.checked().await;
        assert_eq!((r.back, r.ready, r.delayed, r.dead, r.in_flight), (1, 1, 1, 1, 1));
        assert!(a.leave().await.is_ok());
    });
}

#[test]
fn scripts_that_redis_has_forgotten_are_loaded_again() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        for number in 1..=3 {
            let () = server.command(&["SCRIPT", "FLUSH"]).await;
            a.put_numbers(number..=number).await;
            let () = server.command(&["SCRIPT", "FLUSH"]).await;
            let items = a.take(1).await;
            let () = server.command(&["SCRIPT", "FLUSH"]).await;
            a.ack_all(number, &items).await;
        }
        assert_eq!(a.checked().await.acked, 3);
    });
}
