//! How endpoints open and close, and how a consumer says that its batch lingers.

use std::sync::Arc;

use super::consumer_row::ConsumerRow;
use super::lingering::Linger;
use super::producer_row::{ProducerEndpoint, ProducerRow};
use super::registry::HandleKey;
use crate::error::{OpenError, Refusal};
use crate::queue::effects::drop_quietly;
use crate::queue::shared::Shared;
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};

impl<T> Shared<T> {
    /// Counts another handle that can open endpoints. Returns whether there was one.
    ///
    /// The last handle seals under the same mutex. So a weak handle is upgraded either before, and then another handle is
    /// the last, or it finds none, and there is never one again.
    pub(crate) fn add_opener(&self) -> bool {
        let openers = &mut self.control().registry.openers;
        let open = *openers > 0;
        *openers += usize::from(open);
        open
    }

    /// Uncounts a handle that can open endpoints. The last one seals the queue (C3).
    pub(crate) fn close_opener(&self) {
        self.change(|control, effects| {
            control.registry.openers -= 1;
            if control.registry.openers == 0 {
                effects.letters = control.let_letters_go();
                effects.let_go.clone_from(&control.letter_readers);
                effects.letters_from = Some((self.name.clone(), self.id));
            }
            // Other processes may still open endpoints of a remote queue.
            control.life.sealed |= control.registry.openers == 0 && self.store.ends_here();
            effects.discard = control.unclaimed();
        });
    }

    /// Counts a handle that opens no endpoints and may ask for what is left after the end.
    pub(crate) fn add_keeper(&self) {
        self.control().registry.keepers += 1;
    }

    pub(crate) fn close_keeper(&self) {
        let unclaimed = {
            let mut control = self.control();
            control.registry.keepers -= 1;
            control.unclaimed()
        };
        unclaimed.into_iter().for_each(drop_quietly);
    }

    pub(crate) fn open_producer(
        &self,
        name: Option<Arc<str>>,
        watched: bool,
    ) -> Result<(HandleKey, Arc<ProducerRow>), OpenError> {
        let mut control = self.control();
        // Unlike consumers, which may join a queue that another process sealed, to replace those lost in a crash.
        control.life.may_open(control.life.is_sealed())?;
        let opened = control.registry.open_producer(name, watched);
        self.store.membership_changed();
        Ok(opened)
    }

    /// Opens another handle for an endpoint, also after seal. `None` if it was closed from outside.
    pub(crate) fn add_handle(&self, endpoint: &Arc<ProducerEndpoint>) -> Option<(HandleKey, Arc<ProducerRow>)> {
        let mut control = self.control();
        control.registry.producer_is_open(endpoint.id).then(|| control.registry.add_handle(Arc::clone(endpoint)))
    }

    /// Closes a handle. The endpoint closes with its last handle (C2).
    pub(crate) fn close_handle(&self, key: HandleKey) {
        self.change(|control, _| control.registry.remove_handle(key));
    }

    /// Closes watched endpoints with all their handles, and wakes their waiting puts (A3).
    pub(crate) fn close_endpoints(&self, endpoints: &[Arc<ProducerEndpoint>]) {
        for endpoint in endpoints {
            endpoint.shut();
        }
        self.change(|control, effects| {
            for endpoint in endpoints {
                effects.wake.extend(control.registry.remove_producer(endpoint.id));
            }
            effects.wake.extend(control.lines.putters.pop_all());
            effects.wake.extend(control.lines.refused.pop_all());
            self.flag_waiters(control);
        });
    }

    pub(crate) fn open_consumer(&self, name: Option<Arc<str>>) -> Result<Arc<ConsumerRow>, OpenError> {
        let mut control = self.control();
        control.life.may_open(control.life.sealed)?;
        let opened = control.registry.open_consumer(name);
        self.store.membership_changed();
        Ok(opened)
    }

    /// Counts a pool, which may open consumers from now on, also after seal (D7).
    pub(crate) fn open_pool(&self) -> Result<(), OpenError> {
        let mut control = self.control();
        control.life.may_open(control.life.sealed)?;
        control.registry.pools += 1;
        self.store.membership_changed();
        Ok(())
    }

    pub(crate) fn close_pool(&self) {
        self.change(|control, _| control.registry.pools -= 1);
    }

    /// Opens a consumer of a pool that is open.
    pub(crate) fn add_pool_consumer(&self, name: Arc<str>) -> Arc<ConsumerRow> {
        self.control().registry.open_consumer(Some(name))
    }

    /// Opens another consumer beside one that is open, also after seal. It has the same name, if that was given.
    pub(crate) fn add_consumer(&self, beside: &ConsumerRow) -> Arc<ConsumerRow> {
        self.change(|control, _| {
            let name = beside.given_name().cloned();
            let row = control.registry.add_consumer(name, Arc::clone(&beside.shut));
            if beside.is_shut() {
                control.registry.close_shut_consumers();
            }
            row
        })
    }

    pub(crate) fn close_consumer(&self, row: &ConsumerRow) {
        self.change(|control, _| control.registry.close_consumer(row));
    }

    /// Closes watched consumers from outside, with their clones: their takes end (A3).
    pub(crate) fn shut_consumers<'a>(&self, flags: impl IntoIterator<Item = &'a AtomicBool>) {
        // Set before the mutex is taken: a clone made meanwhile is either in the registry by then, or sees the flag.
        for shut in flags {
            shut.store(true, SeqCst);
        }
        self.change(|control, effects| {
            control.registry.close_shut_consumers();
            control.returned.end_promises();
            effects.wake.extend(control.lines.getters.pop_all());
            self.flag_waiters(control);
        });
    }

    /// Returns why a put fails.
    pub(crate) fn refusal(&self) -> Refusal {
        self.control().life.refusal()
    }

    /// Returns why every put through this handle is refused from now on; `None` while one may be accepted.
    pub(crate) fn refusal_of(&self, row: &ProducerRow) -> Option<Refusal> {
        let Some(_held) = row.endpoint.hold_open() else { return Some(Refusal::Closed) };
        let control = self.control();
        control.life.refuses_puts().then(|| control.life.refusal())
    }

    pub(crate) fn has_open_consumer(&self) -> bool {
        !self.control().registry.no_consumer_open()
    }

    /// Notes that a batch with this many leases waits for more. Returns whether no more can come. A later change that
    /// stops it wakes all consumers that stand in the line, so it stands there already.
    ///
    /// Over Redis only the server could know that.
    pub(crate) fn linger(&self, linger: &mut Linger, leases: usize) -> bool {
        if !self.store.ends_here() {
            return false;
        }
        // The change is followed by a look at whether these leases were the last.
        self.change(|control, _| control.lingering.begin(linger, leases as u64));
        self.control().lingering.is_stopped(linger)
    }

    /// Notes that a batch does not wait any more. Its leases may be settled only after this.
    pub(crate) fn stop_lingering(&self, linger: &mut Linger) {
        if linger.is_told() {
            self.control().lingering.end(linger);
        }
    }
}
