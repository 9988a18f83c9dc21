//! How a queue begins, is sealed, and ends.

use super::server::with_redis;
use super::*;

#[test]
fn it_ends_once_and_only_when_all_is_done() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        b.endpoints(1, 0).await;
        let [all, _] = a.channels();
        let mut messages = server.listen(std::slice::from_ref(&all)).await;
        let going_on = async || assert_eq!(a.checked().await.ended, None);

        a.put_numbers(1..=4).await;
        let items = a.take(4).await;
        a.seal().await.expect("sealed");
        a.endpoints(0, 1).await;
        let id = |index: usize| items[index].0;
        // An item is in flight, then only a producer is left, ….
        assert_eq!(a.done(1, &[Op::Ack(id(0)), Op::Taken(id(1)), Op::Undo(id(2))]).await, 0);
        b.endpoints(0, 0).await;
        going_on().await;
        // …, it came back, waits for its delay, has a child, ….
        assert_eq!(a.done(2, &[failed(id(3), Duration::from_millis(1))]).await, 0);
        going_on().await;
        let back = a.take(1).await;
        assert_eq!(a.done(3, &[Op::Ack(back[0].0), Op::Child(b"5".to_vec())]).await, 0);
        going_on().await;
        let mut rest = Vec::new();
        while rest.len() < 2 {
            rest.extend(a.take(1).await);
        }
        a.ack_all(4, &rest[..1]).await;
        going_on().await;
        assert!(!server.heard(&mut messages, &all).await.contains(&"end".to_owned()));
        // …, and with the last one it ends.
        a.ack_all(5, &rest[1..]).await;
        let r = a.checked().await;
        assert_eq!((r.ended, r.accepted, r.acked, r.taken), (Some(QueueEnd::Complete), 5, 4, 1));

        // Nothing changes it, and nobody hears of it again.
        a.ack_all(5, &rest[1..]).await;
        assert_eq!(a.settle(6, HANDED, &[Op::Child(b"6".to_vec())], &[]).await.expect("settled"), SettleReply::Ended);
        assert_eq!(a.claim(1, HANDED).await.expect("claimed"), ClaimReply::Ended);
        assert_eq!(a.put(5, &["7"]).await.expect("put"), PutReply::Ended);
        assert_eq!(a.put(3, &["3", "4"]).await.expect("put"), accepted(4));
        assert_eq!(a.register(1, 1, true, &[]).await.expect("registered"), Registered::Ended);
        assert_eq!(a.renew(HANDED).await.expect("renewed"), Renewed::Ended);
        a.seal().await.expect("done");
        a.abort().await.expect("done");
        assert!(!a.leave().await.expect("left"));
        assert!(!b.leave().await.expect("left"));
        assert_eq!(b.checked().await, QueueReport { openers: 0, consumers: 0, processes: vec![], ..r });
        let heard = server.heard(&mut messages, &all).await;
        assert_eq!(heard.iter().filter(|message| *message == "end").count(), 1);
    });
}

#[test]
fn it_does_not_end_while_one_item_is_anywhere() {
    let endings: [fn(u64) -> Vec<Op>; 4] = [
        |id| vec![Op::Undo(id)],
        |id| vec![failed(id, Duration::ZERO)],
        |id| vec![failed(id, Duration::from_secs(600))],
        |id| vec![Op::Ack(id), Op::Child(b"2".to_vec())],
    ];
    with_redis(|server| async move {
        for (number, ending) in endings.iter().enumerate() {
            let a = server.join(&format!("a{number}"), &settings()).await;
            a.endpoints(1, 1).await;
            a.put_numbers(1..=1).await;
            a.seal().await.expect("sealed");
            a.endpoints(0, 1).await;
            assert_eq!(a.checked().await.ended, None, "never handed out");
            let id = a.take(1).await[0].0;
            assert_eq!(a.done(1, &ending(id)).await, 0);
            a.renew(HANDED).await.expect("renewed");
            assert_eq!(a.checked().await.ended, None, "after {:?}", ending(id));
            a.abort().await.expect("aborted");
        }
    });
}

#[test]
fn it_ends_with_the_last_producer() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.seal().await.expect("sealed");
        assert_eq!(a.checked().await.ended, None);
        a.endpoints(0, 1).await;
        assert_eq!(a.checked().await.ended, Some(QueueEnd::Complete));
    });
}

#[test]
fn it_ends_with_the_seal() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.endpoints(0, 1).await;
        assert_eq!(a.checked().await.ended, None);
        a.seal().await.expect("sealed");
        assert_eq!(a.checked().await.ended, Some(QueueEnd::Complete));
    });
}

