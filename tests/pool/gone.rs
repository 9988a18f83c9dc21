//! What is gone when a pool has ended: arbiters, futures, and what actors do when they stop.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::FutureExt;
use futures::channel::{mpsc, oneshot};
use support::actors::{backlog, in_system, quiet};
use support::backend;
use support::crew::{acks, here};

thread_local! {
    static LAST_WORD: RefCell<Option<LastWord>> = const { RefCell::new(None) };
}

/// Said when its thread is gone, and not soon.
struct LastWord(Arc<AtomicBool>);

impl Drop for LastWord {
    fn drop(&mut self) {
        for _ in 0..1000 {
            thread::yield_now();
        }
        self.0.store(true, SeqCst);
    }
}

#[test]
fn the_arbiters_of_the_pool_are_gone_when_it_has_ended() {
    in_system(|| async {
        let queue = backlog(0..0);
        let words = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let (tell, mut arbiters) = mpsc::unbounded();
        let said = words.clone();
        let ack = acks();
        let pool = WorkerPool::builder(&queue)
            .workers(3)
            .start(move |index| {
                LAST_WORD.set(Some(LastWord(Arc::clone(&said[index]))));
                tell.unbounded_send(Arbiter::current()).unwrap();
                ack(index)
            })
            .unwrap();
        pool.resize(2).unwrap(); // the third one's goes early
        queue.seal();
        pool.drained().await.unwrap();
        assert!(words.iter().all(|word| word.load(SeqCst)));
        while let Ok(arbiter) = arbiters.try_recv() {
            assert!(!arbiter.alive());
        }
    });
}

/// Takes its time when all is done, until the test says so.
struct Slow {
    told: Option<oneshot::Receiver<()>>,
    stopped: Option<std::sync::mpsc::Receiver<()>>,
    stops: mpsc::UnboundedSender<()>,
    over: Arc<AtomicBool>,
}

impl Actor for Slow {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(wait) = self.stopped.take() {
            self.stops.unbounded_send(()).expect("the test waits for this");
            wait.recv().expect("the test says when");
            for _ in 0..1000 {
                thread::yield_now();
            }
            self.over.store(true, SeqCst);
        }
    }
}

impl Handler<Item<u32>> for Slow {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        item.ack();
    }
}

impl Handler<Drained> for Slow {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drained, _: &mut Self::Context) -> Self::Result {
        let (wait, stops, over) = (self.told.take(), self.stops.clone(), Arc::clone(&self.over));
        Box::pin(async move {
            let Some(wait) = wait else { return };
            stops.unbounded_send(()).expect("the test waits for this");
            wait.await.expect("the test says when");
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            over.store(true, SeqCst);
        })
    }
}

#[test]
fn the_end_waits_for_what_the_handler_of_drained_returned_and_for_stopped() {
    for (in_future, given) in [(true, false), (false, false), (true, true)] {
        in_system(move || async move {
            let queue = backlog(0..3);
            let (stops, mut stop) = mpsc::unbounded();
            let ((go, told), (go_on, stopped)) = (oneshot::channel(), std::sync::mpsc::channel());
            let over = Arc::new(AtomicBool::new(false));
            let slow = Slow {
                told: in_future.then_some(told),
                stopped: (!in_future).then_some(stopped),
                stops,
                over: Arc::clone(&over),
            };
            let slow = std::sync::Mutex::new(Some(slow));
            let builder = if given { here(&queue) } else { WorkerPool::builder(&queue) };
            let pool = builder.workers(1).start(move |_| slow.lock().unwrap().take().unwrap()).unwrap();
            queue.seal();
            futures::StreamExt::next(&mut stop).await.unwrap();
            backend::drained(&queue);
            quiet().await;
            assert!(pool.drained().now_or_never().is_none());
            if in_future {
                go.send(()).unwrap()
            } else {
                go_on.send(()).unwrap()
            }
            pool.drained().await.unwrap();
            assert!(over.load(SeqCst));
        });
    }
}
