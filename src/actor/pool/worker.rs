//! One worker: an actor from the factory, and its work.

use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix::dev::{ContextFut, MessageResponse};
use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context, Handler, ResponseFuture};
use actix_rt::ArbiterHandle;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::news::{Exit, ExitNote};
use crate::actor::consume::poll_items;
use crate::actor::limited::{Last, Limited};
use crate::endpoint::Consumer;
use crate::error::Death;
use crate::one_line::OneLine;
use crate::queue::{Drained, Item, Slot, drop_quietly};

/// What a worker is made from.
#[derive(Debug)]
pub(super) struct Job<T> {
    pub(super) consumer: Consumer<T>,
    pub(super) max_in_flight: usize,
    pub(super) note: ExitNote,
}

/// Starts a worker in an arbiter.
pub(super) type Spawn<T> = Box<dyn Fn(&ArbiterHandle, Job<T>) + Send>;

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Working,
    /// Its handler of `Drained` has been called.
    Telling,
    Told,
    Left,
}

/// Runs a worker to its end. It takes the place of the future that actix would spawn, to see how
/// the actor ends, and what a panic said.
pub(super) struct Running<A, T, F>
where
    A: Actor<Context = Context<A>>,
{
    life: Option<Life<A, T, F>>,
    slot: Arc<Slot<T>>,
    stage: Rc<Cell<Stage>>,
    note: ExitNote,
}

struct Life<A, T, F>
where
    A: Actor<Context = Context<A>>,
{
    /// Until the first poll, so that the factory is called where its panics are caught.
    birth: Option<(F, Work<T>)>,
    actor: Option<ContextFut<A, Context<A>>>,
    slot: Arc<Slot<T>>,
}

impl<A, T, F> Drop for Life<A, T, F>
where
    A: Actor<Context = Context<A>>,
{
    /// An actor that answers `Running::Continue` is polled once more when it is dropped. It gets
    /// nothing more.
    fn drop(&mut self) {
        self.slot.row.pause(true);
    }
}

impl<A, T, F> Running<A, T, F>
where
    T: 'static,
    A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
    F: FnOnce(usize) -> A,
{
    pub(super) fn new(job: Job<T>, factory: F) -> Self {
        let Job { consumer, max_in_flight, note } = job;
        let stage = Rc::new(Cell::new(Stage::Working));
        let slot = Arc::clone(consumer.slot());
        let limited = Limited::new(consumer, max_in_flight);
        let work = Work { limited, stage: Rc::clone(&stage), ending: None, handlers: OpenHandlers::new() };
        let life = Life { birth: Some((factory, work)), actor: None, slot: Arc::clone(&slot) };
        Self { life: Some(life), slot, stage, note }
    }
}

impl<A, T, F> Unpin for Running<A, T, F> where A: Actor<Context = Context<A>> {}

impl<A, T, F> Drop for Running<A, T, F>
where
    A: Actor<Context = Context<A>>,
{
    /// Its arbiter stops, if it is not over yet.
    fn drop(&mut self) {
        // First, so that the items are back before the news is out.
        drop_quietly(self.life.take());
        match self.stage.get() {
            Stage::Working => {}
            Stage::Left => self.note.send(Exit::Left),
            Stage::Telling | Stage::Told => self.note.send(Exit::Told),
        }
    }
}

impl<A, T, F> Future for Running<A, T, F>
where
    T: 'static,
    A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
    F: FnOnce(usize) -> A,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let index = this.note.index();
        let polled = this.slot.poll_caught(&mut this.life, |life| life.poll(index, cx));
        match (polled, this.stage.get()) {
            (Poll::Pending, Stage::Working | Stage::Telling) => return Poll::Pending,
            // It was to stop and does not want to. As a worker it has done all that it had to.
            (Poll::Pending, Stage::Told) => {
                this.note.send(Exit::Told);
                return Poll::Pending;
            }
            (Poll::Pending, Stage::Left) => {
                this.note.send(Exit::Left);
                return Poll::Pending;
            }
            (Poll::Ready(Ok(())), Stage::Working) => this.note.send(Exit::Died(Death::Stopped)),
            (Poll::Ready(Err(panic)), Stage::Working) => this.note.send(Exit::Died(Death::Panicked(panic))),
            (Poll::Ready(result), stage) => {
                if let Err(panic) = result {
                    log::error!("{} panicked when its work was done: {}", OneLine(&this.slot.row.name), OneLine(panic));
                }
                this.note.send(if stage == Stage::Left { Exit::Left } else { Exit::Told });
            }
        }
        Poll::Ready(())
    }
}

