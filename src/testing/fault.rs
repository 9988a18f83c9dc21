//! Injected faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An injected fault. It counts items, and says which of them it strikes.
///
/// The caller decides what a strike means. Work that returns an error drops its lease unsettled; a worker dies of a panic,
/// and so does a producer with its work half done. Each takes one line:
///
/// | where | fails | dies |
/// |---|---|---|
/// | a handler, a loop | `if fault.strikes() { return; }` | `fault.panic_if_it_strikes();` |
/// | an iterator | `leases.filter(\|_\| !fault.strikes())` | [`fault.panic_in(leases)`](Fault::panic_in) |
///
/// Clones count together. So a clone for each worker strikes the k-th item of the pool, and a new fault for each worker
/// strikes the k-th item of each.
///
/// # Examples
///
/// A pool whose third item kills a worker. The pool replaces it:
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
/// use actix_iterable_queue::testing::Fault;
///
/// struct Shaky(Fault);
///
/// impl Actor for Shaky {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Item<u32>> for Shaky {
///     type Result = ();
///
///     fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
///         self.0.panic_if_it_strikes(); // and drops the item unsettled
///         item.ack();
///     }
/// }
///
/// impl Handler<Drained> for Shaky {
///     type Result = ();
///
///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
/// }
///
/// # System::new().block_on(async {
/// let queue = IterableQueue::unbounded();
/// let fault = Fault::at(3);
/// let pool = WorkerPool::builder(&queue).workers(2).start(move |_index| Shaky(fault.clone()))?;
/// queue.producer()?.put_all(0..10).await?;
/// queue.seal();
/// let report = pool.drained().await?;
/// assert_eq!((report.totals.acked, report.totals.deaths), (10, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    when: When,
    seen: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy)]
enum When {
    At(u64),
    Sometimes { probability: f64, seed: u64 },
}

impl Fault {
    /// Strikes the k-th item, counted from 1, and no other.
    ///
    /// # Panics
    ///
    /// If k is 0. For no fault at all, use a probability of 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Fault;
    /// let fault = Fault::at(2);
    /// assert_eq!([fault.strikes(), fault.strikes(), fault.strikes()], [false, true, false]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn at(k: u64) -> Self {
        assert!(k > 0, "items are counted from 1: there is no item 0 to strike");
        Self::new(When::At(k))
    }

    /// Strikes each item with this probability. The same seed strikes the items of the same numbers in every run.
    ///
    /// # Panics
    ///
    /// If the probability is not within 0 to 1.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Fault;
    /// let struck = |seed| {
    ///     let fault = Fault::with_probability(0.1, seed);
    ///     (0..1000).filter(|_| fault.strikes()).collect::<Vec<_>>()
    /// };
    /// assert_eq!(struck(7), struck(7));
    /// assert_ne!(struck(7), struck(8));
    /// assert!((50..200).contains(&struck(7).len()));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_probability(probability: f64, seed: u64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "a probability is within 0 to 1, not {probability}");
        Self::new(When::Sometimes { probability, seed })
    }

    fn new(when: When) -> Self {
        Self { when, seen: Arc::default() }
    }

    /// Counts an item. Returns its number if the fault strikes it.
    fn count(&self) -> Option<u64> {
        let number = self.seen.fetch_add(1, Relaxed) + 1;
        let strikes = match self.when {
            When::At(k) => number == k,
            When::Sometimes { probability, seed } => {
                // A generator for each number, so that threads share only the count.
                fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).f64() < probability
            }
        };
        strikes.then_some(number)
    }

    /// Counts an item, and returns whether the fault strikes it.
    ///
    /// # Examples
    ///
    /// A consumer on a thread that fails its second item:
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    /// use actix_iterable_queue::testing::Fault;
    ///
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// ["a", "b"].into_iter().try_for_each(|letter| producer.try_put(letter))?;
    /// drop(producer);
    ///
    /// let fault = Fault::at(2);
    /// let leases = consumer.into_blocking_leases().filter(|_| !fault.strikes());
    /// let done: Vec<_> = leases.map(|item| (item.attempt(), item.into_inner())).collect();
    /// assert_eq!(done, [(1, "a"), (2, "b")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the caller has to fail if the fault strikes"]
    pub fn strikes(&self) -> bool {
        self.count().is_some()
    }

    /// Counts an item, and panics if the fault strikes it.
    ///
    /// # Panics
    ///
    /// If the fault strikes. The message begins with "a planned fault".
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// # use actix_iterable_queue::testing::Fault;
    /// Fault::at(1).panic_if_it_strikes();
    /// ```
    #[track_caller]
    pub fn panic_if_it_strikes(&self) {
        if let Some(number) = self.count() {
            panic!("a planned fault, at item {number}");
        }
    }

    /// Returns an iterator over the same items, which panics at the item that the fault strikes, and drops that item.
    ///
    /// It makes a producer die half-way, however it puts, and a consumer die while it holds a lease.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    /// use actix_iterable_queue::testing::Fault;
    /// use std::thread;
    ///
    /// let (producer, consumer) = IterableQueue::bounded(2).split()?;
    /// let dying = thread::spawn(move || {
    ///     for n in Fault::at(4).panic_in(1..=1000) {
    ///         producer.blocking_put(n).unwrap();
    ///     }
    /// });
    /// assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [1, 2, 3]); // it ends: the panic has closed the producer
    /// assert!(dying.join().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// In an actor or a task: `producer.put_all(fault.panic_in(items)).await`.
    pub fn panic_in<I: IntoIterator>(&self, items: I) -> impl Iterator<Item = I::Item> + use<I> {
        let fault = self.clone();
        items.into_iter().inspect(move |_| fault.panic_if_it_strikes())
    }
}
