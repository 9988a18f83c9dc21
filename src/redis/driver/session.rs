//! One connection's life: a loop for each direction, each with one call under way.
//!
//! While a call is under way, more gathers for the next one: so batches are small when there is little to do, and
//! large when there is much, without a timer. A notification from Redis (`notifications.rs`) may be lost: a loop that waits
//! for one looks again after a [`TICK`] anyway.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::queue_driver::{QueueDriver, Sent};
use super::report;
use crate::queue::{LocalStatus, count};
use crate::redis::client::{ClaimReply, Failure, PutReply, Registered, Renewed};
use crate::redis::json::Payload;
use crate::redis::local::prefetch::STALE;
use crate::redis::server::notifications::{self, Listener};

/// How long a loop waits for a notification before it looks by itself.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// Returns the time until the next tick, which is the same for all queues: what they ask then travels together.
pub(crate) fn until_tick() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = FIRST.elapsed().as_nanos() % TICK.as_nanos();
    TICK.saturating_sub(Duration::from_nanos(since as u64))
}

/// Why a session is over.
pub(crate) enum Stop {
    Failed(Failure),
    Ended,
    Leaving,
    GoneBack,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Does not return but to stop.
type Loop = Result<Infallible, Stop>;

pub(crate) struct Session<'a, T> {
    driver: &'a QueueDriver<T>,
    /// What Redis was told last of this process; `None` if it must be told anew.
    told: RefCell<Option<LocalStatus>>,
    /// It knows of producers here, and accepts puts.
    registered: Cell<bool>,
    told_anew: Notify,
    /// What Redis says: there are items, there is room, something else has changed.
    listener: Listener,
}

impl<'a, T: Payload> Session<'a, T> {
    pub(crate) fn new(driver: &'a QueueDriver<T>) -> Self {
        Self {
            driver,
            told: RefCell::new(None),
            registered: Cell::new(false),
            told_anew: Notify::new(),
            listener: Listener::default(),
        }
    }

    pub(crate) async fn serve(self) -> Stop {
        let QueueDriver { server, client, .. } = self.driver;
        let notifications =
            async { Ok(notifications::listen(&server.notifications, client.channels(), self.listener.clone()).await) };
        let served = futures::try_join!(
            self.register(),
            self.put(),
            self.settle(),
            self.claim(),
            self.give_back(),
            self.keep_up(),
            notifications
        );
        match served {
            Err(stop) => stop,
        }
    }

    /// Says who is here, whenever that changes; and finds out when nobody is.
    async fn register(&self) -> Loop {
        let QueueDriver { shared, link, .. } = self.driver;
        let mut quiet = 0_u32;
        loop {
            // They are counted under the lock under which they are made: those that are counted here are seen below.
            let changes = link.changes();
            // Read before what is leased: a consumer claims before it takes from the prefetch.
            let leaving = shared.is_leaving();
            if leaving {
                self.listener.room.notify_one();
                let unheld = link.prefetch().take_all();
                link.undo(unheld);
            }
            let mut here = shared.local_status();
            // Read after the number of producers: what one put before it closed is seen here, and as long as it
            // is not confirmed, a producer is open (C4).
            let unconfirmed = link.puts().len() > 0;
            // Otherwise a close is held back, and there is more to tell once all is confirmed.
            let as_it_is = here.producers > 0 || !unconfirmed;
            here.producers = here.producers.max(usize::from(unconfirmed));
            if here.ended {
                return Err(Stop::Leaving);
            }
            // And this after it: what became of a lease is reported before it counts as settled.
            let settled = link.settle_log(|log| log.is_empty());
            let idle = leaving && here.leased == 0 && here.permits == 0 || self.driver.is_needless();
            let told = !here.sealed || self.told.borrow().as_ref().is_some_and(|told| told.sealed);
            if idle && told && !unconfirmed && settled && link.prefetch().len() == 0 {
                return Err(Stop::Leaving);
            }
            self.tell(&here).await?;
            if as_it_is {
                link.tell_changes(changes);
                shared.notify_flushers();
            }
            // That the last thing that knows the queue is dropped is not told; it often follows the last close.
            let soon = idle || !here.can_open && here.producers + here.consumers == 0 && quiet < 50;
            let patience = if soon { SHORT } else { TICK };
            quiet = timeout(patience, link.changed.notified()).await.map_or(quiet + 1, |()| 0);
        }
    }

