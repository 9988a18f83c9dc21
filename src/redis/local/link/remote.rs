//! What the queue's endpoints ask of a [`Link`], and tell it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Waker;
use std::time::Duration;

use super::Link;
use futures::future::BoxFuture;

use crate::endpoint::OpenDeadLetters;
use crate::error::Refusal;
use crate::lock::lock;
use crate::one_line::OneLine;
use crate::queue::{
    DeadLetter, DeadLetterQueue, Delivery, Ids, LeaseLost, Mark, Ready, Remote, Settled, StoreReport, Unsendable,
    quietly,
};
use crate::redis::client::{Entry, Op};
use crate::redis::json;
use crate::redis::json::Payload;
use crate::redis::kept_letters::KeptLetters;
use crate::redis::local::unreadable;

/// An item that cannot be read here waits at least this long before it is handed out again; twice as long after each
/// further attempt, up to a minute.
const UNREADABLE: Duration = Duration::from_secs(1);
const MOST_DOUBLED: u32 = 6;

impl<T: Payload> Remote<T> for Link<T> {
    fn encode(&self, item: &T) -> Result<Vec<u8>, Unsendable> {
        self.fitting(json::of_item(item))
    }

    fn window(&self) -> (usize, usize) {
        (self.puts().len(), self.window)
    }

    fn put(&self, item: T, encoded: Vec<u8>) -> u64 {
        let number = self.puts().push(item, encoded);
        self.put.notify_one();
        number
    }

    fn confirmed(&self, put: u64, waker: &mut Option<Waker>) -> Option<Result<(), T>> {
        self.puts().confirmed(put, waker)
    }

    fn withdraw(&self, put: u64) -> Option<T> {
        let (item, waker) = self.puts().withdraw(put);
        drop(waker);
        self.changed.notify_one();
        item
    }

    fn detach(&self, put: u64) -> Option<T> {
        self.puts().detach(put)
    }

    fn try_take(&self) -> Option<Delivery<T>> {
        loop {
            let (taken, fetch) = self.prefetch().take();
            if fetch {
                self.wanted.notify_one();
            }
            let (lease, Entry { attempts, time, payload }) = taken?;
            if self.has_deadline {
                self.hand_out(lease);
            }
            if attempts == Entry::FOREIGN {
                let (label, bytes) = (&self.label, payload.len());
                log::error!("{label}: {bytes} bytes in the queue are no item that it has put, and are a dead letter");
                self.tell(lease, |lease| Op::Requeue(lease, Duration::ZERO, Vec::new()));
                continue;
            }
            match unreadable::decode(&payload) {
                Ok(mut item) => {
                    if let Some(identify) = self.identify.get() {
                        identify(&mut item, time);
                    }
                    return Some(Delivery { item, lease, attempts });
                }
                Err(error) => self.give_up_reading(lease, attempts + 1, &payload, &error),
            }
        }
    }

    fn has_fetched(&self) -> bool {
        self.prefetch().len() > 0
    }

    fn put_child(&self, lease: u64, encoded: Vec<u8>) -> Result<(), LeaseLost> {
        let mut leases = lock(&self.leases);
        // An overdue item goes to others, who put its children, too.
        if lease <= leases.lost || leases.deadlines.as_ref().is_some_and(|deadlines| !deadlines.has(lease)) {
            return Err(LeaseLost);
        }
        leases.settle_log.push(Op::Child(encoded));
        drop(leases);
        self.settled.notify_one();
        Ok(())
    }

    fn settle(&self, lease: u64, settled: Settled) {
        self.tell(lease, |lease| match settled {
            Settled::Acked => Op::Ack(lease),
            Settled::Taken => Op::Taken(lease),
            Settled::Failed(delay, encoded) => Op::Requeue(lease, delay, encoded),
            Settled::Released(delay, encoded) => Op::Release(lease, delay, encoded),
            Settled::Undone => Op::Undo(lease),
            // A dead letter that is given up is done with.
            Settled::Dead(_) if self.open_letters.get().is_none() => Op::Ack(lease),
            Settled::Dead(letter) => Op::Dead(lease, letter),
        });
    }