#[test]
fn it_ends_when_the_last_producer_leaves_or_is_lost() {
    for lost in [false, true] {
        with_redis(|server| async move {
            let a = server.alone(&settings()).await;
            a.endpoints(0, 1).await;
            let b = server.join("b", &settings()).await;
            b.endpoints(1, 0).await;
            a.seal().await.expect("sealed");
            if lost {
                server.silence(&b).await;
                a.renew(HANDED).await.expect("renewed");
            } else {
                assert!(!b.leave().await.expect("left"));
            }
            let r = a.checked().await;
            assert_eq!((r.ended, r.lost_producers), (Some(QueueEnd::Complete), u64::from(lost)));
        });
    }
}

/// Where that was asked for.
#[test]
fn it_is_sealed_when_nobody_could_open_an_endpoint() {
    for asked_for in [true, false] {
        with_redis(|server| async move {
            let settings = Settings { seal_when_unowned: asked_for, ..settings() };
            let a = server.alone(&settings).await;
            let b = server.join("b", &settings).await;
            let c = server.join("c", &settings).await;
            assert_eq!(a.register(1, 1, false, &[]).await.expect("registered"), Registered::Ok);
            assert!(!b.leave().await.expect("left"));
            assert!(!a.checked().await.sealed);
            server.silence(&c).await;
            a.clear_up().await;
            let r = a.checked().await;
            assert_eq!((r.sealed, r.openers, r.ended), (asked_for, 0, None));
            a.put_numbers(1..=1).await;
            while a.leave().await.expect("left") {}
            let d = server.join("d", &settings).await;
            let may_put = if asked_for { Registered::Sealed { producers: 0 } } else { Registered::Ok };
            assert_eq!(d.register(1, 1, true, &[]).await.expect("registered"), may_put);
            assert_eq!(payloads(&d.take(9).await), ["1"]);
        });
    }
}

#[test]
fn a_queue_with_nobody_and_nothing_in_it_takes_other_settings() {
    with_redis(|server| async move {
        let other = Settings { capacity: Some(9), seal_when_unowned: true, ..settings() };
        let mut a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        server.silence(&a).await;
        b.clear_up().await;
        while b.leave().await.expect("left") {}
        let c = server.join("c", &other).await;
        assert_eq!(c.process.generation, b.process.generation);
        // Whoever comes back to it does not find what it knew.
        assert!(matches!(a.rejoin("a2").await, Err(Failure::Gone)));
        c.endpoints(1, 1).await;
        c.put_numbers(1..=1).await;
        while c.leave().await.expect("left") {}
        let joined =
            QueueClient::join(server.connect().await, "q", &settings(), "d", "d", true).await.expect("an answer");
        assert!(matches!(joined, Joined::Mismatch { .. }), "it holds an item");
    });
}

#[test]
fn after_the_seal_there_are_no_more_producers_but_consumers() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.seal().await.expect("sealed");
        a.seal().await.expect("sealed");
        assert_eq!(a.register(2, 5, true, &[]).await.expect("registered"), Registered::Sealed { producers: 1 });
        let r = a.checked().await;
        assert_eq!((r.producers, r.consumers, r.sealed), (1, 5, true));
        // Said again, as the answer was lost.
        assert_eq!(a.register(2, 5, true, &[]).await.expect("registered"), Registered::Sealed { producers: 1 });
        assert_eq!(a.register(1, 5, true, &[]).await.expect("registered"), Registered::Ok);
        let b = server.join("b", &settings()).await;
        assert_eq!(b.register(1, 1, true, &[]).await.expect("registered"), Registered::Sealed { producers: 0 });
        let r = a.checked().await;
        assert_eq!((r.producers, r.consumers), (1, 6));
    });
}

#[test]
fn an_abort_discards_all_that_is_not_settled() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        let [all, _] = a.channels();
        let mut messages = server.listen(std::slice::from_ref(&all)).await;
        a.put_numbers(1..=10).await;
        let items = a.take(5).await;
        let ops = [failed(items[0].0, Duration::ZERO), failed(items[1].0, Duration::from_secs(9))];
        assert_eq!(a.done(1, &ops).await, 0);
        a.ack_all(2, &items[2..3]).await;
        b.abort().await.expect("aborted");
        b.abort().await.expect("aborted");
        let r = a.checked().await;
        assert_eq!((r.ended, r.accepted, r.acked, r.discarded), (Some(QueueEnd::Aborted), 10, 1, 9));
        assert_eq!((r.ready, r.back, r.delayed, r.in_flight), (0, 0, 0, 0));
        assert_eq!(server.heard(&mut messages, &all).await, ["end"]);
        assert_eq!(a.settle(3, HANDED, &[Op::Ack(items[3].0)], &[]).await.expect("settled"), SettleReply::Ended);
        assert_eq!(a.claim(1, HANDED).await.expect("claimed"), ClaimReply::Ended);
        assert!(!a.leave().await.expect("left"));
        assert!(!b.leave().await.expect("left"));
        assert_eq!(a.checked().await.discarded, 9);
        // It can be looked at.
        let back: Vec<String> = server.command(&["LRANGE", a.process.key(Key::Back), "0", "-1"]).await;
        assert!(back.len() == 1 && back[0].starts_with("1:") && back[0].ends_with(":1"), "{back:?}");
        assert_eq!(server.command::<u64>(&["LLEN", a.process.key(Key::Ready)]).await, 5);
    });
}

