//! Who put what, and who was handed it: noted beside the queue, which is not asked.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::audit::Audit;
use super::notes::{End, Event, List, NotedPut};
use crate::lock::lock;

/// An account of every single item, beside the queue and independent of it.
///
/// Producers note what was accepted, consumers what they were handed and what they finished; what
/// was dead-lettered or left over is noted here. At the end [`audit`](Ledger::audit) puts it all
/// together and says what was lost or left unfinished, done twice, came from nowhere, or out of order.
///
/// A note is a push to a list of its own for each producer and consumer, cheap enough for millions
/// of items from many threads. The lists belong to the ledger: they are complete also when the
/// threads and actors that wrote them have crashed.
///
/// `K` identifies an item: a number, or whatever no two items have in common.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use actix_iterable_queue::testing::Ledger;
///
/// let queue = IterableQueue::builder().max_attempts(2).build()?;
/// let dead_letters = queue.dead_letters()?;
/// let (producer, consumer) = queue.split()?;
/// let ledger = Ledger::new();
///
/// let put = ledger.producer();
/// for n in 0..10 {
///     producer.try_put(n)?;
///     put.accepted(n);
/// }
/// drop(producer);
///
/// let work = ledger.consumer("worker");
/// for item in consumer.into_blocking_leases() {
///     work.handed(*item, item.attempt());
///     if *item == 7 {
///         continue; // fails, each time
///     }
///     work.finished(*item); // before the ack: from then on nobody may be handed it
///     item.ack();
/// }
/// dead_letters.into_iter().for_each(|letter| ledger.dead_lettered(letter.item));
///
/// let audit = ledger.audit();
/// audit.assert_clean();
/// assert_eq!((audit.accepted, audit.finished, audit.dead_lettered), (10, 9, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ledger<K> {
    books: Arc<Books<K>>,
}

struct Books<K> {
    producers: Mutex<Vec<List<NotedPut<K>>>>,
    consumers: Mutex<Vec<(String, List<Event<K>>)>>,
    ends: List<(K, End)>,
}

impl<K> Ledger<K> {
    /// An empty one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// Ledger::<u64>::new().audit().assert_clean();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let books = Books { producers: Mutex::default(), consumers: Mutex::default(), ends: List::new() };
        Self { books: Arc::new(books) }
    }

    /// A list for one handle of a producer: the order of its notes is the order of its puts.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted(7);
    /// assert_eq!(ledger.audit().lost, [7]); // nobody was ever handed it
    /// ```
    #[must_use]
    pub fn producer(&self) -> ProducerLog<K> {
        let list = List::new();
        lock(&self.books.producers).push(list.clone());
        ProducerLog { list }
    }

    /// A list for one consumer. Several may have the same name, as the lives of a worker have.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::<u64>::new();
    /// let work = ledger.consumer("worker-1");
    /// assert_eq!(ledger.audit().told["worker-1"], 0);
    /// ```
    #[must_use]
    pub fn consumer(&self, name: impl Into<String>) -> ConsumerLog<K> {
        let list = List::new();
        lock(&self.books.consumers).push((name.into(), list.clone()));
        ConsumerLog { list }
    }

    /// Notes an item that the reader of the dead letters was given.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted(7);
    /// ledger.dead_lettered(7);
    /// ledger.audit().assert_clean();
    /// ```
    pub fn dead_lettered(&self, key: K) {
        self.books.ends.push((key, End::DeadLettered));
    }

    /// Notes an item that was handed out by `abort` or a shutdown, or that is known to be still in the
    /// queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let ledger = Ledger::new();
    /// queue.producer()?.try_put(7)?;
    /// ledger.producer().accepted(7);
    /// queue.abort().into_iter().for_each(|item| ledger.left_over(item));
    /// ledger.audit().assert_clean();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_over(&self, key: K) {
        self.books.ends.push((key, End::LeftOver));
    }

    /// Puts everything noted so far together.
    ///
    /// # Panics
    ///
    /// If two items with the same key were put: then nobody could tell what became of which.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted("a");
    /// let work = ledger.consumer("worker");
    /// work.taken("a");
    /// work.taken("b");
    /// let audit = ledger.audit();
    /// assert!(!audit.is_clean());
    /// assert_eq!(audit.from_nowhere, ["b"]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn audit(&self) -> Audit<K>
    where
        K: Clone + Eq + Hash + fmt::Debug,
    {
        let producers = lock(&self.books.producers).iter().map(List::entries).collect::<Vec<_>>();
        let consumers =
            lock(&self.books.consumers).iter().map(|(name, list)| (name.clone(), list.entries())).collect::<Vec<_>>();
        Audit::of(&producers, &consumers, &self.books.ends.entries())
    }
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Clone for Ledger<K> {
    fn clone(&self) -> Self {
        Self { books: Arc::clone(&self.books) }
    }
}

