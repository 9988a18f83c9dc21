//! The queue of a queue's dead letters.

use std::any::Any;
use std::sync::Arc;

use super::consumer::Consumer;
use super::producer::Producer;
use crate::error::OpenError;
use crate::lock::lock;
use crate::queue::{DeadLetter, DeadLetterQueue, IterableQueue};
use crate::sync::Mutex;

/// The queue of a queue's dead letters. `None` once that queue has ended.
pub(crate) struct OpenDeadLetters<T>(Mutex<Option<Letters<T>>>);

struct Letters<T> {
    queue: IterableQueue<DeadLetter<T>>,
    /// `None` over Redis, where scripts put the letters.
    producer: Option<Producer<DeadLetter<T>>>,
}

impl<T> OpenDeadLetters<T> {
    /// Creates the queue in memory.
    fn in_memory() -> Self {
        let queue = IterableQueue::unbounded();
        // A queue that was just built is open.
        let producer = queue.producer().ok();
        Self(Mutex::new(Some(Letters { queue, producer })))
    }

    /// Wraps a queue whose letters come from a remote store.
    #[cfg(feature = "redis")]
    pub(crate) fn elsewhere(queue: IterableQueue<DeadLetter<T>>) -> Self {
        Self(Mutex::new(Some(Letters { queue, producer: None })))
    }
}

impl<T: Send + 'static> DeadLetterQueue<T> for OpenDeadLetters<T> {
    fn put(&self, letter: &mut Option<DeadLetter<T>>) {
        let guard = lock(&self.0);
        let producer = match &*guard {
            // Without a reader, letters would pile up.
            Some(letters) if letters.queue.shared().has_open_consumer() => letters.producer.clone(),
            _ => None,
        };
        drop(guard);
        if let Some(handle) = producer.as_ref().and_then(Producer::open_handle) {
            // A letter that is refused stays in `letter`.
            handle.try_put(letter).ok();
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn close(&self) {
        let letters = lock(&self.0).take();
        if let Some(Letters { queue, producer }) = letters {
            drop(producer);
            queue.seal();
        }
    }
}

impl<T: Send + 'static> IterableQueue<T> {
    /// Opens a consumer of the items that used up their attempts or were rejected. It ends when this queue has ended.
    ///
    /// Call it before the work begins: a dead letter that comes before is logged as an error, counted, and dropped. Those
    /// that come while this consumer is open are kept until it takes them, without a bound. Drop it if you do not read them.
    ///
    /// Over Redis dead letters are kept in any case, also after the end of the queue, until a process has settled them. A
    /// letter that is [leased](Consumer::lease) and not acked comes back.
    ///
    /// # Errors
    ///
    /// [`OpenError::Ended`] if this queue has ended. A sealed queue may still have dead letters.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let dead_letters = queue.dead_letters()?;
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put("bad")?;
    /// drop(producer);
    /// consumer.try_lease()?.reject("cannot be parsed");
    /// let letters: Vec<_> = dead_letters.into_iter().collect();
    /// assert_eq!((letters[0].item, letters[0].reason.as_str()), ("bad", "cannot be parsed"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(&self) -> Result<Consumer<DeadLetter<T>>, OpenError> {
        let opened = self.shared().dead_letters(|| Arc::new(OpenDeadLetters::in_memory()));
        let opened = opened.ok_or(OpenError::Ended)?;
        let Some(OpenDeadLetters(letters)) = opened.as_any().downcast_ref::<OpenDeadLetters<T>>() else {
            unreachable!("there is no other implementation")
        };
        // `None` if this queue has ended meanwhile.
        lock(letters).as_ref().ok_or(OpenError::Ended)?.queue.consumer()
    }
}
