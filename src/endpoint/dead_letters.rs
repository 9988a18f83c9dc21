//! The readers of a queue's dead letters.

use std::any::Any;
use std::sync::Arc;

use super::consumer::Consumer;
use super::open::PoolClaim;
use super::producer::Producer;
use crate::config::Builder;
use crate::error::OpenError;
use crate::lock::lock;
use crate::queue::{DeadLetter, DeadLetterQueue, IterableQueue, Shared};
use crate::sync::Mutex;

/// The queues that readers of a queue's dead letters take from.
///
/// All that open before the end share one. After it, each gets one of its own, sealed, with what is kept then.
pub(crate) struct OpenDeadLetters<T>(Mutex<Readers<T>>);

struct Readers<T> {
    /// `None` after the end of the main queue, and in memory before the first reader.
    current: Option<Letters<T>>,
    /// Sealed ones, which may still be read.
    sealed: Vec<Letters<T>>,
    /// The main queue has ended.
    over: bool,
}

struct Letters<T> {
    shared: Arc<Shared<DeadLetter<T>>>,
    /// `None` in memory once nobody can open a reader any more. Then what readers leave is dropped.
    queue: Option<IterableQueue<DeadLetter<T>>>,
    /// `None` over Redis, where scripts put the letters; and once it is sealed.
    producer: Option<Producer<DeadLetter<T>>>,
    /// Keeps it from being abandoned, in memory: what its readers leave is kept elsewhere.
    claim: Option<PoolClaim<DeadLetter<T>>>,
    /// How many letters were taken back from it. It counts them as discarded.
    taken_back: u64,
}

impl<T> Letters<T> {
    /// Creates a queue in memory.
    fn in_memory() -> Result<Self, OpenError> {
        // A letter that a reader gives back stays a letter, and there are no letters of letters.
        let letters = Builder::new().name("dead letters").keep_dead_letters(0);
        let letters = letters.unlimited_attempts().no_redelivery_backoff();
        let Ok(config) = letters.check() else { unreachable!("the settings are valid") };
        let queue = IterableQueue::of_letters(config);
        let claim = PoolClaim::on(Arc::clone(queue.shared()))?;
        let producer = Some(queue.producer()?);
        Ok(Self { shared: Arc::clone(queue.shared()), queue: Some(queue), producer, claim: Some(claim), taken_back: 0 })
    }

    fn put(producer: &Producer<DeadLetter<T>>, letter: &mut Option<DeadLetter<T>>) {
        if let Some(handle) = producer.open_handle() {
            // A letter that is refused stays in `letter`.
            handle.try_put(letter).ok();
        }
    }
}

impl<T> OpenDeadLetters<T> {
    fn new(current: Option<Letters<T>>) -> Self {
        Self(Mutex::new(Readers { current, sealed: Vec::new(), over: false }))
    }

    /// Wraps a queue whose letters come from a remote store.
    #[cfg(feature = "redis")]
    pub(crate) fn elsewhere(queue: IterableQueue<DeadLetter<T>>) -> Self {
        let shared = Arc::clone(queue.shared());
        Self::new(Some(Letters { shared, queue: Some(queue), producer: None, claim: None, taken_back: 0 }))
    }

    /// Returns a producer of the current letters, if they are read.
    fn producer(&self) -> Option<Producer<DeadLetter<T>>> {
        let readers = lock(&self.0);
        let letters = readers.current.as_ref().filter(|letters| letters.shared.has_open_consumer())?;
        letters.producer.clone()
    }

    /// Opens a reader of the current letters. `None` after the end of the main queue.
    fn open(&self) -> Result<Option<Reader<T>>, OpenError> {
        let mut readers = lock(&self.0);
        if readers.over {
            return Ok(None);
        }
        let letters = match &mut readers.current {
            Some(letters) => letters,
            none => none.insert(Letters::in_memory()?),
        };
        // The producer is cloned first: with it, the queue does not end before the reader has what is kept.
        let producer = letters.producer.clone();
        let Some(queue) = &letters.queue else { return Ok(None) };
        Ok(Some(Reader { consumer: queue.consumer()?, producer }))
    }

    /// Opens a reader that gets these letters and ends.
    fn open_last(&self, kept: impl Iterator<Item = DeadLetter<T>>) -> Result<Consumer<DeadLetter<T>>, OpenError> {
        self.forget_ended();
        let mut letters = Letters::in_memory()?;
        if let Some(producer) = letters.producer.take() {
            kept.for_each(|letter| Letters::put(&producer, &mut Some(letter)));
        }
        let consumer = match &letters.queue {
            Some(queue) => queue.consumer()?,
            None => return Err(OpenError::Ended),
        };
        letters.shared.seal();
        lock(&self.0).sealed.push(letters);
        Ok(consumer)
    }

    /// Drops the queues that have ended.
    fn forget_ended(&self) {
        let queues: Vec<_> = lock(&self.0).sealed.iter().map(|letters| Arc::clone(&letters.shared)).collect();
        // One whose letters were taken back has not noticed yet.
        queues.iter().for_each(|queue| queue.seal());
        let ended: Vec<_> = lock(&self.0).sealed.extract_if(.., |letters| letters.shared.has_ended()).collect();
        // Outside the lock.
        drop(ended);
    }
}

