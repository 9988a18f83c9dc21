//! The real queue beside its specification: each operation happens to both.

use std::panic::resume_unwind;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::{AskError, OpenError};
use actix_iterable_queue::report::{QueueId, ShutdownReport};
use actix_iterable_queue::{Backoff, Batch, Consumer, DeadLetter, Item, IterableQueue, Producer};
use futures::executor::block_on;
use support::Task;

use super::model::{ConsumerNumber, Model, PutNumber, Work};
use super::operation::{Any, How, Operation, Patience, Program, Redelivery};
use super::parts::{Asker, Boxed, Job, Mint, OpenConsumer, OpenPermit, OpenProducer, Put, WaitingPut, Watcher};

pub(super) struct World {
    pub(super) model: Model,
    pub(super) mint: Mint,
    pub(super) redelivery: Redelivery,
    pub(super) id: QueueId,
    pub(super) queues: Vec<IterableQueue<Job>>,
    pub(super) producers: Vec<OpenProducer>,
    pub(super) puts: Vec<WaitingPut>,
    pub(super) permits: Vec<OpenPermit>,
    pub(super) consumers: Vec<OpenConsumer>,
    pub(super) leases: Vec<Item<Job>>,
    pub(super) batches: Vec<Batch<Job>>,
    pub(super) askers: Vec<Asker>,
    pub(super) letters: Option<Consumer<DeadLetter<Job>>>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) report: Option<Boxed<ShutdownReport<Job>>>,
    /// Whoever took, or gave an item back, in this step.
    pub(super) acting: Option<ConsumerNumber>,
    pub(super) step: usize,
    pub(super) trace: Vec<String>,
    pub(super) endpoints: u64,
    pub(super) handles: u64,
    pub(super) opened_consumers: u64,
    pub(super) works: Work,
    pub(super) put_numbers: PutNumber,
}

/// Runs a program to its end, and then the queue to its own.
///
/// Each has a thread of its own: it makes too few operations for one of them to yield to other tasks.
pub(crate) fn run(program: &Program) {
    let ran = thread::scope(|scope| scope.spawn(|| run_here(program)).join());
    ran.unwrap_or_else(|panic| resume_unwind(panic));
}

fn run_here(program: &Program) {
    let mut world = World::new(program);
    world.compare();
    for operation in &program.operations {
        world.step(*operation);
    }
    world.finish();
}

/// What is left is treated differently in a queue that was asked before (D7). So that this does not change in the middle.
fn ask_first(queue: &IterableQueue<Job>) {
    let mut closed = queue.producer().expect("it is open");
    closed.close();
    assert!(matches!(block_on(closed.ask(0)), Err(AskError::Refused(_))));
}

/// The one that a number means, of so many.
pub(super) fn among(which: Any, count: usize) -> Option<usize> {
    usize::from(which).checked_rem(count)
}

impl World {
    fn new(program: &Program) -> Self {
        let Program { capacity, max_attempts, redelivery, asks, .. } = *program;
        let mut builder = support::backend::builder().max_attempts(max_attempts);
        if let Some(capacity) = capacity {
            builder = builder.capacity(capacity);
        }
        let delay = match redelivery {
            Redelivery::AtOnce => None,
            Redelivery::AfterAMillisecond => Some(Duration::from_millis(1)),
            Redelivery::Never => Some(Duration::MAX),
        };
        if let Some(delay) = delay {
            builder = builder.redelivery_backoff(Backoff::exponential(delay, delay));
        }
        let queue = builder.build().expect("valid");
        let for_ever = redelivery == Redelivery::Never;
        if asks {
            ask_first(&queue);
        }
        Self {
            model: Model { capacity, max_attempts, for_ever, asked: asks, ..Model::default() },
            mint: Mint::new(),
            redelivery,
            id: queue.id(),
            queues: vec![queue],
            producers: Vec::new(),
            puts: Vec::new(),
            permits: Vec::new(),
            consumers: Vec::new(),
            leases: Vec::new(),
            batches: Vec::new(),
            askers: Vec::new(),
            letters: None,
            watchers: Vec::new(),
            report: None,
            acting: None,
            step: 0,
            trace: vec![format!("{capacity:?} items, {max_attempts} attempts, redelivery {redelivery:?}, asks {asks}")],
            endpoints: u64::from(asks),
            handles: 0,
            opened_consumers: 0,
            works: 0,
            put_numbers: 0,
        }
    }

