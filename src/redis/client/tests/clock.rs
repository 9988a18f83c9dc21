//! Who is lost: leases, on a clock of their own.

use super::server::with_redis;
use super::*;

#[test]
fn a_process_that_is_silent_for_longer_than_the_lease_is_lost_and_no_other_one() {
    with_redis(|server| async move {
        let settings = Settings { lease: Duration::from_millis(300), ..settings() };
        let a = server.alone(&settings).await;
        let b = server.join("b", &settings).await;
        a.put_numbers(1..=1).await;
        b.take(1).await;
        while a.checked().await.lost_processes == 0 {
            a.renew(HANDED).await.expect("a lives");
        }
        a.clear_up().await;
        assert_eq!(a.checked().await.back, 1);
        assert!(matches!(b.renew(HANDED).await, Err(Failure::Fenced)));
    });
}

/// An outage of any length counts as a small part of a lease; so does a time with nobody.
#[test]
fn when_redis_was_away_nobody_is_lost_for_it() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let b = server.join("b", &settings()).await;
        for times in 1..=7 {
            // A week ago.
            let () = server.command(&["HINCRBY", a.process.key(Key::Meta), "hb", "-604800000"]).await;
            a.clear_up().await;
            assert_eq!(a.checked().await.lost_processes, u64::from(times > 6), "after {times} renewals");
            if times == 1 {
                // A new connection is a sign of life, too.
                b.attach().await.expect("attached");
            }
        }
    });
}

/// However short those live that could find it: each of them lets the clock of the leases go on by a part of a lease.
#[test]
fn a_process_that_died_is_found_by_processes_that_live_shorter_than_a_lease() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=1).await;
        let doomed = server.join("doomed", &settings()).await;
        doomed.take(1).await;
        while a.leave().await.expect("left") {}
        for process in ["b", "c", "d", "e", "f", "g"] {
            let () = server.command(&["HINCRBY", a.process.key(Key::Meta), "hb", "-604800000"]).await;
            let short = server.join(process, &settings()).await;
            short.clear_up().await;
            while short.leave().await.expect("left") {}
        }
        let r = a.checked().await;
        assert_eq!((r.lost_processes, r.in_flight, r.back), (1, 0, 1));
    });
}

#[test]
fn a_clock_that_was_set_back_holds_up_nothing() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.put_numbers(1..=1).await;
        let id = a.take(1).await[0].0;
        a.renew(HANDED).await.expect("renewed");
        // An hour: as if the last renewal had been at a later time than now.
        let () = server.command(&["HINCRBY", a.process.key(Key::Meta), "hb", "3600000"]).await;
        assert_eq!(a.done(1, &[failed(id, Duration::from_millis(20))]).await, 0);
        a.renew(HANDED).await.expect("renewed");
        let mut again = Vec::new();
        while again.is_empty() {
            match a.claim(1, HANDED).await.expect("claimed") {
                ClaimReply::Items { entries, .. } => again = entries,
                ClaimReply::Empty { next_due } => {
                    assert!(next_due.expect("it is delayed") <= Duration::from_millis(20));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                ClaimReply::Ended => panic!("ended with an item"),
            }
        }
        assert_eq!(again[0].attempts, 1);
    });
}
