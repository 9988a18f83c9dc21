//! Who replaces workers that die. It has an arbiter to itself, so that nothing holds it up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix_rt::time::sleep;
use actix_rt::{Arbiter, System};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use futures::{FutureExt, StreamExt, select_biased};
use tokio::sync::watch;

use super::news::{Event, Exit, ExitNote};
use super::place::{Duty, Home, Place};
use super::report::PoolReport;
use super::roster::Roster;
use super::settings::Settings;
use super::worker::{Job, Spawn};
use crate::endpoint::Claim;
use crate::error::{Death, PoolFailure};
use crate::one_line::OneLine;
use crate::queue::{Age, Shared as Queue, count, drained, quietly};

/// No longer than this does it wait for anything: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// `None` until the pool has ended.
pub(super) type Outcome = Option<Result<PoolReport, PoolFailure>>;

pub(super) struct Supervisor<T: Send + 'static> {
    queue: Arc<Queue<T>>,
    settings: Settings,
    spawn: Spawn<T>,
    /// Gone when the pool has given up or ended.
    claim: Option<Claim<T>>,
    outcome: Option<watch::Sender<Outcome>>,
    roster: Arc<Roster<T>>,
    news: UnboundedSender<Event>,
    events: UnboundedReceiver<Event>,
    places: Vec<Place>,
    /// How many workers there are to be.
    target: usize,
    /// Those within the time of the restart limit.
    deaths: VecDeque<Instant>,
    /// Arbiters that were told to stop, and are being joined.
    retired: Vec<JoinHandle<thread::Result<()>>>,
    failure: Option<PoolFailure>,
}

