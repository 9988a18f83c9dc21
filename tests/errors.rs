//! D12: errors hand the item back and ask nothing of its type.

mod common;

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use actix_iterable_queue::{
    BuildError, GetTimeoutError, IterableQueue, OpenError, PutError, PutTimeoutError, SinkError, TryGetError,
    TryPutError,
};
use common::Task;
use futures::{FutureExt, Sink, SinkExt};

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
    assert!(matches!(&closed, TryPutError::Refused(PutError::Closed(_))) && !closed.is_full());
    assert_eq!((closed.get_ref().0, closed.into_inner().0), (3, 3));
    let closed = producer.blocking_put_timeout(Opaque(4), Duration::ZERO).unwrap_err();
    assert!(matches!(&closed, PutTimeoutError::Refused(PutError::Closed(_))));
    assert_eq!((closed.get_ref().0, closed.into_inner().0), (4, 4));

    queue.seal();
    drop(consumer);
    let abandoned = open.put(Opaque(5)).now_or_never().unwrap().unwrap_err();
    is_error(&abandoned);
    assert!(matches!(&abandoned, PutError::Abandoned(_)));
    assert_eq!((abandoned.get_ref().0, abandoned.into_inner().0), (5, 5));
    assert_eq!(queue.abort().len(), 1);
    let aborted = open.blocking_put(Opaque(6)).unwrap_err();
    is_error(&aborted);
    assert!(matches!(&aborted, PutError::Aborted(_)));
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
    assert!(matches!(&refused, TryPutError::Refused(PutError::ShutDown(_))));
    assert_eq!(refused.into_inner().0, 2);
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
    assert!(matches!(error.reason(), PutError::Aborted(Some(_))));
    assert_eq!(error.into_inner().unwrap().0, 1);
    // Not ready, so nothing was given.
    let error = sink.send(Opaque(2)).now_or_never().unwrap().unwrap_err();
    assert!(matches!(error.reason(), PutError::Aborted(None)));
    assert!(error.into_inner().is_none());
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
fn d12_the_other_errors_say_what_to_do() {
    is_error(&TryGetError::Empty);
    is_error(&GetTimeoutError::Timeout);
    is_error(&OpenError::Sealed);
    is_error(&BuildError::ZeroCapacity);
    assert!(TryGetError::Empty.to_string().contains("blocking_get"));
    assert!(OpenError::Sealed.to_string().contains("clone"));
    assert!(BuildError::ZeroCapacity.to_string().contains("capacity is 0"));
}