    fn list_letters(&self) -> BoxFuture<'static, Result<Vec<DeadLetter<()>>, Refusal>> {
        self.kept_letters().list()
    }

    fn retry_letters(&self, ids: Ids) -> BoxFuture<'static, Result<usize, Refusal>> {
        self.kept_letters().retry(ids)
    }

    fn discard_letters(&self, ids: Ids) -> BoxFuture<'static, Result<usize, Refusal>> {
        self.kept_letters().discard(ids)
    }

    fn retry_letter(&self, encoded: Vec<u8>) -> BoxFuture<'static, Result<(), Refusal>> {
        self.kept_letters().retry_one(encoded)
    }

    fn open_letters(&self) -> Arc<dyn DeadLetterQueue<T>> {
        let letters = self.open_letters.get().unwrap_or_else(|| unreachable!("dead letters have none of their own"));
        Arc::new(OpenDeadLetters::elsewhere(letters()))
    }

    fn encode_letter(&self, letter: &DeadLetter<T>) -> Vec<u8> {
        // The item could be written when it was put; if it cannot any more, the letter has it as it was then. Writing
        // it is foreign code, and this may run in a drop.
        let mut encoded = Err("it panicked".to_owned());
        quietly("writing a dead letter", || encoded = json::of_letter(letter));
        self.fitting(encoded).unwrap_or_else(|error| {
            // It has no place for what the letter says, so that is here.
            let label = &self.label;
            log::error!("{label}: a dead letter's item cannot be written as it is now: {error}; {letter}");
            Vec::new()
        })
    }

    fn encode_again(&self, item: &T) -> Vec<u8> {
        // As above.
        let mut encoded = Err("it panicked".to_owned());
        quietly("writing an item that was given back", || encoded = json::of_item(item));
        self.fitting(encoded).unwrap_or_else(|error| {
            let label = &self.label;
            log::error!("{label}: an item cannot be written as it is now, and comes back as it was put: {error}");
            Vec::new()
        })
    }

    fn changed(&self) {
        self.changes.fetch_add(1, SeqCst);
        self.changed.notify_one();
    }

    fn mark(&self) -> Mark {
        let puts = self.puts().last();
        Mark { puts, settles: self.settle_log(|log| log.said()), changes: self.changes() }
    }

    fn is_known(&self, mark: Mark) -> bool {
        self.over.load(SeqCst)
            || self.told.load(SeqCst) >= mark.changes
                && self.settle_log(|log| log.known()) >= mark.settles
                && !self.puts().has_up_to(mark.puts)
    }

    fn refuse(&self) -> (Vec<T>, Vec<Waker>) {
        self.puts().refuse()
    }

    fn report(&self) -> StoreReport {
        let mut report = lock(&self.report).clone();
        // What is on its way to Redis, and what has come from there.
        report.buffered += self.puts().len() + self.prefetch().len();
        report
    }

    fn ready(&self) -> Ready {
        // The number first: the report is of this number, or later.
        let number = self.reports.load(SeqCst);
        let elsewhere = {
            let report = lock(&self.report);
            report.buffered - report.delayed
        };
        Ready { items: elsewhere + self.puts().len() + self.prefetch().len(), report: Some(number) }
    }
}

impl<T> Link<T> {
    fn kept_letters(&self) -> &KeptLetters {
        self.kept_letters.get().unwrap_or_else(|| unreachable!("there is no handle of a queue of dead letters"))
    }

    /// Refuses what Redis would not take.
    fn fitting(&self, encoded: Result<Vec<u8>, String>) -> Result<Vec<u8>, Unsendable> {
        let encoded = encoded.map_err(Unsendable::NoJson)?;
        let (bytes, most) = (encoded.len(), self.largest);
        if bytes > most { Err(Unsendable::TooLarge { bytes, most }) } else { Ok(encoded) }
    }

