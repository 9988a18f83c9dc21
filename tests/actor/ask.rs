//! `AskQueue`: actors ask a queue by message, and actors answer (A1, A4, D13). In memory only.

use actix::prelude::*;
use actix_iterable_queue::error::PutError;
use actix_iterable_queue::prelude::*;
use futures::{FutureExt, join, poll};
use support::actors::{in_system, quiet, run, until};

type Squares = Ask<u32, u32>;
type Asked = (IterableQueue<Squares>, Addr<QueueActor<Squares>>, Producer<Squares>, Consumer<Squares>);

fn asked() -> Asked {
    let queue = IterableQueue::bounded(1);
    let (producer, consumer) = (queue.producer().expect("it is open"), queue.consumer().expect("it is open"));
    (queue.clone(), QueueActor::new(queue).start(), producer, consumer)
}

fn square(ask: Item<Squares>) {
    ask.answer(ask.job() * ask.job());
    ask.ack();
}

struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<Squares>> for Worker {
    type Result = ();

    fn handle(&mut self, ask: Item<Squares>, _: &mut Self::Context) {
        square(ask);
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[test]
fn a1_an_actor_asks_and_an_actor_answers() {
    in_system(|| async {
        let (_queue, actor, producer, consumer) = asked();
        drop(consumer);
        actor.send(RegisterConsumer::new(Worker.start())).await.unwrap().unwrap();
        // More than there is room for.
        let asks = (1..=20).map(|n| actor.send(AskQueue::new(&producer, n)));
        let answers: Vec<_> = futures::future::join_all(asks).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, (1..=20).map(|n| Ok(n * n)).collect::<Vec<_>>());
    });
}

#[test]
fn d1_asks_wait_for_room_in_turn_and_for_answers_while_the_actor_goes_on() {
    in_system(|| async {
        let (queue, actor, mut producer, mut consumer) = asked();
        let mut first = Box::pin(actor.send(AskQueue::new(&producer, 1)));
        let mut second = Box::pin(actor.send(AskQueue::new(&producer, 2)));
        let close = actor.send(Close::new(&mut producer));
        assert_eq!(actor.send(Inspect).await.unwrap().waiting_puts, 1);
        close.await.unwrap();
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        square(consumer.lease().await.unwrap());
        assert_eq!(first.await.unwrap(), Ok(1));
        square(consumer.lease().await.unwrap());
        assert_eq!(second.await.unwrap(), Ok(4));
        // Closed by the message, and by the puts that owned a share.
        assert!(queue.snapshot().producers.is_empty());
    });
}

#[test]
fn d12_a_refused_ask_has_its_job() {
    in_system(|| async {
        let (queue, actor, producer, _consumer) = asked();
        let mut closed = producer.clone();
        closed.close();
        let refused = actor.send(AskQueue::new(&closed, 7)).await.unwrap();
        assert_eq!(refused, Err(AskError::Refused(PutError::new(7, Refusal::Closed))));

        let accepted = actor.send(AskQueue::new(&producer, 1));
        let waits = actor.send(AskQueue::new(&producer, 2));
        actor.send(Inspect).await.unwrap();
        drop(queue.abort());
        assert_eq!(accepted.await.unwrap(), Err(AskError::Ended(Outcome::Aborted)));
        assert_eq!(waits.await.unwrap(), Err(AskError::Refused(PutError::new(2, Refusal::Aborted))));
        let late = actor.send(AskQueue::new(&producer, 3)).await.unwrap();
        assert_eq!(late, Err(AskError::Refused(PutError::new(3, Refusal::Aborted))));
        assert_eq!(AskQueue::new(&producer, 4).into_inner(), 4);
    });
}

#[test]
fn d13_consumers_see_that_the_sender_of_the_message_waits_no_more() {
    in_system(|| async {
        let (_queue, actor, producer, mut consumer) = asked();
        let mut asking = Box::pin(actor.send(AskQueue::new(&producer, 1)));
        assert!(poll!(&mut asking).is_pending());
        let item = consumer.lease().await.unwrap();
        quiet().await;
        assert!(item.is_waiting());
        drop(asking);
        until(|| !item.is_waiting()).await;
        square(item);

        actor.do_send(AskQueue::new(&producer, 2));
        let item = consumer.lease().await.unwrap();
        assert!(!item.is_waiting());
        assert_eq!(*item.job(), 2);
        square(item);
    });
}

#[test]
fn d13_an_ask_outlives_the_actor_that_put_it() {
    in_system(|| async {
        let (queue, actor, producer, mut consumer) = asked();
        let mut asking = Box::pin(actor.send(AskQueue::new(&producer, 7)));
        assert!(poll!(&mut asking).is_pending());
        let item = consumer.lease().await.unwrap();
        assert!(actor.send(run::<QueueActor<Squares>>(|_, _| panic!("a defect of the actor"))).await.is_err());
        drop(queue);
        square(item);
        assert_eq!(asking.await.unwrap(), Ok(49));
    });
}

/// The queue goes on, and another actor's puts are no affair of it.
#[test]
fn a4_an_ask_that_waits_in_an_actor_that_dies_comes_back() {
    in_system(|| async {
        let (other, _, producer, _consumer) = asked();
        assert!(producer.ask(1).now_or_never().is_none()); // fills it
        let actor = QueueActor::new(IterableQueue::<Squares>::bounded(1)).start();
        let waiting = actor.send(AskQueue::new(&producer, 2));
        let died = actor.send(run::<QueueActor<Squares>>(|_, _| panic!("a defect of the actor")));
        let (waiting, died) = join!(waiting, died);
        assert!(died.is_err());
        assert_eq!(waiting.unwrap(), Err(AskError::Refused(PutError::new(2, Refusal::ActorStopped))));
        assert_eq!(other.state(), State::Open);
    });
}