    pub(super) fn step(&mut self, operation: Operation) {
        self.step += 1;
        self.acting = None;
        let asleep = self.asleep();
        if self.happens(operation).is_some() {
            self.model.advance();
            self.end_shutdown();
            self.compare();
            self.compare_turns(&asleep);
        }
    }

    /// `None` if there was nothing that it could happen to.
    fn happens(&mut self, operation: Operation) -> Option<()> {
        match operation {
            Operation::OpenProducer => {
                let opened = self.queues.first()?.producer();
                self.opened("producer", &opened);
                self.endpoints += u64::from(opened.is_ok());
                self.add_handle(self.endpoints, opened.ok()?);
            }
            Operation::CloneProducer(which) => {
                let of = &self.producers[among(which, self.producers.len())?];
                let (closed, handle, clone) = (of.closed, of.handle, Producer::clone(&of.producer));
                self.note(format!("p{handle}.clone()"));
                match self.model.handles.get(&handle).filter(|_| !closed).map(|handle| handle.endpoint) {
                    Some(endpoint) => self.add_handle(endpoint, clone),
                    None => self.same("C2: the clone is closed", &clone.is_closed(), &true),
                }
            }
            Operation::CloseProducer(which) => {
                let which = among(which, self.producers.len())?;
                let OpenProducer { closed, handle, producer } = &mut self.producers[which];
                let handle = *handle;
                // While a put of it waits, it is borrowed.
                Rc::get_mut(producer)?.close();
                let was_open = !std::mem::replace(closed, true);
                self.note(format!("p{handle}.close()"));
                if was_open {
                    self.model.drop_share(handle);
                }
            }
            Operation::DropProducer(which) => {
                let OpenProducer { closed, handle, producer } =
                    self.producers.swap_remove(among(which, self.producers.len())?);
                self.note(format!("drop(p{handle})"));
                drop(producer);
                if !closed {
                    self.model.drop_share(handle);
                }
            }
            Operation::TryPut(which, patience) => self.try_put(among(which, self.producers.len())?, patience),
            Operation::Put(which) => {
                let put = Put::Item(self.next_job());
                self.wait_to_put(among(which, self.producers.len())?, put);
            }
            Operation::Reserve(which) => self.wait_to_put(among(which, self.producers.len())?, Put::Permit),
            Operation::Ask(which) if self.model.asked => {
                let put = Put::Ask(self.next_work());
                self.wait_to_put(among(which, self.producers.len())?, put);
            }
            Operation::Ask(_) => return None,
            Operation::PollPut(which) => self.poll_put(among(which, self.puts.len())?),
            Operation::DropPut(which) => self.drop_put(which)?,
            Operation::UsePermit(which) => self.use_permit(which)?,
            Operation::DropPermit(which) => self.drop_permit(which)?,
            Operation::Pass(producer, consumer) => {
                for _ in 0..40 {
                    self.try_take(self.idle(consumer)?, How::Get, Patience::None);
                    self.model.advance();
                    self.try_put(among(producer, self.producers.len())?, Patience::None);
                    self.model.advance();
                }
            }
            Operation::OpenConsumer => {
                let opened = self.queues.first()?.consumer();
                self.opened("consumer", &opened);
                self.add_consumer(opened.ok()?);
            }
            Operation::CloneConsumer(which) => {
                let of = self.idle(which)?;
                let number = self.consumers[of].number;
                let clone = self.consumers[of].idle()?.clone();
                self.note(format!("c{number}.clone()"));
                self.add_consumer(clone);
            }
            Operation::DropConsumer(which) => self.drop_consumer(which)?,
            Operation::Take(which, how, patience) => self.try_take(self.idle(which)?, how, patience),
            Operation::PollStream(which) => self.poll_stream(which)?,
            Operation::Wait(which, how) => self.wait(which, how)?,
            Operation::WaitForBatch(which, batch) => self.wait_for_batch(which, batch)?,
            Operation::PollWait(which) => self.poll_wait(which)?,
            Operation::CancelWait(which) => self.cancel_wait(which)?,
            Operation::TakeBatch(which, max) => self.take_batch(which, max)?,
            Operation::SettleBatch(which, how) => self.settle_batch(which, how)?,
            Operation::UnpackBatch(which) => self.unpack_batch(which)?,
            Operation::PutChild(which) => self.put_child(which)?,
            Operation::Settle(which, how) => self.settle(which, how)?,
            Operation::Answer(which) => self.answer(which)?,
            Operation::PollAsk(which) => self.poll_ask(which)?,
            Operation::DropAsk(which) => self.drop_ask(which)?,
            Operation::Watch => {
                let future = Box::pin(self.queues.first()?.drained());
                let mut watcher = Watcher { task: Task::new(), future };
                self.note("drained()".to_owned());
                match watcher.task.poll(watcher.future.as_mut()) {
                    Poll::Pending => self.watchers.push(watcher),
                    Poll::Ready(drained) => self.compare_end(&drained),
                }
            }
            Operation::OpenLetters if self.letters.is_none() => self.open_letters()?,
            Operation::ReadLetter => self.read_letter()?,
            Operation::OpenLetters | Operation::DropLetters => self.drop_letters()?,
            Operation::ListLetters => self.list_letters()?,
            Operation::RetryLetters(first, more) => self.retry_letters(first, more)?,
            Operation::DiscardLetters(first, more) => self.discard_letters(first, more)?,
            Operation::TakeLeft => self.take_left()?,
            Operation::CloneQueue => self.queues.push(self.queues.first()?.clone()),
            Operation::DropQueue => {
                // What waits for its backoff can be seen through a handle alone.
                if self.queues.len() == 1 && self.redelivery == Redelivery::AfterAMillisecond {
                    return None;
                }
                self.queues.pop()?;
                self.note("drop(queue)".to_owned());
                // A shutdown that waits has a handle, too.
                if self.queues.is_empty() && self.report.is_none() {
                    self.model.drop_last_handle();
                }
            }
            Operation::Seal => {
                self.queues.first()?.seal();
                self.note("seal()".to_owned());
                self.model.sealed = true;
            }
            Operation::Abort => {
                let left = self.queues.first()?.abort();
                self.note(format!("abort() -> {left:?}"));
                let expected = self.model.abort();
                self.compare_left(left, &expected);
            }
            Operation::ShutDown(grace) => self.shut_down(grace)?,
        }
        Some(())
    }

    pub(super) fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    pub(super) fn next_work(&mut self) -> Work {
        self.works += 1;
        self.works
    }

    pub(super) fn next_job(&mut self) -> Job {
        let work = self.next_work();
        self.mint.job(work)
    }

    /// C3: what can be opened, and when.
    fn opened<E>(&mut self, what: &str, opened: &Result<E, OpenError>) {
        self.note(format!("{what}() -> {}", opened.is_ok()));
        let expected = match self.model.sealed {
            _ if self.model.ended.is_some() => Err(OpenError::Ended),
            true => Err(OpenError::Sealed),
            false => Ok(()),
        };
        self.same(
            "C3: endpoints open until it is sealed or has ended",
            &opened.as_ref().map(drop).map_err(|error| *error),
            &expected,
        );
    }
}
