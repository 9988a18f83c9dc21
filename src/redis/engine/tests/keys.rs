//! What is in Redis, and for how long.

use super::server::{with_redis, with_redis_like};
use super::*;

/// All keys, each with the milliseconds that it has left (-1: for ever).
async fn keys(server: &Server) -> Vec<(String, i64)> {
    let mut keys = Vec::new();
    for key in server.command::<Vec<String>>(&["KEYS", "*"]).await {
        let left = server.command(&["PTTL", &key]).await;
        keys.push((key, left));
    }
    keys
}

async fn none_for_ever(server: &Server) {
    for (key, left) in keys(server).await {
        assert!(left > 0, "{key} would stay for ever");
    }
}

#[test]
fn no_key_is_ever_without_an_expiry() {
    with_redis(|server| async move {
        let settings = Settings { deadline: Some(Duration::from_secs(600)), capacity: Some(1_600), ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        let c = server.join("c", &settings).await;
        none_for_ever(&server).await;
        assert_eq!(c.claim(1).await.expect("claimed"), Claim::Empty { next_due: None });
        a.put_numbers(1..=1_500).await;
        c.claim(1).await.expect("claimed");
        assert!(matches!(a.put(1_501, &["1"; 200]).await.expect("put"), Put::Full(_)));
        let items = a.take(4).await;
        b.take(1_000).await;
        b.take(200).await;
        let ops = [
            Op::Undo(items[0].0),
            failed(items[1].0, Duration::from_secs(600)),
            failed(items[2].0, Duration::ZERO),
            Op::Dead(items[3].0, b"{}".to_vec()),
        ];
        for (batch, op) in (1..).zip(ops) {
            assert_eq!(a.done(batch, &[op]).await, 0);
            none_for_ever(&server).await;
        }
        a.letters(9).await.expect("letters");
        server.silence(&b).await;
        for _ in 0..2 {
            none_for_ever(&server).await;
            a.renew(&[]).await.expect("renewed");
        }
        // All kinds there are, in this test.
        none_for_ever(&server).await;
        let names: Vec<String> = keys(&server).await.into_iter().map(|(key, _)| key).collect();
        for kind in ["meta", "ready", "back", "delayed", "procs", "proc:a", "inf:c", "due", "let:a", "was:b"] {
            assert!(names.contains(&a.process.key(kind)), "{kind} in {names:?}");
        }
        a.abort().await.expect("aborted");
        none_for_ever(&server).await;
    });
}

#[test]
fn a_renewal_keeps_every_key_of_the_queue() {
    with_redis(|server| async move {
        let settings = Settings { deadline: Some(Duration::from_secs(600)), capacity: Some(9), ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        assert_eq!(b.claim(1).await.expect("claimed"), Claim::Empty { next_due: None });
        a.put_numbers(1..=9).await;
        let items = a.take(5).await;
        let ops = [
            failed(items[1].0, Duration::from_secs(600)),
            failed(items[2].0, Duration::ZERO),
            Op::Dead(items[3].0, b"{}".to_vec()),
            Op::Dead(items[4].0, b"{}".to_vec()),
        ];
        assert_eq!(a.done(1, &ops).await, 0);
        assert_eq!(a.letters(1).await.expect("letters").len(), 1);
        assert!(matches!(a.put(10, &["10"; 9]).await.expect("put"), Put::Full(_)));
        // All that there is, but for what is done at once (`gone`, `left`) and never again (`was`).
        let names = keys(&server).await;
        let kinds = ["meta", "ready", "back", "delayed", "dead", "procs", "due", "wp"];
        let own = ["proc:a", "inf:a", "let:a"].map(|kind| (kind, 2));
        let all: Vec<_> = kinds.map(|kind| (kind, 1)).into_iter().chain(own).chain([("proc:b", 2)]).collect();
        assert_eq!(names.len(), all.len() + 1, "{names:?}");
        for (key, _) in &names {
            let () = server.command(&["PEXPIRE", key, "60000"]).await;
        }
        a.renew(&[]).await.expect("renewed");
        b.renew(&[]).await.expect("renewed");
        let left: std::collections::HashMap<_, _> = keys(&server).await.into_iter().collect();
        for (kind, times) in all {
            let left = left[&a.process.key(kind)];
            let retention = 3_600_000 * times;
            assert!((retention - 120_000..=retention).contains(&left), "{kind}: {left}");
        }
        assert!(left[&a.process.pointer] > 3_000_000);

        let () = server.command(&["DEL", &a.process.pointer]).await;
        a.renew(&[]).await.expect("renewed");
        assert_eq!(server.join("c", &settings).await.process.generation, a.process.generation);
        none_for_ever(&server).await;
    });
}

#[test]
fn hardly_anything_is_left_after_the_end() {
    with_redis(|server| async move {
        let settings = Settings { deadline: Some(Duration::from_secs(600)), ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        b.endpoints(0, 1).await;
        assert_eq!(b.claim(1).await.expect("claimed"), Claim::Empty { next_due: None });
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
        assert_eq!(a.checked().await.ended, Some(End::Complete));
        assert!(!a.leave().await.expect("left"));
        assert!(!b.leave().await.expect("left"));
        none_for_ever(&server).await;
        let mut names: Vec<String> = keys(&server).await.into_iter().map(|(key, _)| key).collect();
        names.sort();
        let mut expected = vec![a.process.pointer.clone()];
        expected.extend(["dead", "meta", "was:a", "was:b"].map(|kind| a.process.key(kind)));
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
        let settings = Settings { deadline: Some(Duration::from_secs(600)), capacity: Some(9), ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        a.put_numbers(1..=5).await;
        let items = a.take(3).await;
        b.take(1).await;
        let ops = [failed(items[0].0, Duration::from_secs(600)), Op::Dead(items[1].0, b"{}".to_vec())];
        assert_eq!(a.done(1, &ops).await, 0);
        server.silence(&b).await;
        a.clear_up().await;
        assert_eq!(a.letters(1).await.expect("letters").len(), 1);
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
