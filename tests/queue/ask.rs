//! Asks: each is answered, or its asker is told why not (D13). In memory only, as an ask cannot leave its process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ::log::Level;
use actix::System;
use actix_iterable_queue::error::{AskError, PutError, Refusal};
use actix_iterable_queue::{Ask, Backoff, Consumer, DeadLetter, Item, IterableQueue, Outcome, Producer};
use futures::FutureExt;
use support::{Task, assert_conserved, hook, log, panic_of, within_watchdog};

type Squares = Ask<u32, u32>;
type Open = (IterableQueue<Squares>, Producer<Squares>, Consumer<Squares>);
type Asking<'a> = Pin<Box<dyn Future<Output = Result<u32, AskError<u32>>> + 'a>>;

fn open() -> Open {
    with_attempts(3)
}

fn with_attempts(max_attempts: u32) -> Open {
    let queue = support::backend::builder().max_attempts(max_attempts).build().expect("it is valid");
    let (producer, consumer) = (queue.producer().expect("it is open"), queue.consumer().expect("it is open"));
    (queue, producer, consumer)
}

/// Asks, and has been accepted.
fn ask<'a>(task: &Task, producer: &'a Producer<Squares>, job: u32) -> Asking<'a> {
    let mut asking: Asking<'a> = Box::pin(producer.ask(job));
    assert!(task.poll(asking.as_mut()).is_pending());
    asking
}

/// The asker was woken, and is told this.
#[track_caller]
fn hears(task: &Task, mut asking: Asking<'_>) -> Result<u32, AskError<u32>> {
    assert!(task.wakes() > 0, "the asker sleeps");
    match task.poll(asking.as_mut()) {
        Poll::Ready(told) => told,
        Poll::Pending => panic!("the asker waits on"),
    }
}

fn square(ask: &Item<Squares>) {
    ask.answer(ask.job() * ask.job());
}

#[test]
fn d13_an_answer_comes_before_the_lease_is_settled() {
    let (queue, producer, mut consumer) = open();
    let task = Task::new();
    let asking = ask(&task, &producer, 7);
    let item = consumer.try_lease().unwrap();
    assert!(item.is_waiting());
    square(&item);
    assert!(!item.is_waiting());
    assert_eq!(hears(&task, asking), Ok(49));
    assert_eq!(queue.snapshot().leased, 1);
    item.ack();
    assert_eq!(queue.snapshot().totals.acked, 1);
    assert_conserved(&queue);
}

#[test]
fn d13_the_asker_waits_across_attempts() {
    let (queue, producer, mut consumer) = open();
    let task = Task::new();
    let asking = ask(&task, &producer, 7);
    consumer.try_lease().unwrap().fail("busy");
    let held = consumer.try_lease().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _held = held;
        std::panic::resume_unwind(Box::new("boom"));
    }));
    assert!(panicked.is_err());
    consumer.try_lease().unwrap().release();
    assert_eq!(task.wakes(), 0, "nothing has been decided");
    let third = consumer.try_lease().unwrap();
    assert_eq!(third.attempt(), 3);
    square(&third);
    third.ack();
    assert_eq!(hears(&task, asking), Ok(49));
    assert_conserved(&queue);
}

#[test]
fn d13_the_asker_waits_while_the_job_waits_for_its_backoff() {
    within_watchdog(|| {
        let backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(1));
        let queue = IterableQueue::<Squares>::builder().redelivery_backoff(backoff).build().unwrap();
        let (producer, mut consumer) = queue.split().unwrap();
        let asker = thread::spawn(move || producer.blocking_ask(7));
        consumer.blocking_lease().unwrap().fail("busy");
        let again = consumer.blocking_lease().unwrap();
        square(&again);
        again.ack();
        assert_eq!(asker.join().unwrap(), Ok(49));
    });
}

