//! The end by ctrl-c or SIGTERM.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use crate::endpoint::shutdown;
use crate::queue::{IterableQueue, ShutdownReport, drained};

impl<T: Send + 'static> IterableQueue<T> {
    /// Shuts the queue down, as [`shutdown`](IterableQueue::shutdown) does, when the process gets
    /// SIGINT (ctrl-c) or SIGTERM. A second signal, of
    /// either kind, ends the grace at once. If the queue ends by
    /// itself before any signal, this returns as well.
    ///
    /// The future borrows nothing and does not keep the queue unsealed. From this call on, these
    /// signals do not kill the process any more: exit when the future is done.
    ///
    /// # Errors
    ///
    /// If the signals cannot be listened to: outside of an actix system or tokio runtime, for instance.
    ///
    /// # Panics
    ///
    /// In a tokio runtime whose I/O driver is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropped before a signal came, it does nothing, but the signals stay caught. Dropped after that,
    /// the shutdown goes on, but its report is lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use actix_iterable_queue::IterableQueue;
    /// use std::time::Duration;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::<String>::bounded(100);
    /// // … open endpoints, start a pool …
    /// let report = queue.shutdown_on_signal(Duration::from_secs(30))?.await;
    /// for job in report.left {
    ///     eprintln!("not done: {job}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn shutdown_on_signal(&self, grace: Duration) -> io::Result<impl Future<Output = ShutdownReport<T>> + use<T>> {
        let shared = Arc::clone(self.shared());
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(io::Error::other("no actix system and no tokio runtime is running on this thread"));
        }
        let mut signals = Signals::listen()?;
        Ok(async move {
            select(pin!(drained(&shared)), pin!(signals.next())).await;
            // After the end it only reports.
            let report = pin!(shutdown(Arc::clone(&shared), grace));
            match select(report, pin!(signals.next())).await {
                Either::Left((report, _)) => report,
                Either::Right(((), report)) => {
                    let (mut left, mut holders) = shared.abort_and_tell();
                    let report = report.await;
                    // The grace may have ended at the same time: then it is all in there.
                    left.extend(report.left);
                    holders.extend(report.holders);
                    ShutdownReport { drained: report.drained, left, holders }
                }
            }
        })
    }
}

#[cfg(unix)]
struct Signals([actix_rt::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use actix_rt::signal::unix::{SignalKind, signal};
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        select(pin!(interrupt.recv()), pin!(terminate.recv())).await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without a listener there is no signal to wait for.
        if actix_rt::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
