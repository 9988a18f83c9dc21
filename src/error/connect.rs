//! The error of connecting a queue to Redis.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use super::BuildError;
use crate::one_line::OneLine;

/// [`connect`](crate::RedisBuilder::connect) failed.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use actix_iterable_queue::error::ConnectError;
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
    /// The address is not that of a Redis server.
    Url(redis::RedisError),
    /// The address asks for TLS (`rediss`), which needs the feature `redis-rustls` or `redis-native-tls`.
    NoTls,
    /// The certificates for TLS cannot be used.
    Certificates(redis::RedisError),
    /// Redis answers, but TLS with it fails: one side does not trust the other's certificate.
    Tls(redis::RedisError),
    /// Redis does not answer, or answers with an error. It must be 7.0 or later.
    Redis(redis::RedisError),
    /// The queue exists with another value of a setting on which all its processes must agree.
    Mismatch {
        /// The setting.
        setting: String,
        /// The value in Redis.
        theirs: String,
        /// The value that was given here.
        ours: String,
    },
    /// The thread for the connection could not be started.
    Thread(io::Error),
    /// The system has no random bytes for the id of this process.
    Random(io::Error),
}

impl ConnectError {
    /// Tells errors of TLS, if it is used, from errors of Redis.
    pub(crate) fn over(self, tls: bool) -> Self {
        match self {
            Self::Redis(error) if tls && is_of_tls(&error) => Self::Tls(error),
            other => other,
        }
    }
}

/// Returns whether this is an error neither of Redis nor of the network. A server that does not trust us may just hang up.
fn is_of_tls(error: &redis::RedisError) -> bool {
    let Some(source) = error.source() else { return false };
    // The crate `redis` wraps its sources in an `Arc`.
    let shared = source.downcast_ref::<Arc<dyn Error + Send + Sync>>().and_then(|shared| shared.downcast_ref());
    match shared.or(source.downcast_ref::<io::Error>()) {
        Some(error) => {
            // `connection.rs` and the network make errors of these kinds.
            let ours = [io::ErrorKind::TimedOut, io::ErrorKind::ConnectionAborted];
            let hung_up = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof];
            !ours.contains(&error.kind()) && (error.get_ref().is_some() || hung_up.contains(&error.kind()))
        }
        None => error.kind() == redis::ErrorKind::Client,
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Name => f.write_str("a queue over Redis needs a name, without braces: call builder().name(\"jobs\")"),
            Self::Duration => f.write_str(
                "the lease must be at least 100 ms, the retention at least ten leases, and a deadline more than 0",
            ),
            Self::Url(error) => {
                write!(f, "this is not the address of a Redis server (redis://HOST:PORT/): {}", OneLine(error))
            }
            Self::NoTls => f.write_str(
                "the address asks for TLS: enable the feature redis-rustls or redis-native-tls of actix-iterable-queue",
            ),
            Self::Certificates(error) => write!(f, "the certificates for TLS cannot be used: {}", OneLine(error)),
            Self::Tls(error) => write!(
                f,
                "TLS with Redis fails: {} (its certificate must name this host and be signed by an authority of the system \
                 or of tls_ca; if it asks for one of this program, that is given by tls_identity)",
                OneLine(error)
            ),
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
                "the queue exists with {setting} {}, not {ours}: give all its processes the same settings, or this queue another name",
                OneLine(theirs)
            ),
            Self::Thread(error) => write!(f, "no thread could be started for the connection to Redis: {error}"),
            Self::Random(error) => write!(f, "the system has no random bytes for the id of this process: {error}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Url(error) | Self::Certificates(error) | Self::Tls(error) | Self::Redis(error) => Some(error),
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
