//! How a queue is built.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::BuildError;
use crate::queue::{Config, IterableQueue, UNLIMITED_ATTEMPTS, name};

/// The default of [`Builder::max_attempts`].
const MAX_ATTEMPTS: u32 = 5;

/// The default of [`Builder::redelivery_backoff`].
const REDELIVERY_BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(30));
/// The default of [`Builder::keep_dead_letters`].
const KEPT_LETTERS: usize = 1000;

impl<T> IterableQueue<T> {
    /// Creates a queue that holds at most `capacity` items that no consumer was handed yet. If it is full, puts wait.
    ///
    /// Items that come back, and items put through a lease, may exceed the capacity. A huge one allocates nothing ahead.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0. [`builder`](IterableQueue::builder) returns an error instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    /// use actix_iterable_queue::error::TryPutError;
    ///
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put('a')?;
    /// assert_eq!(producer.try_put('b'), Err(TryPutError::Full('b')));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn bounded(capacity: usize) -> Self {
        match Builder::new().capacity(capacity).build() {
            Ok(queue) => queue,
            Err(error) => panic!("IterableQueue::bounded: {error}"),
        }
    }

    /// Creates a queue without a bound: puts never wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// (0..1000).try_for_each(|n| producer.try_put(n))?;
    /// drop(producer);
    /// assert_eq!(consumer.into_iter().count(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unbounded() -> Self {
        Self::new(Builder::new().config)
    }

    /// Returns a builder for a queue with a name, a capacity, a limit of attempts, a backoff.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::<u64>::builder().name("jobs").capacity(100).max_attempts(3).build()?;
    /// assert_eq!((queue.name(), queue.capacity()), (Some("jobs"), Some(100)));
    /// # Ok::<(), actix_iterable_queue::error::BuildError>(())
    /// ```
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

/// Describes a queue before it is built. Returned by [`IterableQueue::builder`].
///
/// A clone describes another queue of the same kind.
pub struct Builder<T> {
    config: Config<T>,
}

impl<T> Builder<T> {
    pub(crate) fn new() -> Self {
        Self {
            config: Config {
                name: None,
                capacity: None,
                max_attempts: MAX_ATTEMPTS,
                redelivery_backoff: Some(REDELIVERY_BACKOFF),
                kept_letters: KEPT_LETTERS,
                describe: None,
            },
        }
    }

    /// Sets the queue's name, for snapshots and the log.
    #[must_use]
    pub fn name(mut self, queue_name: impl Into<String>) -> Self {
        self.config.name = name(queue_name);
        self
    }

    /// Sets how many items may wait for a consumer before puts have to wait. No bound unless given.
    #[must_use]
    pub fn capacity(mut self, items: usize) -> Self {
        self.config.capacity = Some(items);
        self
    }

