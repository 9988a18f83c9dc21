//! A driver's life: sessions, what is between them, and the end.

use super::queue_driver::{QueueDriver, Sent};
use super::report;
use super::session::{Session, Stop};
use crate::lock::lock;
use crate::queue::Outcome;
use crate::redis::client::Failure;
use crate::redis::json::Payload;

/// What to do next.
pub(super) enum Step {
    Serve,
    /// Away, or gone.
    Reconnect(Failure),
    Rejoin,
    /// Redis has gone back to an older copy of itself.
    GoneBack,
    End,
    Leave,
    Done,
}

impl<T: Payload> QueueDriver<T> {
    /// Serves until the queue has ended, or nothing here needs it any more.
    pub(crate) async fn run(mut self) {
        let mut step = if self.client.process_id().is_empty() { Step::Rejoin } else { Step::Serve };
        loop {
            let next = match step {
                Step::Serve => Err(Session::new(&self).serve().await),
                Step::Reconnect(failure) => self.reconnect(failure).await,
                Step::Rejoin => self.rejoin().await,
                Step::GoneBack => self.start_over().await,
                Step::End => self.end().await,
                Step::Leave => self.leave().await,
                Step::Done => {
                    self.done = true;
                    return;
                }
            };
            step = next.unwrap_or_else(|stop| self.after(stop));
        }
    }

    fn after(&self, stop: Stop) -> Step {
        match stop {
            Stop::Ended => Step::End,
            Stop::Leaving => Step::Leave,
            Stop::GoneBack => Step::GoneBack,
            Stop::Failed(Failure::Fenced) => {
                // Nobody loses new leases so soon.
                if self.rejoined.is_some_and(|rejoined| rejoined.elapsed() < self.settings.lease) {
                    self.client.pair().give_up(SPLIT);
                }
                Step::Rejoin
            }
            // They may have been deleted. Others will come.
            Stop::Failed(Failure::Gone) if self.client.is_of_letters() => Step::Rejoin,
            Stop::Failed(failure) => Step::Reconnect(failure),
        }
    }

    /// Tells everybody here how the queue ended.
    async fn end(&mut self) -> Result<Step, Stop> {
        let report = self.client.report().await?;
        report::spread(&report, &self.client, &self.shared, &self.link);
        let end = match report.ended {
            Some(end) => report::outcome(end),
            // This process has read what there was for it.
            None if self.client.is_of_letters() => Outcome::Complete,
            None => return Ok(Step::Serve),
        };
        self.shared.end_remote(end, report::totals(&report));
        Ok(Step::Leave)
    }

    async fn leave(&mut self) -> Result<Step, Stop> {
        match self.leave_in_order().await {
            // An abort is for all, so it is told under a new id.
            Err(Failure::Fenced) if self.is_to_abort() => return Err(Failure::Fenced.into()),
            // It is not known there any more, which is what leaving is for.
            Ok(()) | Err(Failure::Fenced | Failure::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        // Exact if there is still an answer (C6); otherwise as of a moment ago.
        let totals = match self.client.report().await {
            Ok(report) => report::totals(&report),
            Err(_) => lock(&self.link.report).totals,
        };
        self.shared.end_remote(Outcome::Left, totals);
        Ok(Step::Done)
    }

    async fn leave_in_order(&mut self) -> Result<(), Failure> {
        // What was settled before counts, also where it could not be told in time.
        while let Sent::Some = self.send_settles().await? {}
        if self.is_to_abort() {
            self.client.abort().await?;
        }
        while self.client.leave().await? {}
        Ok(())
    }

    /// A queue of dead letters has no end, but for this process.
    fn is_to_abort(&self) -> bool {
        let here = self.shared.local_status();
        here.ended && !here.leaving && !self.client.is_of_letters()
    }
}

/// Why connections are given up where Redis answers as if it had not heard what it has just confirmed.
pub(super) const SPLIT: &str = "one of the two connections leads to another server, or to an older copy";