    /// An item is not of the type that this process knows. Others may know it, a later release of this program for
    /// instance: so this attempt counts and the item goes back, and not at once, or it came here again and again.
    fn give_up_reading(&self, lease: u64, attempts: u32, payload: &[u8], error: &str) {
        let (label, bytes) = (&self.label, payload.len());
        if attempts >= self.max_attempts {
            log::error!("{label}: an item of {bytes} bytes cannot be read, and is a dead letter: {}", OneLine(error));
            let letter = unreadable::letter(payload, attempts, error);
            return self.tell(lease, |lease| Op::Dead(lease, letter));
        }
        log::error!("{label}: an item of {bytes} bytes cannot be read here, and goes back: {}", OneLine(error));
        let at_least = UNREADABLE * (1 << (attempts - 1).min(MOST_DOUBLED));
        let delay = self.backoff.map_or(at_least, |backoff| backoff.delay(attempts).max(at_least));
        self.tell(lease, |lease| Op::Requeue(lease, delay, Vec::new()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};

    use futures::FutureExt;

    use super::{Entry, Link};
    use crate::config::Builder;
    use crate::error::{PutError, Refusal, TryPutError};
    use crate::queue::{IterableQueue, QueueId, Store};
    use crate::redis::client::Op;

    /// A queue with a way to Redis, and nobody who sends anything.
    fn unsent(largest: usize) -> (IterableQueue<String>, Arc<Link<String>>) {
        unsent_with(largest, None)
    }

    fn unsent_with(largest: usize, deadline: Option<Duration>) -> (IterableQueue<String>, Arc<Link<String>>) {
        let config = Builder::default().max_attempts(2).check().unwrap();
        let link = Arc::new(Link::new("q".to_owned(), &config, largest, deadline));
        let store = Store::remote(link.clone(), config.capacity);
        (IterableQueue::open(QueueId::next(), config, store), link)
    }

    #[test]
    fn d12_an_item_that_redis_would_not_take_is_refused_at_once() {
        let (queue, link) = unsent(10);
        let (fits, large) = (|| "a".repeat(8), || "a".repeat(9));
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let refused = PutError::new(large(), Refusal::TooLarge);
        assert_eq!(producer.try_put(large()), Err(TryPutError::Refused(refused.clone())));
        assert_eq!(producer.blocking_put(large()), Err(refused.clone()));
        assert_eq!(producer.put(large()).now_or_never(), Some(Err(refused.clone())));
        assert_eq!(producer.reserve().now_or_never().unwrap().unwrap().put(large()), Err(refused.clone()));
        link.deliver(1, vec![Entry { attempts: 0, time: 0, payload: b"\"\"".to_vec() }]);
        let item = consumer.try_lease().unwrap();
        assert_eq!(item.put_child(large()), Err(refused));
        assert_eq!((link.puts().len(), link.settle_log(|log| log.said())), (0, 0));

        assert_eq!(producer.try_put(fits()), Ok(()));
        assert_eq!(item.put_child(fits()), Ok(()));
        assert_eq!((link.puts().len(), link.settle_log(|log| log.said())), (1, 1));
        drop(item);
    }

    #[test]
    fn d3_only_what_a_consumer_was_handed_and_still_has_is_overdue() {
        let (queue, link) = unsent_with(100, Some(Duration::from_nanos(1)));
        let mut consumer = queue.consumer().unwrap();
        link.deliver(1, vec![Entry { attempts: 0, time: 0, payload: b"\"\"".to_vec() }; 4]);
        let [done, stuck] = [(); 2].map(|()| consumer.try_lease().unwrap());
        done.ack();
        let handed_out = Instant::now();
        while handed_out.elapsed().is_zero() {}
        assert_eq!(link.give_up_overdue(), None);
        let (_, sent) = link.settle_log(|log| log.next_batch()).unwrap();
        assert!(matches!(&sent[..], [Op::Ack(1), Op::Overdue(ids)] if *ids == (2..=2)), "{sent:?}");
        // Who has the item now puts its children.
        assert_eq!(stuck.put_child("child".to_owned()), Err(PutError::new("child".to_owned(), Refusal::Fenced)));
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_flush_hears_of_puts_that_are_withdrawn_or_refused() {
        for refused in [false, true] {
            let (queue, link) = unsent(100);
            let producer = queue.producer().unwrap();
            link.tell_changes(link.changes());
            let woken = Arc::new(Woken::default());
            let waker = Arc::clone(&woken).into();
            let mut put = Box::pin(producer.put("unsent".to_owned()));
            assert!(put.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
            let mut flush = Box::pin(queue.flush());
            assert!(flush.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
            if refused {
                queue.shared().refuse_puts();
            } else {
                put.set(producer.put("another one".to_owned()));
            }
            assert_eq!(woken.0.load(SeqCst), 1);
            assert_eq!(flush.poll_unpin(&mut Context::from_waker(&waker)), Poll::Ready(()));
        }
    }

    #[test]
    fn d3_what_was_changed_and_redis_would_not_take_is_as_it_was_put() {
        let (queue, link) = unsent(10);
        let mut consumer = queue.consumer().unwrap();
        for attempts in [0, 1] {
            link.deliver(1 + u64::from(attempts), vec![Entry { attempts, time: 0, payload: b"\"\"".to_vec() }]);
            let mut item = consumer.try_lease().unwrap();
            *item = "a".repeat(9);
            item.requeue(); // and the second time it is a dead letter
        }
        let (_, sent) = link.settle_log(|log| log.next_batch()).unwrap();
        assert_eq!(sent.iter().map(|op| op.bytes()).collect::<Vec<_>>(), [0, 0]);
    }
}
