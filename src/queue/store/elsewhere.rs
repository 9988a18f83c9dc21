//! Puts and takes, if the store is remote.

use std::task::Waker;

use super::Store;
use super::put::NotPut;
use super::remote::{Delivery, Receipt, Remote, RemoteStore, Settled, Unsendable};
use super::take::{Take, Taken};
use crate::error::{Refusal, TryGetError};
use crate::queue::effects::{drop_quietly, wake};
use crate::queue::flags::ENDED;
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::membership::producer_row::ProducerRow;
use crate::queue::shared::Shared;
use crate::queue::waiting::lines::Line;

impl<T> Shared<T> {
    #[cold]
    pub(super) fn put_elsewhere(
        &self,
        remote: &RemoteStore<T>,
        row: &ProducerRow,
        put: &mut Option<T>,
        entitled: bool,
    ) -> Result<Receipt, NotPut> {
        // A put that finds no room does not encode its item. Encoding is user code, so it runs without the mutex.
        if !self.has_room(&self.control(), entitled) && !self.refuses(row) {
            return Err(NotPut::Full);
        }
        let encoded = self.encode(&*remote.driver, put)?;
        let Some(_held) = row.endpoint.hold_open() else { return Err(Refusal::Closed.into()) };
        let control = self.control();
        if control.life.refuses_puts() {
            return Err(control.life.refusal().into());
        }
        if !self.has_room(&control, entitled) {
            return Err(NotPut::Full);
        }
        Ok(self.accept(remote, row, put, encoded))
    }

    fn encode(&self, driver: &dyn Remote<T>, put: &Option<T>) -> Result<Vec<u8>, Refusal> {
        let Some(item) = put else { unreachable!("an item is put once") };
        self.encode_item(driver, item)
    }

    pub(super) fn encode_item(&self, driver: &dyn Remote<T>, item: &T) -> Result<Vec<u8>, Refusal> {
        driver.encode(item).map_err(|error| {
            let label = self.label();
            match error {
                Unsendable::NoJson(_) => {
                    log::error!("{label}: an item cannot be written as JSON: {error}");
                    Refusal::Unserializable
                }
                Unsendable::TooLarge { .. } => {
                    log::error!("{label}: an item is too large: {error}");
                    Refusal::TooLarge
                }
            }
        })
    }

    /// Hands an item to the driver. The caller holds the mutex.
    fn accept(&self, remote: &RemoteStore<T>, row: &ProducerRow, put: &mut Option<T>, encoded: Vec<u8>) -> Receipt {
        let Some(item) = put.take() else { unreachable!("an item is put once") };
        row.count_put();
        row.stamp_put(self.clock.now());
        Receipt::Unconfirmed(remote.driver.put(item, encoded))
    }

    /// Reserves room. Permits count as used room, so their puts never wait.
    pub(super) fn reserve_elsewhere(&self, remote: &RemoteStore<T>, entitled: bool) -> Result<(), NotPut> {
        let control = self.control();
        if control.life.refuses_puts() {
            return Err(control.life.refusal().into());
        }
        if !self.has_room(&control, entitled) {
            return Err(NotPut::Full);
        }
        remote.add_permit();
        Ok(())
    }

    pub(super) fn put_reserved_elsewhere(
        &self,
        remote: &RemoteStore<T>,
        row: &ProducerRow,
        put: &mut Option<T>,
    ) -> Result<Receipt, Refusal> {
        let encoded = self.encode(&*remote.driver, put);
        let held = row.endpoint.hold_open();
        let result = {
            let control = self.control();
            remote.return_permit();
            match encoded {
                _ if held.is_none() => Err(Refusal::Closed),
                _ if control.life.refuses_children() || control.life.puts_refused => Err(control.life.refusal()),
                Err(refusal) => Err(refusal),
                Ok(encoded) => Ok(self.accept(remote, row, put, encoded)),
            }
        };
        drop(held);
        if result.is_err() {
            wake(self.notify_next(Line::Putters));
        }
        remote.driver.changed();
        result
    }

    /// Returns whether a put is confirmed; a refusal hands the item back. `None` if that is not known yet: then the waker
    /// will be woken.
    pub(crate) fn confirmed(
        &self,
        number: u64,
        put: &mut Option<T>,
        mut waker: Option<Waker>,
    ) -> Option<Result<(), Refusal>> {
        let Store::Remote(remote) = &self.store else { return Some(Ok(())) };
        match remote.driver.confirmed(number, &mut waker)? {
            Ok(()) => Some(Ok(())),
            Err(item) => {
                *put = Some(item);
                Some(Err(self.refusal()))
            }
        }
    }

    /// Wakes flushes, as more of what this process did is known elsewhere.
    pub(crate) fn notify_flushers(&self) {
        self.notify_all(Line::Flushers);
    }

    /// Takes a put back if it has not been sent, or was refused.
    pub(crate) fn withdraw(&self, number: u64) -> Option<T> {
        let Store::Remote(remote) = &self.store else { return None };
        let item = remote.driver.withdraw(number)?;
        wake(self.notify_next(Line::Putters));
        // Flushes do not wait for this put any more.
        self.notify_flushers();
        Some(item)
    }

    /// Notes that no caller will ask whether a put is confirmed.
    pub(crate) fn detach(&self, receipt: Receipt) {
        if let (Receipt::Unconfirmed(number), Store::Remote(remote)) = (receipt, &self.store)
            && let Some(refused) = remote.driver.detach(number)
        {
            log::error!(
                "{}: a put was accepted and then refused; dropped, as no caller waits for the answer",
                self.label()
            );
            drop_quietly(refused);
        }
    }

    #[cold]
    pub(super) fn take_elsewhere(
        &self,
        remote: &RemoteStore<T>,
        row: &ConsumerRow,
        take: Take,
        taken: &mut Taken<T>,
    ) -> Result<(), TryGetError> {
        if row.is_shut() || self.flags.any(ENDED) {
            return Err(TryGetError::Ended);
        }
        // Claimed first: an item that has left the prefetch and is not reported yet keeps this process from leaving.
        row.claim();
        let Some(Delivery { item, lease, attempts }) = remote.driver.try_take() else {
            row.claim_failed();
            return Err(TryGetError::Empty);
        };
        match take {
            Take::Lease => row.stamp_lease(self.clock.now()),
            Take::Own => {
                remote.settle(lease, Settled::Taken);
                row.count_taken();
                // A take without a lease is claimed only until it is reported.
                row.claim_failed();
            }
        }
        *taken = Taken { item: Some(item), attempt: attempts + 1, sequence: lease };
        Ok(())
    }

    pub(super) fn put_child_elsewhere(
        &self,
        remote: &RemoteStore<T>,
        row: &ConsumerRow,
        lease: u64,
        put: &mut Option<T>,
    ) -> Result<(), Refusal> {
        let encoded = self.encode(&*remote.driver, put)?;
        {
            let control = self.control();
            if control.life.refuses_children() {
                return Err(control.life.refusal());
            }
            remote.driver.put_child(lease, encoded).map_err(|_| Refusal::Fenced)?;
        }
        // The encoded child travels; the item itself is not needed any more.
        drop(put.take());
        row.count_child();
        Ok(())
    }
}