    async fn tell(&self, here: &LocalStatus) -> Result<(), Stop> {
        let QueueDriver { shared, client, .. } = self.driver;
        let told = self.told.borrow().clone();
        let same = |told: &LocalStatus| {
            (told.producers, told.consumers, told.can_open, &told.names)
                == (here.producers, here.consumers, here.can_open, &here.names)
        };
        if !told.as_ref().is_some_and(same) || self.registered.get() != (here.producers > 0) {
            match client.register(here.producers, here.consumers, here.can_open, &here.names).await? {
                Registered::Ended => return Err(Stop::Ended),
                Registered::Ok => self.registered.set(here.producers > 0),
                Registered::Sealed { producers: 0 } => shared.refuse_puts(),
                // Some were known there before the seal. The others count from when those are closed.
                Registered::Sealed { .. } => self.registered.set(true),
            }
            self.told_anew.notify_one();
        }
        // After those that were opened before it.
        if here.sealed && !told.is_some_and(|told| told.sealed) && !client.is_of_letters() {
            client.seal().await?;
        }
        *self.told.borrow_mut() = Some(here.clone());
        Ok(())
    }

    async fn put(&self) -> Loop {
        let QueueDriver { shared, link, client, .. } = self.driver;
        // Between two tries.
        let mut out_of_memory = None;
        // As far as this process knows. One item is sent in any case, to look.
        let mut room = usize::MAX;
        loop {
            let Some(batch) = link.puts().next_batch(room.max(1)) else {
                link.put.notified().await;
                continue;
            };
            if !self.registered.get() {
                link.changed.notify_one();
                self.told_anew.notified().await;
                continue;
            }
            let answer = client.put(batch.first, &batch.payloads).await;
            drop(batch);
            match answer {
                Ok(PutReply::Accepted { last, room: left }) => {
                    self.accepted(last);
                    room = left.map_or(usize::MAX, |left| left as usize);
                }
                Ok(PutReply::Full(last)) => {
                    self.accepted(last);
                    room = 1;
                    if shared.is_leaving() {
                        // The others may never make room.
                        shared.refuse_puts();
                    } else if timeout(TICK, self.listener.room.notified()).await.is_ok() {
                        room = self.listener.room_said.get() as usize;
                    }
                }
                // It was told meanwhile that no producer is open.
                Ok(PutReply::Closed) => self.registered.set(false),
                Ok(PutReply::Gap) => return Err(Stop::GoneBack),
                Ok(PutReply::Ended) => return Err(Stop::Ended),
                // Memory may never come.
                Err(Failure::NoMemory) if shared.is_leaving() => shared.refuse_puts(),
                Err(Failure::NoMemory) => {
                    if out_of_memory.is_none() {
                        log::warn!("{}: Redis has no memory left; puts wait until it has", shared.label());
                    }
                    // All of the batch goes each time.
                    let pause = out_of_memory.map_or(SHORT, |pause: Duration| (2 * pause).min(TICK));
                    out_of_memory = Some(pause);
                    sleep(pause).await;
                    continue;
                }
                Err(failure) => return Err(failure.into()),
            }
            if out_of_memory.take().is_some() {
                log::warn!("{}: Redis has memory again", shared.label());
            }
        }
    }

    fn accepted(&self, last: u64) {
        let confirmed = self.driver.link.puts().accepted(last);
        self.driver.confirm(confirmed);
    }

