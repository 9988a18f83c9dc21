#![doc = include_str!("../README.md")]

mod actor;
mod arbiter;
mod backoff;
mod config;
mod coop;
mod endpoint;
mod error;
mod lock;
pub mod message;
mod one_line;
mod queue;
#[cfg(feature = "redis")]
mod redis;
mod spin_lock;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

pub use actor::{ConsumeExt, PoolReport, QueueActor, WorkerPool, WorkerPoolBuilder, WorkerReport, WorkerTotals};
pub use backoff::Backoff;
pub use config::Builder;
pub use endpoint::{
    BlockingIter, BlockingLeases, Consumer, IntoBlockingIter, IntoBlockingLeases, IntoLeases, Leases, Permit, Producer,
    PutSink, TryIter,
};
pub use error::{
    BuildError, Death, GetTimeoutError, OpenError, PoolError, PoolFailure, PutError, PutTimeoutError, Refusal,
    SinkError, TryGetError, TryPutError, TryReserveError,
};
pub use message::{Close, Inspect, OpenConsumer, OpenProducer, Put, RegisterConsumer, Seal, Shutdown, Unregister};
pub use queue::{
    Blocker, Blockers, ConsumerId, ConsumerStatus, DeadLetter, Drained, Item, IterableQueue, Outcome, ProcessStatus,
    ProducerId, ProducerStatus, QueueId, ShutdownReport, Snapshot, State, Totals, WeakQueue,
};
#[cfg(feature = "redis")]
pub use redis::{ConnectError, Payload, RedisBuilder};

/// The code of the guide, as tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/guide/channels.md")]
    mod channels {}
    #[doc = include_str!("../docs/guide/pitfalls.md")]
    mod pitfalls {}
    #[doc = include_str!("../docs/guide/two-queues.md")]
    mod two_queues {}
}

/// What most programs use: `use actix_iterable_queue::prelude::*;`
pub mod prelude {
    pub use crate::actor::{ConsumeExt, QueueActor, WorkerPool};
    pub use crate::backoff::Backoff;
    pub use crate::endpoint::{Consumer, Producer};
    pub use crate::error::{PoolError, PoolFailure, PutError, Refusal, TryPutError};
    pub use crate::message::{
        Close, Inspect, OpenConsumer, OpenProducer, Put, RegisterConsumer, Seal, Shutdown, Unregister,
    };
    pub use crate::queue::{DeadLetter, Drained, Item, IterableQueue, Outcome, Snapshot, State};
}
