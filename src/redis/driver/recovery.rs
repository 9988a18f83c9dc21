//! The way back: after an outage, a lost lease, a take-over by an older copy.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::queue_driver::QueueDriver;
use super::run::{SPLIT, Step};
use super::session::Stop;
use crate::lock::lock;
use crate::queue::Outcome;
use crate::redis::client::process_id::process_id;
use crate::redis::client::{Attached, Failure, Rejoined};
use crate::redis::json::Payload;
use crate::redis::server::connection::words;
use crate::redis::server::outage::Say;
use crate::redis::server::{FIRST_PAUSE, LONGEST_PAUSE};

impl<T: Payload> QueueDriver<T> {
    /// Tries again and again until Redis answers and has the queue, and takes up where it was. What has no answer is sent
    /// again.
    pub(super) async fn reconnect(&mut self, mut failure: Failure) -> Result<Step, Stop> {
        let since = Instant::now();
        self.missed.begins(since);
        if let Failure::Stale = failure {
            // What a session says goes by the number that it has attached with.
            self.client.pair().give_up(SPLIT);
            failure = Failure::Away(io::Error::other(SPLIT).into());
        }
        // What fails at once is not tried again at once.
        if self.reconnected.is_some_and(|reconnected| reconnected.elapsed() < LONGEST_PAUSE) {
            tokio::time::sleep(LONGEST_PAUSE.min(self.settings.lease / 6)).await;
        }
        // A lease may be short, and must outlast the last pause.
        let (mut pause, longest) = (FIRST_PAUSE, LONGEST_PAUSE.min(self.settings.lease / 6));
        let ended = loop {
            self.complain(&failure).await;
            match self.try_reconnect(&failure).await {
                Err(Stop::Failed(Failure::Gone)) if self.client.is_of_letters() => break Ok(Step::Rejoin),
                Err(Stop::Failed(next @ (Failure::Away(_) | Failure::NoMemory | Failure::Stale | Failure::Gone))) => {
                    failure = next;
                }
                ended => break ended,
            }
            if self.is_needless() && since.elapsed() > self.settings.lease {
                log::warn!("{}: left without a word to Redis; others will find this process lost", self.shared.label());
                // For the readers of its dead letters.
                let totals = lock(&self.link.report).totals;
                self.shared.end_remote(Outcome::Left, totals);
                break Ok(Step::Done);
            }
            let gone = self.gone.filter(|_| matches!(failure, Failure::Gone));
            if let (Some(gone), Some(limit)) = (gone, self.abort_if_gone_for)
                && gone.elapsed() >= limit
            {
                log::error!("{}: the queue is not in Redis any more, so it is aborted here", self.shared.label());
                // Not locked while others are told: they may ask for a report.
                let totals = lock(&self.link.report).totals;
                self.shared.end_remote(Outcome::Aborted, totals);
                break Ok(Step::Done);
            }
            if gone.is_some() && self.shared.local_status().ended {
                break Ok(Step::Leave);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        };
        self.reconnected = Some(Instant::now());
        self.say_the_end();
        ended
    }

    async fn try_reconnect(&mut self, failure: &Failure) -> Result<Step, Stop> {
        let patience = self.settings.patience();
        if failure.is_elsewhere() && !self.client.pair().is_broken() {
            // Connections stay where they are, and the address may lead to another server by now.
            let probe = self.server.probe(patience).await.map_err(Failure::Away)?;
            self.client.reconnected(probe);
            self.client.attach().await?;
            // It is back. Where it was, or where another queue has followed it before, the others go on undisturbed.
            let pair = self.server.pair(patience).await.map_err(Failure::Away)?;
            self.client.reconnected(pair.clone());
            if let Err(failure) = self.client.attach_both().await
                && (failure.is_elsewhere() || matches!(failure, Failure::Stale | Failure::Fenced))
            {
                pair.give_up("the address leads to another server now");
            }
        }
        let pair = self.server.pair(patience).await.map_err(Failure::Away)?;
        self.client.reconnected(pair);
        let attached = self.client.attach().await?;
        self.gone = None;
        // An older copy knows less; the one before it, if it is back, more than was said to the older one.
        if !self.link.puts().may_be_accepted(attached.last_put)
            || !self.link.settle_log(|log| log.may_be_done(attached.last_batch))
        {
            return Ok(Step::GoneBack);
        }
        let claimed = self.client.last_claim().await?;
        let unheard = self.link.deliver_unheard(claimed);
        self.shared.notify_getters(unheard);
        Ok(Step::Serve)
    }

    /// Says in the log what is waited for, as often as it helps.
    async fn complain(&mut self, failure: &Failure) {
        let (label, now) = (self.shared.label(), Instant::now());
        // Others, of the same connections, say nothing. What is wrong with this queue alone, it says itself.
        let shared = !matches!(failure, Failure::Gone) && self.client.pair().is_broken();
        if shared && !std::mem::replace(&mut self.away, true) {
            self.server.outage.borrow_mut().begins(now);
        } else if !shared {
            self.is_served(now);
        }
        if let Failure::Gone = failure {
            self.gone.get_or_insert(now);
            let begun = match self.client.is_superseded().await {
                Ok(true) => "; another process has begun a new queue of this name there",
                _ => "",
            };
            if self.missed.because(begun, now).is_some() {
                log::error!(
                    "{label}: the queue is not in Redis at {}: it was deleted, or this is an older copy, or another \
                     server{begun}; puts and takes wait until it is back",
                    self.server.place()
                );
            }
            return;
        }
        let (place, reason) = (self.server.place(), reason(failure));
        let (say, queues) = match shared {
            true => (self.server.outage.borrow_mut().because(&reason, now), Rc::strong_count(&self.server)),
            false => (self.missed.because(&reason, now), 1),
        };
        let whose = if queues > 1 { format!(" of {queues} queues") } else { String::new() };
        match say {
            Some(Say::Begins) if shared => {
                log::warn!("{label} at {place}: Redis does not answer; puts and takes{whose} wait: {reason}");
            }
            Some(Say::Begins) => log::warn!("{label} at {place}: puts and takes wait: {reason}"),
            Some(Say::Lasts(time)) => {
                let time = time.as_secs_f32();
                log::warn!("{label} at {place}: puts and takes{whose} wait for {time:.1} s now: {reason}");
            }
            None => {}
        }
    }

    fn say_the_end(&mut self) {
        let now = Instant::now();
        if let Some(time) = self.missed.ends(now) {
            log::warn!("{}: waited for the queue for {:.1} s", self.shared.label(), time.as_secs_f32());
        }
        self.is_served(now);
    }

    /// The outage of the server is over for this queue, if it saw one.
    fn is_served(&mut self, now: Instant) {
        if !std::mem::take(&mut self.away) {
            return;
        }
        let over = self.server.outage.borrow_mut().ends(now);
        if let Some(time) = over {
            let (label, place) = (self.shared.label(), self.server.place());
            log::warn!("{label} at {place}: Redis answers again, after {:.1} s", time.as_secs_f32());
        }
    }

    /// This process was silent for too long: others have what it held. It goes on under a new id.
    pub(super) async fn rejoin(&mut self) -> Result<Step, Stop> {
        // Dead letters are opened with the connections of when their queue was joined.
        let pair = self.server.pair(self.settings.patience()).await.map_err(Failure::Away)?;
        self.client.reconnected(pair);
        let old = self.client.process_id().to_owned();
        let accepted = self.client.last_put_of(&old).await?;
        let id = process_id().map_err(|error| Failure::Away(error.into()))?;
        if let Rejoined::Ended = self.client.rejoin(&id).await? {
            return Ok(Step::End);
        }
        if !old.is_empty() {
            log::error!(
                "{}: this process lost its leases, as it was silent for longer than {:?}; others do its items again, and \
                 it goes on under a new id",
                self.shared.label(),
                self.settings.lease
            );
        }
        self.link.lose_leases();
        self.confirm_up_to(accepted.unwrap_or(0), 0);
        self.rejoined = Some(Instant::now());
        Ok(Step::Serve)
    }

    /// Redis has lost the last things that it confirmed. What this process holds goes back: which of it was
    /// settled is not known there.
    pub(super) async fn start_over(&mut self) -> Result<Step, Stop> {
        // What is under way is refused from now on.
        self.client.reconnected(self.client.pair());
        let Attached { last_put, last_batch } = self.client.attach().await?;
        let held = self.client.in_flight().await?;
        // Once it is known: a try may fail.
        log::error!(
            "{}: Redis has gone back to an older copy of itself: puts that were confirmed are lost, and items that \
             were settled come again",
            self.shared.label()
        );
        self.link.start_over(last_batch, held);
        self.confirm_up_to(last_put, last_put);
        Ok(Step::Serve)
    }

    /// From now on Redis counts from `last`.
    fn confirm_up_to(&self, accepted: u64, last: u64) {
        let confirmed = {
            let mut puts = self.link.puts();
            // What another copy has accepted tells nothing of what is being sent.
            let accepted = if puts.may_be_accepted(accepted) { accepted } else { 0 };
            let confirmed = puts.accepted(accepted);
            puts.restart(last);
            confirmed
        };
        self.confirm(confirmed);
    }
}

fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Away(error) => words(error),
        _ => failure.to_string(),
    }
}
