//! D12: errors hand the item back and ask nothing of its type.

use std::error::Error;
use std::io;
use std::panic;
use std::pin::pin;
use std::time::Duration;

use actix_iterable_queue::error::{
    BuildError, Death, GetTimeoutError, OpenError, PoolError, PoolFailure, PutError, PutTimeoutError, Refusal,
    SinkError, TryGetError, TryPutError, TryReserveError,
};
use actix_iterable_queue::message::{Close, OpenProducer, Put, Shutdown};
use actix_iterable_queue::{IterableQueue, QueueActor};
use futures::executor::block_on;
use futures::{FutureExt, Sink, SinkExt};
use support::{Task, message};

/// Neither `Debug` nor `Clone` nor `PartialEq`.
struct Opaque(u8);

fn is_error<E: Error + Send + Sync + 'static>(error: &E) {
    assert!(!error.to_string().is_empty());
    assert!(!format!("{error:?}").is_empty());
    assert!(!format!("{error}{error:?}").contains("Opaque"));
}

#[test]
fn d12_every_put_error_hands_the_item_back() {
    let queue = IterableQueue::bounded(1);
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(Opaque(0)).unwrap();

    let full = producer.try_put(Opaque(1)).unwrap_err();
    is_error(&full);
    assert!(full.is_full());
    assert_eq!((full.get_ref().0, full.into_inner().0), (1, 1));
    let late = producer.blocking_put_timeout(Opaque(2), Duration::ZERO).unwrap_err();
    is_error(&late);
    assert!(matches!(&late, PutTimeoutError::Timeout(item) if item.0 == 2));
    assert_eq!((late.get_ref().0, late.into_inner().0), (2, 2));

    let open = producer.clone();
    producer.close();
    let closed = producer.try_put(Opaque(3)).unwrap_err();
    is_error(&closed);
    assert!(matches!(&closed, TryPutError::Refused(error) if error.reason() == Refusal::Closed) && !closed.is_full());
    assert_eq!((closed.get_ref().0, closed.into_inner().0), (3, 3));
    let closed = producer.blocking_put_timeout(Opaque(4), Duration::ZERO).unwrap_err();
    is_error(&closed);
    assert!(matches!(&closed, PutTimeoutError::Refused(error) if error.reason() == Refusal::Closed));
    assert!(closed.to_string().contains("this producer is closed"), "{closed}");
    assert_eq!((closed.get_ref().0, closed.into_inner().0), (4, 4));

    queue.seal();
    drop(consumer);
    let abandoned = open.put(Opaque(5)).now_or_never().unwrap().unwrap_err();
    is_error(&abandoned);
    assert_eq!(abandoned.reason(), Refusal::Abandoned);
    assert_eq!((abandoned.get_ref().0, abandoned.into_inner().0), (5, 5));
    assert_eq!(queue.abort().len(), 1);
    let aborted = open.blocking_put(Opaque(6)).unwrap_err();
    is_error(&aborted);
    assert_eq!(aborted.reason(), Refusal::Aborted);
    assert_eq!((aborted.get_ref().0, aborted.into_inner().0), (6, 6));
}

#[test]
fn d12_a_shutdown_says_so_and_hands_the_item_back() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(Opaque(1)).unwrap();
    let held = consumer.try_lease().unwrap(); // keeps it from ending
    let task = Task::new();
    let mut shutdown = Box::pin(queue.shutdown(Duration::from_secs(3600)));
    assert!(task.poll(shutdown.as_mut()).is_pending());
    let refused = producer.try_put(Opaque(2)).unwrap_err();
    is_error(&refused);
    assert!(matches!(&refused, TryPutError::Refused(error) if error.reason() == Refusal::ShutDown));
    assert_eq!(refused.into_inner().0, 2);
    let refused = producer.sink().feed(Opaque(3)).now_or_never().unwrap().unwrap_err();
    assert_eq!(refused.reason(), Refusal::ShutDown);
    held.ack();
}

