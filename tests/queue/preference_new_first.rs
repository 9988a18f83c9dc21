//! In what order a consumer takes what it gave back itself: after new items while another one is at
//! work that may come for it, at once otherwise (D1).

use std::sync::{Arc, Mutex};
use std::task::Poll;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use support::Task;
use support::actors;
use support::actors::in_system;
use support::leases::{consumer, filled, park, poll, try_done};

#[test]
fn d1_while_another_is_at_work_the_giver_takes_new_ones_first() {
    let (queue, producer) = filled(4);
    let (mut giver, mut busy) = (consumer(&queue), consumer(&queue));
    let (item, in_work) = (giver.try_lease().unwrap(), busy.try_lease().unwrap());
    item.requeue();
    assert_eq!(try_done(&mut giver), Some((2, 1)));
    assert_eq!(giver.try_get(), Ok(3));
    // There is nothing new: better the giver than nobody.
    giver.try_lease().unwrap().requeue();
    producer.try_put(4).unwrap();
    assert_eq!(giver.try_get(), Ok(4));
    producer.try_put(5).unwrap();
    // Done, the other one comes for more.
    in_work.ack();
    assert_eq!(try_done(&mut busy), Some((0, 3)));
    assert_eq!(giver.try_get(), Ok(5));
}

/// Those that are beside the producers' room are new ones, too.
#[test]
fn d1_items_put_through_leases_are_new_ones_too() {
    let (producer, mut giver) = support::backend::builder().capacity(2).build().unwrap().split().unwrap();
    let mut busy = giver.clone();
    (0..2).for_each(|n| producer.try_put(n).unwrap());
    let (in_work, item) = (busy.try_lease().unwrap(), giver.try_lease().unwrap());
    in_work.put_child(2).unwrap();
    item.requeue();
    assert_eq!(try_done(&mut giver), Some((2, 1)));
    assert_eq!(try_done(&mut giver), Some((1, 2)));
    in_work.ack();
}

#[test]
fn d1_with_nobody_else_at_work_it_comes_back_at_once() {
    // alone
    let (queue, _producer) = filled(3);
    let mut giver = consumer(&queue);
    let held = giver.try_lease().unwrap();
    giver.try_lease().unwrap().requeue();
    assert_eq!(try_done(&mut giver), Some((1, 2)), "its own other lease does not make it another");
    held.ack();
    // with idle ones, that never came or have settled what they had
    let (_never, mut idle) = (consumer(&queue), consumer(&queue));
    assert_eq!(try_done(&mut idle), Some((2, 1)));
    let (queue, _producer) = filled(3);
    let (mut giver, _idle) = (consumer(&queue), consumer(&queue));
    for attempt in 1..10 {
        let item = giver.try_lease().unwrap();
        assert_eq!((*item, item.attempt()), (0, attempt));
        item.requeue();
    }
}

/// A consumer that is gone will not come for it, whatever its last lease does.
#[test]
fn d1_a_lease_of_one_that_is_gone_keeps_nobody_from_his_own() {
    let (queue, producer) = filled(3);
    let (mut giver, mut gone) = (consumer(&queue), consumer(&queue));
    let (item, outlives) = (giver.try_lease().unwrap(), gone.try_lease().unwrap());
    drop(gone);
    item.requeue();
    for n in 3..20 {
        producer.try_put(n).unwrap();
    }
    assert_eq!(try_done(&mut giver), Some((0, 2)), "there is nobody else");
    outlives.ack();
}

#[test]
fn d1_returned_items_keep_their_order_for_whoever_takes_them() {
    // for those who wait
    let (queue, _producer) = filled(5);
    let (mut giver, mut other) = (consumer(&queue), consumer(&queue));
    let items: Vec<_> = (0..4).map(|_| giver.try_lease().unwrap()).collect();
    let new = giver.try_lease().unwrap();
    let task = Task::new();
    assert!(park(&mut other, &task));
    items.into_iter().rev().for_each(Item::requeue);
    assert_eq!(poll(&mut other, &task), Poll::Ready(Some(0)));
    assert_eq!(other.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    new.ack();

    // for the giver that took new ones first
    let (queue, _producer) = filled(6);
    let (mut giver, mut busy) = (consumer(&queue), consumer(&queue));
    let items: Vec<_> = (0..3).map(|_| giver.try_lease().unwrap()).collect();
    let in_work = busy.try_lease().unwrap();
    items.into_iter().rev().for_each(Item::requeue);
    // No more of them are left to others than there are others.
    assert_eq!(giver.try_iter().collect::<Vec<_>>(), [0, 1, 4, 5, 2]);
    in_work.ack();
}

/// Keeps what it is handed.
struct Keeps(Arc<Mutex<Vec<Item<u32>>>>);

impl Actor for Keeps {
    type Context = Context<Self>;
}

impl Handler<Item<u32>> for Keeps {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        self.0.lock().expect("no panic while it is held").push(item);
    }
}

impl Handler<Drained> for Keeps {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

/// A paused worker will not come for it before somebody says so.
#[test]
fn d1_a_lease_of_one_that_is_paused_keeps_nobody_from_his_own() {
    in_system(|| async {
        let (queue, producer) = filled(0);
        let mut giver = consumer(&queue);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&kept);
        let pool = WorkerPool::builder(&queue).workers(1).start(move |_| Keeps(Arc::clone(&keeps))).unwrap();
        producer.try_put(0).unwrap();
        actors::until(|| kept.lock().unwrap().len() == 1).await;
        (1..4).for_each(|n| producer.try_put(n).unwrap());
        giver.try_lease().unwrap().requeue();
        assert_eq!(try_done(&mut giver), Some((2, 1)), "the worker is at work");
        pool.pause();
        assert_eq!(try_done(&mut giver), Some((1, 2)), "the worker is paused");
        pool.resume();
        kept.lock().unwrap().pop().unwrap().ack();
        actors::until(|| kept.lock().unwrap().len() == 1).await;
        kept.lock().unwrap().pop().unwrap().ack();
        drop((giver, producer, queue));
        pool.drained().await.unwrap();
    });
}