impl<T: Send + 'static> Supervisor<T> {
    pub(super) fn new(settings: Settings, spawn: Spawn<T>, claim: Claim<T>, outcome: watch::Sender<Outcome>) -> Self {
        let (news, events) = unbounded();
        Self {
            queue: Arc::clone(claim.shared()),
            settings,
            spawn,
            claim: Some(claim),
            outcome: Some(outcome),
            roster: Arc::new(Roster::new()),
            news,
            events,
            places: Vec::new(),
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
        let mut end = pin!(drained(&self.queue).fuse());
        let mut stopped = pin!(system_stopped().fuse());
        while !self.places.iter().all(|place| place.duty == Duty::Done) {
            let mut time = pin!(sleep(self.time_left()).fuse());
            select_biased! {
                // The channel stays open: its other end is in here, too.
                event = self.events.next() => match event {
                    Some(Event::Exited(index, exit)) => self.exited(index, exit),
                    Some(Event::Resize(target)) => self.resize(target),
                    None => {}
                },
                _ = end => self.call_in(),
                () = stopped => break,
                () = time => {}
            }
            self.fill_vacancies();
            self.look_for_stuck();
            self.reap();
        }
        self.close();
        Arbiter::current().stop();
    }

    fn time_left(&self) -> Duration {
        let now = Instant::now();
        let vacancies = self.places.iter().filter_map(|place| match place.duty {
            Duty::Vacant(until) => Some(until.saturating_duration_since(now)),
            Duty::Working | Duty::Done => None,
        });
        let looks = self.settings.stuck_after.map(|after| (after / 4).max(Duration::from_millis(1)));
        vacancies.chain(looks).min().unwrap_or(LONGEST)
    }

    fn add_places(&mut self) {
        for index in self.places.len()..self.target {
            let name = format!("{}-{index}", self.settings.name);
            self.roster.add(name.clone());
            self.places.push(Place::new(name));
        }
    }

    fn start(&mut self, index: usize) -> io::Result<()> {
        if self.places[index].home.as_ref().is_some_and(|home| !home.handle().alive()) {
            self.retire(index);
        }
        let (home, inherited) = match self.places[index].home.take() {
            Some(home) => (home, true),
            None => (self.new_home(index)?, false),
        };
        let Some(claim) = &self.claim else { unreachable!("nobody is wanted once the pool has given up") };
        let late = self.queue.has_ended();
        let place = &mut self.places[index];
        let consumer = claim.consumer(&place.name);
        let row = Arc::clone(&consumer.slot().row);
        self.roster.begin(index, row);
        let note = ExitNote::new(index, self.news.clone());
        // If the arbiter stops before the worker begins, the note brings the news.
        (self.spawn)(&home.handle(), Job { consumer, max_in_flight: self.settings.max_in_flight, note });
        place.begin(home, inherited, late);
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
        if let Some(Home::Own(arbiter)) = self.places[index].home.take() {
            arbiter.stop();
            // Whatever the arbiter's thread still has to do must not hold up this one.
            let joining = thread::Builder::new().name("pool-join".to_owned()).spawn(|| arbiter.join());
            match joining {
                Ok(joining) => self.retired.push(joining),
                Err(error) => {
                    log::error!("no thread to join an arbiter of the pool {}: {error}", OneLine(&self.settings.name))
                }
            }
        }
    }

    fn exited(&mut self, index: usize, exit: Exit) {
        let row = self.roster.end(index);
        match exit {
            Exit::Told => self.dismiss(index),
            Exit::Left if self.is_wanted(index) => self.places[index].duty = Duty::Vacant(Instant::now()),
            Exit::Left => self.dismiss(index),
            Exit::Died(death) => {
                if death == Death::ArbiterStopped {
                    self.retire(index);
                }
                let idle = death == Death::ArbiterStopped || row.is_none_or(|row| row.handed() == 0);
                self.died(index, death, idle);
            }
        }
    }

    fn is_wanted(&self, index: usize) -> bool {
        index < self.target && self.failure.is_none()
    }

    fn dismiss(&mut self, index: usize) {
        self.places[index].duty = Duty::Done;
        self.retire(index);
    }

    /// `idle`: not of an item.
    fn died(&mut self, index: usize, death: Death, idle: bool) {
        let wanted = self.is_wanted(index);
        let place = &mut self.places[index];
        place.futile = if idle { place.futile.saturating_add(1) } else { 0 };
        self.roster.died(index, death.clone());
        let name = OneLine(place.name.clone());
        // A late one that was put into an arbiter that was already stopping has not heard of the end.
        let never_began = place.inherited && death == Death::ArbiterStopped;
        if !wanted || (place.late && !never_began) {
            log::warn!("{name} died: {death}; it had nothing more to do");
            return self.dismiss(index);
        }
        let counts = match death {
            // Nobody's fault; or the system stops, and this arbiter is to be told next.
            Death::ArbiterStopped => false,
            Death::NoArbiter(_) => self.places.iter().all(|place| place.duty != Duty::Working),
            Death::Panicked(_) | Death::Stopped => true,
        };
        if counts && self.is_over_the_limit() {
            return self.give_up(index, death);
        }
        let delay = match self.places[index].futile {
            0 => Duration::ZERO,
            _ if self.queue.has_ended() => Duration::ZERO,
            futile => self.settings.restart_backoff.delay(futile).min(LONGEST),
        };
        match delay {
            Duration::ZERO => log::warn!("{name} died: {death}; another one takes its place"),
            delay => log::warn!("{name} died: {death}; another one takes its place in {}", Age(delay)),
        }
        self.places[index].duty = Duty::Vacant(Instant::now() + delay);
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
        let worker = self.places[index].name.clone();
        log::error!(
            "{}: its pool gives up, too many workers died, the last one was {}: {death}",
            self.queue.label(),
            OneLine(&worker)
        );
        self.failure = Some(PoolFailure::GaveUp { worker, death });
        self.roster.close();
        self.dismiss(index);
        for index in 0..self.places.len() {
            match self.places[index].duty {
                Duty::Vacant(_) => self.dismiss(index),
                Duty::Working if self.settings.keep_queue => self.order_leave(index, true),
                Duty::Working | Duty::Done => {}
            }
        }
        if !self.settings.keep_queue {
            let left = self.queue.abort();
            if !left.is_empty() {
                let items = count(left.len() as u64, "item");
                log::error!("{}: aborted, {items} left: take_left() has them", self.queue.label());
            }
            self.roster.keep_left(left);
        }
        // After the abort: what is left must not be dropped as abandoned.
        self.claim = None;
    }

    fn resize(&mut self, target: usize) {
        if self.failure.is_some() {
            return;
        }
        let shrinks = target < self.target;
        self.target = target;
        self.add_places();
        let ended = self.queue.has_ended();
        for index in 0..self.places.len() {
            let wanted = index < target;
            match self.places[index].duty {
                // It may be about to leave since the last time.
                Duty::Working => self.order_leave(index, !wanted),
                Duty::Vacant(_) if !wanted => self.dismiss(index),
                // It waits for its backoff, and those who work may be among those who leave.
                Duty::Vacant(_) if shrinks => self.places[index].duty = Duty::Vacant(Instant::now()),
                Duty::Done if wanted && !ended => self.places[index].duty = Duty::Vacant(Instant::now()),
                Duty::Vacant(_) | Duty::Done => {}
            }
        }
    }

    /// The queue has ended: those who are still to come need only hear of it.
    fn call_in(&mut self) {
        for place in &mut self.places {
            if let Duty::Vacant(until) = &mut place.duty {
                *until = Instant::now();
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
        for index in 0..self.places.len() {
            if self.places[index].is_vacant_at(now)
                && let Err(error) = self.start(index)
            {
                self.died(index, Death::NoArbiter(error.to_string()), true);
            }
        }
    }

    fn look_for_stuck(&mut self) {
        let Some(after) = self.settings.stuck_after else { return };
        for (index, place) in self.places.iter_mut().enumerate() {
            if let Some(row) = self.roster.row(index) {
                place.look_for_progress(&row, after);
            }
        }
    }

    fn reap(&mut self) {
        self.retired.extract_if(.., |joining| joining.is_finished()).for_each(join);
    }

    /// Ends the pool, if it has not ended yet.
    fn close(&mut self) {
        let Some(outcome) = self.outcome.take() else { return };
        for index in 0..self.places.len() {
            // Arbiters that were given go on.
            self.order_leave(index, true);
            self.retire(index);
        }
        std::mem::take(&mut self.retired).into_iter().for_each(join);
        self.roster.close();
        // Before the claim goes: that may abandon the queue.
        let drained = self.queue.ended();
        self.claim = None;
        let result = match (self.failure.take(), drained) {
            (Some(failure), _) => Err(failure),
            (None, None) => Err(PoolFailure::Stopped),
            // Also if the system was stopped: those who hear of the end first may do that.
            (None, Some(drained)) => Ok(PoolReport::new(drained, self.roster.report())),
        };
        quietly("the waker of one who awaits a pool", || drop(outcome.send(Some(result))));
    }
}

impl<T: Send + 'static> Drop for Supervisor<T> {
    /// Its arbiter stops with the system, or the pool could not be started.
    fn drop(&mut self) {
        self.close();
    }
}

/// Resolves when the system has stopped. An arbiter that is younger than the order to stop does not
/// get it; so this is told by what becomes of a future in the system's own arbiter.
async fn system_stopped() {
    let (mut lives, stopped) = oneshot::channel::<Infallible>();
    System::current().arbiter().spawn(async move { lives.cancellation().await });
    let _ = stopped.await;
}

fn join(joining: JoinHandle<thread::Result<()>>) {
    if !matches!(joining.join(), Ok(Ok(()))) {
        log::error!("an arbiter of a pool panicked");
    }
}
