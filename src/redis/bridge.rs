//! The bridge: what moves items between this process and Redis, on a thread and a runtime of its own, so that
//! no blocked arbiter keeps it from giving signs of life.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::address::Address;
use super::connect::process_id;
use super::connection;
use super::engine::{Attached, Engine, Failure, Rejoined, Settings};
use super::letters;
use super::link::{Link, lock};
use super::news;
use super::payload::Payload;
use super::puts::Confirmed;
use super::session::{Session, Stop};
use crate::one_line::OneLine;
use crate::queue::{Outcome, Shared, drop_quietly, wake};

pub(super) struct Bridge<T> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) link: Arc<Link<T>>,
    pub(super) engine: Engine,
    pub(super) address: Address,
    pub(super) settings: Settings,
    /// How long a failed item waits after its first attempt, its second, …
    pub(super) delays: Vec<Duration>,
    /// When it was connected last, after an outage.
    pub(super) reconnected: Option<Instant>,
}

/// What to do next.
enum Step {
    Serve,
    Reconnect(Failure),
    Rejoin,
    /// Redis has gone back to an older copy of itself.
    GoneBack,
    End,
    Leave,
    Done,
}

impl<T: Payload> Bridge<T> {
    /// Serves until the queue has ended, or nothing here needs it any more.
    pub(super) async fn run(mut self) {
        let mut step = Step::Serve;
        loop {
            let next = match step {
                Step::Serve => Err(Session::new(&self).serve().await),
                Step::Reconnect(failure) => self.reconnect(&failure).await,
                Step::Rejoin => self.rejoin().await,
                Step::GoneBack => self.start_over().await,
                Step::End => self.end().await,
                Step::Leave => self.leave().await,
                Step::Done => return,
            };
            step = next.unwrap_or_else(|stop| self.after(stop));
        }
    }

    fn after(&self, stop: Stop) -> Step {
        match stop {
            Stop::Ended => Step::End,
            Stop::Leaving => Step::Leave,
            Stop::GoneBack => Step::GoneBack,
            Stop::Failed(Failure::Fenced) => Step::Rejoin,
            Stop::Failed(Failure::Gone) => {
                log::error!("{}: the queue is not in Redis any more, so it is aborted here", self.shared.label());
                // Not locked while others are told: they may ask for a report.
                let totals = lock(&self.link.report).totals;
                self.shared.end_remote(Outcome::Aborted, totals);
                Step::Done
            }
            Stop::Failed(failure) => Step::Reconnect(failure),
        }
    }

