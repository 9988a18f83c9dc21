//! How a queue over Redis is described.

use std::fmt;
use std::time::Duration;

use crate::config::Builder;
use crate::redis::server::tls::Certificates;

const LEASE: Duration = Duration::from_secs(15);
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

impl<T> Builder<T> {
    /// The same queue for several processes, over Redis 7.0 or later. Only with the feature `redis`.
    ///
    /// `docs/guide/src/redis.md` says what changes, how to operate it, and what each setting of Redis can lose.
    ///
    /// The address is one of these; `docs/guide/src/redis-servers.md` says more of each:
    ///
    /// - `redis://USER:PASSWORD@HOST:PORT/DATABASE`: one server
    /// - `redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/SERVICE`: the master, as Sentinel says
    /// - `redis+cluster://HOST:PORT,HOST:PORT/`: a cluster, by some of its nodes
    /// - `rediss://`, `rediss+sentinel://`, `rediss+cluster://`: the same with TLS, which needs the feature `redis-rustls`
    ///   or `redis-native-tls`
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::<String>::builder().name("jobs").capacity(100_000).redis("redis://127.0.0.1/").connect().await?;
    /// queue.producer()?.put("work".to_owned()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redis(self, url: impl Into<String>) -> RedisBuilder<T> {
        RedisBuilder {
            builder: self,
            url: url.into(),
            certificates: Certificates::default(),
            lease: LEASE,
            retention: RETENTION,
            deadline: None,
            seal_when_unowned: false,
            abort_if_gone_for: None,
            process_name: None,
        }
    }
}

/// Describes a queue over Redis before it is connected; from [`Builder::redis`].
pub struct RedisBuilder<T> {
    pub(crate) builder: Builder<T>,
    pub(crate) url: String,
    pub(crate) certificates: Certificates,
    pub(crate) lease: Duration,
    pub(crate) retention: Duration,
    pub(crate) deadline: Option<Duration>,
    pub(crate) seal_when_unowned: bool,
    pub(crate) abort_if_gone_for: Option<Duration>,
    pub(crate) process_name: Option<String>,
}

impl<T> RedisBuilder<T> {
    /// How long a process that gives no sign of life keeps what it holds; 15 seconds unless given.
    ///
    /// After that its producers count as lost and its items go to the others. A process that lives gives a sign
    /// three times in this time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
    /// # fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.lease(Duration::from_secs(5)).blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a consumer of this process may have an item before it goes to another process, which uses one attempt up: for
    /// workers that live and are stuck. After that, nothing can be put through its lease
    /// ([`Refusal::Fenced`](crate::error::Refusal::Fenced)). Without it there is no such limit. Each process of a queue has its own.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
    /// # fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.item_deadline(Duration::from_secs(60)).blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn item_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long the queue's keys stay after its end, for those who look at how it ended and what an abort has left. Seven
    /// days unless given, and at least ten leases. Dead letters stay until they are read.
    ///
    /// A queue that holds anything stays, with or without processes, for as long as it takes. One that is open, empty and
    /// left by all of its processes goes after this time, unless a process comes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
    /// # fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.retention(Duration::from_secs(24 * 3600)).blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Lets the queue seal itself when no process has a handle of it any more, as a queue in memory does.
    ///
    /// Without this it is sealed by [`seal`](crate::IterableQueue::seal) alone: all its processes may be stopped and others
    /// started, which find it open, with its items. With it, a program that seals its queue by dropping the handles, or
    /// by [`split`](crate::IterableQueue::split), ends over Redis as it does in memory; and a deploy that stops every process
    /// before it starts others seals the queue. A process that is found lost has no handle.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn work() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let builder = IterableQueue::builder().name("sums").redis("redis://127.0.0.1/");
    /// let (producer, consumer) = builder.seal_when_unowned().blocking_connect()?.split()?;
    /// producer.blocking_put(7)?;
    /// drop(producer);
    /// println!("{}", consumer.into_iter().sum::<u64>());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn seal_when_unowned(mut self) -> Self {
        self.seal_when_unowned = true;
        self
    }

    /// Aborts the queue in this process if it has not been in Redis for so long; never unless given.
    ///
    /// An emptied Redis, an older copy of it, or another server behind the same address does not have the queue. Then this
    /// process says so in the log, as an error, and waits: when the right server is back, it goes on where it was. A
    /// process that is to end instead names a time for that. The others of the queue decide for themselves.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
    /// # fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.abort_if_gone_for(Duration::from_secs(600)).blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn abort_if_gone_for(mut self, time: Duration) -> Self {
        self.abort_if_gone_for = Some(time);
        self
    }

    /// What this process is called in snapshots of others; its host and number unless given.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
    /// # fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.process_name("web-1").blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn process_name(mut self, name: impl Into<String>) -> Self {
        self.process_name = Some(name.into());
        self
    }
}

#[cfg(any(feature = "redis-rustls", feature = "redis-native-tls"))]
impl<T> RedisBuilder<T> {
    /// Trusts servers whose certificate one of these authorities has signed, and no others. Only with the features
    /// `redis-rustls` and `redis-native-tls`.
    ///
    /// `pem` is one certificate or several, in PEM. Without this call, the authorities are those of the system.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("rediss://redis.internal:6380/");
    /// let queue = builder.tls_ca(std::fs::read("ca.crt")?).blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authorities = Some(pem.into());
        self
    }

    /// Shows the server this certificate, which is what `tls-auth-clients yes` of Redis asks for. Only with the features
    /// `redis-rustls` and `redis-native-tls`.
    ///
    /// Both are PEM; the key is one of PKCS #8, which begins with `BEGIN PRIVATE KEY`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_iterable_queue::IterableQueue;
    /// use std::fs::read;
    ///
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("rediss://redis.internal:6380/");
    /// let builder = builder.tls_ca(read("ca.crt")?).tls_identity(read("client.crt")?, read("client.key")?);
    /// let queue = builder.blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tls_identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.identity = Some((certificate.into(), key.into()));
        self
    }
}

impl<T> fmt::Debug for RedisBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("RedisBuilder")
            .field("builder", &self.builder)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .field("item_deadline", &self.deadline)
            .field("seal_when_unowned", &self.seal_when_unowned)
            .field("abort_if_gone_for", &self.abort_if_gone_for)
            .field("process_name", &self.process_name)
            .finish_non_exhaustive()
    }
}
