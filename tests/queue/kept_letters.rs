//! Dead letters while no reader is open: kept, listed, retried, discarded (C3, C6, D3).

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::SystemTime;

use ::log::Level;
use actix_iterable_queue::error::{Refusal, TryGetError};
use actix_iterable_queue::{Builder, Consumer, DeadLetter, IterableQueue, Outcome, Producer, State};
use futures::FutureExt;
use support::backend::{Payload, Soon};
use support::{assert_conserved, backend, log, within_watchdog};

type Parts<T> = (IterableQueue<T>, Producer<T>, Consumer<T>);

/// In memory, also with `QUEUE_BACKEND=redis`: over Redis there are no bound, no drops, and any item is a payload.
fn open<T>(builder: Builder<T>) -> Parts<T> {
    log::keep();
    parts(builder.build().expect("valid"))
}

/// Wherever the tests' queues are.
fn open_anywhere<T: Payload>(builder: Builder<T>) -> Parts<T> {
    parts(backend::build(builder))
}

fn parts<T>(queue: IterableQueue<T>) -> Parts<T> {
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer_named("worker").expect("open"));
    (queue, producer, consumer)
}

/// Puts these, and rejects each.
fn reject<T>(producer: &Producer<T>, consumer: &mut Consumer<T>, items: impl IntoIterator<Item = T>) {
    for item in items {
        assert!(producer.try_put(item).is_ok());
        consumer.soon_lease().reject("bad");
    }
}

fn ids<T>(queue: &IterableQueue<T>) -> Vec<u64> {
    queue.blocking_list_dead_letters().expect("listed").iter().map(|letter| letter.id).collect()
}

fn items<T>(letters: Consumer<DeadLetter<T>>) -> Vec<T> {
    letters.into_iter().map(|letter| letter.item).collect()
}

/// Counts the drops of items.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn c3_kept_letters_can_be_read_after_the_end_by_each_reader_that_asks() {
    let (queue, producer, mut consumer) = open(backend::builder());
    reject(&producer, &mut consumer, 0..4);
    drop(producer);
    queue.seal();
    assert_eq!(queue.state(), State::Drained);
    let mut reader = queue.dead_letters().unwrap();
    assert_eq!(reader.try_get().unwrap().item, 0);
    // Each letter goes to one reader, and what one leaves the next gets.
    assert_eq!(items(queue.dead_letters().unwrap()), [0; 0]);
    let leased = reader.try_lease().unwrap();
    drop(reader);
    assert_eq!(ids(&queue), [3, 4]);
    drop(leased);
    assert_eq!(ids(&queue), [2, 3, 4]);
    assert_eq!(items(queue.dead_letters().unwrap()), [1, 2, 3]);
    assert_eq!(ids(&queue), [0; 0]);
    let totals = queue.snapshot().totals;
    assert_eq!((totals.dead_lettered, totals.letters_dropped), (4, 0));
    assert_conserved(&queue);
}

#[test]
fn d3_a_reader_gets_what_was_kept_and_then_what_comes_and_leaves_the_rest() {
    let (queue, producer, mut consumer) = open(backend::builder());
    reject(&producer, &mut consumer, 0..3);
    let mut reader = queue.dead_letters().unwrap();
    assert_eq!(ids(&queue), [0; 0], "they are the reader's");
    reject(&producer, &mut consumer, 3..5);
    assert_eq!(reader.try_get().unwrap().item, 0);
    let leased = reader.try_lease().unwrap();
    assert_eq!(leased.item, 1);
    drop(reader);
    reject(&producer, &mut consumer, [5]);
    assert_eq!(ids(&queue), [3, 4, 5, 6]);
    // In hand when its reader was dropped, and then not acked; another one is acked.
    drop(leased);
    let mut reader = queue.dead_letters().unwrap();
    let leased = reader.try_lease().unwrap();
    assert_eq!((leased.item, leased.id), (1, 2));
    drop(reader);
    leased.ack();
    assert_eq!(items_until_empty(&mut queue.dead_letters().unwrap()), [2, 3, 4, 5]);
}

fn items_until_empty(reader: &mut Consumer<DeadLetter<u32>>) -> Vec<u32> {
    reader.try_iter().map(|letter| letter.item).collect()
}

