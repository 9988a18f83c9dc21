//! Consumers that take and settle in every way.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use model::{Consumer, GetTimeoutError, Item, TryGetError};
use shuttle::future::yield_now;

use crate::book::{At, Book, Job};
use crate::chance::{any, below, cut};

/// How an item is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    Try,
    Blocking,
    Timeout,
    Get,
    /// Dropped after some polls, like all that is cut.
    GetCut,
    Next,
    /// As a stream, so it stays in line.
    NextCut,
    TryLease,
    BlockingLease,
    Lease,
    LeaseCut,
    Leases,
    LeasesCut,
    /// Goes on with a clone.
    Clone,
}

impl Take {
    pub const THREADS: &[Self] = &[
        Self::Try,
        Self::Blocking,
        Self::Blocking,
        Self::Timeout,
        Self::TryLease,
        Self::BlockingLease,
        Self::BlockingLease,
        Self::Clone,
    ];
    pub const THREAD_LEASES: &[Self] = &[Self::TryLease, Self::BlockingLease];
    pub const LEASES: &[Self] =
        &[Self::TryLease, Self::BlockingLease, Self::Lease, Self::LeaseCut, Self::Leases, Self::LeasesCut];
    pub const TASKS: &[Self] = &[
        Self::Get,
        Self::GetCut,
        Self::Next,
        Self::NextCut,
        Self::Lease,
        Self::LeaseCut,
        Self::Leases,
        Self::LeasesCut,
        Self::Clone,
    ];
    pub const ALL: &[Self] = &[
        Self::Try,
        Self::Blocking,
        Self::Timeout,
        Self::Get,
        Self::GetCut,
        Self::Next,
        Self::NextCut,
        Self::TryLease,
        Self::BlockingLease,
        Self::Lease,
        Self::LeaseCut,
        Self::Leases,
        Self::LeasesCut,
        Self::Clone,
    ];

    pub fn blocks(self) -> bool {
        matches!(self, Self::Blocking | Self::Timeout | Self::BlockingLease)
    }

    fn waits(self) -> bool {
        !matches!(self, Self::Try | Self::TryLease | Self::GetCut | Self::NextCut | Self::LeaseCut | Self::LeasesCut)
    }
}

/// What becomes of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    Ack,
    Inner,
    Requeue,
    Drop,
    Reject,
    /// Puts through it first.
    Child,
    /// Held beside others for a while.
    Hold,
}

impl Settle {
    pub const ALL: &[Self] =
        &[Self::Ack, Self::Inner, Self::Requeue, Self::Drop, Self::Reject, Self::Child, Self::Hold];
    pub const DONE: &[Self] = &[Self::Ack, Self::Inner, Self::Hold];
    pub const FAIL: &[Self] = &[Self::Ack, Self::Requeue, Self::Drop, Self::Hold];
}

/// What a consumer does.
#[derive(Clone, Copy)]
pub struct Consuming {
    pub takes: &'static [Take],
    pub settles: &'static [Settle],
    /// How often it fails an item, at most; and how many children it puts.
    pub fails: u32,
    pub children: u32,
    /// It leaves when it is done with so many items, or has taken so many.
    pub quota: u32,
    pub leaves: u32,
    pub refusable: bool,
}

impl Consuming {
    pub const fn new(takes: &'static [Take], settles: &'static [Settle]) -> Self {
        Self { takes, settles, fails: u32::MAX, children: 2, quota: u32::MAX, leaves: u32::MAX, refusable: false }
    }

    pub fn run(self, book: &Arc<Book>, consumer: Consumer<Job>) -> impl Future<Output = ()> + Send + 'static + use<> {
        let at_work =
            AtWork { left: self, id: book.consumer(), source: book.source(), book: Arc::clone(book), held: Vec::new() };
        at_work.run(consumer)
    }
}

enum Got {
    Job(Job),
    Lease(Item<Job>),
    Nothing,
    End,
}

impl From<Option<Job>> for Got {
    fn from(got: Option<Job>) -> Self {
        got.map_or(Self::End, Self::Job)
    }
}

impl From<Option<Item<Job>>> for Got {
    fn from(got: Option<Item<Job>>) -> Self {
        got.map_or(Self::End, Self::Lease)
    }
}

impl From<TryGetError> for Got {
    fn from(error: TryGetError) -> Self {
        if error == TryGetError::Ended { Self::End } else { Self::Nothing }
    }
}

struct AtWork {
    /// What is left to be done of it.
    left: Consuming,
    id: usize,
    /// Of its children.
    source: usize,
    book: Arc<Book>,
    held: Vec<Item<Job>>,
}

