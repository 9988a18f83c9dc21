//! How a queue is connected.

use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures::channel::oneshot;
use redis::{ErrorKind, RedisError};

use super::address::Address;
use super::bridge::Bridge;
use super::connection::{self, Pair};
use super::driver;
use super::engine::{self, Engine, Failure, Joined, Settings};
use super::error::ConnectError;
use super::letters::OpenLetters;
use super::link::Link;
use super::news;
use super::payload::Payload;
use super::server::{LONGEST_PAUSE, Server};
use super::tls::Certificates;
use crate::arbiter::assert_may_block;
use crate::config::Builder;
use crate::queue::{IterableQueue, QueueId, Snapshot, label};

const LEASE: Duration = Duration::from_secs(15);
const SHORTEST_LEASE: Duration = Duration::from_millis(100);
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

impl<T> Builder<T> {
    /// The same queue for several processes, over Redis 7.0 or later. Only with the feature `redis`.
    ///
    /// `docs/redis.md` says what changes, how to operate it, and what each setting of Redis can lose.
    ///
    /// The address is one of these; `docs/redis.md` says more of each:
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
    builder: Builder<T>,
    url: String,
    pub(super) certificates: Certificates,
    lease: Duration,
    retention: Duration,
    deadline: Option<Duration>,
    seal_when_unowned: bool,
    abort_if_gone_for: Option<Duration>,
    process_name: Option<String>,
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
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
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

    /// How long an item may be with one process before it goes to another one, which uses one attempt up: for
    /// workers that live and are stuck. Without it there is no such limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
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

    /// How long the queue's keys stay after its end: dead letters that nobody has read, and what an abort has left.
    /// Seven days unless given, and at least ten leases.
    ///
    /// A queue that holds anything stays, with or without processes, for as long as it takes. One that is open, empty and
    /// left by all of its processes goes after this time, unless a process comes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
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
    /// Without this it is sealed by [`seal`](IterableQueue::seal) alone: all its processes may be stopped and others
    /// started, which find it open, with its items. With it, a program that seals its queue by dropping the handles, or
    /// by [`split`](IterableQueue::split), ends over Redis as it does in memory; and a deploy that stops every process
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
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
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
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
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

impl<T: Payload> RedisBuilder<T> {
    /// Joins the queue of this name, or begins it: if there is none, or if the last one has ended.
    ///
    /// Works on every runtime and without one: a thread that serves all queues over Redis of this process does the work,
    /// through connections that all queues of the same address share.
    ///
    /// # Errors
    ///
    /// If the settings are wrong, or differ from those of the other processes or of a queue that holds anything, or if
    /// Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the process leaves the queue again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
    /// # async fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.connect().await?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self) -> Result<IterableQueue<T>, ConnectError> {
        let (done, connected) = oneshot::channel();
        self.begin(move |joined| drop(done.send(joined)))?;
        connected.await.unwrap_or_else(|_| Err(went_away()))
    }

    /// Has a thread join the queue and tell what came of it. A queue that is told to nobody is left again.
    fn begin(
        self,
        tell: impl FnOnce(Result<IterableQueue<T>, ConnectError>) + Send + 'static,
    ) -> Result<(), ConnectError> {
        let connecting = self.check()?;
        let serve = move || async move {
            let tls = connecting.address.is_tls();
            let server = connecting.server();
            let failed = match connecting.join(&server).await {
                Ok((queue, bridge)) => {
                    drop(server);
                    tell(Ok(queue));
                    return bridge.run().await;
                }
                Err(failed) => failed,
            };
            tell(Err(failed.error.over(tls)));
            if let Some(joining) = failed.joining {
                joining.undo(&server).await;
            }
        };
        driver::spawn(serve).map_err(ConnectError::Thread)
    }

