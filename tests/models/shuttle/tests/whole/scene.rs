//! A queue and all who use it, on threads and tasks.

use std::sync::Arc;

use model::sync::thread::{self, JoinHandle};
use model::{Builder, Consumer, Drained, IterableQueue, Outcome, Producer, WeakQueue, block_on};
use shuttle::future;

use crate::book::{Book, Job};
use crate::chance::{a_while, below};
use crate::put::{Put, produce};
use crate::take::Consuming;

pub type Queue = IterableQueue<Job>;

/// Bounded or not.
pub fn some_queue() -> Builder<Job> {
    match below(3) {
        0 => IterableQueue::builder().no_redelivery_backoff(),
        capacity => IterableQueue::builder().capacity(capacity).no_redelivery_backoff(),
    }
}

enum Running {
    Thread(JoinHandle<()>),
    Task(future::JoinHandle<()>),
}

pub struct Scene {
    pub queue: Queue,
    pub book: Arc<Book>,
    pub observer: WeakQueue<Job>,
    /// Whether puts may fail.
    pub refusable: bool,
    /// Whether all that is left at the end is handed to somebody, however the end comes.
    pub accounted: bool,
    running: Vec<Running>,
    watchers: usize,
    letters: bool,
}

impl Scene {
    pub fn new(queue: Builder<Job>, max_attempts: u32) -> Self {
        let queue = queue.max_attempts(max_attempts).build().expect("a queue that can be built");
        Self {
            observer: queue.downgrade(),
            queue,
            book: Arc::new(Book::new(max_attempts)),
            refusable: false,
            accounted: false,
            running: Vec::new(),
            watchers: 0,
            letters: false,
        }
    }

    pub fn thread(&mut self, run: impl Future<Output = ()> + Send + 'static) {
        self.running.push(Running::Thread(thread::spawn(move || block_on(run))));
    }

    pub fn task(&mut self, run: impl Future<Output = ()> + Send + 'static) {
        self.running.push(Running::Task(future::spawn(run)));
    }

    pub fn spawn(&mut self, blocks: bool, run: impl Future<Output = ()> + Send + 'static) {
        if blocks || below(2) == 0 { self.thread(run) } else { self.task(run) }
    }

    pub fn producer(&self) -> Producer<Job> {
        self.queue.producer().expect("not sealed")
    }

    pub fn consumer(&self) -> Consumer<Job> {
        self.queue.consumer().expect("not sealed")
    }

    /// One or two who share the handle put so many jobs.
    pub fn produce(&mut self, producer: Producer<Job>, ways: &'static [Put], jobs: u32) {
        let producer = Arc::new(producer);
        let first = 1 + below(jobs as usize) as u32;
        for jobs in [first, jobs - first] {
            if jobs > 0 {
                let run = produce(Arc::clone(&self.book), Arc::clone(&producer), ways, jobs, self.refusable);
                self.spawn(ways.iter().any(|way| way.blocks()), run);
            }
        }
    }

    pub fn consume(&mut self, consumer: Consumer<Job>, mut how: Consuming) {
        how.refusable = self.refusable;
        let run = how.run(&self.book, consumer);
        self.spawn(how.takes.iter().any(|way| way.blocks()), run);
    }

    pub fn watch(&mut self, watchers: usize) {
        self.watchers += watchers;
        for _ in 0..watchers {
            let (book, drained) = (Arc::clone(&self.book), self.observer.drained());
            self.spawn(false, async move { book.heard(drained.await) });
        }
    }

    /// Looks at times whether there is more in the queue than may be (D5), where nothing comes back and
    /// there are no permits.
    pub fn look_at_capacity(&mut self) {
        let Some(capacity) = self.queue.capacity() else { return };
        let observer = self.observer.clone();
        self.task(async move {
            for _ in 0..3 {
                a_while().await;
                let seen = observer.snapshot();
                assert!(seen.buffered <= capacity, "{seen}");
            }
        });
    }

    /// Reads the dead letters, to their end.
    pub fn read_letters(&mut self) {
        self.letters = true;
        let (book, letters) = (Arc::clone(&self.book), self.queue.dead_letters().expect("not sealed"));
        self.thread(async move { letters.into_iter().for_each(|letter| book.read(&letter)) });
    }

    /// Does something to the queue at any time.
    pub fn sometime<R>(&mut self, act: impl FnOnce(Queue, Arc<Book>) -> R + Send + 'static)
    where
        R: Future<Output = ()> + Send + 'static,
    {
        let (queue, book) = (self.queue.clone(), Arc::clone(&self.book));
        self.spawn(false, async move {
            a_while().await;
            act(queue, book).await;
        });
    }

    /// Waits for all that run, with nobody but themselves to wake them.
    pub fn join(&mut self) {
        join(std::mem::take(&mut self.running));
    }

    /// Seals in some way, waits for the end, and judges it.
    pub fn judge(mut self) -> Drained {
        match below(3) {
            0 => self.queue.seal(),
            1 => self.sometime(|queue, _| async move { queue.seal() }),
            // By the drop of the last handle.
            _ => self.sometime(|queue, _| async move { drop(queue) }),
        }
        let Self { queue, book, observer, watchers, letters, running, accounted, refusable } = self;
        drop(queue);
        join(running);
        let end = block_on(observer.drained());
        let seen = observer.snapshot();
        book.judge(&seen, &end, watchers);
        if accounted {
            book.judge_left();
        }
        if end.outcome == Outcome::Complete && !refusable {
            // The letters are dropped with the last handle, which may be after the end.
            let mut totals = end.totals;
            totals.letters_dropped = seen.totals.letters_dropped;
            assert_eq!(totals, seen.totals, "all had closed");
        }
        if end.outcome == Outcome::Complete && letters {
            book.judge_letters(&seen);
        }
        end
    }
}

fn join(running: Vec<Running>) {
    for running in running {
        match running {
            Running::Thread(thread) => thread.join().expect("shuttle ends a model with the first panic"),
            Running::Task(task) => block_on(task).expect("nobody aborts it"),
        }
    }
}
