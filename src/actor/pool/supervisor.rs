//! Who replaces workers that die. It has an arbiter to itself, so that nothing holds it up.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::time::timeout;
use actix_rt::{Arbiter, ArbiterHandle};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;

use super::exit::{Event, Exit, ExitNote};
use super::report::{Account, PoolReport};
use super::roster::Roster;
use super::settings::Settings;
use super::worker::{Job, Spawn};
use crate::endpoint::Claim;
use crate::error::{Death, PoolFailure};

/// How long it sleeps when there is nothing to do at a certain time.
const LONG: Duration = Duration::from_secs(3600);

pub(super) type Outcome = Result<PoolReport, PoolFailure>;

pub(super) struct Supervisor<T: Send + 'static> {
    settings: Settings,
    spawn: Spawn<T>,
    /// Gone when the pool has given up or ended.
    claim: Option<Claim<T>>,
    outcome: Option<oneshot::Sender<Outcome>>,
    roster: Arc<Roster<T>>,
    news: UnboundedSender<Event>,
    events: UnboundedReceiver<Event>,
    workers: Vec<Worker>,
    /// How many workers there are to be.
    target: usize,
    /// Those within the time of the restart limit.
    deaths: VecDeque<Instant>,
    /// Arbiters that are told to stop.
    retired: Vec<Arbiter>,
    failure: Option<PoolFailure>,
}

/// One place in the pool, whoever fills it.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    duty: Duty,
    home: Option<Home>,
    account: Account,
    /// Deaths in a row without an item done in between.
    futile: u32,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Working,
    /// Dead; to be replaced at this time.
    Vacant(Instant),
    /// Told of the end, or not wanted any more.
    Done,
}

#[derive(Debug)]
enum Home {
    Own(Arbiter),
    Given(ArbiterHandle),
}

impl Home {
    fn handle(&self) -> ArbiterHandle {
        match self {
            Self::Own(arbiter) => arbiter.handle(),
            Self::Given(handle) => handle.clone(),
        }
    }
}

/// How far a worker was when somebody looked, and since when.
#[derive(Debug, Clone, Copy)]
struct Progress {
    claimed: u64,
    settled: u64,
    since: Instant,
}

impl Worker {
    fn new(name: String) -> Self {
        let progress = Progress { claimed: 0, settled: 0, since: Instant::now() };
        Self { name, duty: Duty::Done, home: None, account: Account::default(), futile: 0, progress }
    }
}

