//! The errors of worker pools.

use std::error::Error;
use std::{fmt, io};

use super::open::OpenError;
use crate::one_line::OneLine;

/// A [`WorkerPool`](crate::WorkerPool) could not be started or resized, or [`WorkerThreads`](crate::WorkerThreads) not be
/// started.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError {
    /// No actix system is running on this thread; workers, which are actors, need one.
    NoSystem,
    /// The queue is sealed.
    Sealed,
    /// An arbiter that was given to the pool has stopped.
    ArbiterStopped,
    /// An arbiter could not be started.
    Arbiter(io::Error),
    /// A thread could not be started.
    Thread(io::Error),
    /// The pool, or its queue, has ended.
    Ended,
    /// A [`handler_timeout`](crate::WorkerPoolBuilder::handler_timeout) is set, and the workers are functions or have handlers
    /// that nothing can interrupt.
    NotInterruptible,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSystem => {
                "no actix system is running on this thread: start the pool in System::block_on, #[actix::main], or an actor"
            }
            Self::Sealed => "the queue is sealed: start its workers before sealing it",
            Self::ArbiterStopped => "an arbiter that was given to the pool has stopped: give running ones",
            Self::Arbiter(error) => {
                return write!(f, "no arbiter could be started: {error}; use fewer workers, or give the pool arbiters");
            }
            Self::Thread(error) => return write!(f, "a thread could not be started: {error}; use fewer workers"),
            Self::Ended => "the pool or its queue has ended: workers would have nothing to do",
            Self::NotInterruptible => {
                "nothing can interrupt these handlers, and handler_timeout is set: use run_async, or handlers that return \
                 ResponseFuture<()> or ResponseActFuture<Self, ()>"
            }
        })
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Arbiter(error) | Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OpenError> for PoolError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Sealed => Self::Sealed,
            OpenError::Ended => Self::Ended,
        }
    }
}

/// Why a worker died.
///
/// Prints with `{}` as one line, also if the message of a panic has several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Death {
    /// The worker panicked with this message.
    Panicked(String),
    /// The worker called `ctx.stop()`.
    Stopped,
    /// The worker's arbiter stopped.
    ArbiterStopped,
    /// No arbiter could be started for the worker; this is the error.
    NoArbiter(String),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "it panicked: {}", OneLine(message)),
            Self::Stopped => f.write_str("it stopped by itself"),
            Self::ArbiterStopped => f.write_str("its arbiter stopped"),
            Self::NoArbiter(reason) => write!(f, "no arbiter could be started for it: {}", OneLine(reason)),
        }
    }
}

/// A [`WorkerPool`](crate::WorkerPool) ended before its queue did.
///
/// Prints with `{}` as one line, also if the message of a panic has several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolFailure {
    /// More workers died than the restart limit allows.
    GaveUp {
        /// The worker that died last.
        worker: String,
        /// Why it died.
        death: Death,
    },
    /// The actix system of the pool was stopped. The queue goes on if others consume it; otherwise the items left
    /// in it are dropped as abandoned.
    Stopped,
}

impl fmt::Display for PoolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GaveUp { worker, death } => {
                let worker = OneLine(worker);
                write!(f, "the pool gave up: too many of its workers died, the last one was {worker}: {death}")
            }
            Self::Stopped => f.write_str("the actix system stopped before the queue had ended"),
        }
    }
}

impl Error for PoolFailure {}