#[test]
fn after_the_end_a_new_one_begins() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let mut b = server.join("b", &settings()).await;
        let same = server.join("a", &settings()).await;
        assert_eq!((&same.process.generation, same.checked().await.openers), (&a.process.generation, 2), "joined once");
        server.silence(&b).await;
        a.clear_up().await;
        a.abort().await.expect("aborted");

        // Of the settings of what has ended nobody asks.
        let new = server.join("new", &Settings { capacity: Some(7), ..settings() }).await;
        new.endpoints(1, 1).await;
        assert_ne!(new.process.generation, a.process.generation);
        let r = new.checked().await;
        assert_eq!((r.ended, r.accepted, r.openers), (None, 0, 1));
        new.put_numbers(1..=1).await;
        // Those of the old one stay there: they must hear of its end.
        assert_eq!(a.claim(1, HANDED).await.expect("claimed"), ClaimReply::Ended);
        assert_eq!(b.claim(1, HANDED).await.expect("claimed"), ClaimReply::Ended);
        assert_eq!(b.rejoin("b2").await.expect("answered"), Rejoined::Ended);
        assert!(!a.leave().await.expect("left"));
        assert_eq!(new.take(9).await.len(), 1);
    });
}

#[test]
fn settings_must_agree() {
    with_redis(|server| async move {
        let _a = server.alone(&settings()).await;
        let others = [
            ("cap", "0", "9", Settings { capacity: Some(9), ..settings() }),
            ("attempts", "5", "6", Settings { max_attempts: 6, ..settings() }),
            ("lease", "600000", "1000", Settings { lease: Duration::from_secs(1), ..settings() }),
            ("retention", "3600000", "5000", Settings { retention: Duration::from_secs(5), ..settings() }),
            ("seal_when_unowned", "0", "1", Settings { seal_when_unowned: true, ..settings() }),
        ];
        for (name, is, wanted, settings) in others {
            let joined =
                QueueClient::join(server.connect().await, "q", &settings, "b", "b", true).await.expect("an answer");
            let Joined::Mismatch { field, theirs, ours } = joined else { panic!("joined in spite of {name}") };
            assert_eq!((&field[..], &theirs[..], &ours[..]), (name, is, wanted));
        }
        assert!(matches!(
            QueueClient::join(server.connect().await, "other", &settings(), "b", "b", true).await,
            Ok(Joined::Ok(_))
        ));
    });
}

#[test]
fn what_was_deleted_by_hand_is_no_completion() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=4).await;
        let items = a.take(1).await;
        let () = server.command(&["DEL", a.process.key(Key::Ready)]).await;
        a.seal().await.expect("sealed");
        a.endpoints(0, 1).await;
        a.ack_all(1, &items).await;
        let r = a.checked().await;
        assert_eq!((r.ended, r.acked, r.discarded), (Some(QueueEnd::Aborted), 1, 3));
    });
}

#[test]
fn when_the_keys_are_gone_nobody_takes_that_for_the_end() {
    with_redis(|server| async move {
        let mut a = server.alone(&settings()).await;
        a.put_numbers(1..=1).await;
        let id = a.take(1).await[0].0;
        let () = server.command(&["FLUSHALL"]).await;
        for _ in 0..2 {
            assert!(matches!(a.claim(1, HANDED).await, Err(Failure::Gone)));
            assert!(matches!(a.put(1, &["1"]).await, Err(Failure::Gone)));
            assert!(matches!(a.settle(1, HANDED, &[Op::Ack(id)], &[]).await, Err(Failure::Gone)));
            assert!(matches!(a.attach().await, Err(Failure::Gone)));
            assert!(matches!(a.register(1, 1, true, &[]).await, Err(Failure::Gone)));
            assert!(matches!(a.seal().await, Err(Failure::Gone)));
            assert!(matches!(a.abort().await, Err(Failure::Gone)));
            assert!(matches!(a.renew(HANDED).await, Err(Failure::Gone)));
            assert!(matches!(a.leave().await, Err(Failure::Gone)));
            assert!(matches!(a.report().await, Err(Failure::Gone)));
            assert!(matches!(a.rejoin("a2").await, Err(Failure::Gone)));
            // Nor is the next one of that name taken for it.
            server.join("new", &settings()).await;
        }
    });
}
