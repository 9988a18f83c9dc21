//! How a queue is connected.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::channel::oneshot;

use crate::arbiter::assert_may_block;
use crate::error::ConnectError;
use crate::queue::{IterableQueue, Snapshot};
use crate::redis::builder::RedisBuilder;
use crate::redis::client::{self, Settings};
use crate::redis::driver::thread;
use crate::redis::join::{Connecting, Start, went_away};
use crate::redis::json::Payload;
use crate::redis::server::address::Address;

const SHORTEST_LEASE: Duration = Duration::from_millis(100);

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
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
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
        self.start(Start::Begin, move |joined| drop(done.send(joined)))?;
        connected.await.unwrap_or_else(|_| Err(went_away()))
    }

    /// Joins the queue of this name once there is one: for workers, which have nothing to do before a feeder has begun it.
    ///
    /// Never begins a queue. Where there is none, or the last one has ended, it waits until a process connects, through
    /// outages of Redis, too, and says so in the log. So it does not matter which process is started first, and a worker
    /// that comes after the end waits for the next queue. All else is as with [`connect`](RedisBuilder::connect).
    ///
    /// # Errors
    ///
    /// As [`connect`](RedisBuilder::connect); also if Redis does not answer at first.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing waits any more, and a process that has just joined leaves again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn work() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/").join().await?;
    /// let mut jobs = queue.consumer()?;
    /// while let Some(job) = jobs.lease().await {
    ///     println!("{}", *job);
    ///     job.ack();
    /// }
    /// // The queue was sealed, and all of it is done.
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join(self) -> Result<IterableQueue<T>, ConnectError> {
        let (done, joined) = oneshot::channel();
        let waits = Arc::new(());
        self.start(Start::WaitFor(Arc::downgrade(&waits)), move |queue| drop(done.send(queue)))?;
        let joined = joined.await.unwrap_or_else(|_| Err(went_away()));
        drop(waits);
        joined
    }

    /// Has the thread of the queues join the queue and tell what came of it. A queue that is told to nobody is left again.
    fn start(
        self,
        start: Start,
        tell: impl FnOnce(Result<IterableQueue<T>, ConnectError>) + Send + 'static,
    ) -> Result<(), ConnectError> {
        let connecting = self.check()?;
        let serve = move || async move {
            let tls = connecting.address.is_tls();
            let server = connecting.server();
            let failed = match connecting.join(&server, &start).await {
                Ok((queue, driver)) => {
                    drop(server);
                    tell(Ok(queue));
                    return driver.run().await;
                }
                Err(failed) => failed,
            };
            tell(Err(failed.error.over(tls)));
            if let Some(joining) = failed.joining {
                joining.undo(&server).await;
            }
        };
        thread::spawn(serve).map_err(ConnectError::Thread)
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
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
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
        self.start(Start::Begin, move |joined| drop(done.send(joined)))?;
        connected.recv().unwrap_or_else(|_| Err(went_away()))
    }

    /// Joins the queue as [`join`](RedisBuilder::join) does; the thread waits for it.
    ///
    /// # Errors
    ///
    /// As [`join`](RedisBuilder::join).
    ///
    /// # Panics
    ///
    /// As [`blocking_connect`](RedisBuilder::blocking_connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn work() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::<u64>::builder().name("jobs").redis("redis://127.0.0.1/").blocking_join()?;
    /// for job in queue.consumer()?.into_blocking_leases() {
    ///     println!("{}", *job);
    ///     job.ack();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn blocking_join(self) -> Result<IterableQueue<T>, ConnectError> {
        assert_may_block("use join().await");
        let (done, joined) = mpsc::sync_channel(1);
        let waits = Arc::new(());
        self.start(Start::WaitFor(Arc::downgrade(&waits)), move |queue| drop(done.send(queue)))?;
        let joined = joined.recv().unwrap_or_else(|_| Err(went_away()));
        drop(waits);
        joined
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
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::ConnectError;
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
        thread::spawn(inspect).map_err(ConnectError::Thread)?;
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
        let (pointer, patience) = (client::pointer(name), settings.patience());
        let address = Address::check(&self.url, self.certificates, name, pointer, patience)?;
        let process_name = self.process_name.unwrap_or_else(|| {
            let host = gethostname::gethostname();
            format!("{}:{}", host.to_string_lossy(), std::process::id())
        });
        let Self { deadline, abort_if_gone_for, .. } = self;
        Ok(Connecting { config, address: Arc::new(address), settings, deadline, abort_if_gone_for, process_name })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use crate::IterableQueue;
    use crate::error::ConnectError;

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
