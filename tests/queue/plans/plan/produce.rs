//! A producer's thread: puts in every way.

use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::{Refusal, TryPutError};
use actix_iterable_queue::testing::ProducerLog;
use actix_iterable_queue::{Permit, Producer};
use futures::SinkExt;
use futures::executor::block_on;
use futures::future::join;
use support::Task;

use super::{Thread, Work};

impl Thread<'_> {
    /// Until all is put, or the queue takes no more.
    pub(super) fn produce(mut self, producer: Producer<Work>) {
        let (mut producer, mut log) = (producer, self.ledger.producer());
        for _ in 0..self.plan.puts {
            if self.one_in(20) {
                // Clones have no order among each other, so this one has a list of its own.
                let clone = producer.clone();
                log = self.ledger.producer();
                producer = clone;
            }
            if self.put(&producer, &log).is_none() {
                break;
            }
        }
        if self.one_in(2) {
            producer.close();
        }
    }

    /// `None` if it is refused for good.
    fn put(&mut self, producer: &Producer<Work>, log: &ProducerLog<Work>) -> Option<()> {
        let work = self.next_work();
        match self.random.below(10) {
            0 | 1 => producer.blocking_put(work).ok()?,
            2 => block_on(producer.put(work)).ok()?,
            3 => self.use_up(block_on(producer.reserve()).ok()?, work)?,
            4 => block_on(producer.put_all([work])).map(drop).ok()?,
            5 => {
                // Its sink is a clone with the rights of a producer of its own.
                block_on(producer.sink().send(work)).ok()?;
                self.ledger.producer().accepted(work);
                return Some(());
            }
            6 => match producer.try_put(work) {
                Ok(()) => (),
                Err(TryPutError::Full(_)) => {
                    thread::yield_now();
                    return Some(());
                }
                Err(_) => return None,
            },
            7 => match Task::new().poll(pin!(producer.put(work))) {
                Poll::Ready(put) => put.ok()?,
                // Given up, maybe with a wake-up that is then another one's.
                Poll::Pending => {
                    self.dawdle();
                    return Some(());
                }
            },
            8 => {
                // The second waits for its turn, if the first one waits.
                let next = self.next_work();
                let (first, second) = block_on(join(producer.put(work), producer.put(next)));
                if first.is_ok() {
                    log.accepted(work);
                }
                second.ok()?;
                log.accepted(next);
                return Some(());
            }
            _ => {
                let permit = match Task::new().poll(pin!(producer.reserve())) {
                    Poll::Ready(permit) => permit.ok()?,
                    Poll::Pending => return Some(()),
                };
                if self.one_in(3) {
                    drop(permit);
                    return Some(());
                }
                match producer.blocking_put_timeout(work, Duration::ZERO) {
                    Ok(()) => log.accepted(work),
                    Err(error) => drop(error.into_inner()),
                }
                let work = self.next_work();
                self.use_up(permit, work)?;
                log.accepted(work);
                return Some(());
            }
        }
        log.accepted(work);
        Some(())
    }
    fn use_up(&mut self, permit: Permit<Work>, work: Work) -> Option<()> {
        self.dawdle();
        match permit.put(work) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.reason(), Refusal::Aborted | Refusal::Abandoned) => None,
            Err(refused) => panic!("D6: only the end refuses the put of a permit, not {refused:?}"),
        }
    }
}
