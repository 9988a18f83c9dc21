//! The one thread of a process that serves its queues over Redis, however many they are.
//!
//! It starts with the first queue and ends with the last one, and its connections with it. What runs there stays there:
//! so queues share connections without locks, and a panic ends one future alone. Nothing there may block, as all queues
//! would lose their leases: the wakers of tasks that put and take, and the drops of confirmed items, run there, too.

use std::sync::Mutex;
use std::{io, thread};

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

use crate::lock::lock;

type Job = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

struct DriverThread {
    /// The process that has started it: after a fork the child has none.
    process: u32,
    number: u64,
    jobs: UnboundedSender<Job>,
    /// How many jobs were given and are not done.
    running: usize,
}

static DRIVER: Mutex<Option<DriverThread>> = Mutex::new(None);

/// Runs what `make` returns on the thread of all queues.
pub(crate) fn spawn<F>(make: impl FnOnce() -> F + Send + 'static) -> io::Result<()>
where
    F: Future<Output = ()> + 'static,
{
    let process = std::process::id();
    let mut driver = lock(&DRIVER);
    if driver.as_ref().is_some_and(|driver| driver.process != process) {
        // Not dropped: that would wake the thread of the parent.
        std::mem::forget(driver.take());
    }
    let last = driver.as_ref().map_or(0, |driver| driver.number);
    // Closed: the thread has died.
    if driver.as_ref().is_none_or(|driver| driver.jobs.is_closed()) {
        *driver = Some(DriverThread { process, number: last + 1, jobs: start()?, running: 0 });
    }
    let current = driver.as_mut().unwrap_or_else(|| unreachable!("just started"));
    current.running += 1;
    let running = Running(current.number);
    let job = move || {
        async move {
            let _running = running;
            make().await;
        }
        .boxed_local()
    };
    // It is open for as long as a job runs, and this one does from now on.
    let refused = current.jobs.send(Box::new(job));
    drop(driver);
    refused.map_err(|_| io::Error::other("the thread of the queues has died"))
}

/// A job that is not done.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        let mut driver = lock(&DRIVER);
        if let Some(current) = driver.as_mut().filter(|driver| driver.number == self.0) {
            current.running -= 1;
            if current.running == 0 {
                // Nobody gives it a job any more, so the thread ends.
                *driver = None;
            }
        }
    }
}

fn start() -> io::Result<UnboundedSender<Job>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (jobs, given) = unbounded_channel();
    thread::Builder::new()
        .name("queue-redis".to_owned())
        .spawn(move || LocalSet::new().block_on(&runtime, serve(given)))?;
    Ok(jobs)
}

async fn serve(mut given: UnboundedReceiver<Job>) {
    while let Some(job) = given.recv().await {
        spawn_local(async { job().await });
    }
}
