//! Items by address for an actor that settles each at once: what else its arbiter has to do goes on (D11).

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use support::actors::in_system;

/// More than an arbiter may spend on one actor before it does anything else.
const TOO_MANY: u32 = 100_000;

/// Makes a new item of every item it is handed, until something else has happened.
struct Endless {
    producer: Option<Producer<u32>>,
    handled: u32,
    releases: bool,
}

struct Enough;

impl Message for Enough {
    type Result = u32;
}

impl Actor for Endless {
    type Context = Context<Self>;
}

impl Handler<Item<u32>> for Endless {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, ctx: &mut Self::Context) {
        self.handled += 1;
        if self.handled == 1 {
            // A future of its own, as a timer is.
            ctx.spawn(async {}.into_actor(self).map(|(), actor, _| actor.producer = None));
        }
        if self.handled == TOO_MANY {
            self.producer = None;
        }
        if self.releases && self.producer.is_some() {
            return item.release();
        }
        if let Some(producer) = &self.producer {
            producer.try_put(*item).expect("the queue has no bound");
        }
        item.ack();
    }
}

impl Handler<Drained> for Endless {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

impl Handler<Enough> for Endless {
    type Result = u32;

    fn handle(&mut self, _: Enough, _: &mut Self::Context) -> u32 {
        self.handled
    }
}

#[test]
fn d11_an_actor_with_a_backlog_by_address_still_polls_its_futures() {
    for (max_in_flight, releases) in [(1, false), (64, false), (1, true)] {
        in_system(move || async move {
            let queue = IterableQueue::unbounded();
            let producer = queue.producer().unwrap();
            producer.put_all(0..1000).await.unwrap();
            let drained = queue.drained();
            let actor = QueueActor::new(queue).start();
            let endless = Endless { producer: Some(producer), handled: 0, releases }.start();
            let register = RegisterConsumer::new(endless.clone()).max_in_flight(max_in_flight);
            actor.send(register).await.unwrap().unwrap();
            drop(actor);
            drained.await;
            let handled = endless.send(Enough).await.unwrap();
            assert!(
                handled < TOO_MANY,
                "its own future was polled after {handled} items only ({max_in_flight}, {releases})"
            );
        });
    }
}
