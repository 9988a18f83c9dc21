//! A shutdown on ctrl-c or SIGTERM.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::{Either, select};

use crate::endpoint::shutdown;
use crate::queue::{IterableQueue, ShutdownReport, drained};

impl<T: Send + 'static> IterableQueue<T> {
    /// Shuts the queue down, as [`shutdown`](IterableQueue::shutdown) does, when the process receives
    /// SIGINT (ctrl-c) or SIGTERM.
    ///
    /// A further signal, of either kind, ends the grace at once if it comes at least a second after the first. Within a
    /// second they count as one: terminals and process managers often send several together. If the queue ends before any
    /// signal, the future is done, too. It borrows nothing and does not keep the queue unsealed.
    ///
    /// From this call on, these signals no longer kill the process: exit when the future is done.
    ///
    /// On Windows the signals are ctrl-c, ctrl-break, closing the console, and the shutdown of the system. Windows
    /// kills a process some seconds after the last two, however long the grace is.
    ///
    /// # Errors
    ///
    /// If the signals cannot be listened to, for example outside of an actix system or tokio runtime. On a system
    /// that is neither Unix nor Windows the kind is [`io::ErrorKind::Unsupported`].
    ///
    /// # Panics
    ///
    /// In a tokio runtime whose I/O driver is not enabled.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before a signal, nothing happens; on Unix the signals stay caught. If it is dropped
    /// after a signal, the shutdown goes on and its report is lost.
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
            let began = Instant::now();
            // If the queue has ended, this only makes the report.
            let report = pin!(shutdown(Arc::clone(&shared), grace));
            let further = pin!(async {
                loop {
                    signals.next().await;
                    if began.elapsed() >= ONE_REQUEST {
                        return;
                    }
                }
            });
            match select(report, further).await {
                Either::Left((report, _)) => report,
                Either::Right(((), report)) => {
                    let (mut left, mut holders) = shared.abort_with_holders();
                    let report = report.await;
                    // If the grace ended at the same time, the report has the items, and the abort found none.
                    left.extend(report.left);
                    holders.extend(report.holders);
                    ShutdownReport { drained: report.drained, left, holders }
                }
            }
        })
    }
}

/// Signals that come within this time of the first are the same request to end.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Listens to the signals that ask a process to end.
///
/// A listener remembers each signal received after it was made, whether it is polled meanwhile or not.
struct Signals(Vec<Listener>);

/// Polls one listener.
type Listener = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<()>> + Send + Sync>;

impl Signals {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self(vec![Box::new(move |cx| interrupt.poll_recv(cx)), Box::new(move |cx| terminate.poll_recv(cx))]))
    }

    #[cfg(windows)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        let (mut interrupt, mut end) = (ctrl_c()?, ctrl_break()?);
        let (mut close, mut shutdown) = (ctrl_close()?, ctrl_shutdown()?);
        Ok(Self(vec![
            Box::new(move |cx| interrupt.poll_recv(cx)),
            Box::new(move |cx| end.poll_recv(cx)),
            Box::new(move |cx| close.poll_recv(cx)),
            Box::new(move |cx| shutdown.poll_recv(cx)),
        ]))
    }

    #[cfg(not(any(unix, windows)))]
    fn listen() -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "signals can be listened to on Unix and on Windows only"))
    }

    /// Waits for one signal. It polls no listener after the first that is ready, so no other signal is lost.
    async fn next(&mut self) {
        poll_fn(|cx| match self.0.iter_mut().any(|poll| poll(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}
