//! What the fault tests share: an actor that fails as it is told, and a book of what became of the items.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once, PoisonError};

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{Builder, Snapshot};
use futures::executor::block_on;

use crate::actors::{Run, until};
use crate::backend::{self, Payload};

/// Panics on purpose; `silence` keeps these out of the output.
pub fn fail(what: &str) -> ! {
    panic!("on purpose: {what}")
}

/// Panics that say they are on purpose print nothing from now on, nor do the aftershocks of items whose drop panics.
pub fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let said = info.payload().downcast_ref::<String>();
            if !said.is_some_and(|text| text.starts_with("on purpose")) {
                others(info);
            }
        }));
    });
}

/// An item that can be told from others.
pub trait Numbered: Send + 'static {
    fn number(&self) -> u32;
}

impl Numbered for u32 {
    fn number(&self) -> u32 {
        *self
    }
}

/// An item whose drop panics while it is armed.
pub struct Bomb(pub u32, pub Arc<AtomicBool>);

impl Numbered for Bomb {
    fn number(&self) -> u32 {
        self.0
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.1.load(SeqCst) {
            fail("the item's drop");
        }
    }
}

impl fmt::Debug for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bomb({})", self.0)
    }
}

/// A moment in an actor's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Made,
    Started,
    Drained,
    Stopping,
    Stopped,
    Dropped,
}

type OnItem<T> = Box<dyn Fn(&mut Faulty<T>, Item<T>, &mut Context<Faulty<T>>) + Send + Sync>;
type OnMoment<T> = Box<dyn Fn(&mut Faulty<T>, Moment) -> Running + Send + Sync>;

/// What faulty actors do, and the book that they keep.
pub struct Plan<T: Numbered> {
    item: OnItem<T>,
    moment: OnMoment<T>,
    lives: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Number and attempt of what was acked.
    acked: Vec<(u32, u32)>,
    drained: Vec<(usize, Outcome)>,
    moments: BTreeMap<Moment, usize>,
}

impl<T: Numbered> Plan<T> {
    /// What is done with each item; `Faulty::done` acks it.
    pub fn new(item: impl Fn(&mut Faulty<T>, Item<T>, &mut Context<Faulty<T>>) + Send + Sync + 'static) -> Arc<Self> {
        Self::with(item, |_, _| Running::Stop)
    }

    /// And what is done in certain moments. It is asked about stopping, and may panic.
    pub fn with(
        item: impl Fn(&mut Faulty<T>, Item<T>, &mut Context<Faulty<T>>) + Send + Sync + 'static,
        moment: impl Fn(&mut Faulty<T>, Moment) -> Running + Send + Sync + 'static,
    ) -> Arc<Self> {
        silence();
        Arc::new(Self {
            item: Box::new(item),
            moment: Box::new(moment),
            lives: AtomicUsize::new(0),
            book: Mutex::default(),
        })
    }

    /// Everything is well.
    pub fn good() -> Arc<Self> {
        Self::new(|actor, item, _| actor.done(item))
    }

    fn book<R>(&self, read: impl FnOnce(&mut Book) -> R) -> R {
        read(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often a moment has come.
    pub fn count(&self, moment: Moment) -> usize {
        self.book(|book| book.moments.get(&moment).copied().unwrap_or(0))
    }

    /// Number and attempt of everything acked, by number.
    pub fn acked(&self) -> Vec<(u32, u32)> {
        let mut acked = self.book(|book| book.acked.clone());
        acked.sort_unstable();
        acked
    }

    pub fn acked_numbers(&self) -> Vec<u32> {
        self.acked().into_iter().map(|(number, _)| number).collect()
    }

    /// Who was told of the end, by place, and how it ended.
    pub fn drained(&self) -> Vec<(usize, Outcome)> {
        let mut drained = self.book(|book| book.drained.clone());
        drained.sort_unstable_by_key(|(place, _)| *place);
        drained
    }
}

/// An actor that does as its plan says.
pub struct Faulty<T: Numbered> {
    pub plan: Arc<Plan<T>>,
    /// Its place in a pool.
    pub place: usize,
    /// How many there were before it.
    pub life: usize,
    /// What it has not settled yet.
    pub keeps: Vec<Item<T>>,
    pull: Option<(Consumer<T>, usize)>,
}

impl<T: Numbered> Faulty<T> {
    pub fn new(plan: &Arc<Plan<T>>, place: usize) -> Self {
        let life = plan.lives.fetch_add(1, SeqCst);
        let mut made = Self { plan: Arc::clone(plan), place, life, keeps: Vec::new(), pull: None };
        made.comes_to(Moment::Made);
        made
    }

    /// Consumes in its own context.
    pub fn pull(plan: &Arc<Plan<T>>, consumer: Consumer<T>, max_in_flight: usize) -> Self {
        let mut made = Self::new(plan, 0);
        made.pull = Some((consumer, max_in_flight));
        made
    }

    /// Notes the item, and acks it.
    pub fn done(&mut self, item: Item<T>) {
        self.plan.note(&item);
        item.ack();
    }

    fn comes_to(&mut self, moment: Moment) -> Running {
        let plan = Arc::clone(&self.plan);
        plan.book(|book| *book.moments.entry(moment).or_default() += 1);
        (plan.moment)(self, moment)
    }
}

impl<T: Numbered> Plan<T> {
    /// Notes an item that is about to be acked.
    pub fn note(&self, item: &Item<T>) {
        let (number, attempt) = (item.number(), item.attempt());
        self.book(|book| book.acked.push((number, attempt)));
    }
}

impl<T: Numbered> Unpin for Faulty<T> {}

impl<T: Numbered> Actor for Faulty<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.comes_to(Moment::Started);
        if let Some((consumer, max_in_flight)) = self.pull.take() {
            ctx.consume_concurrent(max_in_flight, consumer);
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.comes_to(Moment::Stopping)
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.comes_to(Moment::Stopped);
    }
}

impl<T: Numbered> Drop for Faulty<T> {
    fn drop(&mut self) {
        self.comes_to(Moment::Dropped);
    }
}

impl<T: Numbered> Handler<Item<T>> for Faulty<T> {
    type Result = ();

