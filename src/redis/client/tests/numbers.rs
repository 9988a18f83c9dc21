//! Numbers on their way through Lua. `guard.lua` sees to it in every other test that none reaches Redis as such.

use std::sync::atomic::Ordering::Relaxed;

use super::server::with_redis;
use super::*;

/// Redis 7.2.0 to 7.2.4 write it as 1e+8 where a script hands it over as a number.
const ROUND: u64 = 100_000_000;
/// Lua's `..` writes it as 4e+15. Its numbers are exact up to 9e15.
const LARGE: u64 = 4_000_000_000_000_000;

#[test]
fn large_numbers_are_exact() {
    for number in [ROUND - 1, LARGE - 1] {
        with_redis(|server| async move { count_from(&server, number).await });
    }
}

async fn count_from(server: &TestServer, number: u64) {
    let settings = settings();
    let a = server.alone(&settings).await;
    let text = number.to_string();
    let fields = [("a.seq", &text), ("a.batch", &text), ("a.held", &text)];
    for (field, value) in fields {
        let () = server.command(&["HSET", a.process.key(Key::Proc), field, value]).await;
    }
    let () =
        server.command(&["HSET", a.process.key(Key::Meta), "accepted", &text, "acked", &text, "next", &text]).await;
    a.process.next_id.store(number, Relaxed);

    assert_eq!(a.put(number + 1, &["1", "2", "3", "4"]).await.expect("put"), accepted(number + 4));
    let items = a.take(4).await;
    let ids: Vec<u64> = (number..number + 4).collect();
    assert_eq!(items.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), ids);
    assert_eq!(a.in_flight().await.expect("what it holds"), ids);
    let ops = [Op::Ack(number), failed(number + 1, Duration::ZERO), Op::Dead(number + 2, b"{}".to_vec())];
    for _ in 0..2 {
        assert_eq!(a.done(number + 1, &ops).await, 0);
    }
    let attached = a.attach().await.expect("attached");
    assert_eq!(attached, Attached { last_put: number + 4, last_batch: number + 1 });
    assert_eq!(server.letters().await.len(), 1);

    // What is past its deadline is found by its numbers.
    assert_eq!(a.done(number + 2, &[Op::Overdue(number..=number + 3)]).await, 0);
    assert_eq!(a.checked().await.in_flight, 0);
    // And what a lost process held keeps its order by them, and counts by them.
    let b = server.join("b", &settings).await;
    b.process.next_id.store(number, Relaxed);
    let ClaimReply::Items { first, .. } = b.claim(9, 0).await.expect("claimed") else { panic!("there are two") };
    assert_eq!(first, number);
    b.renew(number).await.expect("renewed");
    server.silence(&b).await;
    a.clear_up().await;
    let r = a.checked().await;
    assert_eq!((r.accepted, r.acked, r.dead, r.back), (number + 4, number + 1, 1, 2));
    let first = a.take(9).await;
    a.ack_all(number + 3, &first).await;
    let second = a.take(9).await;
    assert_eq!(payloads(&[first, second].concat()), ["2", "4"]);
}