    /// Tries again and again until Redis answers, and takes up where it was. What has no answer is sent again.
    async fn reconnect(&mut self, failure: &Failure) -> Result<Step, Stop> {
        let (label, since) = (self.shared.label(), Instant::now());
        log::warn!("{label}: Redis does not answer; puts and takes wait: {}", OneLine(failure));
        // What fails at once is not tried again at once.
        if self.reconnected.is_some_and(|reconnected| reconnected.elapsed() < LONGEST_PAUSE) {
            tokio::time::sleep(LONGEST_PAUSE.min(self.settings.lease / 3)).await;
        }
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_reconnect().await {
                Err(Stop::Failed(Failure::Away(_) | Failure::NoMemory | Failure::Stale)) => {}
                ended => {
                    self.reconnected = Some(Instant::now());
                    log::warn!("{label}: Redis answers again, after {:.1} s", since.elapsed().as_secs_f32());
                    return ended;
                }
            }
            if self.is_needless() && since.elapsed() > self.settings.lease {
                log::warn!("{label}: left without a word to Redis; others will find this process lost");
                return Ok(Step::Done);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_reconnect(&mut self) -> Result<Step, Stop> {
        let connection = connection::open(&self.address, &self.settings).await.map_err(Failure::Away)?;
        self.engine.reconnected(connection);
        let attached = self.engine.attach().await?;
        if attached.last_put < self.link.puts().last_sent()
            || attached.last_batch < self.link.settles(|settles| settles.last_done())
        {
            return Ok(Step::GoneBack);
        }
        let held = self.engine.in_flight().await?;
        let unheard = self.link.deliver_unheard(held);
        self.shared.tell_getters(unheard);
        Ok(Step::Serve)
    }

    /// This process was silent for too long: others have what it held. It goes on under a new id.
    async fn rejoin(&mut self) -> Result<Step, Stop> {
        let accepted = self.engine.last_put_of(self.engine.process_id()).await?;
        let id = process_id().map_err(|error| Failure::Away(error.into()))?;
        if let Rejoined::Ended = self.engine.rejoin(&id).await? {
            return Ok(Step::End);
        }
        log::error!(
            "{}: this process lost its leases, as it was silent for longer than {:?}; others do its items again, and it \
             goes on under a new id",
            self.shared.label(),
            self.settings.lease
        );
        self.link.lose_leases();
        self.confirm_up_to(accepted.unwrap_or(0), 0);
        Ok(Step::Serve)
    }

    /// Redis has lost the last things that it confirmed. What this process holds goes back: which of it was
    /// settled is not known there.
    async fn start_over(&mut self) -> Result<Step, Stop> {
        log::error!(
            "{}: Redis has gone back to an older copy of itself: puts that were confirmed are lost, and items that \
             were settled come again",
            self.shared.label()
        );
        let Attached { last_put, last_batch } = self.engine.attach().await?;
        let held = self.engine.in_flight().await?;
        self.link.start_over(last_batch, held);
        self.confirm_up_to(last_put, last_put);
        Ok(Step::Serve)
    }

    /// From now on Redis counts from `last`.
    fn confirm_up_to(&self, accepted: u64, last: u64) {
        let confirmed = {
            let mut puts = self.link.puts();
            let confirmed = puts.accepted(accepted);
            puts.restart(last);
            confirmed
        };
        self.confirm(confirmed);
    }

    /// Tells everybody here how the queue ended, and of the last dead letters before.
    async fn end(&mut self) -> Result<Step, Stop> {
        match letters::read_all(self).await {
            // Whoever lost its place is told how the queue ended all the same.
            Ok(()) | Err(Failure::Fenced) => {}
            Err(failure) => return Err(failure.into()),
        }
        let report = self.engine.report().await?;
        news::spread(&report, &self.engine, &self.shared, &self.link);
        let Some(end) = report.ended else { return Ok(Step::Serve) };
        self.shared.end_remote(news::outcome(end), news::totals(&report));
        Ok(Step::Leave)
    }

    async fn leave(&mut self) -> Result<Step, Stop> {
        match self.leave_in_order().await {
            // It is not known there any more, which is what leaving is for.
            Ok(()) | Err(Failure::Fenced | Failure::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        // Exact if there is still an answer (C6); otherwise as of a moment ago.
        let totals = match self.engine.report().await {
            Ok(report) => news::totals(&report),
            Err(_) => lock(&self.link.report).totals,
        };
        self.shared.end_remote(Outcome::Left, totals);
        Ok(Step::Done)
    }

    async fn leave_in_order(&mut self) -> Result<(), Failure> {
        let here = self.shared.here();
        if here.ended && !here.leaving {
            self.engine.abort().await?;
        }
        while self.engine.leave().await? {}
        Ok(())
    }

    /// Nobody here can reach the queue any more but the bridge.
    pub(super) fn is_needless(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    pub(super) fn confirm(&self, confirmed: Confirmed<T>) {
        let Confirmed { items, wakers } = confirmed;
        let room = items.len();
        items.into_values().for_each(drop_quietly);
        wake(wakers.into_values());
        self.shared.tell_putters(room);
        if self.link.puts().len() == 0 {
            self.link.changed.notify_one();
        }
    }
}

/// A panic in here would leave everybody waiting for what never comes.
impl<T> Drop for Bridge<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!("{}: the way to Redis has died, so the queue is aborted here", self.shared.label());
            let totals = lock(&self.link.report).totals;
            self.shared.end_remote(Outcome::Aborted, totals);
        }
    }
}

/// Between two tries to reach Redis.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
