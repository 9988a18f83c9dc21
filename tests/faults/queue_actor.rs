//! A `QueueActor` that is restarted, or killed, and producers that die, while everybody works (A3, A4, C6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::executor::block_on;
use support::actors::{Run, in_system, run, until};
use support::backend;
use support::faults::{Faulty, Moment, Plan, assert_all_ended, assert_conserved, assert_each_once, fail};

type Address = Addr<QueueActor<u32>>;

const EACH: u32 = 300;

/// Puts its numbers by messages, and tells which of them were accepted for sure, and which may have been.
fn puts_by_message(actor: Address, producer: Producer<u32>, first: u32) -> JoinHandle<(Vec<u32>, Vec<u32>)> {
    thread::spawn(move || {
        let (mut accepted, mut unknown) = (Vec::new(), Vec::new());
        for n in first..first + EACH {
            match block_on(actor.send(Put::new(&producer, n))) {
                Ok(Ok(())) => accepted.push(n),
                Ok(Err(refused)) => assert_eq!(refused.into_inner(), n),
                // The actor is gone: the message is, too, unless it was answered and the answer lost.
                Err(_) => unknown.push(n),
            }
        }
        (accepted, unknown)
    })
}

/// A consumer of its own thread, registered by address.
async fn register(actor: &Address, arbiter: &Arbiter, plan: &Arc<Plan<u32>>, max_in_flight: usize) {
    let made = Faulty::new(plan, 0);
    let addr = Faulty::start_in_arbiter(&arbiter.handle(), |_| made);
    let register = RegisterConsumer::new(addr).max_in_flight(max_in_flight);
    actor.send(register).await.expect("it lives").expect("it is open");
}

#[test]
fn a4_restarts_under_load_lose_nothing_and_serve_everybody() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let (end, inner) = (queue.drained(), queue.clone());
        let actor = Supervisor::start(move |_| QueueActor::new(inner).watch_interval(Duration::from_secs(3600)));
        let (plan, arbiter) = (Plan::good(), Arbiter::new());
        for max_in_flight in [1, 3] {
            register(&actor, &arbiter, &plan, max_in_flight).await;
        }
        let producers: Vec<_> =
            (0..3).map(|n| puts_by_message(actor.clone(), queue.producer().unwrap(), n * EACH)).collect();
        queue.seal();
        drop(queue);
        // Restarted as often as it is read, until all is put.
        let mut restarts = 0;
        while !producers.iter().all(JoinHandle::is_finished) {
            actor.do_send(run::<QueueActor<u32>>(|_, ctx| ctx.stop()));
            actor.send(Inspect).await.unwrap();
            restarts += 1;
        }
        assert!(restarts > 1);
        for producer in producers {
            let (accepted, unknown) = producer.join().unwrap();
            assert_eq!((accepted.len(), unknown.len()), (EACH as usize, 0));
        }
        let drained = end.await;
        assert_all_ended(&drained);
        assert_eq!((drained.outcome, drained.totals.redelivered), (Outcome::Complete, 0));
        assert_each_once(0..3 * EACH, [plan.acked_numbers()]);
        until(|| plan.count(Moment::Dropped) == 2).await;
        assert_eq!(plan.drained().len(), 2);
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

