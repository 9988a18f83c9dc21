//! A queue whose items are elsewhere: the seam between this process's part and whoever moves the items.
//!
//! Endpoints, registry and lines of waiters are here as ever; the buffer is not used. Puts go into a
//! *window* until the other side has confirmed them, takes come from an *outlet* that is filled from there,
//! and what becomes of leases is reported. That the queue is drained is decided there alone.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::Waker;
use std::time::Duration;

use super::IterableQueue;
use super::dead_letters::DeadLetter;
use super::effects::{drop_quietly, wake};
use super::moves::{Outgoing, Taken};
use super::rows::{ConsumerRow, ProducerRow};
use super::shared::{ENDED, Line, Shared};
use super::snapshot::{ProcessStatus, Totals};
use super::transfer::Take;
use crate::error::{PutError, TryGetError, TryPutError};
use crate::one_line::OneLine;

/// The number of an accepted put that is yet to be confirmed; `None` where nothing is.
pub(crate) type Receipt = Option<NonZeroU64>;

/// Why a put is not done. That it is to be confirmed is among it, so that puts in memory, which never are, do
/// nothing for it.
#[derive(Debug)]
pub(crate) enum NotDone {
    Full,
    Refused(PutError<()>),
    Unconfirmed,
}

impl From<PutError<()>> for NotDone {
    fn from(error: PutError<()>) -> Self {
        Self::Refused(error)
    }
}

/// This process's end of a queue that is elsewhere. Every method may be called under the lock of the queue, but for
/// those that run foreign code: `encode`, `encode_again`, `encode_letter`, `try_take`, and `withdraw`, which may drop a waker.
pub(crate) trait Remote<T>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The item as it travels, or why it cannot.
    fn encode(&self, item: &T) -> Result<Vec<u8>, Unsendable>;

    /// How many puts are not confirmed, and how many may be.
    fn window(&self) -> (usize, usize);

    /// Accepts a put, be there room or not.
    fn put(&self, item: T, encoded: Vec<u8>) -> NonZeroU64;

    /// Whether a put is confirmed, or else its item; `None`: not yet, and `waker` will be woken. The waker that it
    /// replaces comes back.
    fn confirmed(&self, put: NonZeroU64, waker: &mut Option<Waker>) -> Option<Result<(), T>>;

    /// Takes a put back if it has not been sent, or was refused.
    fn withdraw(&self, put: NonZeroU64) -> Option<T>;

    /// Nobody will ask whether a put is confirmed. Its item comes back if it was refused.
    fn detach(&self, put: NonZeroU64) -> Option<T>;

    /// The next item of the outlet.
    fn try_take(&self) -> Option<Delivery<T>>;

    /// Whether the outlet has an item.
    fn has_fetched(&self) -> bool;

    /// Puts through a lease, unless that is lost.
    fn put_child(&self, lease: u64, encoded: Vec<u8>) -> Result<(), LeaseLost>;

    /// Reports what became of a lease.
    fn settle(&self, lease: u64, settled: Settled);

    /// The letter as it travels, for [`Settled::Dead`]; empty if it cannot be written.
    fn encode_letter(&self, letter: &DeadLetter<T>) -> Vec<u8>;

    /// The item as it travels, for [`Settled::Failed`]; empty if it cannot be written.
    fn encode_again(&self, item: &T) -> Vec<u8>;

    /// Something was opened, closed, sealed or ended here.
    fn changed(&self);

    /// Marks all that was said here until now.
    fn mark(&self) -> Mark;

    /// Whether all until this mark is known elsewhere, or can never be told. Those who wait for it are told of each step.
    fn is_known(&self, mark: Mark) -> bool;

    /// The other side will have none of the puts that are not confirmed: detached ones, and the wakers of those who
    /// are to come for theirs.
    fn refuse(&self) -> (Vec<T>, Vec<Waker>);

    /// What is known of the whole queue.
    fn report(&self) -> Report;

    /// Opens the queue of the dead letters, which is elsewhere, too. Once its handle is sealed here, it ends when it has
    /// no more for this process.
    fn open_letters(&self) -> IterableQueue<DeadLetter<T>>;
}

/// Why an item cannot travel.
#[derive(Debug)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "made by the backend"))]
pub(crate) enum Unsendable {
    NoJson(String),
    TooLarge { bytes: usize, most: usize },
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson(error) => OneLine(error).fmt(f),
            Self::TooLarge { bytes, most } => write!(f, "it is {bytes} bytes long, and Redis takes {most}"),
        }
    }
}