#[test]
fn d13_the_first_answer_counts() {
    let (_queue, producer, mut consumer) = open();
    let task = Task::new();
    let asking = ask(&task, &producer, 7);
    let item = consumer.try_lease().unwrap();
    item.answer(1);
    item.answer(2);
    item.requeue();
    let again = consumer.try_lease().unwrap();
    again.answer(3);
    again.reject("it was answered");
    assert_eq!(hears(&task, asking), Ok(1));
}

#[test]
fn d12_a_refused_job_comes_back() {
    let (queue, producer, _consumer) = open();
    let mut closed = producer.clone();
    closed.close();
    let refused = |producer: &Producer<Squares>| producer.ask(7).now_or_never();
    assert_eq!(refused(&closed), Some(Err(AskError::Refused(PutError::new(7, Refusal::Closed)))));
    assert!(queue.abort().is_empty());
    assert_eq!(refused(&producer), Some(Err(AskError::Refused(PutError::new(7, Refusal::Aborted)))));
    assert_eq!(producer.blocking_ask(7).unwrap_err().into_inner(), Some(7));
}

#[test]
fn d8_an_ask_that_waits_for_room_comes_back() {
    let queue = IterableQueue::bounded(1);
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let (first, second) = (Task::new(), Task::new());
    let _in = ask(&first, &producer, 1);
    let waits = ask(&second, &producer, 2);
    assert_eq!(queue.snapshot().waiting_puts, 1);
    let left = queue.abort();
    assert_eq!(left.len(), 1);
    assert_eq!(hears(&second, waits), Err(AskError::Refused(PutError::new(2, Refusal::Aborted))));
}

fn letter(told: Result<u32, AskError<u32>>) -> DeadLetter<()> {
    match told {
        Err(AskError::DeadLetter(letter)) => *letter,
        other => panic!("{other:?}"),
    }
}

#[test]
fn d13_a_dead_letter_is_told_at_once_while_its_reader_keeps_it() {
    let (queue, producer, mut consumer) = with_attempts(2);
    let mut letters = queue.dead_letters().unwrap();
    let (rejected, worn) = (Task::new(), Task::new());
    let first = ask(&rejected, &producer, 1);
    consumer.try_lease().unwrap().reject("it is odd");
    let said = letter(hears(&rejected, first));
    assert_eq!((said.reason.as_str(), said.attempts, said.error), ("it is odd", 1, None));

    let second = ask(&worn, &producer, 2);
    consumer.try_lease().unwrap().fail("busy");
    assert_eq!(worn.wakes(), 0);
    consumer.try_lease().unwrap().fail("down");
    let said = letter(hears(&worn, second));
    assert_eq!((said.reason.as_str(), said.attempts, said.error.as_deref()), ("attempts used up", 2, Some("down")));
    assert_eq!(letters.len(), 2, "nobody has read them");

    // What is tried again later is answered to nobody.
    let again = letters.try_get().unwrap().item;
    assert!(!again.is_waiting());
    assert!(producer.try_put(again).is_ok());
    let item = consumer.try_lease().unwrap();
    square(&item);
    item.ack();
    assert_conserved(&queue);
}

#[test]
fn d13_a_dead_letter_without_a_reader_is_told() {
    let (_queue, producer, mut consumer) = open();
    let task = Task::new();
    let asking = ask(&task, &producer, 1);
    consumer.try_lease().unwrap().reject("it is odd");
    assert_eq!(letter(hears(&task, asking)).reason, "it is odd");
}

#[test]
fn d13_what_is_settled_without_an_answer_is_told() {
    let ways: [fn(&mut Consumer<Squares>); 3] = [
        |consumer| consumer.try_lease().unwrap().ack(),
        |consumer| drop(consumer.try_lease().unwrap().into_inner()),
        |consumer| drop(consumer.try_get().unwrap()),
    ];
    for way in ways {
        let (_queue, producer, mut consumer) = open();
        let task = Task::new();
        let asking = ask(&task, &producer, 1);
        way(&mut consumer);
        assert_eq!(hears(&task, asking), Err(AskError::Unanswered));
    }
}

