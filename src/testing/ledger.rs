//! An account of all items, from the notes of producers and consumers.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::audit::Audit;
use super::notes::{Event, List, NotedEnd, NotedPut};
use crate::lock::lock;

/// An account of every item, independent of the queue.
///
/// Producers note which items were accepted, consumers which they were handed and which they finished; dead letters and
/// items left over are noted in the ledger itself. At the end, [`audit`](Ledger::audit) compares the notes and finds items
/// that were lost, left unfinished, done twice, came from nowhere, or out of order.
///
/// Each producer and consumer writes to a list of its own, which is cheap enough for millions of items from many threads.
/// The ledger owns the lists, so they are complete also if the threads and actors that wrote them have crashed.
///
/// `K` identifies an item: a number, or any other key that no two items share.
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
///     work.finished(*item); // before the ack: after it, no consumer may be handed the item
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
    ends: List<(K, NotedEnd)>,
}

impl<K> Ledger<K> {
    /// Creates an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        let books = Books { producers: Mutex::default(), consumers: Mutex::default(), ends: List::new() };
        Self { books: Arc::new(books) }
    }

    /// Creates a list for one handle of a producer. It notes its puts in their order.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted(7);
    /// assert_eq!(ledger.audit().lost, [7]); // it was never handed out
    /// ```
    #[must_use]
    pub fn producer(&self) -> ProducerLog<K> {
        let list = List::new();
        lock(&self.books.producers).push(list.clone());
        ProducerLog { list }
    }

    /// Creates a list for one consumer. Several may have the same name, as the lives of one worker do.
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

    /// Notes an item that was read from the dead letters.
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
        self.books.ends.push((key, NotedEnd::DeadLettered));
    }

    /// Notes that the dead letter of an item was retried: the item comes to one more end. Attempts begin anew, so an item that
    /// was handed out twice with the same attempt is not found any more.
    ///
    /// A letter that was retried by id was not read: note it with [`dead_lettered`](Ledger::dead_lettered), too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted(7);
    /// ledger.dead_lettered(7);
    /// ledger.retried(7);
    /// assert_eq!(ledger.audit().unfinished, [7]);
    /// ledger.consumer("worker").taken(7);
    /// ledger.audit().assert_clean();
    /// ```
    pub fn retried(&self, key: K) {
        self.books.ends.push((key, NotedEnd::Retried));
    }

    /// Notes an item that `abort` or a shutdown returned, or that is known to be still in the queue.
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
        self.books.ends.push((key, NotedEnd::LeftOver));
    }

    /// Compares all notes so far.
    ///
    /// # Panics
    ///
    /// If two items with the same key were put, as their notes cannot be told apart.
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

/// The notes of a producer. Returned by [`Ledger::producer`]. A clone writes to the same list.
pub struct ProducerLog<K> {
    list: List<NotedPut<K>>,
}

impl<K> ProducerLog<K> {
    /// Notes that the put of this item was `Ok`.
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

    /// Notes that it is not known whether this item was accepted, for instance because the answer to a `Put` message was
    /// lost. The item may come or not.
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

/// The notes of a consumer. Returned by [`Ledger::consumer`]. A clone writes to the same list.
pub struct ConsumerLog<K> {
    list: List<Event<K>>,
}

impl<K> ConsumerLog<K> {
    /// Notes that this consumer was handed a lease of the item, at this [attempt](crate::Item::attempt).
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

    /// Notes that the lease will now end with `ack` or `into_inner`. Call it just before, as no consumer may be handed the
    /// item afterwards, on the log that noted the hand-out or a clone of it.
    pub fn finished(&self, key: K) {
        self.list.push(Event::Finished(key));
    }

    /// Notes that the item was taken without a lease: handed out and finished at once.
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

    /// Notes that this consumer was told of the end.
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