#[test]
fn d12_a_sink_hands_back_what_it_was_given() {
    let queue = IterableQueue::bounded(1);
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let task = Task::new();
    let mut sink = producer.sink();
    assert!(matches!(pin!(&mut sink).poll_ready(&mut task.context()), std::task::Poll::Ready(Ok(()))));
    drop(queue.abort());
    let error: SinkError<Opaque> = pin!(&mut sink).start_send(Opaque(1)).unwrap_err();
    is_error(&error);
    assert_eq!(error.reason(), Refusal::Aborted);
    assert_eq!(error.get_ref().unwrap().0, 1);
    assert_eq!(error.into_inner().unwrap().0, 1);
    // Not ready, so nothing was given.
    let error = sink.send(Opaque(2)).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.reason(), Refusal::Aborted);
    assert!(error.get_ref().is_none());
    assert!(error.into_inner().is_none());
    // Nor is anything lost by a sink that was closed before.
    block_on(sink.close()).unwrap();
    let error = sink.feed(Opaque(3)).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.reason(), Refusal::Closed);
}

#[test]
fn a_sink_that_is_ready_stays_ready_and_one_that_is_not_panics() {
    let queue = IterableQueue::bounded(1);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let task = Task::new();
    let mut sink = pin!(producer.sink());
    for _ in 0..2 {
        assert!(matches!(sink.as_mut().poll_ready(&mut task.context()), std::task::Poll::Ready(Ok(()))));
    }
    sink.as_mut().start_send(1).unwrap();
    assert!(sink.as_mut().poll_ready(&mut task.context()).is_pending(), "the one permit was used");
    let mut sink = pin!(queue.producer().unwrap().into_sink());
    let sent = panic::catch_unwind(panic::AssertUnwindSafe(|| sink.as_mut().start_send(2)));
    assert!(message(&*sent.unwrap_err()).contains("call poll_ready first"));
    assert_eq!(consumer.try_get(), Ok(1));
}

#[test]
fn d12_lease_children_come_back_too() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(Opaque(1)).unwrap();
    let item = consumer.try_lease().unwrap();
    drop(queue.abort());
    assert_eq!(item.put_child(Opaque(2)).unwrap_err().into_inner().0, 2);
    assert_eq!(item.into_inner().0, 1);
}

#[test]
fn d12_a_refusal_prints_as_the_error_around_the_item() {
    let reasons = [
        (Refusal::Closed, "put before closing it"),
        (Refusal::Abandoned, "open consumers before seal"),
        (Refusal::ShutDown, "shutting down"),
        (Refusal::Aborted, "was aborted"),
        (Refusal::Sealed, "open producers before seal"),
        (Refusal::Fenced, "lease was lost"),
        (Refusal::Unserializable, "cannot be written as JSON"),
        (Refusal::TooLarge, "longer than Redis takes"),
        (Refusal::ActorStopped, "put again"),
    ];
    for (reason, says) in reasons {
        let error = PutError::new(Opaque(1), reason);
        is_error(&reason);
        is_error(&error);
        assert_eq!((error.reason(), error.to_string()), (reason, reason.to_string()));
        assert!(reason.to_string().contains(says), "{reason}");
        assert!(format!("{error:?}").contains(&format!("{reason:?}")));
        assert_eq!(TryPutError::from(error).to_string(), reason.to_string());
        assert_eq!(TryReserveError::from(reason).to_string(), reason.to_string());
    }
    is_error(&TryReserveError::Full);
    assert!(TryReserveError::Full.is_full() && !TryReserveError::Refused(Refusal::Closed).is_full());
}

#[test]
fn d12_the_other_errors_say_what_to_do() {
    is_error(&TryGetError::Empty);
    is_error(&GetTimeoutError::Timeout);
    is_error(&OpenError::Sealed);
    is_error(&BuildError::ZeroCapacity);
    assert!(TryGetError::Empty.to_string().contains("blocking_get"));
    assert!(TryGetError::Ended.to_string().contains("no more items"));
    assert_eq!(GetTimeoutError::Ended.to_string(), TryGetError::Ended.to_string());
    assert!(OpenError::Sealed.to_string().contains("clone"));
    is_error(&OpenError::Ended);
    assert!(OpenError::Ended.to_string().starts_with("the queue has ended: "));
    assert!(BuildError::ZeroCapacity.to_string().contains("capacity is 0"));
    assert!(BuildError::ZeroMaxAttempts.to_string().contains("max_attempts is 0"));
}