#[test]
fn d13_what_is_taken_can_be_answered() {
    let (_queue, producer, mut consumer) = open();
    let task = Task::new();
    let asking = ask(&task, &producer, 7);
    let taken = consumer.try_get().unwrap();
    taken.answer(49);
    assert_eq!(hears(&task, asking), Ok(49));
}

#[test]
fn d13_what_an_abort_left_is_told_while_its_caller_keeps_it() {
    let (queue, producer, _consumer) = open();
    let tasks = [Task::new(), Task::new()];
    let asking = [ask(&tasks[0], &producer, 1), ask(&tasks[1], &producer, 2)];
    let left = queue.abort();
    for (task, asking) in tasks.iter().zip(asking) {
        assert_eq!(hears(task, asking), Err(AskError::Ended(Outcome::Aborted)));
    }
    left[0].answer(1); // to nobody
    assert!(left.into_iter().map(Ask::into_job).eq([1, 2]));
}

#[test]
fn d13_a_lease_answers_after_the_end() {
    let (queue, producer, mut consumer) = open();
    let tasks = [Task::new(), Task::new()];
    let [first, second] = [ask(&tasks[0], &producer, 7), ask(&tasks[1], &producer, 8)];
    let held = [consumer.try_lease().unwrap(), consumer.try_lease().unwrap()];
    assert!(queue.abort().is_empty());
    let [answered, failed] = held;
    square(&answered);
    answered.ack();
    assert_eq!(hears(&tasks[0], first), Ok(49));
    assert_eq!(tasks[1].wakes(), 0);
    failed.fail("too late"); // and is discarded
    assert_eq!(hears(&tasks[1], second), Err(AskError::Ended(Outcome::Aborted)));
}

/// The asker's own producer keeps the queue from ending, and a handle is there, too.
#[test]
fn d7_the_askers_of_an_abandoned_queue_are_told() {
    let (queue, producer, mut consumer) = open();
    let tasks = [Task::new(), Task::new(), Task::new()];
    let [answered, fails, waits] = [1, 2, 3].map(|n| ask(&tasks[n - 1], &producer, n as u32));
    let held = [consumer.try_lease().unwrap(), consumer.try_lease().unwrap()];
    queue.seal();
    assert_eq!(tasks[2].wakes(), 0);
    drop(consumer);
    let abandoned = || Err(AskError::Ended(Outcome::Abandoned));
    assert_eq!(hears(&tasks[2], waits), abandoned());
    // What is leased may still be answered.
    assert_eq!((tasks[0].wakes(), tasks[1].wakes()), (0, 0));
    let [first, second] = held;
    square(&first);
    first.ack();
    assert_eq!(hears(&tasks[0], answered), Ok(1));
    second.fail("busy"); // nobody will take it again
    assert_eq!(hears(&tasks[1], fails), abandoned());
    assert_conserved(&queue);
    drop(producer);
    let end = queue.blocking_drained();
    assert_eq!((end.outcome, end.totals.discarded, end.totals.acked), (Outcome::Abandoned, 2, 1));
}

#[test]
fn d13_what_a_shutdown_left_is_told_while_its_report_is_kept() {
    within_watchdog(|| {
        let (queue, producer, consumer) = open();
        let task = Task::new();
        let asking = ask(&task, &producer, 1);
        let report = queue.blocking_shutdown(Duration::ZERO);
        assert_eq!(hears(&task, asking), Err(AskError::Ended(Outcome::Aborted)));
        assert_eq!(report.left.len(), 1);
        drop(consumer);

        // The last consumer goes during the shutdown.
        let (queue, producer, consumer) = open();
        let task = Task::new();
        let asking = ask(&task, &producer, 1);
        let shutdown = queue.shutdown(Duration::from_secs(3600));
        drop(consumer);
        let report = futures::executor::block_on(shutdown);
        assert_eq!(hears(&task, asking), Err(AskError::Ended(Outcome::Abandoned)));
        assert_eq!(report.left.len(), 1);
    });
}

