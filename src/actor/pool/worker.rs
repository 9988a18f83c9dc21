//! One worker: an actor from the factory that consumes the queue.

use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix::dev::{ContextFut, MessageResponse};
use actix::{
    Actor, ActorContext, ActorFuture, AsyncContext, Context, Handler, Message, ResponseActFuture, ResponseFuture,
};
use actix_rt::ArbiterHandle;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::exit::{Exit, ExitSender};
use super::time_limit::{TimeLimit, TimedActorFuture, Timer};
use crate::actor::consume::poll_items;
use crate::actor::consumer_poller::{ConsumerEnd, ConsumerPoller};
use crate::actor::handout::Handout;
use crate::endpoint::Consumer;
use crate::error::Death;
use crate::one_line::OneLine;
use crate::queue::{Drained, Slot, drop_quietly};

/// What a worker is made of, beside its actor.
#[derive(Debug)]
pub(super) struct WorkerParts<T> {
    pub(super) consumer: Consumer<T>,
    pub(super) time_limit: Option<TimeLimit>,
    pub(super) exit: ExitSender,
}

/// Spawns a worker in an arbiter.
pub(super) type SpawnWorker<T> = Box<dyn Fn(&ArbiterHandle, WorkerParts<T>) + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Working,
    /// `Handler<Drained>` is called; futures that handlers returned may still run.
    Finishing,
    /// The worker has handled the end of the queue.
    Finished,
    /// The worker obeyed the order to leave.
    Left,
}

/// Runs a worker to its end. It polls the actor in place of the future that actix would spawn, and so
/// sees how the actor ends, and the message of a panic.
pub(super) struct WorkerTask<A, T, H, F>
where
    A: Actor<Context = Context<A>>,
    H: Handout<T>,
{
    actor: Option<WorkerActor<A, T, H, F>>,
    slot: Arc<Slot<T>>,
    stage: Rc<Cell<Stage>>,
    exit: ExitSender,
}

struct WorkerActor<A, T, H, F>
where
    A: Actor<Context = Context<A>>,
    H: Handout<T>,
{
    /// Taken by the first poll, which calls the factory where its panics are caught.
    start: Option<(F, WorkLoop<T, H>)>,
    running: Option<ContextFut<A, Context<A>>>,
    slot: Arc<Slot<T>>,
}

impl<A, T, H, F> Drop for WorkerActor<A, T, H, F>
where
    A: Actor<Context = Context<A>>,
    H: Handout<T>,
{
    /// Drops the actor. Its consumer is paused before: actix polls an actor whose `stopping` returns
    /// `Running::Continue` once more as it drops it, and that poll must not take an item.
    fn drop(&mut self) {
        self.slot.row.pause(true);
        self.slot.drop_worker(self.running.take());
    }
}

impl<A, T, H, F> WorkerTask<A, T, H, F>
where
    T: 'static,
    H: Handout<T>,
    H::Handed: Message<Result = ()> + 'static,
    A: Actor<Context = Context<A>> + Handler<H::Handed> + Handler<Drained>,
    F: FnOnce(usize) -> A,
{
    pub(super) fn new(parts: WorkerParts<T>, handout: H, max_in_flight: usize, factory: F) -> Self {
        let WorkerParts { consumer, time_limit, exit } = parts;
        let stage = Rc::new(Cell::new(Stage::Working));
        let slot = Arc::clone(consumer.slot());
        let poller = ConsumerPoller::new(consumer, max_in_flight, handout);
        let handlers = OpenHandlers::new();
        let work = WorkLoop { poller, stage: Rc::clone(&stage), last_stage: None, time_limit, handlers };
        let actor = WorkerActor { start: Some((factory, work)), running: None, slot: Arc::clone(&slot) };
        Self { actor: Some(actor), slot, stage, exit }
    }
}

impl<A, T, H, F> Unpin for WorkerTask<A, T, H, F>
where
    A: Actor<Context = Context<A>>,
    H: Handout<T>,
{
}