/// An item on its way from elsewhere to a consumer.
#[derive(Debug)]
pub(crate) struct Delivery<T> {
    pub(crate) item: T,
    pub(crate) lease: u64,
    /// How many attempts count against it so far.
    pub(crate) attempts: u32,
}

/// What became of a lease.
#[derive(Debug)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "read by the backend"))]
pub(crate) enum Settled {
    Acked,
    Taken,
    /// It failed, and comes back after this time, in this form.
    Failed(Duration, Vec<u8>),
    /// As if it had not been handed out.
    Undone,
    /// It is a dead letter, in this form.
    Dead(Vec<u8>),
}

/// This process was silent for too long: the item is with somebody else.
#[derive(Debug)]
pub(crate) struct LeaseLost;

/// How much was said here, of each kind.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "made and read by the backend"))]
pub(crate) struct Mark {
    pub(crate) puts: u64,
    /// What became of leases, and children.
    pub(crate) settles: u64,
    /// What was opened, closed, sealed or ended.
    pub(crate) changes: u64,
}

/// What is known of the whole queue, of a moment ago.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) buffered: usize,
    pub(crate) delayed: usize,
    pub(crate) totals: Totals,
    /// How long ago the oldest item was put, of those that come next.
    pub(crate) oldest: Option<Duration>,
    /// The others.
    pub(crate) processes: Vec<ProcessStatus>,
}

/// What this process knows of the others, for its own decisions.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    pub(super) sealed: bool,
    pub(super) draining: bool,
}

