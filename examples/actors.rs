//! 17 producer actors and 13 consumer actors on several arbiters, around one `QueueActor`.
//!
//! Producers know the queue by its address: they send `OpenProducer`, `Put` and `Close`. Consumers
//! receive `Item` after `Item` and then `Drained`. Nobody counts anything.
//!
//! ```sh
//! cargo run --example actors
//! RUST_LOG=info cargo run --example actors
//! ```

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::join_all;

const PRODUCERS: usize = 17;
const CONSUMERS: usize = 13;
const PUTS: usize = 10;

type Queue = Addr<QueueActor<usize>>;

/// Puts its id ten times and stops.
struct Source {
    id: usize,
    queue: Queue,
    producer: Producer<usize>,
}

impl Actor for Source {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (id, queue, mut producer) = (self.id, self.queue.clone(), self.producer.clone());
        self.producer.close(); // the clone goes on
        let work = async move {
            for _ in 0..PUTS {
                // Waiting for the answer is what bounds the queue actor's mailbox.
                match queue.send(Put::new(&producer, id)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(refused)) => return log::warn!("source {id}: {refused}"),
                    Err(dead) => return log::warn!("source {id}: {dead}"),
                }
            }
            queue.do_send(Close::new(&mut producer));
        };
        ctx.spawn(work.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

/// Prints what it is handed. It is registered by address, so its items come by its mailbox.
struct Sink {
    id: usize,
    seen: usize,
    /// Dropped with the actor.
    _running: mpsc::Sender<()>,
}

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<Item<usize>> for Sink {
    type Result = ();

    fn handle(&mut self, item: Item<usize>, _: &mut Self::Context) {
        println!("consumer {} saw item {}", self.id, *item);
        self.seen += 1;
        item.ack();
    }
}

impl Handler<Drained> for Sink {
    type Result = ();

    fn handle(&mut self, drained: Drained, ctx: &mut Self::Context) {
        log::info!("consumer {} saw {} of {} accepted", self.id, self.seen, drained.totals.accepted);
        ctx.stop();
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let queue = IterableQueue::builder().name("example").capacity(32).build()?;
    let drained = queue.drained();
    let arbiters: Vec<_> = (0..4).map(|_| Arbiter::new()).collect();
    let address = QueueActor::new(queue).start();

    let (running, mut stopped) = mpsc::channel(0);

    // Every endpoint is open before anything can end.
    for id in 0..CONSUMERS {
        let arbiter = arbiters[id % arbiters.len()].handle();
        let running = running.clone();
        let sink = Sink::start_in_arbiter(&arbiter, move |_| Sink { id, seen: 0, _running: running });
        address.send(RegisterConsumer::new(sink).named(format!("consumer-{id}"))).await??;
    }
    let opened =
        join_all((0..PRODUCERS).map(|id| address.send(OpenProducer::new().named(format!("source-{id}"))))).await;
    for (id, producer) in opened.into_iter().enumerate() {
        let (queue, producer) = (address.clone(), producer??);
        let arbiter = arbiters[id % arbiters.len()].handle();
        Source::start_in_arbiter(&arbiter, move |_| Source { id, queue, producer });
    }
    address.send(Seal).await?;

    drop(running);

    let drained = drained.await;
    log::info!("{:?}: {:?}", drained.outcome, drained.totals);
    // `Drained` is a message: the sinks still have to read theirs.
    stopped.next().await;
    for arbiter in arbiters {
        arbiter.stop();
        arbiter.join().map_err(|_| "an arbiter panicked")?;
    }
    Ok(())
}