impl AtWork {
    async fn run(mut self, mut consumer: Consumer<Job>) {
        loop {
            let way = any(self.left.takes);
            // Whoever waits while it holds the last lease waits for ever.
            if way.waits() || self.held.len() >= self.left.quota as usize || below(3) == 0 {
                self.settle_held();
            }
            if self.left.quota == 0 || self.left.leaves == 0 {
                break;
            }
            if way == Take::Clone {
                let clone = consumer.clone();
                consumer = clone;
                continue;
            }
            match take(&mut consumer, way).await {
                Got::Job(job) => {
                    self.book.handed(self.id, job, None);
                    self.book.settling(job, At::Taken);
                    self.left.leaves -= 1;
                    self.left.quota -= 1;
                }
                Got::Lease(item) => {
                    self.book.handed(self.id, *item, Some(item.attempt()));
                    self.left.leaves -= 1;
                    self.settle(item);
                }
                Got::Nothing => yield_now().await,
                Got::End => {
                    assert_eq!(consumer.try_get(), Err(TryGetError::Ended), "it ended and goes on");
                    break;
                }
            }
        }
        // One that comes to nothing must leave no trace.
        if self.left.quota == 0
            && let Some(Some(item)) = cut(pin!(consumer.leases().next())).await
        {
            self.book.handed(self.id, *item, Some(item.attempt()));
            self.book.settling(*item, At::Back);
            item.requeue();
        }
        if below(2) == 0 {
            drop(consumer);
            self.settle_held();
        } else {
            self.settle_held();
        }
    }

    fn settle_held(&mut self) {
        for item in std::mem::take(&mut self.held) {
            let way = any(self.left.settles);
            self.settle_by(item, way);
        }
    }

    fn settle(&mut self, item: Item<Job>) {
        let way = any(self.left.settles);
        if way == Settle::Hold && self.held.len() < 2 {
            self.held.push(item);
        } else {
            self.settle_by(item, way);
        }
    }

    fn settle_by(&mut self, item: Item<Job>, way: Settle) {
        let job = *item;
        if way == Settle::Child && self.left.children > 0 {
            self.left.children -= 1;
            let child = self.book.job(self.source);
            match item.put_child(child) {
                Ok(()) => self.book.accepted(child),
                Err(error) => {
                    assert!(self.left.refusable, "a child was refused");
                    assert_eq!(error.into_inner(), child);
                    self.book.refused(child);
                }
            }
        }
        let settling = |at| self.book.settling(job, at);
        match way {
            Settle::Requeue | Settle::Drop if self.left.fails > 0 => {
                self.left.fails -= 1;
                settling(At::Back);
                if way == Settle::Drop {
                    drop(item);
                } else {
                    item.requeue();
                }
                return;
            }
            Settle::Inner => {
                settling(At::Taken);
                assert_eq!(item.into_inner(), job);
            }
            Settle::Reject => {
                settling(At::Rejected);
                item.reject("rejected");
            }
            _ => {
                settling(At::Acked);
                item.ack();
            }
        }
        self.left.quota -= 1;
    }
}

async fn take(consumer: &mut Consumer<Job>, way: Take) -> Got {
    match way {
        Take::Try => consumer.try_get().map_or_else(Got::from, Got::Job),
        Take::Blocking => consumer.blocking_get().into(),
        Take::Timeout => match consumer.blocking_get_timeout(Duration::from_millis(1)) {
            Ok(job) => Got::Job(job),
            Err(GetTimeoutError::Ended) => Got::End,
            Err(_) => Got::Nothing,
        },
        Take::Get => consumer.get().await.into(),
        Take::GetCut => cut(pin!(consumer.get())).await.map_or(Got::Nothing, Got::from),
        Take::Next => consumer.next().await.into(),
        Take::NextCut => cut(pin!(consumer.next())).await.map_or(Got::Nothing, Got::from),
        Take::TryLease => consumer.try_lease().map_or_else(Got::from, Got::Lease),
        Take::BlockingLease => consumer.blocking_lease().into(),
        Take::Lease => consumer.lease().await.into(),
        Take::LeaseCut => cut(pin!(consumer.lease())).await.map_or(Got::Nothing, Got::from),
        Take::Leases => consumer.leases().next().await.into(),
        Take::LeasesCut => cut(pin!(consumer.leases().next())).await.map_or(Got::Nothing, Got::from),
        Take::Clone => unreachable!("is no take"),
    }
}