    async fn settle(&self) -> Loop {
        let QueueDriver { shared, link, .. } = self.driver;
        loop {
            match self.driver.send_settles().await? {
                Sent::Some => {}
                Sent::Nothing => {
                    link.settled.notified().await;
                    continue;
                }
                Sent::Ended => return Err(Stop::Ended),
            }
            link.wanted.notify_one();
            if shared.is_leaving() || self.driver.is_needless() {
                link.changed.notify_one();
            }
        }
    }

    async fn claim(&self) -> Loop {
        let QueueDriver { shared, link, client, .. } = self.driver;
        loop {
            let (waiting, done) = (shared.awaited_items(), link.done());
            // What was done and not told is done again if this process dies: so it is bounded.
            let behind = link.settle_log(|log| log.is_behind());
            let wanted =
                if behind || shared.is_leaving() { 0 } else { link.prefetch().wanted(waiting, done, Instant::now()) };
            if wanted == 0 {
                link.wanted.notified().await;
                continue;
            }
            // Before Redis is asked: all letters are there by the time that their queue has ended, so this claim sees them.
            let ended = client.is_of_letters() && shared.local_status().sealed;
            let began = Instant::now();
            match client.claim(wanted, link.handed()).await? {
                ClaimReply::Items { first, entries } => {
                    link.prefetch().took(began.elapsed());
                    let count = entries.len();
                    link.deliver(first, entries);
                    shared.notify_getters(count);
                }
                ClaimReply::Empty { .. } if ended && self.has_settled_all() => return Err(Stop::Ended),
                ClaimReply::Empty { next_due } => {
                    let _ = timeout(next_due.unwrap_or(TICK).min(TICK), self.listener.items.notified()).await;
                }
                ClaimReply::Ended => return Err(Stop::Ended),
            }
        }
    }

    /// No item is with this process.
    fn has_settled_all(&self) -> bool {
        let QueueDriver { shared, link, .. } = self.driver;
        // In this order, as in `register`: what has left the prefetch is leased, what is leased no more was reported.
        let fetched = link.prefetch().len();
        let leased = shared.local_status().leased;
        let settled = link.settle_log(|log| log.is_empty());
        fetched == 0 && leased == 0 && settled
    }

    /// Gives back what lies here for nobody.
    async fn give_back(&self) -> Loop {
        let QueueDriver { link, .. } = self.driver;
        loop {
            let due = link.prefetch().due();
            match due {
                None => link.fetched.notified().await,
                Some(due) => {
                    let now = Instant::now();
                    let due_back = link.prefetch().take_due(now);
                    link.undo(due_back);
                    // Not longer: what is fetched meanwhile may be due before.
                    sleep(due.saturating_duration_since(now).min(STALE)).await;
                }
            }
        }
    }

    /// Signs of life, news of the others, and what is done from time to time.
    async fn keep_up(&self) -> Loop {
        let QueueDriver { shared, link, client, settings, .. } = self.driver;
        let renewal = settings.lease / 3;
        let mut due = Instant::now();
        loop {
            // What was handed out is told with claims and settles; where there are none, so that it counts if this process dies.
            if Instant::now() >= due || !client.has_told(link.handed()) {
                loop {
                    due = Instant::now() + renewal;
                    match client.renew(link.handed()).await? {
                        Renewed::Ok { more: true } => {}
                        Renewed::Ok { more: false } => break,
                        Renewed::Ended => return Err(Stop::Ended),
                    }
                }
            }
            let report = client.report().await?;
            if report.ended.is_some() {
                return Err(Stop::Ended);
            }
            report::spread(&report, client, shared, link);
            let late = link.take_late();
            if late > 0 {
                let leases = count(late, "lease");
                log::warn!("{}: {leases} ended after the loss; others do those items again", shared.label());
            }
            let overdue = link.give_up_overdue().unwrap_or(due);
            let rest = due.min(overdue).saturating_duration_since(Instant::now());
            let _ = timeout(rest.min(until_tick()), self.listener.state.notified()).await;
        }
    }
}

/// Where there is nothing to wait for but time.
const SHORT: Duration = Duration::from_millis(20);
