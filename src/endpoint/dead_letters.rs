//! The queue of dead letters.

use std::any::Any;
use std::sync::Arc;

use super::consumer::Consumer;
use super::producer::Producer;
use crate::error::OpenError;
use crate::lock::lock;
use crate::queue::{DeadLetter, DeadLetterQueue, IterableQueue};
use crate::sync::Mutex;

/// Where the dead letters of a queue go. Taken apart when that queue ends.
pub(crate) struct OpenDeadLetters<T>(Mutex<Option<Ends<T>>>);

struct Ends<T> {
    queue: IterableQueue<DeadLetter<T>>,
    /// Over Redis there is none: letters are put there.
    producer: Option<Producer<DeadLetter<T>>>,
}

impl<T> OpenDeadLetters<T> {
    /// Dead letters that are put into memory.
    fn in_memory() -> Self {
        let queue = IterableQueue::unbounded();
        // A queue that was just built is open.
        let producer = queue.producer().ok();
        Self(Mutex::new(Some(Ends { queue, producer })))
    }

    /// Dead letters that come into `queue` from elsewhere.
    #[cfg(feature = "redis")]
    pub(crate) fn elsewhere(queue: IterableQueue<DeadLetter<T>>) -> Self {
        Self(Mutex::new(Some(Ends { queue, producer: None })))
    }
}

impl<T: Send + 'static> DeadLetterQueue<T> for OpenDeadLetters<T> {
    fn put(&self, letter: &mut Option<DeadLetter<T>>) {
        let guard = lock(&self.0);
        let producer = match &*guard {
            // Letters that nobody reads would pile up.
            Some(ends) if ends.queue.shared().has_open_consumer() => ends.producer.clone(),
            _ => None,
        };
        drop(guard);
        if let Some(handle) = producer.as_ref().and_then(Producer::open_handle) {
            // One that is refused stays where it is.
            handle.try_put(letter).ok();
        }
    }

    fn close(&self) {
        let ends = lock(&self.0).take();
        if let Some(Ends { queue, producer }) = ends {
            drop(producer);
            queue.seal();
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<T: Send + 'static> IterableQueue<T> {
    /// A consumer of the items that used up their attempts or were rejected. It is a consumer like
    /// any other, and ends when this queue has ended.
    ///
    /// Dead letters that come while nobody has asked for them are logged at error, counted, and
    /// not kept: ask before they come. Those that come while this consumer is open are kept until it reads them, without
    /// a bound: drop it if nobody does.
    ///
    /// Over Redis they are kept in any case, also after the end of the queue, until a process reads them. A letter leaves
    /// Redis when its reader settles it: one that is [leased](Consumer::lease) and not acked comes back, one that is taken
    /// has left with that.
    ///
    /// # Errors
    ///
    /// [`OpenError::Ended`] if this queue has ended. Seal alone does not matter: a sealed queue may still have dead
    /// letters.
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
        let opened = opened
            .as_any()
            .downcast_ref::<OpenDeadLetters<T>>()
            .unwrap_or_else(|| unreachable!("the only kind there is"));
        let guard = lock(&opened.0);
        guard.as_ref().ok_or(OpenError::Ended)?.queue.consumer()
    }
}