#[test]
fn d6_an_ask_that_is_dropped_before_it_is_accepted_takes_its_job_along() {
    let queue = IterableQueue::bounded(1);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let tasks = [Task::new(), Task::new()];
    let accepted = ask(&tasks[0], &producer, 1);
    let waits = ask(&tasks[1], &producer, 2);
    drop((accepted, waits));
    let item = consumer.try_lease().unwrap();
    assert_eq!(**item, 1);
    assert!(!item.is_waiting());
    square(&item);
    item.ack();
    assert!(consumer.try_lease().is_err());
    assert_eq!(queue.snapshot().totals.accepted, 1);
}

/// Counts its drops, and panics if it is told to.
struct Counted(Arc<AtomicUsize>, bool);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        assert!(!self.1, "the drop of an answer");
    }
}

#[test]
fn d13_an_answer_that_nobody_waits_for_is_dropped_and_its_panic_harms_no_consumer() {
    let (producer, mut consumer) = IterableQueue::<Ask<(), Counted>>::unbounded().split().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    assert!(producer.ask(()).now_or_never().is_none()); // the asker is gone
    let item = consumer.try_lease().unwrap();
    item.answer(Counted(Arc::clone(&drops), true));
    item.answer(Counted(Arc::clone(&drops), true));
    assert_eq!(drops.load(SeqCst), 2);
    item.ack();
}