#[test]
fn d3_letters_beyond_the_bound_are_dropped_oldest_first_counted_and_logged() {
    let drops = Drops::default();
    let (queue, producer, mut consumer) = open(backend::builder().name("pushed-out").keep_dead_letters(2));
    reject(&producer, &mut consumer, (0..20).map(|_| drops.clone()));
    assert_eq!((ids(&queue), drops.0.load(SeqCst)), (vec![19, 20], 18));
    assert_eq!(queue.snapshot().totals.letters_dropped, 18);
    assert!(queue.snapshot().to_string().contains("18 dead letters dropped"));
    // 1, 2, 4, 8 and 16, of 20 that were kept and of 18 that were dropped.
    assert_eq!(log::said(Level::Warn, "pushed-out").iter().filter(|line| line.contains("is kept")).count(), 5);
    let errors = log::said(Level::Error, "pushed-out");
    assert!(errors.len() == 5 && errors.iter().all(|line| line.contains("dropped unread so far")), "{errors:?}");
    assert_conserved(&queue);

    let (queue, producer, mut consumer) = open(backend::builder().name("none-kept").keep_dead_letters(0));
    reject(&producer, &mut consumer, 0..3);
    assert_eq!((ids(&queue), queue.snapshot().totals.letters_dropped), (vec![], 3));
    let lines = log::said(Level::Error, "none-kept");
    assert!(lines.len() == 2 && lines[0].contains("dead_letters()") && lines[0].contains("is dropped"), "{lines:?}");
    // A reader gets what comes after it, also of such a queue.
    let mut reader = queue.dead_letters().unwrap();
    reject(&producer, &mut consumer, [3]);
    assert_eq!(reader.try_get().unwrap().item, 3);
}

#[test]
fn d3_kept_letters_are_freed_with_the_last_handle() {
    let drops = Drops::default();
    let (queue, producer, mut consumer) = open(backend::builder().name("last-handle"));
    reject(&producer, &mut consumer, [drops.clone(), drops.clone()]);
    let other = queue.clone();
    drop(queue);
    assert_eq!(drops.0.load(SeqCst), 0);
    let eye = other.downgrade();
    drop(other);
    assert_eq!((drops.0.load(SeqCst), eye.snapshot().totals.letters_dropped), (2, 2));
    // Nobody could ask for this one.
    reject(&producer, &mut consumer, [drops.clone()]);
    assert_eq!((drops.0.load(SeqCst), eye.snapshot().totals.letters_dropped), (3, 3));
    let lines = log::said(Level::Error, "last-handle");
    let freed = |line: &&String| line.contains("2 dead letters dropped unread: the last handle");
    assert_eq!(lines.iter().filter(freed).count(), 1, "{lines:?}");
}

#[test]
fn d3_letters_are_listed_and_retried_and_discarded_by_id() {
    within_watchdog(|| {
        let (queue, producer, mut consumer) = open_anywhere(backend::builder().capacity(1).max_attempts(2));
        let before = SystemTime::now();
        for n in 0..4 {
            producer.blocking_put(n).unwrap();
            consumer.soon_lease().fail(format!("no luck with {n}"));
            consumer.soon_lease().fail("again");
        }
        let list = queue.blocking_list_dead_letters().unwrap();
        let id: Vec<u64> = list.iter().map(|letter| letter.id).collect();
        assert!(id.is_sorted_by(|one, next| one < next) && id.len() == 4);
        assert!(backend::is_redis() || id == [1, 2, 3, 4]);
        let first = &list[0];
        assert_eq!((first.attempts, &*first.reason, first.error.as_deref()), (2, "attempts used up", Some("again")));
        assert!(first.died_at >= before && first.died_at <= SystemTime::now());

        assert_eq!(queue.blocking_discard_dead_letters(id[1]..=id[1]), Ok(1));
        assert_eq!(queue.blocking_discard_dead_letters(id[1]..=id[1]), Ok(0));
        producer.blocking_put(9).unwrap(); // it is full
        assert_eq!(queue.blocking_retry_dead_letters(id[2]..id[3]), Ok(1));
        assert_eq!(ids(&queue), [id[0], id[3]]);
        backend::soon(|| queue.len(), 2);
        let mut both = [consumer.soon_lease(), consumer.soon_lease()];
        // Over Redis, the other one may have been fetched before.
        both.sort_by_key(|item| if backend::is_redis() { **item } else { 0 });
        let [again, other] = both;
        assert_eq!((*again, again.attempt(), other.into_inner()), (2, 1, 9));
        again.reject("still");
        // It is another letter now.
        let now = ids(&queue);
        assert!(now[..2] == [id[0], id[3]] && now[2] > id[3]);
        // All of them, after seal and while the queue is draining, oldest first.
        producer.blocking_put(10).unwrap();
        let last = consumer.soon_lease();
        queue.seal();
        drop(producer);
        backend::soon(|| queue.state(), State::Draining);
        assert_eq!(queue.blocking_retry_dead_letters(..), Ok(3));
        last.ack();
        assert!(queue.state() < State::Drained);
        assert!(consumer.into_iter().eq([0, 3, 2]));
        let totals = queue.blocking_drained().totals;
        let retried = (totals.accepted, totals.retried, totals.dead_lettered);
        assert_eq!((retried, totals.taken, totals.acked), ((10, 4, 5), 4, 1));
        assert_conserved(&queue);
    });
}

