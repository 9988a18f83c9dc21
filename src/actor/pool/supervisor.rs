//! The supervisor restarts workers that die. It has an arbiter to itself, so that no worker delays it. How it changes
//! their number is in `resize.rs`.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::time::sleep;
use actix_rt::{Arbiter, ArbiterHandle, System};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use futures::{FutureExt, StreamExt, select_biased};
use tokio::sync::watch;

use super::arbiters::Arbiters;
use super::exit::{Exit, ExitSender, PoolEvent};
use super::handle::PoolResult;
use super::restart_policy::{LONGEST_WAIT, RestartPolicy};
use super::roster::Roster;
use super::scaler::{ScaleTimes, Scaler};
use super::time_limit::TimeLimit;
use super::worker::{SpawnWorker, WorkerParts};
use super::worker_count::WorkerCount;
use super::worker_slot::{SlotState, WorkerSlot};
use crate::endpoint::PoolClaim;
use crate::error::{Death, PoolFailure};
use crate::one_line::OneLine;
use crate::queue::{Age, PoolReport, Shared as Queue, count, drained, quietly};

/// The configuration of a pool.
#[derive(Debug)]
pub(super) struct PoolSettings {
    pub(super) name: String,
    /// `None` if the user has not said it.
    pub(super) max_in_flight: Option<usize>,
    pub(super) arbiters: Vec<ArbiterHandle>,
    pub(super) restarts: RestartPolicy,
    pub(super) keep_queue: bool,
    pub(super) stuck_after: Option<Duration>,
    pub(super) handler_timeout: Option<Duration>,
    pub(super) scale_times: ScaleTimes,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            name: "worker".to_owned(),
            max_in_flight: None,
            arbiters: Vec::new(),
            restarts: RestartPolicy::default(),
            keep_queue: false,
            stuck_after: None,
            handler_timeout: None,
            scale_times: ScaleTimes::default(),
        }
    }
}

pub(super) struct Supervisor<T: Send + 'static> {
    pub(super) queue: Arc<Queue<T>>,
    pub(super) settings: PoolSettings,
    spawn: SpawnWorker<T>,
    arbiters: Arbiters,
    /// `None` once the pool has given up or ended.
    claim: Option<PoolClaim<T>>,
    /// Sends `Some` when the pool has ended.
    result: Option<watch::Sender<Option<PoolResult>>>,
    pub(super) roster: Arc<Roster>,
    event_sender: UnboundedSender<PoolEvent>,
    events: UnboundedReceiver<PoolEvent>,
    pub(super) slots: Vec<WorkerSlot>,
    /// How many workers the pool is to have.
    pub(super) target: usize,
    pub(super) scaler: Scaler,
    pub(super) failure: Option<PoolFailure>,
}

