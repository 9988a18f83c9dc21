//! The driver of a queue: what moves items between this process and Redis, on the thread of all queues, so that
//! no blocked arbiter keeps it from giving signs of life.
//!
//! - `thread.rs`: the thread; `run.rs`: what a driver does on it, from joining to the end
//! - `session.rs`: a loop for each direction, as long as the connection lives; `recovery.rs`: what follows when it breaks
//! - `queue_driver.rs`: what these share; `report.rs`: what Redis reports, as this process is told

mod queue_driver;
mod recovery;
pub(crate) mod report;
mod run;
mod session;
pub(crate) mod thread;

pub(crate) use queue_driver::QueueDriver;
