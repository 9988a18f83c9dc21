//! What the feature `serde` adds.

use actix_iterable_queue::report::{Blocker, Blockers};
use actix_iterable_queue::{DeadLetter, Drained, Snapshot};

#[test]
fn what_a_queue_tells_can_be_sent_and_read_again() {
    let queue = support::backend::builder().name("jobs").capacity(4).build().unwrap();
    let mut letters = queue.dead_letters().unwrap();
    let producer = queue.producer_named("http").unwrap();
    let mut consumer = queue.consumer_named("worker").unwrap();
    (1..=3).for_each(|n| producer.try_put(n).unwrap());
    consumer.try_lease().unwrap().reject("odd");
    let held = consumer.try_lease().unwrap();

    let snapshot = queue.snapshot();
    let json = serde_json::to_string(&snapshot).unwrap();
    assert!(json.contains(r#""name":"http""#), "{json}");
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);

    let blockers = snapshot.blockers();
    assert!((&blockers).into_iter().eq(blockers.iter()), "by reference, too");
    let json = serde_json::to_string(&blockers).unwrap();
    assert!(json.starts_with(r#"["NotSealed",{"ProducerOpen":{"#), "{json}");
    assert_eq!(serde_json::from_str::<Blockers>(&json).unwrap(), blockers);
    let json = serde_json::to_string(&blockers[0]).unwrap();
    assert_eq!(serde_json::from_str::<Blocker>(&json).unwrap(), blockers[0]);

    let letter = letters.try_get().unwrap();
    let json = serde_json::to_string(&letter).unwrap();
    assert_eq!(serde_json::from_str::<DeadLetter<i32>>(&json).unwrap(), letter);

    drop(held);
    drop(queue.abort());
    let drained = queue.blocking_drained();
    let json = serde_json::to_string(&drained).unwrap();
    assert_eq!(serde_json::from_str::<Drained>(&json).unwrap(), drained);
}
