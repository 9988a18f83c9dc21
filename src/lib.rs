#![doc = include_str!("../README.md")]

mod arbiter;
mod config;
mod endpoint;
mod error;
mod queue;

pub use config::Builder;
pub use endpoint::{
    BlockingIter, BlockingLeases, Consumer, IntoBlockingIter, IntoBlockingLeases, IntoLeases, Leases, Permit, Producer,
    PutSink, TryIter,
};
pub use error::{
    BuildError, GetTimeoutError, OpenError, PutError, PutTimeoutError, SinkError, TryGetError, TryPutError,
};
pub use queue::{
    Blocker, Blockers, ConsumerId, ConsumerStatus, DeadLetter, Drained, Item, IterableQueue, Outcome, ProducerId,
    ProducerStatus, QueueId, ShutdownReport, Snapshot, State, Totals,
};