#[test]
fn d12_the_errors_of_pools_say_what_to_do() {
    let no_thread = || io::Error::other("no thread");
    for (error, says) in [
        (PoolError::NoSystem, "no actix system is running"),
        (PoolError::Sealed, "before seal"),
        (PoolError::ArbiterStopped, "has stopped"),
        (PoolError::Arbiter(no_thread()), "no arbiter could be started: no thread"),
        (PoolError::Ended, "has ended"),
    ] {
        is_error(&error);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.source().is_some(), matches!(error, PoolError::Arbiter(_)));
    }
    let deaths = [
        (Death::Panicked("boom".into()), "it panicked: boom"),
        (Death::Stopped, "it stopped by itself"),
        (Death::ArbiterStopped, "its arbiter stopped"),
        (Death::NoArbiter("no thread".into()), "no arbiter could be started for it: no thread"),
    ];
    for (death, says) in deaths {
        assert_eq!(death.to_string(), says);
    }
}

#[test]
fn what_was_said_by_others_is_printed_on_one_line() {
    let death = Death::Panicked("left: 1\n right: 2".into());
    assert_eq!(death.to_string(), r"it panicked: left: 1\n right: 2");
    assert_eq!(Death::NoArbiter("no\nthread".into()).to_string(), r"no arbiter could be started for it: no\nthread");
    let failure = PoolFailure::GaveUp { worker: "pool\n-0".into(), death };
    assert!(failure.to_string().ends_with(r"the last one was pool\n-0: it panicked: left: 1\n right: 2"));

    let queue = IterableQueue::unbounded();
    let mut letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("one\ntwo").unwrap());
    producer.try_put(0).unwrap();
    consumer.try_lease().unwrap().reject("bad\nworse");
    let mut letter = letters.try_get().unwrap();
    assert_eq!((&*letter.last_worker, &*letter.reason), ("one\ntwo", "bad\nworse"));
    letter.panic = Some("a\nb".into());
    assert_eq!(letter.to_string(), r"given up by one\ntwo at attempt 1: bad\nworse (it panicked: a\nb)");
}

/// What somebody holds of a queue can be printed, whatever the items are.
#[test]
fn d12_endpoints_and_what_they_give_out_print_without_the_items() {
    fn shows(printed: impl std::fmt::Debug, what: &[&str]) {
        let text = format!("{printed:?}");
        assert!(!text.contains("Opaque") && what.iter().all(|what| text.contains(what)), "{text}: {what:?}");
    }
    let builder = || support::backend::builder::<Opaque>().name("jobs").capacity(5).max_attempts(3);
    shows(builder(), &["Builder", "jobs", "5", "3"]);
    let queue = builder().build().unwrap();
    let (mut producer, consumer) = (queue.producer_named("http").unwrap(), queue.consumer_named("worker").unwrap());
    producer.try_put(Opaque(1)).unwrap();
    shows(&queue, &["IterableQueue", "jobs", "Open", "len: 1"]);
    shows(&producer, &["Producer", "http", "closed: false"]);
    shows(&consumer, &["Consumer", "worker"]);
    shows(producer.reserve().now_or_never().unwrap().unwrap(), &["Permit", &format!("{:?}", queue.id())]);
    shows(producer.sink(), &["PutSink", "ready: false", "closed: false"]);
    shows(OpenProducer::<Opaque>::new().named("http"), &["OpenProducer", "http", "watched: false"]);
    shows(Put::new(&producer, Opaque(2)), &["Put", "closed: false"]);
    shows(Close::new(&mut producer), &["Close", "closed_before: false"]);
    shows(Close::new(&mut producer), &["Close", "closed_before: true"]);
    shows(&producer, &["Producer", "closed: true"]);
    shows(producer.sink(), &["PutSink", "closed: true"]);
    shows(Shutdown::<Opaque>::new(Duration::from_secs(7)), &["Shutdown", "7s"]);
    shows(QueueActor::new(queue), &["QueueActor", "jobs"]);

    let (producer, mut consumer) = IterableQueue::unbounded().split().unwrap();
    producer.try_put("work").unwrap();
    let item = consumer.try_lease().unwrap();
    shows(&item, &["Item", "\"work\"", "attempt: 1"]); // it is asked of what prints itself
    item.ack();
}