    /// Joins the queue as [`connect`](RedisBuilder::connect) does; the thread waits for it.
    ///
    /// It may be called within the `block_on` of any executor but an actix system.
    ///
    /// # Errors
    ///
    /// As [`connect`](RedisBuilder::connect).
    ///
    /// # Panics
    ///
    /// On the thread of an actix arbiter, which `System::block_on` and `#[actix::main]` make of theirs. The message
    /// names [`connect`](RedisBuilder::connect), which is the call to use there.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
    /// # fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// let queue = builder.blocking_connect()?;
    /// # drop(queue);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn blocking_connect(self) -> Result<IterableQueue<T>, ConnectError> {
        assert_may_block("use connect().await");
        let (done, connected) = mpsc::sync_channel(1);
        self.begin(move |joined| drop(done.send(joined)))?;
        connected.recv().unwrap_or_else(|_| Err(went_away()))
    }

    /// A look at the queue from outside, without joining it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the settings are wrong, or if Redis does not answer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use actix_iterable_queue::{ConnectError, IterableQueue};
    /// # async fn connect() -> Result<(), ConnectError> {
    /// # use std::time::Duration;
    /// let builder = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/");
    /// if let Some(queue) = builder.inspect().await? {
    ///     println!("{queue}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn inspect(self) -> Result<Option<Snapshot>, ConnectError> {
        let connecting = self.check()?;
        let (done, inspected) = oneshot::channel();
        let tls = connecting.address.is_tls();
        let inspect = move || async move {
            drop(done.send(connecting.inspect().await.map_err(|error| error.over(tls))));
        };
        driver::spawn(inspect).map_err(ConnectError::Thread)?;
        inspected.await.unwrap_or_else(|_| Err(went_away()))
    }

    fn check(self) -> Result<Connecting<T>, ConnectError> {
        let config = self.builder.check()?;
        let name = config.name.as_deref().unwrap_or_default();
        if name.is_empty() || name.contains(['{', '}']) {
            return Err(ConnectError::Name);
        }
        let deadline_is_none = self.deadline.is_some_and(|deadline| deadline.is_zero());
        if self.lease < SHORTEST_LEASE || self.retention < self.lease.saturating_mul(10) || deadline_is_none {
            return Err(ConnectError::Duration);
        }
        let settings = Settings {
            capacity: config.capacity,
            max_attempts: config.max_attempts,
            lease: self.lease,
            retention: self.retention,
            seal_when_unowned: self.seal_when_unowned,
        };
        let (pointer, patience) = (engine::pointer(name), connection::patience(&settings));
        let address = Address::check(&self.url, self.certificates, name, pointer, patience)?;
        let process_name = self.process_name.unwrap_or_else(|| {
            let host = gethostname::gethostname();
            format!("{}:{}", host.to_string_lossy(), std::process::id())
        });
        let Self { deadline, abort_if_gone_for, .. } = self;
        Ok(Connecting { config, address: Arc::new(address), settings, deadline, abort_if_gone_for, process_name })
    }
}

/// All that is needed to connect.
struct Connecting<T> {
    config: crate::queue::Config<T>,
    address: Arc<Address>,
    settings: Settings,
    deadline: Option<Duration>,
    abort_if_gone_for: Option<Duration>,
    process_name: String,
}

impl<T: Payload> Connecting<T> {
    fn server(&self) -> Rc<Server> {
        Server::of(&self.address)
    }

    async fn join(self, server: &Rc<Server>) -> Result<(IterableQueue<T>, Bridge<T>), Failed> {
        let Self { config, settings, process_name, .. } = self;
        let pair = server.pair(connection::patience(&settings)).await.map_err(ConnectError::Redis)?;
        let joining = Joining {
            queue: config.name.clone().unwrap_or_default().to_string(),
            settings,
            process_id: process_id().map_err(ConnectError::Random)?,
            process_name,
        };
        let engine = match joining.join(&pair, true).await {
            Ok(Joined::Ok(engine)) => engine,
            Ok(Joined::Mismatch { field, theirs, ours }) => {
                return Err(ConnectError::Mismatch { setting: field, theirs, ours }.into());
            }
            Ok(Joined::None | Joined::Again | Joined::Ended) => return Err(went_away().into()),
            // What Redis answers with an error it has not done.
            Err(Failure::Away(error)) if error.code().is_some() => return Err(ConnectError::Redis(error).into()),
            Err(failure) => return Err(Failed { error: refused(failure), joining: Some(joining) }),
        };
        let report = match engine.report().await {
            Ok(report) => report,
            Err(failure) => return Err(Failed { error: refused(failure), joining: Some(joining) }),
        };
        let delays = match &config.redelivery {
            Some(redelivery) => {
                (1..=config.max_attempts.min(64)).map(|attempt| redelivery.backoff.delay(attempt)).collect()
            }
            None => Vec::new(),
        };
        let largest = connection::largest_item(&pair).await;
        let id = QueueId::next();
        let link = Arc::new(Link::new(label(config.name.as_deref(), id), &config, largest, self.deadline));
        let queue = IterableQueue::open(id, config, Some(link.clone()));
        let shared = Arc::clone(queue.shared());
        let letters = OpenLetters::new(&joining.queue, &engine, &self.address, &joining.settings, largest);
        link.open_letters.get_or_init(|| letters);
        news::spread(&report, &engine, &shared, &link);
        let mut bridge = Bridge::new(shared, link, engine, Rc::clone(server), joining.settings);
        bridge.delays = delays;
        bridge.abort_if_gone_for = self.abort_if_gone_for;
        connection::look_for_eviction(&pair, &bridge.shared.label()).await;
        Ok((queue, bridge))
    }