impl<A, T, F> Life<A, T, F>
where
    T: 'static,
    A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
    F: FnOnce(usize) -> A,
{
    fn poll(&mut self, index: usize, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some((factory, work)) = self.birth.take() {
            let actor = factory(index);
            let mut ctx = Context::new();
            ctx.spawn(work);
            self.actor = Some(ctx.into_future(actor));
        }
        match &mut self.actor {
            Some(actor) => Pin::new(actor).poll(cx),
            None => unreachable!("a worker whose factory panicked is not polled again"),
        }
    }
}

/// The worker's work, in its actor's context.
struct Work<T> {
    limited: Limited<T>,
    stage: Rc<Cell<Stage>>,
    /// How it will have ended when its handlers are done.
    ending: Option<Stage>,
    handlers: OpenHandlers,
}

impl<A, T> ActorFuture<A> for Work<T>
where
    T: 'static,
    A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut Context<A>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { limited, stage, ending, handlers } = self.get_mut();
        let ending = match *ending {
            Some(ending) => ending,
            None => {
                let slot = Arc::clone(limited.consumer().slot());
                let respond = |result, ctx: &mut Context<A>| respond::<A, T>(&slot, handlers, result, ctx);
                *ending.insert(match ready!(poll_items(limited, actor, ctx, cx, respond)) {
                    Last::Left => Stage::Left,
                    Last::Drained(drained) => {
                        // Before the handler: if that panics, the worker has been told all the same.
                        stage.set(Stage::Telling);
                        Handler::<Drained>::handle(actor, drained, ctx).handle(ctx, Some(handlers.open()));
                        Stage::Told
                    }
                })
            }
        };
        ready!(handlers.poll_done(cx));
        stage.set(ending);
        ctx.stop();
        Poll::Ready(())
    }
}

/// What handlers have returned and is not done yet: futures may go on after their item is settled.
struct OpenHandlers {
    open: Vec<oneshot::Receiver<()>>,
    /// At this length the list is rid of those that are done.
    full: usize,
}

impl OpenHandlers {
    fn new() -> Self {
        Self { open: Vec::new(), full: 16 }
    }

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
            let _ = ready!(Pin::new(open).poll(cx)); // a response that was dropped is done, too
            self.open.pop();
        }
        Poll::Ready(())
    }
}

fn respond<A, T>(
    slot: &Arc<Slot<T>>,
    handlers: &mut OpenHandlers,
    result: <A as Handler<Item<T>>>::Result,
    ctx: &mut Context<A>,
) where
    T: 'static,
    A: Actor<Context = Context<A>> + Handler<Item<T>>,
{
    let mut result = Some(result);
    let any = &mut result as &mut dyn Any;
    if any.is::<Option<()>>() {
        return; // done already
    }
    let done = Some(handlers.open());
    // A `ResponseFuture` is spawned beside the actor, where nobody would see its panic.
    match any.downcast_mut::<Option<ResponseFuture<()>>>() {
        Some(future) => MessageResponse::<A, Item<T>>::handle(attended(Arc::clone(slot), future.take()), ctx, done),
        None => {
            if let Some(result) = result {
                result.handle(ctx, done);
            }
        }
    }
}

fn attended<T: 'static>(slot: Arc<Slot<T>>, mut future: Option<ResponseFuture<()>>) -> ResponseFuture<()> {
    Box::pin(poll_fn(move |cx| {
        slot.poll_caught(&mut future, |future| future.as_mut().poll(cx)).map(|result| match result {
            Ok(()) => {}
            Err(panic) => {
                log::error!("{}: the future of a handler panicked: {}", OneLine(&slot.row.name), OneLine(panic));
            }
        })
    }))
}
