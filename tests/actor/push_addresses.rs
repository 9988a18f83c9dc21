//! Items to addresses of other kinds: two actors, threads (A1, D2).

use std::collections::HashSet;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use support::actors::{Hand, in_system, with};

#[test]
fn a1_items_and_the_end_may_go_to_two_actors() {
    struct Last(UnboundedSender<Drained>);

    impl Actor for Last {
        type Context = Context<Self>;
    }

    impl Handler<Drained> for Last {
        type Result = ();

        fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
            self.0.unbounded_send(drained).expect("the test waits for this");
        }
    }

    in_system(|| async {
        let (queue, actor) = with(0..2);
        let (told, mut drained) = unbounded();
        let (hand, mut events) = Hand::push();
        let both = RegisterConsumer::from_recipients(hand.recipient(), Last(told).start().recipient());
        actor.send(both.max_in_flight(2)).await.unwrap().unwrap();
        let (first, last) = (events.item().await, events.item().await);
        drop((actor, queue));
        first.ack();
        last.ack();
        assert_eq!(drained.next().await.unwrap().totals.acked, 2);
        events.end().await;
        assert_eq!(drained.next().await, None);
    });
}

#[test]
fn d2_a_sync_arbiter_gets_every_item_once_and_a_panicked_thread_loses_none() {
    struct OnThread(UnboundedSender<Option<u32>>);

    impl Actor for OnThread {
        type Context = SyncContext<Self>;
    }

    impl Handler<Item<u32>> for OnThread {
        type Result = ();

        fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
            assert!(item.attempt() > 1 || *item != 50, "this one fails at first");
            self.0.unbounded_send(Some(*item)).expect("the test waits for this");
            item.ack();
        }
    }

    impl Handler<Drained> for OnThread {
        type Result = ();

        fn handle(&mut self, _: Drained, _: &mut Self::Context) {
            self.0.unbounded_send(None).expect("the test waits for this");
        }
    }

    in_system(|| async {
        let (queue, actor) = with(0..100);
        let (seen, results) = unbounded();
        let threads = SyncArbiter::start(2, move || OnThread(seen.clone()));
        actor.send(RegisterConsumer::new(threads).max_in_flight(4)).await.unwrap().unwrap();
        let drained = queue.drained();
        drop((actor, queue));
        let results: Vec<_> = results.collect().await; // until its threads are gone
        assert_eq!(results.len(), 101);
        assert_eq!(results.iter().flatten().collect::<HashSet<_>>().len(), 100);
        assert_eq!(results.last(), Some(&None));
        let totals = drained.await.totals;
        assert_eq!((totals.acked, totals.redelivered), (100, 1));
    });
}
