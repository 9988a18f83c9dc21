//! D11: an item for which an actor was woken, while it waits for something else.

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::FutureExt;
use support::actors;
use support::actors::{Hand, in_system};

/// What `docs/contract.md` says: the item waits with the actor, *unless another consumer comes by*.
/// The one that gave it back is another one, too.
#[test]
fn d11_an_item_does_not_wait_with_an_actor_that_waits_for_something_else() {
    in_system(|| async {
        let queue = IterableQueue::unbounded();
        let (producer, mut giver) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        let item = giver.try_lease().unwrap();
        let (hand, mut events) = Hand::pull(queue.consumer().unwrap());
        actors::until(|| queue.snapshot().waiting_gets == 1).await;
        let (free, other_work) = futures::channel::oneshot::channel::<()>();
        let begin = |_: &mut Hand, ctx: &mut Context<Hand>| ctx.wait(actix::fut::wrap_future(other_work.map(drop)));
        hand.send(actors::run(begin)).await.unwrap();
        item.requeue();
        // It looks for a moment, as the item is meant for somebody else.
        assert_eq!(giver.get().await, Some(0));
        drop(free);
        events.nothing().await;
    });
}