impl<A, T, H, F> Drop for WorkerTask<A, T, H, F>
where
    A: Actor<Context = Context<A>>,
    H: Handout<T>,
{
    /// Ends the worker, if it still runs, because its arbiter stops.
    fn drop(&mut self) {
        // The actor is dropped first, so its items are back in the queue before the exit is sent.
        drop_quietly(self.actor.take());
        match self.stage.get() {
            // The drop of the sender says that the arbiter stopped.
            Stage::Working => {}
            Stage::Left => self.exit.send(Exit::Left),
            Stage::Finishing | Stage::Finished => self.exit.send(Exit::Finished),
        }
    }
}

impl<A, T, H, F> Future for WorkerTask<A, T, H, F>
where
    T: 'static,
    H: Handout<T>,
    H::Handed: Message<Result = ()> + 'static,
    A: Actor<Context = Context<A>> + Handler<H::Handed> + Handler<Drained>,
    F: FnOnce(usize) -> A,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let index = this.exit.index();
        let polled = this.slot.poll_caught(&mut this.actor, |actor| actor.poll(index, cx));
        match (polled, this.stage.get()) {
            (Poll::Pending, Stage::Working | Stage::Finishing) => return Poll::Pending,
            // The actor refused to stop, with `Running::Continue`. As a worker it is done.
            (Poll::Pending, Stage::Finished) => {
                this.exit.send(Exit::Finished);
                return Poll::Pending;
            }
            (Poll::Pending, Stage::Left) => {
                this.exit.send(Exit::Left);
                return Poll::Pending;
            }
            (Poll::Ready(Ok(())), Stage::Working) => this.exit.send(Exit::Died(Death::Stopped)),
            (Poll::Ready(Err(panic)), Stage::Working) => this.exit.send(Exit::Died(Death::Panicked(panic))),
            (Poll::Ready(result), stage) => {
                if let Err(panic) = result {
                    log::error!(
                        "{} panicked after its work was done: {}",
                        OneLine(&this.slot.row.name),
                        OneLine(panic)
                    );
                }
                this.exit.send(if stage == Stage::Left { Exit::Left } else { Exit::Finished });
            }
        }
        Poll::Ready(())
    }
}

impl<A, T, H, F> WorkerActor<A, T, H, F>
where
    T: 'static,
    H: Handout<T>,
    H::Handed: Message<Result = ()> + 'static,
    A: Actor<Context = Context<A>> + Handler<H::Handed> + Handler<Drained>,
    F: FnOnce(usize) -> A,
{
    fn poll(&mut self, index: usize, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some((factory, work)) = self.start.take() {
            let actor = factory(index);
            let mut ctx = Context::new();
            ctx.spawn(work);
            self.running = Some(ctx.into_future(actor));
        }
        let Some(actor) = &mut self.running else {
            unreachable!("a worker whose factory panicked is not polled again")
        };
        Pin::new(actor).poll(cx)
    }
}

/// Hands items to the actor, in its context, and stops it at the end.
struct WorkLoop<T, H: Handout<T>> {
    poller: ConsumerPoller<T, H>,
    stage: Rc<Cell<Stage>>,
    /// The stage that follows once the futures of all handlers are done.
    last_stage: Option<Stage>,
    time_limit: Option<TimeLimit>,
    handlers: OpenHandlers,
}

impl<A, T, H> ActorFuture<A> for WorkLoop<T, H>
where
    T: 'static,
    H: Handout<T>,
    H::Handed: Message<Result = ()> + 'static,
    A: Actor<Context = Context<A>> + Handler<H::Handed> + Handler<Drained>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut Context<A>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { poller, stage, last_stage, time_limit, handlers } = self.get_mut();
        let last_stage = match *last_stage {
            Some(last_stage) => last_stage,
            None => {
                let slot = Arc::clone(poller.consumer().slot());
                let respond = |result, ctx: &mut Context<A>| {
                    respond::<A, T, H::Handed>(&slot, time_limit.as_ref(), handlers, result, ctx)
                };
                *last_stage.insert(match ready!(poll_items(poller, actor, ctx, cx, respond)) {
                    ConsumerEnd::Left => Stage::Left,
                    ConsumerEnd::Drained(drained) => {
                        // Set before the call: a worker whose handler panics is not restarted to be told again.
                        stage.set(Stage::Finishing);
                        Handler::<Drained>::handle(actor, drained, ctx).handle(ctx, Some(handlers.open()));
                        Stage::Finished
                    }
                })
            }
        };
        ready!(handlers.poll_done(cx));
        stage.set(last_stage);
        ctx.stop();
        Poll::Ready(())
    }
}