#[test]
fn d13_a_waker_that_panics_harms_no_consumer() {
    let ways: [fn(Item<Squares>); 3] = [
        |item| {
            square(&item);
            item.ack();
        },
        |item| item.ack(),
        |item| item.reject("it is odd"),
    ];
    for way in ways {
        let (queue, producer, mut consumer) = open();
        let waker = hook(|| panic!("the waker of an asker"));
        let mut asking = pin!(producer.ask(7));
        assert!(asking.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        way(consumer.try_lease().unwrap());
        assert_eq!(queue.snapshot().leased, 0);
        assert!(asking.now_or_never().is_some(), "it is told all the same");
        assert_conserved(&queue);
    }
}

/// The asker looks at the queue, and asks again, in the middle of the call that answers it.
#[test]
fn d13_an_asker_may_ask_again_from_its_waker() {
    let (queue, producer, mut consumer) = open();
    let again = producer.clone();
    let inner = queue.clone();
    let waker = hook(move || {
        assert!(again.ask(8).now_or_never().is_none());
        assert_eq!(inner.len(), 1);
    });
    let mut asking = pin!(producer.ask(7));
    assert!(asking.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    consumer.try_lease().unwrap().reject("it is odd");
    assert_eq!(**consumer.try_lease().unwrap(), 8);
}

#[test]
fn d13_an_ask_that_was_passed_on_is_answered_there() {
    let (_front, asker, mut router) = open();
    let (_back, next, mut worker) = open();
    let task = Task::new();
    let asking = ask(&task, &asker, 7);
    assert!(next.try_put(router.try_lease().unwrap().into_inner()).is_ok());
    let item = worker.try_lease().unwrap();
    square(&item);
    item.ack();
    assert_eq!(hears(&task, asking), Ok(49));
}

#[test]
fn d10_a_blocking_ask_on_an_arbiter_panics_and_puts_nothing() {
    let (queue, producer, _consumer) = open();
    let said = System::new().block_on(async { panic_of(|| drop(producer.blocking_ask(7))) });
    assert!(said.contains("use ask(job).await"), "{said}");
    assert!(queue.is_empty());
    // Where it need not wait, it works there, too.
    assert!(queue.abort().is_empty());
    let refused = System::new().block_on(async { producer.blocking_ask(7) });
    assert_eq!(refused, Err(AskError::Refused(PutError::new(7, Refusal::Aborted))));
}

/// Neither `Debug` nor `Clone` nor `PartialEq`.
struct Opaque;

#[test]
fn d12_errors_of_asks_need_nothing_of_the_job_and_say_what_to_do() {
    let said = |error: AskError<Opaque>| {
        let error: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
        assert!(!format!("{error}{error:?}").contains("Opaque"));
        error.to_string()
    };
    assert!(said(AskError::Unanswered).contains("call answer(…) before ack()"));
    assert!(said(AskError::Ended(Outcome::Abandoned)).contains("keep a consumer"));
    assert!(said(AskError::Ended(Outcome::Aborted)).contains("Aborted"));
    assert_eq!(said(PutError::new(Opaque, Refusal::Aborted).into()), "the queue was aborted");
    let (_queue, producer, mut consumer) = with_attempts(1);
    let task = Task::new();
    let asking = ask(&task, &producer, 1);
    consumer.try_lease().unwrap().fail("busy");
    let letter = letter(hears(&task, asking));
    let text = said(AskError::DeadLetter(Box::new(letter)));
    assert!(text.starts_with("the job is a dead letter, given up by") && text.ends_with("(it failed: busy)"), "{text}");
}

/// A queue of asks with this name, and what was logged of it above debug.
fn open_named(name: &str) -> (Open, impl Fn() -> Vec<String>) {
    log::keep();
    let queue = support::backend::builder().name(name).build().expect("valid");
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    let label = format!("{name} ({})", queue.id());
    let said = move || [log::said(Level::Warn, &label), log::said(Level::Error, &label)].concat();
    ((queue, producer, consumer), said)
}

#[test]
fn d13_an_ask_that_is_acked_without_an_answer_is_warned_about() {
    let ((queue, producer, mut consumer), said) = open_named("silent");
    for (nth, lines) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
        let task = Task::new();
        let asking = ask(&task, &producer, nth);
        consumer.try_lease().unwrap().ack();
        assert_eq!(hears(&task, asking), Err(AskError::Unanswered));
        assert_eq!(said().len(), lines, "{:?}", said());
    }
    let line = format!("silent ({}): a consumer acked or took an ask and dropped it without an answer", queue.id());
    assert!(said()[2].starts_with(&line) && said()[2].contains("Number 4"), "{:?}", said());
    thread::scope(|scope| {
        let asking = scope.spawn(|| (0..3).map(|n| producer.blocking_ask(n)).collect::<Vec<_>>());
        (0..3).for_each(|_| drop(consumer.blocking_get()));
        assert_eq!(
            asking.join().unwrap(),
            [Err(AskError::Unanswered), Err(AskError::Unanswered), Err(AskError::Unanswered)]
        );
    });
    assert_eq!(said().len(), 4);
}

#[test]
fn d13_an_ask_that_has_no_answer_for_another_reason_is_not_warned_about() {
    let ((queue, mut producer, mut consumer), said) = open_named("told");
    let task = Task::new();
    // Answered.
    let asking = ask(&task, &producer, 2);
    let item = consumer.try_lease().unwrap();
    square(&item);
    item.ack();
    assert_eq!(hears(&task, asking), Ok(4));
    // Nobody waits.
    drop(ask(&task, &producer, 3));
    consumer.try_lease().unwrap().ack();
    // Refused.
    let other = producer.clone();
    producer.close();
    assert!(matches!(producer.ask(4).now_or_never(), Some(Err(AskError::Refused(_)))));
    // The queue has ended.
    let asking = ask(&task, &other, 5);
    drop(queue.abort());
    assert_eq!(hears(&task, asking), Err(AskError::Ended(Outcome::Aborted)));
    assert_eq!(said(), [""; 0]);
}

#[test]
fn d13_a_letter_is_no_warning_if_its_asker_was_told() {
    let ((queue, producer, mut consumer), said) = open_named("odd-jobs");
    let task = Task::new();
    let asking = ask(&task, &producer, 1);
    consumer.try_lease().unwrap().reject("it is odd");
    assert_eq!(letter(hears(&task, asking)).reason, "it is odd");
    assert_eq!((said(), queue.blocking_list_dead_letters().unwrap().len()), (vec![], 1));
    // Nobody hears of this one.
    drop(ask(&task, &producer, 3));
    consumer.try_lease().unwrap().reject("it is odd");
    assert!(matches!(&said()[..], [line] if line.contains("is kept") && line.contains("(Number 1 ")), "{:?}", said());
}
