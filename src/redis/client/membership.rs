//! Calls that say who is here, that it lives, and how the queue is.

use std::sync::atomic::Ordering;

use super::queue_client::QueueClient;
use super::report::QueueReport;
use super::scripts::SCRIPTS;
use super::types::{Failure, Registered, Renewed};

/// How many names of producers a process tells, for those who ask why the queue is not done.
const MAX_NAMES: usize = 20;

impl QueueClient {
    /// Says how many endpoints this process has, whether it may open more, and some producers' names.
    pub(crate) async fn register(
        &self,
        producers: usize,
        consumers: usize,
        opener: bool,
        names: &[String],
    ) -> Result<Registered, Failure> {
        let names = &names[..names.len().min(MAX_NAMES)];
        let names = serde_json::to_string(names).expect("strings are JSON");
        let mut reply = self
            .call(&SCRIPTS.register, |cmd| {
                cmd.arg(producers).arg(consumers).arg(u8::from(opener)).arg(names);
            })
            .await?;
        match reply.word() {
            "OK" => Ok(Registered::Ok),
            "SEALED" => Ok(Registered::Sealed { producers: reply.next()? }),
            "ENDED" => Ok(Registered::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Says that this process lives, and clears up after others. `handed` is as in [`QueueClient::claim`].
    pub(crate) async fn renew(&self, handed: u64) -> Result<Renewed, Failure> {
        let mut reply = self.call(&SCRIPTS.renew, |cmd| _ = cmd.arg(handed)).await?;
        match reply.word() {
            "OK" => {
                self.process.told_handed.fetch_max(handed, Ordering::Relaxed);
                let more = reply.next::<u8>()? == 1;
                self.process.set_clock(reply.next()?);
                Ok(Renewed::Ok { more })
            }
            "ENDED" => Ok(Renewed::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Seals the queue for all.
    pub(crate) async fn seal(&self) -> Result<(), Failure> {
        self.call(&SCRIPTS.seal, |_| {}).await?.done()
    }

    /// Ends the queue for all.
    pub(crate) async fn abort(&self) -> Result<(), Failure> {
        self.call(&SCRIPTS.abort, |_| {}).await?.done()
    }

    /// Ceases to be one of the queue's processes; what it holds goes back uncounted. To be called until
    /// it says `false`: there is no more to do. Done again, it does nothing.
    pub(crate) async fn leave(&self) -> Result<bool, Failure> {
        let reply = self.call(&SCRIPTS.leave, |_| {}).await?;
        match reply.word() {
            "MORE" => Ok(true),
            "OK" => Ok(false),
            _ => Err(reply.failure()),
        }
    }

    /// How the queue is.
    pub(crate) async fn report(&self) -> Result<QueueReport, Failure> {
        let reply = self.call(&SCRIPTS.report, |_| {}).await?;
        match reply.word() {
            "OK" => QueueReport::parse(reply),
            _ => Err(reply.failure()),
        }
    }
}