impl<T: Send + 'static> Supervisor<T> {
    pub(super) fn new(
        mut settings: PoolSettings,
        count: WorkerCount,
        batch: usize,
        spawn: SpawnWorker<T>,
        claim: PoolClaim<T>,
        result: watch::Sender<Option<PoolResult>>,
    ) -> Self {
        let (event_sender, events) = unbounded();
        Self {
            queue: Arc::clone(claim.shared()),
            arbiters: Arbiters::new(settings.name.clone(), std::mem::take(&mut settings.arbiters)),
            scaler: Scaler::new(count, batch, settings.scale_times),
            settings,
            spawn,
            claim: Some(claim),
            result: Some(result),
            roster: Arc::new(Roster::new()),
            event_sender,
            events,
            slots: Vec::new(),
            target: 0,
            failure: None,
        }
    }

    /// Returns what the pool's handles share with the supervisor.
    pub(super) fn handles(&self) -> (Arc<Roster>, UnboundedSender<PoolEvent>) {
        (Arc::clone(&self.roster), self.event_sender.clone())
    }

    pub(super) fn start_all(&mut self, workers: usize) -> io::Result<()> {
        self.set_target(workers);
        (0..workers).try_for_each(|index| self.start(index))
    }

    pub(super) async fn run(mut self) {
        let mut end = pin!(drained(&self.queue).fuse());
        let mut stopped = pin!(system_stopped().fuse());
        while !self.slots.iter().all(|slot| slot.state == SlotState::Closed) {
            let mut timer = pin!(sleep(self.time_to_wait()).fuse());
            select_biased! {
                // The channel stays open, as the supervisor itself holds a sender.
                event = self.events.next() => match event {
                    Some(PoolEvent::Exited(index, exit)) => self.on_exit(index, exit),
                    Some(PoolEvent::Resize(count)) => self.resize(count),
                    None => {}
                },
                _ = end => self.skip_backoffs(),
                () = stopped => break,
                () = timer => {}
            }
            self.scale();
            self.restart_due();
            self.check_stuck();
            self.arbiters.join_stopped();
        }
        self.close();
        Arbiter::current().stop();
    }

    fn time_to_wait(&self) -> Duration {
        let now = Instant::now();
        let restarts = self.slots.iter().filter_map(|slot| match slot.state {
            SlotState::RestartAt(time) => Some(time.saturating_duration_since(now)),
            SlotState::Running | SlotState::Closed => None,
        });
        let stuck_check = self.settings.stuck_after.map(|after| (after / 4).max(Duration::from_millis(1)));
        let scale_check = self.scaler.next_look(self.target).filter(|_| self.scales());
        restarts.chain(stuck_check).chain(scale_check).min().unwrap_or(LONGEST_WAIT)
    }

    fn start(&mut self, index: usize) -> io::Result<()> {
        if self.slots[index].arbiter.as_ref().is_some_and(|arbiter| !arbiter.handle().alive()) {
            self.release_arbiter(index);
        }
        let (arbiter, reused) = match self.slots[index].arbiter.take() {
            Some(arbiter) => (arbiter, true),
            None => (self.arbiters.provide(index)?, false),
        };
        let Some(claim) = &self.claim else { unreachable!("no worker is wanted once the pool has given up") };
        let after_end = self.queue.has_ended();
        let slot = &mut self.slots[index];
        let consumer = claim.consumer(&slot.name);
        let row = Arc::clone(&consumer.slot().row);
        let timed_out = self.roster.start(index, row);
        // If the arbiter stops before the worker begins, the sender is dropped, which reports the exit.
        let exit = ExitSender::new(index, self.event_sender.clone());
        let time_limit = self.settings.handler_timeout.map(|time| TimeLimit { time, timed_out });
        (self.spawn)(&arbiter.handle(), WorkerParts { consumer, time_limit, exit });
        slot.run(arbiter, reused, after_end);
        Ok(())
    }

    fn release_arbiter(&mut self, index: usize) {
        if let Some(arbiter) = self.slots[index].arbiter.take() {
            self.arbiters.release(arbiter);
        }
    }

    fn on_exit(&mut self, index: usize, exit: Exit) {
        let row = self.roster.end(index);
        match exit {
            Exit::Finished => self.close_slot(index),
            // A resize wanted it to stay after it had left.
            Exit::Left if self.is_wanted(index) => self.slots[index].state = SlotState::RestartAt(Instant::now()),
            Exit::Left => self.close_slot(index),
            Exit::Died(death) => {
                if death == Death::ArbiterStopped {
                    self.release_arbiter(index);
                }
                let idle = death == Death::ArbiterStopped || row.is_none_or(|row| row.handed() == 0);
                self.on_death(index, death, idle);
            }
        }
    }

    fn is_wanted(&self, index: usize) -> bool {
        index < self.target && self.failure.is_none()
    }

    pub(super) fn close_slot(&mut self, index: usize) {
        self.slots[index].state = SlotState::Closed;
        self.release_arbiter(index);
    }

    /// Restarts a worker that died, or gives up. `idle` says that no item can be the cause.
    fn on_death(&mut self, index: usize, death: Death, idle: bool) {
        let wanted = self.is_wanted(index);
        let slot = &mut self.slots[index];
        slot.idle_deaths = if idle { slot.idle_deaths.saturating_add(1) } else { 0 };
        self.roster.count_death(index, death.clone());
        let name = OneLine(slot.name.clone());
        // Started in an arbiter that was already stopping, it never ran, and so has not handled the end.
        let never_ran = slot.reuses_arbiter && death == Death::ArbiterStopped;
        if !wanted || (slot.started_after_end && !never_ran) {
            log::warn!("{name} died: {death}; not restarting it, as it had nothing left to do");
            return self.close_slot(index);
        }
        let counts = match death {
            // Not the worker's fault; or the system is stopping, and the supervisor's arbiter is next.
            Death::ArbiterStopped => false,
            Death::NoArbiter(_) => self.slots.iter().all(|slot| slot.state != SlotState::Running),
            Death::Panicked(_) | Death::Stopped => true,
        };
        if counts && self.settings.restarts.count_death() {
            return self.give_up(index, death);
        }
        let delay = match self.queue.has_ended() {
            true => Duration::ZERO,
            false => self.settings.restarts.delay(self.slots[index].idle_deaths),
        };
        match delay {
            Duration::ZERO => log::warn!("{name} died: {death}; restarting it"),
            delay => log::warn!("{name} died: {death}; restarting it in {}", Age(delay)),
        }
        self.slots[index].state = SlotState::RestartAt(Instant::now() + delay);
    }

    fn give_up(&mut self, index: usize, death: Death) {
        let worker = self.slots[index].name.clone();
        log::error!(
            "{}: its pool gives up: too many workers died, the last one was {}: {death}",
            self.queue.label(),
            OneLine(&worker)
        );
        self.failure = Some(PoolFailure::GaveUp { worker, death });
        self.roster.close();
        self.close_slot(index);
        for index in 0..self.slots.len() {
            match self.slots[index].state {
                SlotState::RestartAt(_) => self.close_slot(index),
                SlotState::Running if self.settings.keep_queue => self.order_leave(index, true),
                SlotState::Running | SlotState::Closed => {}
            }
        }
        if !self.settings.keep_queue {
            let left = self.queue.abort();
            if !left.is_empty() {
                let items = count(left.len() as u64, "item");
                log::error!("{}: aborted with {items} left, which take_left() returns", self.queue.label());
            }
            self.queue.keep_left(left);
        }
        // Dropped after the abort: before it, the queue would be abandoned and what is left dropped.
        self.claim = None;
    }

    /// Restarts workers at once, as the queue has ended: they only handle the end.
    fn skip_backoffs(&mut self) {
        for slot in &mut self.slots {
            if let SlotState::RestartAt(time) = &mut slot.state {
                *time = Instant::now();
            }
        }
    }

    pub(super) fn order_leave(&self, index: usize, leave: bool) {
        if let Some(row) = self.roster.row(index) {
            row.leave(leave);
        }
    }

    fn restart_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            if self.slots[index].is_due(now)
                && let Err(error) = self.start(index)
            {
                self.on_death(index, Death::NoArbiter(error.to_string()), true);
            }
        }
    }

    fn check_stuck(&mut self) {
        let Some(after) = self.settings.stuck_after else { return };
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(row) = self.roster.row(index) {
                slot.check_stuck(&row, after);
            }
        }
    }

    /// Ends the pool, if it has not ended yet.
    fn close(&mut self) {
        let Some(result_sender) = self.result.take() else { return };
        for index in 0..self.slots.len() {
            // Workers in arbiters that were given still run: they leave.
            self.order_leave(index, true);
            self.release_arbiter(index);
        }
        self.arbiters.join_all();
        self.roster.close();
        // Read before the claim is dropped, which may abandon the queue.
        let drained = self.queue.ended();
        self.claim = None;
        let result = match (self.failure.take(), drained) {
            (Some(failure), _) => Err(failure),
            (None, None) => Err(PoolFailure::Stopped),
            // Also if the system was stopped: a worker may stop it in its handler of `Drained`.
            (None, Some(drained)) => Ok(PoolReport::new(drained, self.roster.report(), self.roster.scaling())),
        };
        quietly("the waker of a task that awaits a pool", || drop(result_sender.send(Some(result))));
    }
}

impl<T: Send + 'static> Drop for Supervisor<T> {
    /// Ends the pool when the supervisor's arbiter stops with the system, or when the pool could not be started.
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits until the system has stopped.
///
/// An arbiter that is younger than the order to stop does not receive it. So this spawns a future in the system's
/// own arbiter and waits until that future is dropped.
async fn system_stopped() {
    let (mut alive, stopped) = oneshot::channel::<Infallible>();
    System::current().arbiter().spawn(async move { alive.cancellation().await });
    let _ = stopped.await;
}
