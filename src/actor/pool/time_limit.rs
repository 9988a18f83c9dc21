//! The time limit of the futures that handlers return.

use std::any::TypeId;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::{Actor, ActorFuture, Handler, Message, ResponseActFuture, ResponseFuture};
use actix_rt::time::{Sleep, sleep};
use tokio::task::coop::{Unconstrained, unconstrained};

use crate::one_line::OneLine;
use crate::queue::{Age, Slot};

/// How long the futures of a worker's handlers may take.
#[derive(Debug)]
pub(super) struct TimeLimit {
    pub(super) time: Duration,
    /// How many took longer, over all restarts of the worker.
    pub(super) timed_out: Arc<AtomicU64>,
}

impl TimeLimit {
    /// Begins the time of a future.
    pub(super) fn begin(&self) -> Timer {
        // A future that uses up its task's budget in every poll must not keep the time from being over.
        let sleep = Box::pin(unconstrained(sleep(self.time)));
        Timer { time: self.time, timed_out: Arc::clone(&self.timed_out), sleep }
    }
}

/// Returns whether the pool owns the future that such a handler returns, and so can drop it.
pub(super) fn can_be_dropped<A: Actor + Handler<M>, M: Message<Result = ()> + 'static>() -> bool {
    let result = TypeId::of::<<A as Handler<M>>::Result>();
    result == TypeId::of::<ResponseFuture<()>>() || result == TypeId::of::<ResponseActFuture<A, ()>>()
}

/// The time of one future.
pub(super) struct Timer {
    time: Duration,
    timed_out: Arc<AtomicU64>,
    sleep: Pin<Box<Unconstrained<Sleep>>>,
}

impl Timer {
    /// Drops the future, and is ready, once its time is over. The future is polled first: one that is ready at the last
    /// moment is done.
    pub(super) fn poll_drop<T, F>(
        &mut self,
        slot: &Slot<T>,
        future: &mut Option<F>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(cx));
        let reason = format!("no end after {}", Age(self.time));
        let count = self.timed_out.fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            log::warn!(
                "{}: {} dropped a handler's future that had {reason}; what the future had not settled fails. \
                 (Number {count} of this worker; logged for numbers 1, 2, 4, 8 and so on.)",
                slot.shared.label(),
                OneLine(&slot.row.name)
            );
        }
        slot.drop_timed_out(future.take(), &reason);
        Poll::Ready(())
    }
}

/// A future in the actor's context, with a time limit.
pub(super) struct TimedActorFuture<A: Actor, T> {
    pub(super) future: Option<ResponseActFuture<A, ()>>,
    pub(super) timer: Timer,
    pub(super) slot: Arc<Slot<T>>,
}

impl<A: Actor, T> ActorFuture<A> for TimedActorFuture<A, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut A::Context, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { future, timer, slot } = self.get_mut();
        let Some(running) = future else { return Poll::Ready(()) };
        if running.as_mut().poll(actor, ctx, cx).is_ready() {
            return Poll::Ready(());
        }
        timer.poll_drop(slot, future, cx)
    }
}
