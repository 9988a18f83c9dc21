//! The real queue beside its specification: each operation happens to both.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::OpenError;
use actix_iterable_queue::report::{QueueId, ShutdownReport};
use actix_iterable_queue::{Backoff, Consumer, DeadLetter, Item, IterableQueue, Producer};
use futures::Stream;
use support::Task;

use super::model::{ConsumerNumber, Model, PutNumber, Settle, Work};
use super::operation::{Any, How, Operation, Patience, Program, Redelivery};
use super::parts::{Boxed, Doing, OpenConsumer, OpenPermit, OpenProducer, Taken, Wait, WaitingPut, Watcher};

pub(super) struct World {
    pub(super) model: Model,
    pub(super) redelivery: Redelivery,
    pub(super) id: QueueId,
    pub(super) queues: Vec<IterableQueue<Work>>,
    pub(super) producers: Vec<OpenProducer>,
    pub(super) puts: Vec<WaitingPut>,
    pub(super) permits: Vec<OpenPermit>,
    pub(super) consumers: Vec<OpenConsumer>,
    pub(super) leases: Vec<Item<Work>>,
    pub(super) letters: Option<Consumer<DeadLetter<Work>>>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) report: Option<Boxed<ShutdownReport<Work>>>,
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

/// The one that a number means, of so many.
pub(super) fn among(which: Any, count: usize) -> Option<usize> {
    usize::from(which).checked_rem(count)
}

