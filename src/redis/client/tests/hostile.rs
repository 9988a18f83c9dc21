//! What hands or defects may leave in the keys: nothing wedges on it, and nothing else is lost for it.

use super::server::with_redis;
use super::*;

/// Processes that hold something, wait, and are about to be lost; items everywhere.
async fn everywhere(server: &TestServer) -> [QueueClient; 2] {
    let a = server.alone(&settings()).await;
    let b = server.join("b", &settings()).await;
    b.endpoints(1, 1).await;
    a.put_numbers(1..=9).await;
    let items = a.take(5).await;
    let ops = [
        Op::Undo(items[0].0),
        failed(items[1].0, Duration::from_secs(600)),
        failed(items[2].0, Duration::ZERO),
        Op::Dead(items[3].0, b"{}".to_vec()),
    ];
    assert_eq!(a.done(1, &ops).await, 0);
    b.take(1).await;
    [a, b]
}

/// Does all that is left, and says what came out.
async fn drain(server: &TestServer, client: &QueueClient, mut batch: u64) -> Vec<String> {
    let mut out = Vec::new();
    for id in client.in_flight().await.expect("what it holds") {
        client.done(batch, &[Op::Undo(id)]).await;
        batch += 1;
    }
    client.seal().await.expect("sealed");
    client.endpoints(0, 1).await;
    loop {
        let delayed = client.process.key(Key::Delayed);
        for member in server.command::<Vec<String>>(&["ZRANGE", delayed, "0", "-1"]).await {
            let () = server.command(&["ZADD", delayed, "1", &member]).await;
        }
        client.clear_up_or_end().await;
        match client.claim(9, HANDED).await.expect("claimed") {
            ClaimReply::Items { first, entries } => {
                let ops: Vec<Op> = (first..first + entries.len() as u64).map(Op::Ack).collect();
                out.extend(entries.into_iter().map(|entry| String::from_utf8(entry.payload).expect("text")));
                assert_eq!(client.done(batch, &ops).await, 0);
                batch += 1;
            }
            ClaimReply::Empty { .. } => panic!("nothing comes, and no end: {:?}", client.report().await),
            ClaimReply::Ended => return out,
        }
    }
}

impl QueueClient {
    async fn clear_up_or_end(&self) {
        while self.renew(HANDED).await.expect("renewed") == (Renewed::Ok { more: true }) {}
    }
}

/// Every key in turn is of a foreign type for a while. Calls fail then, before they have changed anything that counts.
#[test]
fn a_key_of_a_foreign_type_loses_nothing() {
    for key in Key::ALL {
        with_redis(|server| async move {
            let [a, b] = everywhere(&server).await;
            // A suspect, too, and what was delayed is due.
            let lost = server.join("lost", &settings()).await;
            lost.take(1).await;
            server.silence(&lost).await;
            a.clear_up().await;
            let delayed = a.process.key(Key::Delayed);
            for member in server.command::<Vec<String>>(&["ZRANGE", delayed, "0", "-1"]).await {
                let () = server.command(&["ZADD", delayed, "1", &member]).await;
            }
            let (name, kept) = (a.process.key(*key), "kept");
            let there: bool = server.command(&["EXISTS", name]).await;
            if there {
                let () = server.command(&["RENAME", name, kept]).await;
            }
            let () = server.command(&["SET", name, "x"]).await;
            let items: Vec<u64> = if *key == Key::Inf { vec![] } else { a.in_flight().await.expect("what it holds") };
            let mut batch = 2;
            for id in items {
                // The process says it again until it has an answer.
                let failed = a.settle(batch, HANDED, &[failed(id, Duration::ZERO)], &[]).await.is_err();
                batch += u64::from(!failed);
            }
            // Children come before all that could fail for a foreign key.
            let child = [Op::Child(b"11".to_vec()), Op::Ack(HANDED)];
            let mut told = false;
            for _ in 0..2 {
                told = told || a.settle(batch, HANDED, &child, &[]).await.is_ok();
            }
            let put = a.put(10, &["10"]).await;
            let _ = a.claim(1, HANDED).await;
            let _ = a.register(1, 1, true, &[]).await;
            let _ = a.renew(HANDED).await;
            if *key != Key::Procs {
                server.silence(&b).await;
            }
            for _ in 0..5 {
                let _ = a.renew(HANDED).await;
            }
            let _ = a.report().await;
            let _ = b.leave().await;
            let () = server.command(&["DEL", name]).await;
            if there {
                let () = server.command(&["RENAME", kept, name]).await;
            }
            if put.is_err() {
                a.put_numbers(10..=10).await;
            }
            let mut attached = a.attach().await.expect("attached");
            if !told {
                attached.last_batch += 1;
                assert_eq!(a.done(attached.last_batch, &child).await, 1);
            }
            if *key == Key::Procs {
                server.silence(&b).await;
            }
            let mut out = drain(&server, &a, attached.last_batch + 1).await;
            out.sort_by_key(|item| item.parse::<u64>().expect("a number"));
            assert_eq!(out, ["1", "2", "3", "5", "6", "7", "8", "9", "10", "11"], "{}", key.name());
            let r = a.checked().await;
            assert_eq!((r.ended, r.accepted, r.dead), (Some(QueueEnd::Complete), 11, 1), "{}", key.name());
        });
    }
}