#[test]
fn d3_after_the_end_retries_are_refused_and_the_letters_stay() {
    within_watchdog(|| {
        for aborted in [false, true] {
            let (queue, producer, mut consumer) = open_anywhere(backend::builder());
            reject(&producer, &mut consumer, [7]);
            let reason = if aborted {
                backend::soon(|| queue.snapshot().totals.dead_lettered, 1);
                assert!(queue.abort().is_empty());
                Refusal::Aborted
            } else {
                drop(producer);
                queue.seal();
                Refusal::Ended
            };
            queue.blocking_drained();
            assert_eq!(queue.blocking_retry_dead_letters(..), Err(reason));
            let letter = queue.dead_letters().unwrap().soon_item();
            let error = queue.blocking_retry(letter).unwrap_err();
            assert_eq!((error.reason(), error.into_inner().item), (reason, 7));
            assert_eq!(consumer.try_get(), Err(TryGetError::Ended));
            assert_conserved(&queue);
        }
    });
}

#[test]
fn d7_no_letter_goes_back_into_an_abandoned_queue() {
    let (queue, producer, mut consumer) = open(backend::builder());
    reject(&producer, &mut consumer, [7]);
    queue.seal();
    drop(consumer);
    assert_eq!(queue.blocking_retry_dead_letters(..), Err(Refusal::Abandoned));
    drop(producer);
    assert_eq!(queue.blocking_drained().outcome, Outcome::Complete);
    assert_eq!(items(queue.dead_letters().unwrap()), [7]);
}

#[test]
fn d3_a_letter_in_the_hand_of_a_reader_can_be_retried_into_any_queue() {
    within_watchdog(|| {
        let (queue, producer, mut consumer) = open_anywhere(backend::builder());
        let (other, _other_producer, mut other_consumer) = open_anywhere(backend::builder());
        let mut reader = queue.dead_letters().unwrap();
        reject(&producer, &mut consumer, 1..=2);
        queue.blocking_retry(reader.soon_item()).unwrap();
        other.blocking_retry(reader.soon_item()).unwrap();
        assert_eq!((consumer.soon_item(), other_consumer.soon_item()), (1, 2));
        backend::soon(|| queue.snapshot().totals.retried, 1);
        assert_conserved(&queue);
        assert_conserved(&other);
    });
}

#[test]
fn d3_a_retried_item_wakes_a_consumer_that_waits() {
    within_watchdog(|| {
        let (queue, producer, mut consumer) = open_anywhere(backend::builder());
        reject(&producer, &mut consumer, [7]);
        let waits = thread::spawn(move || consumer.blocking_get());
        support::until(|| queue.snapshot().waiting_gets == 1);
        assert_eq!(queue.blocking_retry_dead_letters(..), Ok(1));
        assert_eq!(waits.join().unwrap(), Some(7));
        drop(producer);
    });
}

#[test]
fn d3_items_that_cannot_be_sent_or_are_borrowed_are_kept_and_retried_too() {
    let text = String::from("borrowed");
    let (queue, producer, mut consumer) = open(backend::builder().describe_items());
    reject(&producer, &mut consumer, [text.as_str()]);
    assert_eq!(queue.blocking_list_dead_letters().unwrap()[0].text.as_deref(), Some("\"borrowed\""));
    assert_eq!(queue.blocking_retry_dead_letters(..), Ok(1));
    assert_eq!(consumer.try_get(), Ok("borrowed"));

    let (queue, producer, mut consumer) = open(backend::builder());
    let item = Rc::new(7);
    reject(&producer, &mut consumer, [Rc::clone(&item)]);
    assert_eq!(Rc::strong_count(&item), 2);
    assert_eq!(queue.blocking_discard_dead_letters(..), Ok(1));
    assert_eq!(Rc::strong_count(&item), 1);
}