impl<K> fmt::Debug for Ledger<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("producers", &lock(&self.books.producers).len())
            .field("consumers", &lock(&self.books.consumers).len())
            .finish_non_exhaustive()
    }
}

/// The notes of a producer, from [`Ledger::producer`]. A clone writes to the same list.
pub struct ProducerLog<K> {
    list: List<NotedPut<K>>,
}

impl<K> ProducerLog<K> {
    /// The put of this item was `Ok`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::testing::Ledger;
    /// # let (ledger, queue) = (Ledger::new(), IterableQueue::unbounded());
    /// let (producer, put) = (queue.producer()?, ledger.producer());
    /// if producer.try_put(7).is_ok() {
    ///     put.accepted(7);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accepted(&self, key: K) {
        self.list.push(NotedPut { key, certain: true });
    }

    /// Nobody knows whether this item was accepted: the answer to a `Put` message was lost, say. It may
    /// come, and it need not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().unsure(7);
    /// ledger.audit().assert_clean();
    /// ```
    pub fn unsure(&self, key: K) {
        self.list.push(NotedPut { key, certain: false });
    }
}

/// The notes of a consumer, from [`Ledger::consumer`]. A clone writes to the same list.
pub struct ConsumerLog<K> {
    list: List<Event<K>>,
}

impl<K> ConsumerLog<K> {
    /// A lease of this item was looked at, at this [attempt](crate::Item::attempt).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::testing::Ledger;
    /// # let (ledger, queue) = (Ledger::new(), IterableQueue::unbounded());
    /// # let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// # producer.try_put(7)?;
    /// # ledger.producer().accepted(7);
    /// let work = ledger.consumer("worker");
    /// let item = consumer.try_lease()?;
    /// work.handed(*item, item.attempt());
    /// work.finished(*item);
    /// item.ack();
    /// # ledger.audit().assert_clean();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handed(&self, key: K, attempt: u32) {
        self.list.push(Event::Handed(key, attempt));
    }

    /// The lease will now end with `ack` or `into_inner`: note it just before, since nobody may be
    /// handed the item after it. Note it where the hand-out was noted, or in a clone of that.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// # let ledger = Ledger::new();
    /// # ledger.producer().accepted(7);
    /// let work = ledger.consumer("worker");
    /// work.handed(7, 1);
    /// work.finished(7);
    /// # ledger.audit().assert_clean();
    /// ```
    pub fn finished(&self, key: K) {
        self.list.push(Event::Finished(key));
    }

    /// The item was taken without a lease: handed out and finished in one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::testing::Ledger;
    /// # let (ledger, queue) = (Ledger::new(), IterableQueue::unbounded());
    /// # let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// # producer.try_put(7)?;
    /// # ledger.producer().accepted(7);
    /// ledger.consumer("worker").taken(consumer.try_get()?);
    /// # ledger.audit().assert_clean();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn taken(&self, key: K) {
        self.list.push(Event::Taken(key));
    }

    /// It was told of the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// # let ledger = Ledger::<u64>::new();
    /// let work = ledger.consumer("worker");
    /// work.told(); // in the handler of `Drained`
    /// assert_eq!(ledger.audit().told["worker"], 1);
    /// ```
    pub fn told(&self) {
        self.list.push(Event::Told);
    }
}

macro_rules! handle {
    ($name:ident) => {
        impl<K> Clone for $name<K> {
            fn clone(&self) -> Self {
                Self { list: self.list.clone() }
            }
        }

        impl<K> fmt::Debug for $name<K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("entries", &self.list.len()).finish()
            }
        }
    };
}

handle!(ProducerLog);
handle!(ConsumerLog);