    fn handle(&mut self, item: Item<T>, ctx: &mut Self::Context) {
        let plan = Arc::clone(&self.plan);
        (plan.item)(self, item, ctx);
    }
}

impl<T: Numbered> Handler<Run<Self>> for Faulty<T> {
    type Result = ();

    fn handle(&mut self, work: Run<Self>, ctx: &mut Self::Context) {
        work.call(self, ctx);
    }
}

impl<T: Numbered> Handler<Drained> for Faulty<T> {
    type Result = ();

    fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
        let place = self.place;
        self.plan.book(|book| book.drained.push((place, drained.outcome)));
        self.comes_to(Moment::Drained);
    }
}

/// How an actor comes to its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Pull,
    Push,
    Pool,
}

pub const WAYS: [Way; 3] = [Way::Pull, Way::Push, Way::Pool];

/// Works until the queue has ended, one actor at a time, each after the death of the one before. The queue is sealed,
/// and its producers are closed, once the first one is there.
pub async fn work_off<T: Numbered + Unpin>(
    way: Way,
    queue: &IterableQueue<T>,
    plan: &Arc<Plan<T>>,
    max_in_flight: usize,
) -> Drained {
    let end = queue.drained();
    if way == Way::Pool {
        let plan = Arc::clone(plan);
        let pool = WorkerPool::builder(queue).workers(1).max_in_flight(max_in_flight);
        let pool = pool.start(move |place| Faulty::new(&plan, place)).expect("a system runs");
        queue.seal();
        let report = pool.drained().await.expect("nothing stops it");
        assert_eq!(report.drained, end.await);
        return report.drained;
    }
    let actor = QueueActor::new(queue.clone()).start();
    let is_worked_off = || {
        let totals = queue.snapshot().totals;
        totals.accepted > 0 && ends(&totals) == totals.accepted
    };
    while !is_worked_off() {
        let before = plan.count(Moment::Dropped);
        if way == Way::Pull {
            Faulty::pull(plan, queue.consumer().expect("it is open"), max_in_flight).start();
        } else {
            let register = RegisterConsumer::new(Faulty::new(plan, 0).start()).max_in_flight(max_in_flight);
            actor.send(register).await.expect("it lives").expect("it is open");
        }
        until(|| plan.count(Moment::Dropped) > before || is_worked_off()).await;
    }
    queue.seal();
    let drained = end.await;
    until(|| plan.count(Moment::Dropped) == plan.count(Moment::Made)).await;
    drained
}

/// A queue with these items, no producer, and a reader of its dead letters.
pub fn loaded<T: Payload + Send + 'static>(
    builder: Builder<T>,
    items: impl IntoIterator<Item = T>,
) -> (IterableQueue<T>, Consumer<DeadLetter<T>>) {
    load(backend::build(builder), items)
}

/// The same for what is narrower over Redis.
pub fn loaded_in_memory<T: Send + 'static>(
    builder: Builder<T>,
    items: impl IntoIterator<Item = T>,
) -> (IterableQueue<T>, Consumer<DeadLetter<T>>) {
    load(builder.build().expect("no number in it is 0"), items)
}

fn load<T: Send + 'static>(
    queue: IterableQueue<T>,
    items: impl IntoIterator<Item = T>,
) -> (IterableQueue<T>, Consumer<DeadLetter<T>>) {
    let dead_letters = queue.dead_letters().expect("it is open");
    let producer = queue.producer().expect("it is open");
    block_on(producer.put_all(items)).expect("there is room");
    (queue, dead_letters)
}

/// All dead letters so far.
pub fn read_all<T>(dead_letters: &mut Consumer<DeadLetter<T>>) -> Vec<DeadLetter<T>> {
    std::iter::from_fn(|| backend::found_or(|| dead_letters.try_get()).ok()).collect()
}

/// C6, with no call running.
#[track_caller]
pub fn assert_conserved(seen: &Snapshot) {
    actix_iterable_queue::testing::assert_conserved(seen);
}

/// The same at the end.
#[track_caller]
pub fn assert_all_ended(drained: &Drained) {
    assert_eq!(drained.totals.accepted, ends(&drained.totals), "not conserved: {drained:?}");
}

fn ends(totals: &Totals) -> u64 {
    totals.acked + totals.taken + totals.dead_lettered + totals.discarded
}

/// Once each, and nothing else.
#[track_caller]
pub fn assert_each_once(items: std::ops::Range<u32>, parts: impl IntoIterator<Item = Vec<u32>>) {
    let mut all: Vec<_> = parts.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(all.iter().copied().eq(items), "not each item once: {all:?}");
}

/// Sees threads end: each has a sign of life in a local of its own, which goes when the thread does.
#[derive(Debug, Clone, Default)]
pub struct Threads(Arc<AtomicUsize>);

struct Sign(Arc<AtomicUsize>);

impl Drop for Sign {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

thread_local! {
    static SIGNS: RefCell<Vec<Sign>> = const { RefCell::new(Vec::new()) };
}

impl Threads {
    /// This thread is one of them.
    pub fn enter(&self) {
        self.0.fetch_add(1, SeqCst);
        SIGNS.with_borrow_mut(|signs| signs.push(Sign(Arc::clone(&self.0))));
    }

    /// How many signs are left.
    pub fn alive(&self) -> usize {
        self.0.load(SeqCst)
    }
}