/// A reader that was just opened.
struct Reader<T> {
    consumer: Consumer<DeadLetter<T>>,
    producer: Option<Producer<DeadLetter<T>>>,
}

impl<T: Send + 'static> DeadLetterQueue<T> for OpenDeadLetters<T> {
    fn put(&self, letter: &mut Option<DeadLetter<T>>) {
        if let Some(producer) = self.producer() {
            Letters::put(&producer, letter);
        }
    }

    fn is_read(&self) -> bool {
        let readers = lock(&self.0);
        readers.current.as_ref().is_some_and(|letters| letters.shared.has_open_consumer())
    }

    fn take_unread(&self) -> Vec<DeadLetter<T>> {
        let mut readers = lock(&self.0);
        let Readers { current, sealed, .. } = &mut *readers;
        let all = current.iter_mut().chain(sealed).flat_map(|letters| {
            let unread = letters.shared.take_unread();
            letters.taken_back += unread.len() as u64;
            unread
        });
        all.collect()
    }

    fn dropped(&self) -> u64 {
        let readers = lock(&self.0);
        let all = readers.current.iter().chain(&readers.sealed);
        all.map(|letters| letters.shared.control().totals().discarded - letters.taken_back).sum()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn close(&self) {
        let (producer, queue) = {
            let mut readers = lock(&self.0);
            readers.over = true;
            let Some(mut letters) = readers.current.take() else { return };
            let parts = (letters.producer.take(), Arc::clone(&letters.shared));
            readers.sealed.push(letters);
            parts
        };
        drop(producer);
        queue.seal();
    }

    fn let_go(&self) {
        let parts: Vec<_> = {
            let mut readers = lock(&self.0);
            let Readers { current, sealed, .. } = &mut *readers;
            let here = current.iter_mut().chain(sealed).filter(|letters| letters.claim.is_some());
            here.map(|letters| (letters.queue.take(), letters.claim.take())).collect()
        };
        // Outside the lock: without readers, this drops letters.
        drop(parts);
    }
}

/// Opens a reader of the letters of this queue.
fn open<T: Send + 'static>(shared: &Arc<Shared<T>>) -> Result<Consumer<DeadLetter<T>>, OpenError> {
    if shared.has_ended()
        && let Some(elsewhere) = shared.store.open_dead_letters()
    {
        // They are there also after the end. Sealed, it ends when there are no more for this process.
        let opened = the_one(&*elsewhere).open()?.ok_or(OpenError::Ended)?;
        elsewhere.close();
        return Ok(opened.consumer);
    }
    let readers = shared.letter_readers(|| Arc::new(OpenDeadLetters::<T>::new(None)));
    let readers = the_one(&*readers);
    if shared.has_ended() {
        // The thread that ended the queue may not have said so yet.
        readers.close();
    }
    let Some(Reader { consumer, producer }) = readers.open()? else {
        return if shared.store.ends_here() { readers.open_last(shared.take_letters()) } else { open(shared) };
    };
    if let Some(producer) = producer {
        shared.take_letters().for_each(|letter| Letters::put(&producer, &mut Some(letter)));
    }
    Ok(consumer)
}

/// Returns the only implementation that there is.
fn the_one<T: 'static>(readers: &dyn DeadLetterQueue<T>) -> &OpenDeadLetters<T> {
    match readers.as_any().downcast_ref() {
        Some(readers) => readers,
        None => unreachable!("there is no other implementation"),
    }
}

impl<T: Send + 'static> IterableQueue<T> {
    /// Opens a consumer of the items that used up their attempts or were rejected. It ends when this queue has ended.
    ///
    /// First it gets the letters that were kept while no reader was open, oldest first, then the new ones. While it is open,
    /// letters wait for it without a bound. Once the last reader is dropped, what it has not taken is kept, up to the bound of
    /// [`keep_dead_letters`](crate::Builder::keep_dead_letters). So is a letter that was [leased](Consumer::lease) and not
    /// acked.
    ///
    /// It works after the end, too: then it gets what was kept, and ends. Without the queue's handles, letters that are not
    /// read are dropped: keep this handle until then.
    ///
    /// Over Redis dead letters are kept in any case, without a bound, until a reader has settled them, or they are
    /// [retried](IterableQueue::retry_dead_letters) or [discarded](IterableQueue::discard_dead_letters); the next queue of the
    /// same name has them, too.
    ///
    /// # Errors
    ///
    /// There are none in this version.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = queue.clone().split()?;
    /// producer.try_put("bad")?;
    /// drop(producer);
    /// queue.seal();
    /// consumer.try_lease()?.reject("cannot be parsed");
    /// queue.blocking_drained();
    /// for letter in queue.dead_letters()? {
    ///     assert_eq!((letter.item, letter.reason.as_str()), ("bad", "cannot be parsed"));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(&self) -> Result<Consumer<DeadLetter<T>>, OpenError> {
        open(self.shared())
    }
}