/// The futures that handlers have returned and that still run. They may go on after their items are settled.
struct OpenHandlers {
    open: Vec<oneshot::Receiver<()>>,
    /// At this length the list is cleared of those that are done.
    full: usize,
}

impl OpenHandlers {
    fn new() -> Self {
        Self { open: Vec::new(), full: 16 }
    }

    /// Adds a handler. It is done when the sender sends or is dropped.
    fn open(&mut self) -> oneshot::Sender<()> {
        if self.open.len() >= self.full {
            self.open.retain_mut(|done| done.try_recv() == Err(TryRecvError::Empty));
            self.full = 2 * self.open.len().max(8);
        }
        let (done, open) = oneshot::channel();
        self.open.push(open);
        done
    }

    fn poll_done(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        while let Some(open) = self.open.last_mut() {
            let _ = ready!(Pin::new(open).poll(cx)); // an error says that the response was dropped: done, too
            self.open.pop();
        }
        Poll::Ready(())
    }
}

/// Passes what a handler returned on to actix, and keeps track of it until it is done.
fn respond<A, T, M>(
    slot: &Arc<Slot<T>>,
    time_limit: Option<&TimeLimit>,
    handlers: &mut OpenHandlers,
    result: <A as Handler<M>>::Result,
    ctx: &mut Context<A>,
) where
    T: 'static,
    M: Message<Result = ()> + 'static,
    A: Actor<Context = Context<A>> + Handler<M>,
{
    let mut result = Some(result);
    let any = &mut result as &mut dyn Any;
    if any.is::<Option<()>>() {
        return; // done already
    }
    let done = Some(handlers.open());
    let timer = time_limit.map(TimeLimit::begin);
    // actix spawns a `ResponseFuture` beside the actor, where its panic would go unseen.
    if let Some(future) = any.downcast_mut::<Option<ResponseFuture<()>>>() {
        let future = wrap(Arc::clone(slot), future.take(), timer);
        return MessageResponse::<A, M>::handle(future, ctx, done);
    }
    if let Some(timer) = timer
        && let Some(future) = any.downcast_mut::<Option<ResponseActFuture<A, ()>>>()
    {
        let timed = TimedActorFuture { future: future.take(), timer, slot: Arc::clone(slot) };
        let timed: ResponseActFuture<A, ()> = Box::pin(timed);
        return MessageResponse::<A, M>::handle(timed, ctx, done);
    }
    if let Some(result) = result {
        result.handle(ctx, done);
    }
}

/// Wraps a handler's future, so that its panic is caught. With a timer it is dropped once its time is over.
fn wrap<T: 'static>(
    slot: Arc<Slot<T>>,
    mut future: Option<ResponseFuture<()>>,
    timer: Option<Timer>,
) -> ResponseFuture<()> {
    match timer {
        None => Box::pin(poll_fn(move |cx| poll_caught(&slot, &mut future, cx))),
        Some(mut timer) => Box::pin(poll_fn(move |cx| match poll_caught(&slot, &mut future, cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => timer.poll_drop(&slot, &mut future, cx),
        })),
    }
}

/// Polls a handler's future: its panic is logged, and its item fails with the panic's message.
fn poll_caught<T>(slot: &Slot<T>, future: &mut Option<ResponseFuture<()>>, cx: &mut TaskContext<'_>) -> Poll<()> {
    slot.poll_caught(future, |future| future.as_mut().poll(cx)).map(|result| match result {
        Ok(()) => {}
        Err(panic) => {
            log::error!("{}: a handler's future panicked: {}", OneLine(&slot.row.name), OneLine(panic));
        }
    })
}
