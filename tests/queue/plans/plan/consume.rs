//! A consumer's thread: takes in every way, and everything that can happen to a lease.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::error::{GetTimeoutError, TryGetError};
use actix_iterable_queue::testing::{ConsumerLog, ProducerLog};
use actix_iterable_queue::{Consumer, Item};
use futures::executor::block_on;
use futures::{Stream, StreamExt};
use support::Task;

use super::{Thread, Work};

/// What came of a take.
enum Taken {
    Owned(Work),
    Leased(Item<Work>),
    Nothing,
    Ended,
}

impl Taken {
    fn owned(got: Option<Work>) -> Self {
        got.map_or(Self::Ended, Self::Owned)
    }

    fn leased(got: Option<Item<Work>>) -> Self {
        got.map_or(Self::Ended, Self::Leased)
    }

    fn nothing(error: TryGetError) -> Self {
        if error == TryGetError::Ended { Self::Ended } else { Self::Nothing }
    }
}

impl Thread<'_> {
    /// Whether it stayed, and was told of the end.
    pub(super) fn consume(mut self, mut consumer: Consumer<Work>, number: u64) -> bool {
        let log = self.ledger.consumer(format!("consumer {number}"));
        let children = self.ledger.producer();
        let mut held = Vec::new();
        loop {
            match self.take(&mut consumer, &mut held, &log, &children) {
                Taken::Owned(work) => log.taken(work),
                Taken::Leased(item) => {
                    assert!(item.attempt() <= self.plan.max_attempts, "D3: attempt {}", item.attempt());
                    log.handed(*item, item.attempt());
                    held.push(item);
                }
                Taken::Nothing => {}
                Taken::Ended => break,
            }
            while held.len() > 3 || (!held.is_empty() && self.one_in(2)) {
                self.settle_one(&mut held, &log, &children);
            }
            if self.plan.consumers_leave && self.one_in(30) {
                // What it holds stays with this thread, and is settled after its consumer has gone.
                drop(consumer);
                self.settle_all(&mut held, &log, &children);
                return false;
            }
        }
        log.told();
        assert_eq!(consumer.try_get(), Err(TryGetError::Ended), "it has ended, and stays so");
        assert!(block_on(consumer.lease()).is_none(), "it has ended, and stays so");
        self.settle_all(&mut held, &log, &children);
        true
    }

    fn take(
        &mut self,
        consumer: &mut Consumer<Work>,
        held: &mut Vec<Item<Work>>,
        log: &ConsumerLog<Work>,
        children: &ProducerLog<Work>,
    ) -> Taken {
        let kind = self.random.below(14);
        if kind < 8 {
            // It is going to wait: what it holds may be all that it could wait for.
            self.settle_all(held, log, children);
        }
        let no_time = Duration::ZERO;
        match kind {
            0 => Taken::owned(consumer.blocking_get()),
            1 => Taken::owned(block_on(consumer.get())),
            2 => Taken::owned(block_on(consumer.next())),
            3 => Taken::leased(consumer.blocking_lease()),
            4 => Taken::leased(block_on(consumer.lease())),
            5 => Taken::leased(block_on(consumer.leases().next())),
            6 => Taken::leased(consumer.blocking_leases().next()),
            7 => match consumer.blocking_get_timeout(Duration::from_micros(self.random.below(200))) {
                Ok(work) => Taken::Owned(work),
                Err(GetTimeoutError::Ended) => Taken::Ended,
                Err(_) => Taken::Nothing,
            },
            8 => consumer.try_get().map_or_else(Taken::nothing, Taken::Owned),
            9 | 10 => consumer.try_lease().map_or_else(Taken::nothing, Taken::Leased),
            11 => match Task::new().poll(pin!(consumer.lease())) {
                Poll::Ready(got) => Taken::leased(got),
                // Given up, maybe with a wake-up that is then another one's.
                Poll::Pending => {
                    self.dawdle();
                    Taken::Nothing
                }
            },
            12 => match consumer.blocking_get_timeout(no_time) {
                Ok(work) => Taken::Owned(work),
                Err(GetTimeoutError::Ended) => Taken::Ended,
                Err(_) => Taken::Nothing,
            },
            // It may keep a place in the line, where it is woken in vain, until its next take.
            _ => match Pin::new(consumer).poll_next(&mut Task::new().context()) {
                Poll::Ready(got) => Taken::owned(got),
                Poll::Pending => Taken::Nothing,
            },
        }
    }

    fn settle_all(&mut self, held: &mut Vec<Item<Work>>, log: &ConsumerLog<Work>, children: &ProducerLog<Work>) {
        while !held.is_empty() {
            self.settle_one(held, log, children);
        }
    }

    fn settle_one(&mut self, held: &mut Vec<Item<Work>>, log: &ConsumerLog<Work>, children: &ProducerLog<Work>) {
        let item = held.swap_remove(self.random.below(held.len() as u64) as usize);
        // Less than one each, or it would never end.
        if self.one_in(5) {
            let work = self.next_work();
            if item.put_child(work).is_ok() {
                children.accepted(work);
            }
        }
        match self.random.below(10) {
            0 => item.requeue(),
            1 => drop(item),
            2 => item.reject("by chance"),
            3 => {
                log.finished(*item);
                item.into_inner();
            }
            _ => {
                log.finished(*item);
                item.ack();
            }
        }
    }
}