    async fn inspect(self) -> Result<Option<Snapshot>, ConnectError> {
        let pair = self.server().pair(connection::patience(&self.settings)).await.map_err(ConnectError::Redis)?;
        let name = self.config.name.unwrap_or_default();
        let report = Engine::look(&pair, &name).await.map_err(refused)?;
        Ok(report.map(|report| news::snapshot(&report, &name, self.config.capacity)))
    }
}

/// A process that joins a queue.
struct Joining {
    queue: String,
    settings: Settings,
    process_id: String,
    process_name: String,
}

impl Joining {
    async fn join(&self, pair: &Pair, begin: bool) -> Result<Joined, Failure> {
        Engine::join(pair.clone(), &self.queue, &self.settings, &self.process_id, &self.process_name, begin).await
    }

    /// Leaves the queue, as its answer to the join is not known. For as long as the lease; then the others find this
    /// process lost.
    async fn undo(self, server: &Rc<Server>) {
        let since = Instant::now();
        while !self.try_undo(server).await && since.elapsed() < self.settings.lease {
            tokio::time::sleep(LONGEST_PAUSE.min(self.settings.lease / 3)).await;
        }
    }

    /// Joins again, which does nothing if it is one of the processes: a request that is still on its way is refused once
    /// this process has left.
    async fn try_undo(&self, server: &Rc<Server>) -> bool {
        let Ok(pair) = server.pair(connection::patience(&self.settings)).await else { return false };
        match self.join(&pair, false).await {
            Ok(Joined::Ok(engine)) => loop {
                match engine.leave().await {
                    Ok(true) => {}
                    Ok(false) | Err(Failure::Fenced | Failure::Gone) => return true,
                    Err(_) => return false,
                }
            },
            Ok(_) | Err(Failure::Fenced | Failure::Gone) => true,
            Err(_) => false,
        }
    }
}

/// Why it did not connect, and what is left to be undone.
struct Failed {
    error: ConnectError,
    joining: Option<Joining>,
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self { error, joining: None }
    }
}

/// Returns an id that nobody has used. Of a process id, a clock and what follows from them, clones of a machine
/// and containers may have the same, and then one would be taken for the other: its puts would be skipped.
pub(super) fn process_id() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

fn refused(failure: Failure) -> ConnectError {
    ConnectError::Redis(match failure {
        Failure::Away(error) => error,
        other => RedisError::from((ErrorKind::Client, "the queue cannot be joined", other.to_string())),
    })
}

fn went_away() -> ConnectError {
    refused(Failure::Gone)
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

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::process_id;
    use crate::{ConnectError, IterableQueue};

    /// All else that this process knows, another one may know, too.
    #[test]
    fn ids_of_processes_come_from_the_randomness_of_the_system() {
        let ids = [(), ()].map(|()| {
            fastrand::seed(7);
            process_id().unwrap()
        });
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0].len(), 32);
    }

    /// Nobody listens there.
    fn connect() -> Result<IterableQueue<u64>, ConnectError> {
        IterableQueue::builder().name("jobs").redis("redis://127.0.0.1:1/").blocking_connect()
    }

    #[test]
    fn d10_a_thread_may_wait_for_the_connection_within_an_executor() {
        let refused = |connected| assert!(matches!(connected, Err(ConnectError::Redis(_))), "{connected:?}");
        refused(connect());
        futures::executor::block_on(async { refused(connect()) });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { refused(connect()) });
    }

    #[test]
    fn d10_on_an_arbiter_it_panics_and_names_the_call_to_use() {
        actix_rt::System::new().block_on(async {
            let panic = catch_unwind(connect).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains("actix arbiter") && message.ends_with("use connect().await"), "{message}");
        });
    }
}