    /// Sets how often an item is handed out at most; 5 unless given. A lease that ends unsettled uses up one attempt. After
    /// the last one the item is a dead letter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::builder().max_attempts(1).build()?;
    /// let mut dead_letters = queue.dead_letters()?;
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put('x')?;
    /// drop(consumer.try_lease()?);
    /// assert_eq!(dead_letters.try_get()?.item, 'x');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.max_attempts = attempts;
        self
    }

    /// Removes the limit of attempts: a failing item is tried again until it succeeds, is
    /// [rejected](crate::Item::reject), or the queue ends.
    ///
    /// For work that is to wait for as long as an outage lasts, such as mail. An item that can never succeed comes back for
    /// ever, and the queue is not drained before it is settled: reject it once you know, by
    /// [`attempt`](crate::Item::attempt) or by the error. Items that wait take no place of the capacity.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::builder().unlimited_attempts().no_redelivery_backoff().build()?;
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put("mail")?;
    /// for _ in 0..1000 {
    ///     consumer.try_lease()?.fail("the server is down");
    /// }
    /// assert_eq!(consumer.try_lease()?.attempt(), 1001);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unlimited_attempts(self) -> Self {
        self.max_attempts(UNLIMITED_ATTEMPTS)
    }

    /// Sets how long a failed item waits before it comes back, precise to some milliseconds. Unless given it is
    /// `Backoff::exponential` from 100 ms to 30 s, so the pauses between five attempts are 0.75 to 1.5 s in all.
    ///
    /// An item has failed if its lease was dropped unsettled, or ended with `fail`, `requeue` or an `Err`. While it waits it
    /// counts as buffered, so the queue is not drained before it has come back and is settled. The capacity does not count
    /// it. What a worker of a pool held beside the item that it failed of comes back at once when the worker dies.
    ///
    /// A thread keeps the time, and runs only while items wait: no runtime is needed. If it cannot be started, the failed
    /// items come back at once, with the attempt counted, and an error is logged; the next failure tries again.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{Backoff, IterableQueue};
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::exponential(Duration::from_millis(10), Duration::from_secs(5));
    /// let queue = IterableQueue::builder().redelivery_backoff(backoff).build()?;
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put("flaky")?;
    /// consumer.try_lease()?.requeue();
    /// let item = consumer.blocking_lease().unwrap(); // after 5 to 10 ms
    /// assert_eq!(item.attempt(), 2);
    /// # item.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn redelivery_backoff(mut self, backoff: Backoff) -> Self {
        self.config.redelivery_backoff = Some(backoff);
        self
    }

    /// Makes failed items come back at once.
    ///
    /// Five attempts in a row take some microseconds then: whatever is wrong with the item or the world will hardly have
    /// changed. It suits tests, and work that fails for reasons of its own only.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let (producer, mut consumer) = IterableQueue::builder().no_redelivery_backoff().build()?.split()?;
    /// producer.try_put("flaky")?;
    /// consumer.try_lease()?.requeue();
    /// assert_eq!(consumer.try_lease()?.attempt(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn no_redelivery_backoff(mut self) -> Self {
        self.config.redelivery_backoff = None;
        self
    }

    /// Sets how many [dead letters](IterableQueue::dead_letters) are kept while no reader is open; 1,000 unless given. The oldest
    /// makes room for a new one: it is dropped and counted, and the log says so. With 0 none are kept.
    ///
    /// They take memory until they are read, discarded or retried, or the last handle of the queue is dropped. A producer or a
    /// handle of the queue inside a kept item keeps the queue from ending.
    ///
    /// Over Redis all dead letters are kept there. Then this is how many
    /// [`list_dead_letters`](IterableQueue::list_dead_letters) lists at most.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::builder().keep_dead_letters(2).build()?;
    /// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// (1..=3).try_for_each(|n| producer.try_put(n))?;
    /// drop(producer);
    /// queue.seal();
    /// consumer.into_blocking_leases().for_each(|item| item.reject("bad"));
    /// assert!(queue.dead_letters()?.into_iter().map(|letter| letter.item).eq([2, 3]));
    /// assert_eq!(queue.snapshot().totals.letters_dropped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keep_dead_letters(mut self, letters: usize) -> Self {
        self.config.kept_letters = letters;
        self
    }

    /// Has dead letters say which item they are of: lines of the log and
    /// [`list_dead_letters`](IterableQueue::list_dead_letters) contain it, as [`text`](crate::DeadLetter::text).
    ///
    /// The text is what `{:?}` prints of the item when it is given up, cut off after 200 bytes. Without this call it is not
    /// printed at all, as an item may hold what the log must not. Over Redis an item that its process did not give up, as that
    /// died, is listed with the beginning of its JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::builder().describe_items().build()?;
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put(("mail", 7))?;
    /// consumer.try_lease()?.reject("no such address");
    /// let letters = queue.blocking_list_dead_letters()?;
    /// assert_eq!(letters[0].text.as_deref(), Some(r#"("mail", 7)"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn describe_items(mut self) -> Self
    where
        T: fmt::Debug,
    {
        self.config.describe = Some(describe::<T>);
        self
    }

    /// Builds the queue.
    ///
    /// # Errors
    ///
    /// If the capacity or the number of attempts is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::BuildError;
    /// let error = IterableQueue::<u8>::builder().max_attempts(0).build().unwrap_err();
    /// assert_eq!(error, BuildError::ZeroMaxAttempts);
    /// ```
    pub fn build(self) -> Result<IterableQueue<T>, BuildError> {
        self.check().map(IterableQueue::new)
    }

    pub(crate) fn check(self) -> Result<Config<T>, BuildError> {
        if self.config.capacity == Some(0) {
            return Err(BuildError::ZeroCapacity);
        }
        if self.config.max_attempts == 0 {
            return Err(BuildError::ZeroMaxAttempts);
        }
        Ok(self.config)
    }
}

/// Same as [`IterableQueue::builder`].
impl<T> Default for Builder<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Builder<T> {
    fn clone(&self) -> Self {
        let Config { name, capacity, max_attempts, redelivery_backoff, kept_letters, describe } = &self.config;
        Self {
            config: Config {
                name: name.clone(),
                capacity: *capacity,
                max_attempts: *max_attempts,
                redelivery_backoff: *redelivery_backoff,
                kept_letters: *kept_letters,
                describe: *describe,
            },
        }
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.config.name)
            .field("capacity", &self.config.capacity)
            .field("max_attempts", &self.config.max_attempts)
            .field("redelivery_backoff", &self.config.redelivery_backoff)
            .field("keep_dead_letters", &self.config.kept_letters)
            .field("describe_items", &self.config.describe.is_some())
            .finish()
    }
}

/// How long the text of an item may be, in bytes.
pub(crate) const MAX_TEXT: usize = 200;

/// Writes an item as text, which is cut off where it gets too long.
fn describe<T: fmt::Debug>(item: &T) -> String {
    let mut text = Cut(String::new());
    // An error says that it was cut off, or is the item's own.
    write!(text, "{item:?}").ok();
    text.0
}

/// Returns a text that is cut off where it gets too long.
#[cfg(feature = "redis")]
pub(crate) fn cut_off(text: &str) -> String {
    let mut cut = Cut(String::new());
    cut.write_str(text).ok();
    cut.0
}

/// Takes text up to `MAX_TEXT`, and no more: a large item is not printed whole.
struct Cut(String);

impl Write for Cut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len().min(MAX_TEXT);
        if part.len() <= room {
            self.0.push_str(part);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| part.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&part[..end]);
        self.0.push('…');
        Err(fmt::Error)
    }
}
