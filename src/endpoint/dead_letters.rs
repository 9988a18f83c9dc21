//! The queue of dead letters.

use std::any::Any;
use std::sync::{Arc, PoisonError};

use super::consumer::Consumer;
use super::producer::Producer;
use crate::error::OpenError;
use crate::queue::{DeadLetter, DeadLetterQueue, IterableQueue, Outgoing};
use crate::sync::Mutex;

/// Taken apart when the main queue ends.
struct Opened<T>(Mutex<Option<Ends<T>>>);

struct Ends<T> {
    queue: IterableQueue<DeadLetter<T>>,
    producer: Producer<DeadLetter<T>>,
}

impl<T: Send + 'static> DeadLetterQueue<T> for Opened<T> {
    fn put(&self, letter: &mut Outgoing<DeadLetter<T>>) {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let producer = match &*guard {
            // Letters that nobody reads would pile up.
            Some(ends) if ends.queue.shared().has_open_consumer() => ends.producer.clone(),
            _ => return,
        };
        drop(guard);
        if let Some(handle) = producer.open_handle() {
            // One that is refused stays where it is.
            handle.try_put(letter).ok();
        }
    }

    #[cfg(feature = "redis")]
    fn is_read(&self) -> bool {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().is_some_and(|ends| ends.queue.shared().has_open_consumer())
    }

    fn close(&self) {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ends);
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
        let opened = self.shared().dead_letters(|| {
            let queue = IterableQueue::unbounded();
            // A queue that was just built is open.
            let ends = queue.producer().ok().map(|producer| Ends { queue, producer });
            Arc::new(Opened(Mutex::new(ends)))
        });
        let opened = opened.ok_or(OpenError::Ended)?;
        let opened =
            opened.as_any().downcast_ref::<Opened<T>>().unwrap_or_else(|| unreachable!("the only kind there is"));
        let guard = opened.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().ok_or(OpenError::Ended)?.queue.consumer()
    }
}
