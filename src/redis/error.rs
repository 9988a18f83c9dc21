//! Why a queue could not be connected.

use std::{fmt, io};

use crate::error::BuildError;
use crate::one_line::OneLine;

/// [`connect`](crate::RedisBuilder::connect) failed.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{ConnectError, IterableQueue};
///
/// let nameless = IterableQueue::<u64>::builder().redis("redis://127.0.0.1/").blocking_connect();
/// assert!(matches!(nameless.unwrap_err(), ConnectError::Name));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The queue cannot be built, whether in memory or not.
    Build(BuildError),
    /// The queue needs a name, by which its processes find each other, without braces.
    Name,
    /// A duration is too short: the lease must be at least 100 ms, the retention ten leases.
    Duration,
    /// What was given is no address of a Redis.
    Url(redis::RedisError),
    /// The address asks for TLS (`rediss`), which is in this program only with the feature `redis-rustls` or
    /// `redis-native-tls`.
    NoTls,
    /// The certificates for TLS cannot be used.
    Certificates(redis::RedisError),
    /// Redis does not answer, or with an error. It must be of version 7.0 or later.
    Redis(redis::RedisError),
    /// The queue exists with another setting: all its processes must agree.
    Mismatch {
        /// Which setting.
        setting: String,
        /// What the queue was begun with.
        theirs: String,
        /// What was given here.
        ours: String,
    },
    /// There is no thread for it.
    Thread(io::Error),
    /// The system has no random bytes for the id of this process.
    Random(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Name => f.write_str("a queue over Redis needs a name, without braces: call builder().name(\"jobs\")"),
            Self::Duration => f.write_str(
                "the lease must be at least 100 ms, the retention at least ten leases, and a deadline more than 0",
            ),
            Self::Url(error) => write!(f, "this is no address of a Redis (redis://HOST:PORT/): {}", OneLine(error)),
            Self::NoTls => f.write_str(
                "the address asks for TLS: enable the feature redis-rustls or redis-native-tls of actix-iterable-queue",
            ),
            Self::Certificates(error) => write!(f, "the certificates for TLS cannot be used: {}", OneLine(error)),
            Self::Redis(error) if error.code() == Some("MOVED") => write!(
                f,
                "this Redis is a node of a cluster, and another one has the queue: give the address as \
                 redis+cluster://HOST:PORT,HOST:PORT/ ({})",
                OneLine(error)
            ),
            Self::Redis(error) => {
                write!(f, "Redis does not serve the queue (it must be 7.0 or later): {}", OneLine(error))
            }
            Self::Mismatch { setting, theirs, ours } => write!(
                f,
                "the queue exists with {setting} {} and not {ours}: give all its processes the same settings, or another name",
                OneLine(theirs)
            ),
            Self::Thread(error) => write!(f, "no thread for the way to Redis: {error}"),
            Self::Random(error) => write!(f, "no random bytes for the id of this process: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Url(error) | Self::Certificates(error) | Self::Redis(error) => Some(error),
            Self::Thread(error) | Self::Random(error) => Some(error),
            Self::Name | Self::Duration | Self::NoTls | Self::Mismatch { .. } => None,
        }
    }
}

impl From<BuildError> for ConnectError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}