#[test]
fn d3_a_letter_has_the_last_ten_reasons_and_no_long_ones() {
    let (queue, producer, mut consumer) = open(backend::builder().max_attempts(14));
    producer.try_put('x').unwrap();
    for attempt in 1..=14 {
        let item = consumer.try_lease().unwrap();
        match attempt {
            3 => drop(item),                  // It says nothing.
            13 => item.fail("ä".repeat(600)), // 1,200 bytes
            _ => item.fail(attempt.to_string()),
        }
        if attempt == 7 {
            consumer.try_lease().unwrap().release(); // No attempt, and nothing is forgotten.
        }
    }
    let letter = queue.dead_letters().unwrap().try_get().unwrap();
    let history: Vec<_> = letter.history.iter().map(|failed| (failed.attempt, failed.reason.len())).collect();
    assert_eq!(history, [(5, 1), (6, 1), (7, 1), (8, 1), (9, 1), (10, 2), (11, 2), (12, 2), (13, 1024), (14, 2)]);
    // A retried item begins anew.
    queue.blocking_retry(letter).unwrap();
    consumer.try_lease().unwrap().reject("bad");
    let letter = queue.dead_letters().unwrap().try_get().unwrap();
    assert_eq!((letter.attempts, letter.history.len()), (1, 0));
}

#[test]
fn d3_each_item_in_hand_has_its_own_history() {
    let (queue, producer, mut consumer) = open(backend::builder().max_attempts(2));
    (0..3).for_each(|n| producer.try_put(n).unwrap());
    let first: Vec<_> = (0..3).map(|_| consumer.try_lease().unwrap()).collect();
    first.into_iter().for_each(|item| {
        let reason = format!("first of {}", *item);
        item.fail(reason);
    });
    let mut second: Vec<_> = (0..3).map(|_| consumer.try_lease().unwrap()).collect();
    second.remove(1).ack();
    second.into_iter().rev().for_each(|item| item.fail("second"));
    let letters: Vec<_> = queue.dead_letters().unwrap().try_iter().collect();
    let told = letters.iter().map(|letter| (letter.item, letter.history[0].reason.clone(), letter.history.len()));
    assert!(told.eq([(2, "first of 2".to_owned(), 2), (0, "first of 0".to_owned(), 2)]), "{letters:?}");
}

