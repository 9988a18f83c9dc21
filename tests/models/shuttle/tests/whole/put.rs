//! Producers that put in every way.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::SinkExt;
use futures::future::join;
use model::{Producer, PutError, PutMessage, PutTimeoutError, TryPutError};
use shuttle::future::yield_now;

use crate::book::{Book, Job};
use crate::chance::{any, below, cut};

/// How an item is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Try,
    Blocking,
    Timeout,
    Await,
    /// Dropped after some polls.
    Cut,
    Permit,
    PermitDropped,
    ReserveCut,
    Sink,
    /// The future of a sink that gets ready is dropped after some polls.
    SinkCut,
    Message,
    /// Goes on with a clone.
    Clone,
    /// Two at once, the second behind the first.
    Two,
}

impl Put {
    pub const ALL: &[Self] = &[
        Self::Try,
        Self::Blocking,
        Self::Timeout,
        Self::Await,
        Self::Cut,
        Self::Permit,
        Self::PermitDropped,
        Self::ReserveCut,
        Self::Sink,
        Self::SinkCut,
        Self::Message,
        Self::Clone,
        Self::Two,
    ];
    pub const THREADS: &[Self] = &[Self::Try, Self::Blocking, Self::Blocking, Self::Timeout, Self::Clone];
    pub const TASKS: &[Self] = &[
        Self::Await,
        Self::Cut,
        Self::Permit,
        Self::PermitDropped,
        Self::ReserveCut,
        Self::Sink,
        Self::SinkCut,
        Self::Clone,
        Self::Two,
    ];

    pub fn blocks(self) -> bool {
        matches!(self, Self::Blocking | Self::Timeout | Self::Message)
    }
}

/// What became of a put.
enum Done {
    In,
    /// No room, or nobody waited for it.
    Not,
    /// The item, if it had been given.
    Refused(Option<Job>),
}

impl From<Result<(), PutError<Job>>> for Done {
    fn from(put: Result<(), PutError<Job>>) -> Self {
        match put {
            Ok(()) => Self::In,
            Err(error) => Self::Refused(Some(error.into_inner())),
        }
    }
}

/// Puts until so many jobs were accepted, or the queue refuses them. Others may put through the same
/// handle.
pub async fn produce(
    book: Arc<Book>,
    mut producer: Arc<Producer<Job>>,
    ways: &'static [Put],
    jobs: u32,
    refusable: bool,
) {
    let source = book.source();
    let mut accepted = 0;
    while accepted < jobs {
        let way = any(ways);
        let job = book.job(source);
        let mut done = vec![];
        match way {
            Put::Clone => {
                producer = Arc::new(Producer::clone(&producer));
                done.push((job, Done::Not));
            }
            Put::Two if accepted + 2 <= jobs => {
                let next = book.job(source);
                let (first, second) = join(producer.put(job), producer.put(next)).await;
                done.extend([(job, first.into()), (next, second.into())]);
            }
            way => done.push((job, put(&producer, job, way).await)),
        }
        for (job, done) in done {
            match done {
                Done::In => {
                    book.accepted(job);
                    accepted += 1;
                }
                Done::Not => book.refused(job),
                Done::Refused(back) => {
                    assert!(refusable, "a put was refused");
                    assert_eq!(back.unwrap_or(job), job);
                    book.refused(job);
                    accepted = jobs;
                }
            }
        }
        yield_now().await;
    }
    // One that comes to nothing must leave no trace.
    if ways.contains(&Put::ReserveCut) && below(2) == 0 {
        drop(cut(pin!(producer.reserve())).await);
    }
    if let Some(mut producer) = Arc::into_inner(producer) {
        producer.close();
    }
}

async fn put(producer: &Producer<Job>, job: Job, way: Put) -> Done {
    match way {
        Put::Try => match producer.try_put(job) {
            Err(TryPutError::Refused(error)) => Err(error).into(),
            Err(_) => Done::Not,
            Ok(()) => Done::In,
        },
        Put::Blocking => producer.blocking_put(job).into(),
        Put::Timeout => match producer.blocking_put_timeout(job, Duration::from_millis(1)) {
            Err(PutTimeoutError::Refused(error)) => Err(error).into(),
            Err(_) => Done::Not,
            Ok(()) => Done::In,
        },
        Put::Await | Put::Two => producer.put(job).await.into(),
        Put::Cut => cut(pin!(producer.put(job))).await.map_or(Done::Not, Done::from),
        Put::Permit => match producer.reserve().await {
            Ok(permit) => {
                if below(2) == 0 {
                    yield_now().await;
                }
                permit.put(job).into()
            }
            Err(_) => Done::Refused(None),
        },
        Put::PermitDropped => match producer.reserve().await {
            Ok(_permit) => Done::Not,
            Err(_) => Done::Refused(None),
        },
        Put::ReserveCut => match cut(pin!(producer.reserve())).await {
            Some(Err(_)) => Done::Refused(None),
            Some(Ok(_)) | None => Done::Not,
        },
        Put::Sink => match producer.sink().send(job).await {
            Err(error) => Done::Refused(error.into_inner()),
            Ok(()) => Done::In,
        },
        Put::SinkCut => match cut(pin!(producer.sink().send(job))).await {
            Some(Err(error)) => Done::Refused(error.into_inner()),
            Some(Ok(())) => Done::In,
            None => Done::Not,
        },
        Put::Message => PutMessage::new(producer, job).put().map_or(Done::Refused(None), Done::from),
        Put::Clone => unreachable!("is no put"),
    }
}