#[test]
fn a4_killed_for_good_under_load_it_tells_everybody_and_every_item_is_somewhere() {
    for round in 0..10 {
        in_system(move || async move {
            let queue = IterableQueue::bounded(4);
            let (end, inner) = (queue.drained(), queue.clone());
            let actor = Supervisor::start(move |_| QueueActor::new(inner));
            let (plan, arbiter) = (Plan::good(), Arbiter::new());
            for max_in_flight in [1, 3] {
                register(&actor, &arbiter, &plan, max_in_flight).await;
            }
            let producers: Vec<_> =
                (0..3).map(|n| puts_by_message(actor.clone(), queue.producer().unwrap(), n * EACH)).collect();
            // In the middle, each time a little later.
            until(|| queue.snapshot().totals.acked >= round * 20).await;
            actor.do_send(run::<QueueActor<u32>>(|_, _| fail("a message")));
            let drained = end.await;
            assert_eq!(drained.outcome, Outcome::Aborted);
            until(|| plan.count(Moment::Dropped) == 2).await;
            assert_eq!(plan.drained().iter().filter(|(_, outcome)| *outcome == Outcome::Aborted).count(), 2);

            let (mut accepted, mut unknown) = (Vec::new(), Vec::new());
            for producer in producers {
                let (sure, maybe) = producer.join().unwrap();
                accepted.extend(sure);
                unknown.extend(maybe);
            }
            let seen = queue.snapshot();
            assert_conserved(&seen);
            assert_eq!((seen.buffered, seen.leased, seen.totals.acked), (0, 0, plan.acked().len() as u64));
            // What was worked on was accepted, and only once.
            let mut acked = plan.acked_numbers();
            assert!(acked.is_sorted_by(|one, next| one < next));
            acked.retain(|n| !accepted.contains(n) && !unknown.contains(n));
            assert_eq!(acked, [0; 0]);
            assert!(seen.totals.accepted >= accepted.len() as u64);
            arbiter.stop();
            arbiter.join().unwrap();
        });
    }
}

/// A producer actor, for which others hold the producer: nobody closes it when it dies.
struct Session;

impl Actor for Session {
    type Context = Context<Self>;
}

impl Handler<Run<Self>> for Session {
    type Result = ();

    fn handle(&mut self, work: Run<Self>, ctx: &mut Self::Context) {
        work.call(self, ctx);
    }
}

/// Its threads put and put; it panics, stops, or goes with its arbiter: they are refused, and the queue ends.
#[test]
fn a3_a_watched_producer_that_dies_without_closing_ends_the_queue_with_all_it_put() {
    type Death = fn(&mut Session, &mut Context<Session>);
    let deaths: [Death; 3] = [
        |_, _| fail("the session"),
        |_, ctx| ctx.stop(),
        |_, _| {
            Arbiter::current().stop();
        },
    ];
    for die in deaths {
        in_system(move || async move {
            let queue = backend::bounded(8);
            let end = queue.drained();
            let actor = QueueActor::new(queue.clone()).watch_interval(Duration::from_millis(1)).start();
            let (plan, arbiter) = (Plan::good(), Arbiter::new());
            register(&actor, &arbiter, &plan, 2).await;
            let home = Arbiter::new();
            let session = Session::start_in_arbiter(&home.handle(), |_| Session);
            let producer: Producer<u32> = actor.send(OpenProducer::new().watch(&session)).await.unwrap().unwrap();
            drop((actor, queue)); // which seals it

            let alive = Arc::new(AtomicBool::new(true));
            let threads: Vec<_> = (0..2)
                .map(|n| {
                    let (producer, alive) = (producer.clone(), Arc::clone(&alive));
                    thread::spawn(move || {
                        let mut accepted = Vec::new();
                        for item in (n..).step_by(2) {
                            match producer.blocking_put(item) {
                                Ok(()) => accepted.push(item),
                                Err(refused) => {
                                    assert_eq!(refused, PutError::new(item, Refusal::Closed));
                                    break;
                                }
                            }
                        }
                        assert!(!alive.load(SeqCst));
                        accepted
                    })
                })
                .collect();
            until(|| plan.acked().len() > 50).await;
            alive.store(false, SeqCst);
            session.do_send(run::<Session>(die));
            let drained = end.await;
            assert_all_ended(&drained);
            assert_eq!(drained.outcome, Outcome::Complete);
            let accepted: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            let mut sorted = accepted;
            sorted.sort_unstable();
            assert_eq!(plan.acked_numbers(), sorted);
            until(|| plan.count(Moment::Dropped) == 1).await;
            assert_eq!(plan.drained(), [(0, Outcome::Complete)]);
            drop(producer);
            for arbiter in [arbiter, home] {
                arbiter.stop();
                arbiter.join().unwrap();
            }
        });
    }
}