#[test]
fn d3_the_log_names_the_item_if_it_may() {
    let (_queue, producer, mut consumer) = open(backend::builder().name("named-items").describe_items());
    reject(&producer, &mut consumer, [("line\nbreak", 7)]);
    let lines = log::said(Level::Warn, "named-items");
    assert!(lines.len() == 1 && lines[0].contains(r#"the item: ("line\nbreak", 7)"#), "{lines:?}");

    let (queue, producer, mut consumer) = open(backend::builder().describe_items());
    reject(&producer, &mut consumer, ["ä".repeat(1_000_000)]);
    let text = queue.blocking_list_dead_letters().unwrap()[0].text.clone().unwrap();
    assert!(text.len() <= 204 && text.ends_with('…'), "{}", text.len());
}

struct BadDebug;

impl fmt::Debug for BadDebug {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

#[test]
fn d3_a_debug_that_panics_costs_its_text_alone() {
    let (queue, producer, mut consumer) = open(backend::builder().describe_items());
    reject(&producer, &mut consumer, [BadDebug]);
    assert_eq!(queue.blocking_list_dead_letters().unwrap()[0].text, None);
    assert_conserved(&queue);
}

/// An item whose drop looks at its queue.
struct Looks(IterableQueue<Looks>);

impl Drop for Looks {
    fn drop(&mut self) {
        assert!(self.0.blocking_list_dead_letters().is_ok());
    }
}

#[test]
fn d3_no_item_is_dropped_under_a_lock() {
    within_watchdog(|| {
        let (queue, producer, mut consumer) = open(backend::builder().keep_dead_letters(2));
        reject(&producer, &mut consumer, (0..4).map(|_| Looks(queue.clone())));
        assert_eq!(queue.blocking_discard_dead_letters(..=3), Ok(1));
        drop(queue.dead_letters().unwrap().try_get().unwrap());
        assert_eq!(ids(&queue), [0; 0]);
    });
}

/// A retry that races with the last settle: the item was accepted again and is processed, or it was refused and is kept.
#[test]
fn c5_a_retry_that_races_with_the_end_goes_in_or_is_refused() {
    within_watchdog(|| {
        let mut refused = 0;
        let rounds = backend::rounds(2000);
        for _ in 0..rounds {
            let (queue, producer, mut consumer) = open_anywhere(backend::builder());
            reject(&producer, &mut consumer, [7]);
            producer.try_put(8).unwrap();
            let last = consumer.soon_lease();
            let id = ids(&queue);
            drop(producer);
            queue.seal();
            let start = Arc::new(Barrier::new(2));
            let settles = thread::spawn({
                let start = Arc::clone(&start);
                move || {
                    start.wait();
                    last.ack();
                    consumer.into_iter().collect::<Vec<_>>()
                }
            });
            start.wait();
            let retried = queue.blocking_retry_dead_letters(..);
            let processed = settles.join().unwrap();
            let totals = queue.blocking_drained().totals;
            match retried {
                Ok(1) => assert_eq!((processed, ids(&queue), totals.retried), (vec![7], vec![], 1)),
                Err(Refusal::Ended) => {
                    refused += 1;
                    assert_eq!((processed, ids(&queue), totals.retried), (vec![], id, 0));
                }
                other => panic!("{other:?}"),
            }
            assert_conserved(&queue);
        }
        println!("{refused} of {rounds} refused");
    });
}

/// Letters that come while readers come and go are each read once, or kept.
#[test]
fn d3_no_letter_is_lost_or_read_twice_as_readers_come_and_go() {
    within_watchdog(|| {
        const ITEMS: u32 = 3000;
        let (queue, producer, consumer) = open(backend::builder().keep_dead_letters(usize::MAX));
        (0..ITEMS).for_each(|n| producer.try_put(n).unwrap());
        drop(producer);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let consumer = consumer.clone();
                thread::spawn(move || consumer.into_blocking_leases().for_each(|item| item.reject("bad")))
            })
            .collect();
        drop(consumer);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || {
                    let mut read = Vec::new();
                    while queue.state() < State::Drained {
                        let mut letters = queue.dead_letters().unwrap();
                        read.extend(letters.try_iter().take(3).map(|letter| letter.item));
                        drop(letters.try_lease()); // it comes back
                    }
                    read
                })
            })
            .collect();
        queue.seal();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let mut read: Vec<u32> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        let kept = items(queue.dead_letters().unwrap());
        read.extend(kept);
        read.sort_unstable();
        assert!(read.into_iter().eq(0..ITEMS));
        assert_eq!(queue.snapshot().totals.letters_dropped, 0);
    });
}

#[test]
fn d3_letters_to_which_a_reader_gave_the_same_id_are_all_kept() {
    let (queue, producer, mut consumer) = open(backend::builder());
    let mut reader = queue.dead_letters().unwrap();
    reject(&producer, &mut consumer, 0..3);
    for _ in 0..3 {
        let mut letter = reader.try_lease().unwrap();
        letter.id = 1;
        drop(letter);
        let copy = reader.try_lease().unwrap();
        assert!(copy.put_child((*copy).clone()).is_ok());
        copy.ack();
    }
    drop(reader);
    let ids = ids(&queue);
    assert_eq!(ids.len(), 3);
    assert_eq!(queue.blocking_retry_dead_letters(..), Ok(3));
}

#[test]
fn d3_what_a_reader_leaves_after_the_last_handle_is_gone_is_dropped_at_once() {
    let (queue, producer, mut consumer) = open(backend::builder());
    let reader = queue.dead_letters().unwrap();
    let drained = queue.drained();
    let drops = Drops::default();
    reject(&producer, &mut consumer, [drops.clone()]);
    drop(queue);
    assert_eq!(drops.0.load(SeqCst), 0);
    drop(reader);
    assert_eq!(drops.0.load(SeqCst), 1);
    drop((producer, consumer));
    let totals = drained.now_or_never().unwrap().totals;
    assert_eq!((totals.dead_lettered, totals.letters_dropped), (1, 1));
}
