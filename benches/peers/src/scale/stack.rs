//! How much stack a large item takes on its way into a channel and out of it.
//!
//! It depends on how the program was built: `cargo run -p peers` shows what it is without optimization.

use std::env;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread::{self, sleep};
use std::time::Duration;

use actix_iterable_queue::{Item, IterableQueue};
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::Part;
use super::probe::Probe;
use crate::report::Target;
use crate::rounds::{Better, Contender, Effort, Figure, Row};

const FIGURE: [Figure; 1] = [Figure { name: "", unit: "x its size", better: Better::Less }];
const KIB: usize = 1024;
const SIZES: [usize; 3] = [KIB, 16 * KIB, 64 * KIB];

/// A call whose stack is measured.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Call {
    what: What,
    of: Of,
    size: usize,
    /// How much stack is taken away before it, in frames.
    frames: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum What {
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
enum Of {
    Ours,
    Crossbeam,
    Flume,
}

pub(super) fn run(effort: Effort) -> anyhow::Result<Part> {
    let mut part = Part::default();
    for (name, what) in [
        ("try_put", What::TryPut),
        ("try_put, full", What::TryPutFull),
        ("blocking_put", What::Put),
        ("blocking_put, waits", What::PutWaits),
        ("blocking_get", What::Get),
        ("blocking_get, waits", What::GetWaits),
        ("blocking_lease, ack", What::LeaseAck),
        ("blocking_lease, waits, ack", What::LeaseAckWaits),
        ("blocking_lease, into_inner", What::LeaseIntoInner),
        ("put_child", What::PutChild),
        ("put().await", What::PutAwait),
        ("get().await", What::GetAwait),
    ] {
        let of = |of, size| Call { what, of, size, frames: 0 }.multiple();
        let peers: &[_] = match what {
            What::PutAwait | What::GetAwait => &[("flume", Of::Flume)],
            _ => &[("crossbeam-channel", Of::Crossbeam), ("flume", Of::Flume)],
        };
        for size in SIZES.into_iter().take(effort.rounds(SIZES.len())) {
            // The same each time, so it is measured once.
            let contender = |name, multiple| Contender::new(name, move || Ok(vec![multiple]));
            let ours = of(Of::Ours, size)?;
            let mut theirs = Vec::new();
            for (peer_name, peer) in peers {
                let multiple = of(*peer, size)?;
                if *peer == Of::Crossbeam {
                    let what = format!("stack of {name}, {} KiB, in what crossbeam-channel takes", size / KIB);
                    part.targets.push(Target::at_most(what, 2.0, ours / multiple));
                }
                theirs.push(contender(*peer_name, multiple));
            }
            let name = format!("stack of {name}, {} KiB", size / KIB);
            let row = Row { name, figures: &FIGURE, ours: vec![contender("", ours)], peers: theirs };
            part.lines.extend(row.run(1)?);
        }
    }
    Ok(part)
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

/// What each call is given.
const STACK: usize = 8 << 20;
const FRAME: usize = 256;

impl Call {
    /// How much more stack it needs than with an item of one byte, in sizes of the item.
    fn multiple(self) -> anyhow::Result<f64> {
        let left = |size| Self { size, ..self }.most_taken_away();
        Ok((left(1)? - left(self.size)?) / self.size as f64)
    }

    /// How much of the stack can be taken away.
    fn most_taken_away(self) -> anyhow::Result<f64> {
        let (mut survives, mut dies) = (0, STACK / FRAME);
        let mut most = self.survives(0)?.context("it needs all of its stack")?;
        while dies - survives > 1 {
            let frames = survives.midpoint(dies);
            match self.survives(frames)? {
                Some(taken_away) => (survives, most) = (frames, taken_away),
                None => dies = frames,
            }
        }
        Ok(most)
    }

    /// Returns how many bytes the frames take away, if the call survives that. If it does not, its process dies.
    fn survives(self, frames: usize) -> anyhow::Result<Option<f64>> {
        let probe = serde_json::to_string(&Probe::Stack(Self { frames, ..self }))?;
        let output = Command::new(env::current_exe()?).arg("--probe").arg(probe).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() || said.contains("overflowed its stack"), "{said}");
        Ok(if output.status.success() { Some(String::from_utf8(output.stdout)?.trim().parse()?) } else { None })
    }

    /// Makes the call, and returns how much stack was taken away before it.
    pub(super) fn make(self) -> anyhow::Result<u64> {
        // What is prepared and what is left after it takes some, too.
        let made = thread::Builder::new().stack_size(8 * STACK).spawn(move || match self.size {
            1 => self.make_sized::<1>(),
            KIB => self.make_sized::<KIB>(),
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