impl World {
    fn new(program: &Program) -> Self {
        let Program { capacity, max_attempts, redelivery, .. } = *program;
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
        Self {
            model: Model { capacity, max_attempts, for_ever, ..Model::default() },
            redelivery,
            id: queue.id(),
            queues: vec![queue],
            producers: Vec::new(),
            puts: Vec::new(),
            permits: Vec::new(),
            consumers: Vec::new(),
            leases: Vec::new(),
            letters: None,
            watchers: Vec::new(),
            report: None,
            acting: None,
            step: 0,
            trace: vec![format!("{capacity:?} items, {max_attempts} attempts, redelivery {redelivery:?}")],
            endpoints: 0,
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
                let work = self.next_work();
                self.wait_to_put(among(which, self.producers.len())?, Some(work));
            }
            Operation::Reserve(which) => self.wait_to_put(among(which, self.producers.len())?, None),
            Operation::PollPut(which) => self.poll_put(among(which, self.puts.len())?),
            Operation::DropPut(which) => {
                let put = self.puts.swap_remove(among(which, self.puts.len())?);
                self.note(format!("drop(put{})", put.number));
                self.model.leave(put.handle, put.number);
                self.model.drop_share(put.handle);
            }
            Operation::UsePermit(which) => {
                let OpenPermit { handle, permit } = self.permits.swap_remove(among(which, self.permits.len())?);
                let work = self.next_work();
                let put = permit.put(work);
                self.note(format!("permit of p{handle}.put({work}) -> {put:?}"));
                let expected = self.model.put_reserved(handle, work);
                self.same("D6: the put of a permit", &put, &expected);
                self.model.drop_share(handle);
            }
            Operation::DropPermit(which) => {
                let OpenPermit { handle, permit } = self.permits.swap_remove(among(which, self.permits.len())?);
                drop(permit);
                self.note(format!("drop(permit of p{handle})"));
                self.model.permits -= 1;
                self.model.drop_share(handle);
            }
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
            Operation::DropConsumer(which) => {
                let consumer = self.consumers.swap_remove(among(which, self.consumers.len())?);
                self.note(format!("drop(c{})", consumer.number));
                self.model.close_consumer(consumer.number);
            }
            Operation::Take(which, how, patience) => self.try_take(self.idle(which)?, how, patience),
            Operation::PollStream(which) => {
                let (which, step) = (self.idle(which)?, self.step);
                let others_woken = self.others_woken(which);
                let OpenConsumer { sleeper, doing: Doing::Nothing(consumer), .. } = &mut self.consumers[which] else {
                    return None;
                };
                let polled = sleeper.poll(step, |task| Pin::new(consumer).poll_next(&mut task.context()));
                let taken = match polled {
                    Poll::Pending => Taken::Nothing,
                    Poll::Ready(got) => got.map_or(Taken::Ended, Taken::Owned),
                };
                self.judge(which, "poll_next", taken, others_woken);
            }
            Operation::Wait(which, how) => {
                let which = self.idle(which)?;
                let consumer = self.consumers.swap_remove(which);
                let Doing::Nothing(idle) = consumer.doing else { return None };
                self.consumers.push(OpenConsumer { doing: Doing::Waiting(Wait::new(idle, how)), ..consumer });
                self.poll_wait(self.consumers.len() - 1, if how == How::Get { "get" } else { "lease" });
            }
            Operation::PollWait(which) => self.poll_wait(self.waiting(which)?, "poll"),
            Operation::CancelWait(which) => {
                let which = self.waiting(which)?;
                let consumer = self.consumers.swap_remove(which);
                let Doing::Waiting(mut wait) = consumer.doing else { return None };
                wait.cancel();
                let Poll::Ready((idle, _)) = consumer.sleeper.task.poll(wait.future.as_mut()) else { unreachable!() };
                self.note(format!("c{}: its take is cancelled", consumer.number));
                self.consumers.push(OpenConsumer { doing: Doing::Nothing(idle), ..consumer });
                self.consumers.last_mut()?.sleeper.leave();
            }
            Operation::PutChild(which) => {
                let which = among(which, self.leases.len())?;
                let (work, parent) = (self.next_work(), &self.leases[which]);
                let put = parent.put_child(work);
                self.note(format!("lease of {}.put_child({work}) -> {put:?}", **parent));
                let expected = self.model.put_child(work);
                self.same("D9: a put through a lease", &put, &expected);
            }
            Operation::Settle(which, how) => {
                let item = self.leases.remove(among(which, self.leases.len())?);
                let work = *item;
                self.note(format!("lease of {work}: {how:?}"));
                self.acting = self.model.leased.get(&work).map(|lease| lease.consumer);
                match how {
                    Settle::Ack => item.ack(),
                    Settle::IntoInner => self.same("the item taken out", &item.into_inner(), &work),
                    Settle::Requeue => item.requeue(),
                    // As what failed does.
                    Settle::Release if self.model.for_ever => item.release_after(Duration::MAX),
                    Settle::Release => item.release(),
                    Settle::Drop => drop(item),
                    Settle::Reject => item.reject("rejected"),
                }
                self.model.settle(work, how);
            }
            Operation::Watch => {
                let future = Box::pin(self.queues.first()?.drained());
                let mut watcher = Watcher { task: Task::new(), future };
                self.note("drained()".to_owned());
                match watcher.task.poll(watcher.future.as_mut()) {
                    Poll::Pending => self.watchers.push(watcher),
                    Poll::Ready(drained) => self.compare_end(&drained),
                }
            }
            Operation::OpenLetters if self.letters.is_none() => {
                let opened = self.queues.first()?.dead_letters();
                self.note(format!("dead_letters() -> {}", opened.is_ok()));
                self.same("dead letters open at any time", &opened.is_ok(), &true);
                self.letters = Some(opened.ok()?);
                self.model.letters = Some(std::mem::take(&mut self.model.kept_letters));
            }
            Operation::ReadLetter => self.read_letter(),
            Operation::OpenLetters | Operation::DropLetters => {
                self.letters.as_ref()?;
                self.note("drop(dead letters)".to_owned());
                self.letters = None;
                // Those that were not read wait for the next reader, before those that came after the end.
                let mut unread = self.model.letters.take().unwrap_or_default();
                unread.append(&mut self.model.kept_letters);
                self.model.kept_letters = unread;
                self.model.let_letters_go();
            }
            Operation::CloneQueue => self.queues.push(self.queues.first()?.clone()),
            Operation::DropQueue => {
                // What waits for its backoff can be seen through a handle alone.
                if self.queues.len() == 1 && self.redelivery == Redelivery::AfterAMillisecond {
                    return None;
                }
                self.queues.pop()?;
                self.note("drop(queue)".to_owned());
                // A shutdown that waits has a handle, too.
                self.model.no_handle = self.queues.is_empty() && self.report.is_none();
                self.model.sealed |= self.model.no_handle;
                self.model.let_letters_go();
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