impl<T> Shared<T> {
    /// Marks all that was said here until now. `None`: nobody else is to know it.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.remote().map(Remote::mark)
    }

    pub(crate) fn is_known(&self, mark: Mark) -> bool {
        self.remote().is_none_or(|remote| remote.is_known(mark))
    }

    pub(crate) fn remote(&self) -> Option<&dyn Remote<T>> {
        self.remote.as_deref()
    }

    #[cold]
    pub(super) fn put_remote(&self, row: &ProducerRow, put: &mut Outgoing<T>, by_right: bool) -> NotDone {
        let Some(remote) = self.remote() else { unreachable!("flagged as remote") };
        // Encoding is for nothing where there is no room. It is foreign code, so it runs under no lock.
        if !self.has_room(&self.control(), by_right) && !self.refuses(row) {
            return NotDone::Full;
        }
        let encoded = match remote.encode(put.item()) {
            Ok(encoded) => encoded,
            Err(error) => return self.unsendable(error).into(),
        };
        let Some(_held) = row.endpoint.hold_open() else { return PutError::Closed(()).into() };
        let control = self.control();
        if control.refuses_puts() {
            return control.refusal().into();
        }
        if !self.has_room(&control, by_right) {
            return NotDone::Full;
        }
        row.count_put_beside();
        row.stamp_put(self.clock.now());
        *put = Outgoing::Unconfirmed(remote.put(put.take(), encoded));
        NotDone::Unconfirmed
    }

    /// Permits count as room taken; their puts never wait.
    pub(super) fn put_reserved_remote(
        &self,
        remote: &dyn Remote<T>,
        row: &ProducerRow,
        put: &mut Outgoing<T>,
    ) -> Result<(), PutError<()>> {
        let encoded = remote.encode(put.item());
        let held = row.endpoint.hold_open();
        let (result, effects) = self.decide(|control, effects| {
            self.return_permit(control);
            let refused = match encoded {
                _ if held.is_none() => PutError::Closed(()),
                _ if control.refuses_children() || control.life.puts_refused => control.refusal(),
                Err(error) => return Err(error),
                Ok(encoded) => {
                    row.count_put_beside();
                    row.stamp_put(self.clock.now());
                    *put = Outgoing::Unconfirmed(remote.put(put.take(), encoded));
                    return Ok(Ok(()));
                }
            };
            effects.wake.extend(self.notify(control, Line::Putters));
            Ok(Err(refused))
        });
        drop(held);
        effects.run();
        result.unwrap_or_else(|error| {
            wake(self.notify_next(Line::Putters));
            Err(self.unsendable(error))
        })
    }

    fn unsendable(&self, error: Unsendable) -> PutError<()> {
        match error {
            Unsendable::NoJson(_) => {
                log::error!("{}: an item cannot be written as JSON: {error}", self.label());
                PutError::Unserializable(())
            }
            Unsendable::TooLarge { .. } => {
                log::error!("{}: an item is too large: {error}", self.label());
                PutError::TooLarge(())
            }
        }
    }

    /// Whether a put is confirmed. A refusal hands the item back.
    pub(crate) fn confirmed(
        &self,
        put: &mut Outgoing<T>,
        mut waker: Option<Waker>,
    ) -> Option<Result<(), PutError<()>>> {
        let Outgoing::Unconfirmed(number) = *put else { return Some(Ok(())) };
        match self.remote()?.confirmed(number, &mut waker)? {
            Ok(()) => {
                *put = Outgoing::Gone;
                Some(Ok(()))
            }
            Err(item) => {
                *put = Outgoing::Here(item);
                Some(Err(self.refusal()))
            }
        }
    }

    /// Wakes those who wait until what was said here is known elsewhere: more of it is.
    pub(crate) fn tell_flushers(&self) {
        let wakers: Vec<_> = self.control().flushers.pop_all().collect();
        wake(wakers);
    }

    pub(crate) fn withdraw(&self, put: NonZeroU64) -> Option<T> {
        let item = self.remote()?.withdraw(put)?;
        wake(self.notify_next(Line::Putters));
        // A flush does not wait for it any more.
        self.tell_flushers();
        Some(item)
    }

    /// What a put that does not wait is told. Kept out of the fast path.
    #[cold]
    pub(crate) fn done_for_now(&self, not_done: NotDone, put: Outgoing<T>) -> Result<(), TryPutError<T>> {
        match not_done {
            NotDone::Full => Err(TryPutError::Full(put.into_item())),
            NotDone::Refused(error) => Err(TryPutError::Refused(put.refused(error))),
            NotDone::Unconfirmed => {
                if let Some(put) = put.receipt() {
                    self.detach(put);
                }
                Ok(())
            }
        }
    }

    /// Nobody will ask whether a put is confirmed.
    pub(crate) fn detach(&self, put: NonZeroU64) {
        if let Some(refused) = self.remote().and_then(|remote| remote.detach(put)) {
            log::error!("{}: a put that nobody waits for is refused and dropped", self.label());
            drop_quietly(refused);
        }
    }

    pub(super) fn take_remote(&self, row: &ConsumerRow, take: Take, taken: &mut Taken<T>) -> Result<(), TryGetError> {
        let Some(remote) = self.remote() else { unreachable!("flagged as remote") };
        if self.flagged(ENDED) {
            return Err(TryGetError::Ended);
        }
        // Claimed before: what has left the outlet and is not reported yet keeps this process from leaving.
        row.claim();
        let Some(Delivery { item, lease, attempts }) = remote.try_take() else {
            row.claim_failed();
            return Err(TryGetError::Empty);
        };
        match take {
            Take::Lease => row.stamp_lease(self.clock.now()),
            Take::Own => {
                remote.settle(lease, Settled::Taken);
                row.count_taken();
                // It is no lease, and was claimed only until it was reported.
                row.claim_failed();
            }
        }
        *taken = Taken { item: Some(item), attempt: attempts + 1, sequence: lease };
        Ok(())
    }

    pub(super) fn put_child_remote(
        &self,
        remote: &dyn Remote<T>,
        row: &ConsumerRow,
        lease: u64,
        put: &mut Outgoing<T>,
    ) -> Result<(), PutError<()>> {
        let encoded = match remote.encode(put.item()) {
            Ok(encoded) => encoded,
            Err(error) => return Err(self.unsendable(error)),
        };
        let control = self.control();
        if control.refuses_children() {
            return Err(control.refusal());
        }
        if remote.put_child(lease, encoded).is_err() {
            return Err(PutError::Fenced(()));
        }
        // It travels as it was written: the caller drops it, out of the lock.
        row.count_child();
        Ok(())
    }

    /// Sends an unsettled item back to where it came from. `attempts` count against it; `failed` says that the last one
    /// did.
    pub(super) fn send_back(&self, remote: &dyn Remote<T>, lease: u64, item: &T, attempts: u32, failed: bool) {
        let delay = || self.redelivery.as_ref().map(|redelivery| redelivery.backoff.delay(attempts));
        let how = match failed {
            true => Settled::Failed(delay().unwrap_or_default(), remote.encode_again(item)),
            false => Settled::Undone,
        };
        remote.settle(lease, how);
    }
}

impl<T> fmt::Debug for dyn Remote<T> + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}