impl<T: Send + 'static> Supervisor<T> {
    pub(super) fn new(settings: Settings, spawn: Spawn<T>, claim: Claim<T>, outcome: oneshot::Sender<Outcome>) -> Self {
        let (news, events) = unbounded();
        Self {
            settings,
            spawn,
            claim: Some(claim),
            outcome: Some(outcome),
            roster: Arc::new(Roster::new()),
            news,
            events,
            workers: Vec::new(),
            target: 0,
            deaths: VecDeque::new(),
            retired: Vec::new(),
            failure: None,
        }
    }

    /// What the pool's handles need.
    pub(super) fn reins(&self) -> (Arc<Roster<T>>, UnboundedSender<Event>) {
        (Arc::clone(&self.roster), self.news.clone())
    }

    pub(super) fn start_all(&mut self, workers: usize) -> io::Result<()> {
        self.target = workers;
        self.add_places();
        (0..workers).try_for_each(|index| self.start(index))
    }

    pub(super) async fn run(mut self) {
        while !self.workers.iter().all(|worker| worker.duty == Duty::Done) {
            // The channel stays open: its other end is in here, too.
            match timeout(self.sleep(), self.events.next()).await {
                Ok(Some(Event::Exited(index, exit))) => self.exited(index, exit),
                Ok(Some(Event::Resize(target))) => self.resize(target),
                Ok(None) | Err(_) => {}
            }
            self.fill_vacancies();
            self.look_for_stuck();
            self.reap();
        }
        let failure = self.failure.take();
        self.close(failure);
        Arbiter::current().stop();
    }

    fn sleep(&self) -> Duration {
        let now = Instant::now();
        let vacancies = self.workers.iter().filter_map(|worker| match worker.duty {
            Duty::Vacant(until) => Some(until.saturating_duration_since(now)),
            Duty::Working | Duty::Done => None,
        });
        let looks = self.settings.stuck_after.map(|after| (after / 4).max(Duration::from_millis(1)));
        vacancies.chain(looks).min().unwrap_or(LONG)
    }

    fn add_places(&mut self) {
        for index in self.workers.len()..self.target {
            self.workers.push(Worker::new(format!("{}-{index}", self.settings.name)));
        }
    }

    fn start(&mut self, index: usize) -> io::Result<()> {
        let home = match self.workers[index].home.take().filter(|home| home.handle().alive()) {
            Some(home) => home,
            None => self.new_home(index)?,
        };
        let Some(claim) = &self.claim else { return Ok(()) };
        let worker = &mut self.workers[index];
        let consumer = claim.consumer(&worker.name);
        let row = &consumer.slot().row;
        self.roster.begin(index, Arc::clone(row));
        worker.account.open(Arc::clone(row));
        worker.duty = Duty::Working;
        worker.progress = Progress { claimed: 0, settled: 0, since: Instant::now() };
        let note = ExitNote::new(index, self.news.clone());
        // If the arbiter stops before the worker begins, the note brings the news.
        (self.spawn)(&home.handle(), Job { consumer, max_in_flight: self.settings.max_in_flight, note });
        worker.home = Some(home);
        Ok(())
    }

    /// One of the arbiters that were given, as long as it lives; otherwise one of its own.
    fn new_home(&self, index: usize) -> io::Result<Home> {
        let given = &self.settings.arbiters;
        match given.get(index % given.len().max(1)).filter(|given| given.alive()) {
            Some(given) => Ok(Home::Given(given.clone())),
            None => Arbiter::try_new().map(Home::Own),
        }
    }

    fn retire(&mut self, index: usize) {
        if let Some(Home::Own(arbiter)) = self.workers[index].home.take() {
            arbiter.stop();
            self.retired.push(arbiter);
        }
    }

    fn exited(&mut self, index: usize, exit: Exit) {
        let row = self.roster.row(index);
        self.roster.end(index);
        match exit {
            Exit::Told => self.dismiss(index),
            Exit::Left if self.is_wanted(index) => self.workers[index].duty = Duty::Vacant(Instant::now()),
            Exit::Left => self.dismiss(index),
            Exit::Died(death) => {
                if death == Death::ArbiterStopped {
                    self.retire(index);
                }
                let done = row.is_some_and(|row| row.acked() + row.taken() > 0);
                self.died(index, death, done);
            }
        }
    }

    fn is_wanted(&self, index: usize) -> bool {
        index < self.target && self.failure.is_none()
    }

    fn dismiss(&mut self, index: usize) {
        self.workers[index].duty = Duty::Done;
        self.retire(index);
    }

    /// `done`: it had done an item in this life.
    fn died(&mut self, index: usize, death: Death, done: bool) {
        let wanted = self.is_wanted(index);
        let worker = &mut self.workers[index];
        worker.futile = if done { 0 } else { worker.futile.saturating_add(1) };
        worker.account.died(death.clone());
        let name = worker.name.clone();
        if !wanted {
            log::warn!("{name} died: {death}; it was to leave anyway");
            return self.dismiss(index);
        }
        if self.is_over_the_limit() {
            return self.give_up(index, death);
        }
        let delay = match self.workers[index].futile {
            0 => Duration::ZERO,
            futile => self.settings.restart_backoff.delay(futile),
        };
        log::warn!("{name} died: {death}; another one takes its place in {delay:?}");
        self.workers[index].duty = Duty::Vacant(Instant::now() + delay);
    }

    fn is_over_the_limit(&mut self) -> bool {
        let Some((restarts, within)) = self.settings.restart_limit else { return false };
        let now = Instant::now();
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|death| now.duration_since(*death) > within) {
            self.deaths.pop_front();
        }
        self.deaths.len() > restarts
    }

    fn give_up(&mut self, index: usize, death: Death) {
        let worker = self.workers[index].name.clone();
        log::error!("the pool gives up: {worker} died, {death}, and there were too many deaths before");
        self.failure = Some(PoolFailure::GaveUp { worker, death });
        self.dismiss(index);
        for index in 0..self.workers.len() {
            match self.workers[index].duty {
                Duty::Vacant(_) => self.dismiss(index),
                Duty::Working if self.settings.keep_queue => self.order_leave(index, true),
                Duty::Working | Duty::Done => {}
            }
        }
        let Some(claim) = self.claim.take().filter(|_| !self.settings.keep_queue) else { return };
        let left = claim.shared().abort();
        if !left.is_empty() {
            log::error!("{}: aborted with {} items left", claim.shared().label(), left.len());
        }
        self.roster.keep_left(left);
    }

    fn resize(&mut self, target: usize) {
        if self.failure.is_some() {
            return;
        }
        self.target = target;
        self.add_places();
        let ended = self.claim.as_ref().is_none_or(|claim| claim.shared().has_ended());
        for index in 0..self.workers.len() {
            let wanted = index < target;
            match self.workers[index].duty {
                // It may be about to leave since the last time.
                Duty::Working => self.order_leave(index, !wanted),
                Duty::Vacant(_) if !wanted => self.dismiss(index),
                Duty::Done if wanted && !ended => self.workers[index].duty = Duty::Vacant(Instant::now()),
                Duty::Vacant(_) | Duty::Done => {}
            }
        }
    }

    fn order_leave(&self, index: usize, leave: bool) {
        if let Some(row) = self.roster.row(index) {
            row.leave(leave);
        }
    }

    fn fill_vacancies(&mut self) {
        let now = Instant::now();
        for index in 0..self.workers.len() {
            if matches!(self.workers[index].duty, Duty::Vacant(until) if until <= now)
                && let Err(error) = self.start(index)
            {
                self.died(index, Death::NoArbiter(error.to_string()), false);
            }
        }
    }

    /// Reports those who make no progress, once each.
    fn look_for_stuck(&mut self) {
        let Some(after) = self.settings.stuck_after else { return };
        for (index, worker) in self.workers.iter_mut().enumerate() {
            let Some(row) = self.roster.row(index) else { continue };
            let (settled, claimed) = (row.settled(), row.claimed());
            let seen = worker.progress;
            if (claimed, settled) != (seen.claimed, seen.settled) || claimed == settled {
                worker.progress = Progress { claimed, settled, since: Instant::now() };
                if row.is_stuck() {
                    row.stuck(false);
                }
            } else if seen.since.elapsed() >= after && !row.is_stuck() {
                row.stuck(true);
                log::warn!(
                    "{} seems stuck: it has held the same {} items for {after:?}",
                    worker.name,
                    claimed - settled
                );
            }
        }
    }

    /// A thread that nobody joins keeps its stack.
    fn reap(&mut self) {
        let ended: Vec<_> = self.retired.extract_if(.., |arbiter| !arbiter.alive()).collect();
        ended.into_iter().for_each(|arbiter| self.join(arbiter));
    }

    fn join(&self, arbiter: Arbiter) {
        if arbiter.join().is_err() {
            log::error!("an arbiter of the pool {} panicked", self.settings.name);
        }
    }

    /// Ends the pool, if it has not ended yet.
    fn close(&mut self, failure: Option<PoolFailure>) {
        let Some(outcome) = self.outcome.take() else { return };
        (0..self.workers.len()).for_each(|index| self.retire(index));
        std::mem::take(&mut self.retired).into_iter().for_each(|arbiter| self.join(arbiter));
        let drained = self.claim.take().and_then(|claim| claim.shared().ended());
        let _ = outcome.send(match (failure, drained) {
            (Some(failure), _) => Err(failure),
            (None, None) => Err(PoolFailure::Stopped),
            (None, Some(drained)) => {
                let workers = self.workers.iter().map(|worker| worker.account.report(&worker.name)).collect();
                Ok(PoolReport::new(drained, workers))
            }
        }); // a pool whose handles are gone has nobody to tell
    }
}

impl<T: Send + 'static> Drop for Supervisor<T> {
    /// The system stops, or the pool could not be started.
    fn drop(&mut self) {
        self.close(Some(PoolFailure::Stopped));
    }
}