/// What no script has written is put aside as a dead letter, as a text.
#[test]
fn an_entry_of_another_hand_is_put_aside() {
    with_redis(|server| async move {
        let [a, b] = everywhere(&server).await;
        for key in [Key::Ready, Key::Back, Key::Suspects] {
            let () = server.command(&["RPUSH", a.process.key(key), "hello"]).await;
        }
        let () = server.command(&["ZADD", a.process.key(Key::Delayed), "1", "hello"]).await;
        let () = server.command(&["ZADD", a.process.key(Key::Delayed), "2", "0000000000000007|hello"]).await;
        for field in ["a.900", "b.1000", "b.nonsense", "nobody.1"] {
            let () = server.command(&["HSET", a.process.key(Key::Inf), field, "hello"]).await;
        }
        server.silence(&b).await;
        a.clear_up().await;
        // It gives them up, one by one, as it cannot read them.
        let mut batch = 2;
        let mut seen = 0;
        loop {
            let items = a.take(9).await;
            if items.is_empty() {
                break;
            }
            for (id, attempts, payload) in items {
                let op = if payload == "hello" { failed(id, Duration::ZERO) } else { Op::Ack(id) };
                assert_eq!(attempts == Entry::FOREIGN, payload == "hello");
                seen += u32::from(payload == "hello");
                assert_eq!(a.done(batch, &[op]).await, 0);
                batch += 1;
            }
        }
        assert_eq!(seen, 5);
        assert_eq!(a.done(batch, &[failed(900, Duration::ZERO)]).await, 0);
        let texts = server.letters().await.iter().filter(|letter| letter["item"] == "hello").count();
        assert_eq!(texts, 8, "those of the lost process, too");
        // One that nobody holds is a loss that the end tells of, or keeps it open; it can be deleted.
        let () = server.command(&["HDEL", a.process.key(Key::Inf), "nobody.1"]).await;
        assert_eq!(drain(&server, &a, batch + 1).await, ["5", "2"]);
        assert_eq!(a.checked().await.ended, Some(QueueEnd::Complete), "there was more than was accepted");
    });
}

#[test]
fn what_is_missing_or_damaged_of_a_process_stops_nobody() {
    for damage in ["missing", "damaged"] {
        with_redis(|server| async move {
            let [a, b] = everywhere(&server).await;
            let proc = a.process.key(Key::Proc);
            for field in server.command::<Vec<String>>(&["HKEYS", proc]).await {
                if field.starts_with("b.") {
                    let words: &[&str] =
                        if damage == "missing" { &["HDEL", proc, &field] } else { &["HSET", proc, &field, "-x"] };
                    let _: u64 = server.command(words).await;
                }
            }
            a.report().await.expect("a report");
            let failure = b.claim(1, HANDED).await.expect_err("it is no process any more");
            assert!(matches!(failure, Failure::Fenced | Failure::Stale), "{failure:?}");
            server.silence(&b).await;
            let mut out = drain(&server, &a, 2).await;
            out.sort();
            assert_eq!(out, ["1", "2", "3", "5", "6", "7", "8", "9"]);
            assert_eq!(a.checked().await.ended, Some(QueueEnd::Complete));
        });
    }
}

#[test]
fn damaged_sums_stop_nobody() {
    for field in ["accepted", "acked", "producers", "consumers", "openers", "hb", "clock", "shift", "next", "dead"] {
        for value in ["x", "", "-5"] {
            with_redis(|server| async move {
                let [a, b] = everywhere(&server).await;
                while b.leave().await.expect("left") {}
                let () = server.command(&["HSET", a.process.key(Key::Meta), field, value]).await;
                a.report().await.expect("a report");
                a.put_numbers(10..=10).await;
                let mut out = drain(&server, &a, 2).await;
                out.sort();
                assert_eq!(out, ["1", "10", "2", "3", "5", "6", "7", "8", "9"], "{field}");
                assert!(a.report().await.expect("a report").ended.is_some());
            });
        }
    }
}
