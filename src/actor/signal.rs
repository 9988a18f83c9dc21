//! The end by ctrl-c or SIGTERM.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, select};

use crate::endpoint::shutdown;
use crate::queue::{IterableQueue, ShutdownReport, drained};

impl<T: Send + 'static> IterableQueue<T> {
    /// Shuts the queue down, as [`shutdown`](IterableQueue::shutdown) does, when the process gets
    /// SIGINT (ctrl-c) or SIGTERM. A second signal, of either kind, ends the grace at once. The future
    /// also ends when the queue ends by itself, before any signal.
    ///
    /// On Windows the signals are ctrl-c, ctrl-break, the end of the console and that of the system. Windows
    /// ends a process some seconds after the last two, however long the grace is.
    ///
    /// The future borrows nothing and does not keep the queue unsealed. From this call on, these
    /// signals do not kill the process any more: exit when the future is done.
    ///
    /// # Errors
    ///
    /// If the signals cannot be listened to: outside of an actix system or tokio runtime, for instance, or with
    /// [`io::ErrorKind::Unsupported`] on a system that is neither Unix nor Windows.
    ///
    /// # Panics
    ///
    /// In a tokio runtime whose I/O driver is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropped before a signal came, it does nothing; on Unix the signals stay caught. Dropped after that,
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

/// Listens to the signals that ask a process to end. A listener notes each signal that comes after it was
/// made, whether it is polled meanwhile or not.
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

    /// Waits for one signal. What else has come stays noted: the first listener that is ready is the last polled.
    async fn next(&mut self) {
        poll_fn(|cx| match self.0.iter_mut().any(|poll| poll(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}
