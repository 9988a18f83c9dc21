//! A call of a channel on a thread that has little stack.

use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread::{self, sleep};
use std::time::Duration;

use actix_iterable_queue::{Item, IterableQueue};
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// Of the items. There is code for each of them.
pub(super) const SIZES: [usize; 3] = [1 << 10, 16 << 10, 64 << 10];
/// What each call is given.
pub(super) const STACK: usize = 8 << 20;
pub(super) const FRAME: usize = 256;

/// A call whose stack is measured.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(super) what: What,
    pub(super) of: Of,
    pub(super) size: usize,
    /// How much stack is taken away before it, in frames.
    pub(super) frames: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum What {
    TryPut,
    TryPutFull,
    Put,
    PutWaits,
    Get,
    GetWaits,
    LeaseAck,
    LeaseAckWaits,
    LeaseIntoInner,
    PutChild,
    PutAwait,
    GetAwait,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Of {
    Ours,
    Crossbeam,
    Flume,
}

/// Makes a call of a channel whose ends are a sender and a receiver.
macro_rules! peer {
    ($call:expr, $bounded:path) => {{
        let (sender, receiver) = $bounded(1);
        if $call.what.begins_full() {
            ensure!(sender.send([7_u8; N]).is_ok(), "there is room");
        }
        let (put, get) = (sender.clone(), receiver.clone());
        match $call.what {
            What::TryPut => $call.on_small_stack(move || assert!(sender.try_send([7_u8; N]).is_ok()), || ()),
            What::TryPutFull => $call.on_small_stack(move || assert!(sender.try_send([7_u8; N]).is_err()), || ()),
            What::Put | What::PutChild | What::PutAwait => {
                get.try_recv().ok();
                $call.on_small_stack(move || assert!(sender.send([7_u8; N]).is_ok()), || ())
            }
            What::PutWaits => {
                $call.on_small_stack(move || assert!(sender.send([7_u8; N]).is_ok()), || look_at(get.recv()))
            }
            What::Get | What::LeaseAck | What::LeaseIntoInner | What::GetAwait => {
                $call.on_small_stack(move || look_at(receiver.recv()), || ())
            }
            What::GetWaits | What::LeaseAckWaits => {
                $call.on_small_stack(move || look_at(receiver.recv()), || look_at(put.send([7_u8; N])))
            }
        }
    }};
}

impl Call {
    /// Makes the call, and returns how much stack was taken away before it.
    pub(super) fn make(self) -> anyhow::Result<u64> {
        // What is prepared and what is left after it takes some, too.
        let made = thread::Builder::new().stack_size(8 * STACK).spawn(move || match self.size {
            1 => self.make_sized::<1>(),
            size if size == SIZES[0] => self.make_sized::<{ SIZES[0] }>(),
            size if size == SIZES[1] => self.make_sized::<{ SIZES[1] }>(),
            _ => self.make_sized::<{ SIZES[2] }>(),
        })?;
        made.join().ok().context("the call panicked")?
    }

    fn make_sized<const N: usize>(self) -> anyhow::Result<u64> {
        match self.of {
            Of::Ours => self.make_ours::<N>(),
            Of::Crossbeam => peer!(self, crossbeam_channel::bounded),
            Of::Flume => match self.what {
                What::PutAwait => {
                    let (sender, _receiver) = flume::bounded(1);
                    self.on_small_stack(move || look_at(poll(sender.send_async([7_u8; N]))), || ())
                }
                What::GetAwait => {
                    let (sender, receiver) = flume::bounded(1);
                    ensure!(sender.send([7_u8; N]).is_ok(), "there is room");
                    self.on_small_stack(move || look_at(poll(receiver.recv_async())), || ())
                }
                _ => peer!(self, flume::bounded),
            },
        }
    }

    fn make_ours<const N: usize>(self) -> anyhow::Result<u64> {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
        if self.what.begins_full() {
            ensure!(producer.try_put([7_u8; N]).is_ok(), "there is room");
        }
        let (put, mut get) = (producer.clone(), consumer.clone());
        match self.what {
            What::TryPut => self.on_small_stack(move || assert!(producer.try_put([7_u8; N]).is_ok()), || ()),
            What::TryPutFull => self.on_small_stack(move || assert!(producer.try_put([7_u8; N]).is_err()), || ()),
            What::Put => self.on_small_stack(move || assert!(producer.blocking_put([7_u8; N]).is_ok()), || ()),
            What::PutWaits => self
                .on_small_stack(move || assert!(producer.blocking_put([7_u8; N]).is_ok()), || look_at(get.try_get())),
            What::PutChild => {
                // Boxed, as it is not what is measured.
                let lease = Box::new(consumer.try_lease()?);
                let put_child = move || {
                    assert!(lease.put_child([7_u8; N]).is_ok());
                    Box::leak(lease);
                };
                self.on_small_stack(put_child, || ())
            }
            What::PutAwait => self.on_small_stack(move || look_at(poll(producer.put([7_u8; N]))), || ()),
            What::Get => self.on_small_stack(move || look_at(consumer.blocking_get()), || ()),
            What::GetWaits => {
                self.on_small_stack(move || look_at(consumer.blocking_get()), || look_at(put.try_put([7_u8; N])))
            }
            What::GetAwait => self.on_small_stack(move || look_at(poll(consumer.get())), || ()),
            What::LeaseAck => self.on_small_stack(move || work_on(consumer.blocking_lease()), || ()),
            What::LeaseAckWaits => {
                self.on_small_stack(move || work_on(consumer.blocking_lease()), || look_at(put.try_put([7_u8; N])))
            }
            What::LeaseIntoInner => {
                let into_inner = move || look_at(consumer.blocking_lease().map(Item::into_inner));
                self.on_small_stack(into_inner, || ())
            }
        }
    }

    /// Makes the call on a thread that has little stack. Once it waits, the other end does what it waits for.
    fn on_small_stack(self, call: impl FnOnce() + Send + 'static, other_end: impl FnOnce()) -> anyhow::Result<u64> {
        static BEGINS: AtomicBool = AtomicBool::new(false);
        let calling = thread::Builder::new().stack_size(STACK).spawn(move || {
            let (mut call, mut taken_away) = (Some(call), 0);
            let top = black_box(0_u8);
            take_away(self.frames, &mut |bottom| {
                taken_away = (&raw const top).addr() - bottom;
                BEGINS.store(true, SeqCst);
                if let Some(call) = call.take() {
                    apart(call);
                }
            });
            taken_away
        })?;
        while !BEGINS.load(SeqCst) {
            sleep(Duration::from_millis(1));
        }
        if self.what.waits() {
            // It spins for some microseconds before it sleeps.
            sleep(Duration::from_millis(10));
            other_end();
        }
        Ok(calling.join().ok().context("the call panicked")? as u64)
    }
}

impl What {
    fn waits(self) -> bool {
        matches!(self, What::PutWaits | What::GetWaits | What::LeaseAckWaits)
    }

    /// Whether the one item for which there is room is there before.
    fn begins_full(self) -> bool {
        !matches!(self, What::TryPut | What::Put | What::PutAwait | What::GetWaits | What::LeaseAckWaits)
    }
}

/// Calls itself until the frames have taken their part of the stack away, and tells `then` where the stack is now.
#[inline(never)]
fn take_away(frames: usize, then: &mut dyn FnMut(usize)) {
    let frame = black_box([0_u8; FRAME]);
    match frames.checked_sub(1) {
        Some(left) => take_away(left, then),
        None => then((&raw const frame).addr()),
    }
    black_box(&frame);
}

/// In a frame of its own.
#[inline(never)]
fn apart(call: impl FnOnce()) {
    call();
}

fn look_at<R>(result: R) {
    black_box(&result);
}

fn work_on<T>(lease: Option<Item<T>>) {
    let Some(lease) = lease else { unreachable!("there is an item") };
    black_box(&*lease);
    lease.ack();
}

/// Polls a future once, which is enough for it.
fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
