//! What goes in.

use super::server::with_redis;
use super::*;

#[test]
fn a_put_that_is_repeated_is_accepted_once() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=3).await;
        assert_eq!(a.put(1, &["1", "2", "3"]).await.expect("put"), accepted(3));
        // The client may put it together in another way.
        assert_eq!(a.put(2, &["2", "3", "4"]).await.expect("put"), accepted(4));
        assert_eq!(a.put(1, &["1"]).await.expect("put"), accepted(4));
        assert_eq!(payloads(&a.take(10).await), ["1", "2", "3", "4"]);
        assert_eq!(a.checked().await.accepted, 4);
    });
}

#[test]
fn puts_need_a_producer() {
    with_redis(|server| async move {
        let a = server.join("a", &settings()).await;
        assert_eq!(a.put(1, &["1"]).await.expect("put"), PutReply::Closed);
        a.endpoints(1, 0).await;
        a.put_numbers(1..=1).await;
        a.endpoints(0, 0).await;
        assert_eq!(a.put(2, &["2"]).await.expect("put"), PutReply::Closed);
        // What was accepted is, also when it is asked for late.
        assert_eq!(a.put(1, &["1"]).await.expect("put"), accepted(1));
        assert_eq!(a.checked().await.ready, 1);
    });
}

#[test]
fn an_older_copy_of_redis_is_noticed() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=3).await;
        assert_eq!(a.put(6, &["6", "7"]).await.expect("put"), PutReply::Gap);
        assert_eq!(a.checked().await.accepted, 3);
        assert_eq!(payloads(&a.take(10).await), ["1", "2", "3"]);
    });
}

#[test]
fn a_full_queue_takes_what_it_has_room_for_and_says_when_there_is_more() {
    with_redis(|server| async move {
        let a = server.alone(&Settings { capacity: Some(3), ..settings() }).await;
        let b = server.join("b", &Settings { capacity: Some(3), ..settings() }).await;
        b.endpoints(0, 1).await;
        let [_, to_a] = a.channels();
        let mut notifications = server.listen(std::slice::from_ref(&to_a)).await;

        assert_eq!(a.put(1, &["1", "2", "3", "4", "5"]).await.expect("put"), PutReply::Full(3));
        assert_eq!(a.put(4, &["4", "5"]).await.expect("put"), PutReply::Full(3));
        assert_eq!(server.heard(&mut notifications, &to_a).await, [""; 0]);

        let held = b.take(2).await;
        assert_eq!(server.heard(&mut notifications, &to_a).await, ["room 2"]);
        assert_eq!(a.put(4, &["4"]).await.expect("put"), PutReply::Accepted { last: 4, room: Some(1) });
        assert_eq!(a.put(5, &["5"]).await.expect("put"), PutReply::Accepted { last: 5, room: Some(0) });

        // What comes back, and children, may exceed it; then there is no room.
        assert_eq!(b.done(1, &[Op::Undo(held[0].0), Op::Child(b"6".to_vec())]).await, 0);
        assert_eq!(a.put(6, &["7"]).await.expect("put"), PutReply::Full(5));
        assert_eq!(payloads(&b.take(2).await), ["1", "3"]);
        assert_eq!(server.heard(&mut notifications, &to_a).await, [""; 0], "there were 4, now there are 3");
        assert_eq!(a.checked().await.ready, 3);
    });
}

#[test]
fn without_memory_only_puts_are_refused() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=10).await;
        let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
        assert!(matches!(a.put(11, &["11"]).await, Err(Failure::NoMemory)));
        let items = a.take(10).await;
        assert_eq!(items.len(), 10);
        let retried = failed(items[0].0, Duration::ZERO);
        assert_eq!(a.done(1, &[retried, Op::Ack(items[1].0), Op::Child(b"12".to_vec())]).await, 0);
        assert_eq!(a.renew(HANDED).await.expect("renewed"), Renewed::Ok { more: false });
        assert_eq!(a.register(0, 1, true, &[]).await.expect("registered"), Registered::Ok);
        a.seal().await.expect("sealed");
        assert_eq!(a.checked().await.ready, 1);
        while a.leave().await.expect("left") {}
    });
}
