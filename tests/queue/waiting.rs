//! D6 and D11: whoever waits is woken in turn, and leaving loses nothing.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Consumer, IterableQueue, Producer, State};
use futures::{FutureExt, Sink, Stream};
use support::backend::{self, Soon};
use support::{Task, within_watchdog};

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A pending operation with its task, polled once.
struct Pending<'a> {
    task: Task,
    operation: Option<Boxed<'a>>,
}

impl<'a> Pending<'a> {
    fn new<R: 'a>(operation: impl Future<Output = R> + Send + 'a) -> Self {
        let task = Task::new();
        let mut operation: Boxed<'a> = Box::pin(operation.map(drop));
        assert!(task.poll(operation.as_mut()).is_pending());
        Self { task, operation: Some(operation) }
    }

    fn poll(&mut self) -> bool {
        self.operation.as_mut().is_some_and(|operation| self.task.poll(operation.as_mut()).is_ready())
    }

    fn wakes(&self) -> usize {
        self.task.wakes()
    }

    fn leave(&mut self) {
        self.operation = None;
    }
}

#[test]
fn d6_dropping_an_unfinished_get_loses_no_item() {
    let (producer, mut consumer) = backend::unbounded().split().unwrap();
    for lease in [false, true] {
        let mut get = if lease { Pending::new(consumer.lease()) } else { Pending::new(consumer.get()) };
        producer.try_put(1).unwrap();
        backend::soon(|| get.wakes(), 1);
        get.leave();
        drop(get);
        assert_eq!(consumer.soon_item(), 1);
    }
}

#[test]
fn d6_a_getter_that_leaves_after_its_wake_up_passes_it_on() {
    let queue = backend::unbounded();
    let producer = queue.producer().unwrap();
    let mut consumers: Vec<_> = (0..5).map(|_| queue.consumer().unwrap()).collect();
    let mut gets: Vec<_> = consumers
        .iter_mut()
        .enumerate()
        .map(|(n, consumer)| if n % 2 == 0 { Pending::new(consumer.get()) } else { Pending::new(consumer.lease()) })
        .collect();
    producer.try_put(1).unwrap();
    for leaver in 0..4 {
        backend::soon(|| gets.iter().map(Pending::wakes).sum::<usize>(), leaver + 1);
        assert_eq!(gets[leaver].wakes(), 1);
        gets[leaver].leave();
    }
    backend::soon(|| gets[4].wakes(), 1);
    assert!(gets[4].poll());
}

#[test]
fn d6_a_getter_that_leaves_unwoken_wakes_nobody() {
    let queue = backend::unbounded();
    let producer = queue.producer().unwrap();
    let (mut a, mut b, mut c) = (queue.consumer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
    let (first, mut second, third) = (Pending::new(a.get()), Pending::new(b.get()), Pending::new(c.get()));
    second.leave();
    assert_eq!((first.wakes(), third.wakes()), (0, 0));
    producer.try_put(1).unwrap();
    producer.try_put(2).unwrap();
    backend::soon(|| (first.wakes(), second.wakes(), third.wakes()), (1, 0, 1));
}

#[test]
fn d6_a_getter_that_never_waited_wakes_nobody() {
    let queue = backend::unbounded();
    let (producer, mut hasty) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let (mut one, mut other) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    let (first, second) = (Pending::new(one.get()), Pending::new(other.get()));
    producer.try_put(1).unwrap();
    assert_eq!(backend::soon_ready(hasty.get()), Some(1));
    backend::soon(|| (first.wakes(), second.wakes()), (1, 0));
}

#[test]
fn d6_waiting_for_the_end_leaves_no_waker_behind() {
    let queue = backend::unbounded::<u8>();
    let mut waits = Pending::new(queue.drained());
    waits.leave();
    queue.seal();
    backend::soon(|| (queue.state(), waits.wakes()), (State::Drained, 0));
}

#[test]
fn d6_streams_pass_their_wake_up_on_too() {
    let queue = backend::unbounded();
    let producer = queue.producer().unwrap();
    let (mut stream, mut leases) = (queue.consumer().unwrap(), queue.consumer().unwrap().into_leases());
    let (mut borrowed, mut blocked) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    let mut last = queue.consumer().unwrap();
    let tasks: Vec<_> = (0..4).map(|_| Task::new()).collect();
    let pending = |n: usize| Context::from_waker(&tasks[n].waker);
    assert!(pin!(&mut stream).poll_next(&mut pending(0)).is_pending());
    assert!(pin!(&mut leases).poll_next(&mut pending(1)).is_pending());
    let mut borrowing = borrowed.leases();
    assert!(pin!(&mut borrowing).poll_next(&mut pending(2)).is_pending());
    assert!(pin!(&mut blocked).poll_next(&mut pending(3)).is_pending());
    let mut get = Pending::new(last.get());
    producer.try_put(1).unwrap();
    backend::soon(|| tasks[0].wakes(), 1);
    drop(stream);
    assert_eq!(tasks[1].wakes(), 1);
    drop(leases);
    assert_eq!(tasks[2].wakes(), 1);
    drop(borrowing);
    assert_eq!(tasks[3].wakes(), 1);
    // A stream that takes otherwise has used its place up.
    assert_eq!(blocked.soon_item(), 1);
    // Over Redis another may be woken in vain: there is no telling what is on its way.
    assert!(backend::is_redis() || get.wakes() == 0);
    producer.try_put(2).unwrap();
    backend::soon(|| get.wakes() > 0 && get.poll(), true);
}

#[test]
fn d6_dropping_an_unfinished_put_drops_its_item_and_passes_the_wake_up_on() {
    struct Counted(u8, Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let item = |n| Counted(n, Arc::clone(&drops));
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    producer.try_put(item(0)).unwrap();
    let (mut first, mut second) = (Pending::new(producer.put(item(1))), Pending::new(producer.put(item(2))));
    assert_eq!(consumer.try_get().unwrap().0, 0);
    assert_eq!((first.wakes(), second.wakes(), drops.load(SeqCst)), (1, 0, 1));
    first.leave();
    assert_eq!((second.wakes(), drops.load(SeqCst)), (1, 2));
    assert!(second.poll());
    assert_eq!(consumer.try_get().unwrap().0, 2, "the first was not accepted");
    assert!(consumer.try_get().is_err());
}

#[test]
fn d6_reservations_and_sinks_pass_their_wake_up_on() {
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    producer.try_put(0).unwrap();
    let mut reserve = Pending::new(producer.reserve());
    let (mut sink, mut closing) = (producer.sink(), producer.sink());
    let (ready, close) = (Task::new(), Task::new());
    assert!(pin!(&mut sink).poll_ready(&mut ready.context()).is_pending());
    assert!(pin!(&mut closing).poll_ready(&mut close.context()).is_pending());
    let mut put = Pending::new(producer.put(1));
    assert_eq!(consumer.try_get(), Ok(0));
    assert_eq!(reserve.wakes(), 1);
    reserve.leave();
    assert_eq!(ready.wakes(), 1);
    drop(sink);
    assert_eq!(close.wakes(), 1);
    assert!(pin!(&mut closing).poll_close(&mut close.context()).is_ready());
    assert!(put.wakes() == 1 && put.poll());
    assert_eq!(consumer.try_get(), Ok(1));
}

#[test]
fn d11_waiters_are_woken_in_turn() {
    let queue = backend::bounded(4);
    let producer = queue.producer().unwrap();
    let mut consumers: Vec<_> = (0..4).map(|_| queue.consumer().unwrap()).collect();
    let mut gets: Vec<_> = consumers.iter_mut().map(|consumer| Pending::new(consumer.get())).collect();
    for turn in 0..4 {
        producer.try_put(turn).unwrap();
        let woken = || gets.iter().map(Pending::wakes).collect::<Vec<_>>();
        backend::soon(woken, (0..4).map(|n| usize::from(n <= turn)).collect());
    }
    assert!(gets.iter_mut().all(Pending::poll));
}

#[test]
fn d11_waiting_puts_are_woken_in_turn() {
    let (producer, mut consumer) = IterableQueue::bounded(4).split().unwrap();
    (0..4).for_each(|n| producer.try_put(n).unwrap());
    // A handle each: the puts of one handle take turns among themselves.
    let producers: Vec<_> = (0..4).map(|_| producer.clone()).collect();
    let mut puts: Vec<_> = producers.iter().map(|producer| Pending::new(producer.put(9))).collect();
    for turn in 0..4 {
        consumer.try_get().unwrap();
        let woken: Vec<_> = puts.iter().map(Pending::wakes).collect();
        assert_eq!(woken, (0..4).map(|n| usize::from(n <= turn)).collect::<Vec<_>>());
    }
    assert!(puts.iter_mut().all(Pending::poll));
}

#[test]
fn d11_a_running_consumer_may_take_first_and_the_loser_keeps_its_place() {
    let queue = backend::bounded(1);
    let producer = queue.producer().unwrap();
    let (mut a, mut b, mut running) = (queue.consumer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
    let (mut first, second) = (Pending::new(a.get()), Pending::new(b.get()));
    for turn in 1..4 {
        producer.try_put(turn).unwrap();
        backend::soon(|| (first.wakes(), second.wakes()), (turn, 0));
        assert_eq!(running.soon_item(), turn);
        assert!(!first.poll(), "the other was faster");
    }
    producer.try_put(4).unwrap();
    backend::soon(|| first.poll(), true);
}

#[test]
fn d11_a_running_producer_may_put_first_and_the_loser_keeps_its_place() {
    let (producer, mut running) = IterableQueue::bounded(1).split().unwrap();
    producer.try_put(0).unwrap();
    let (one, two) = (producer.clone(), producer.clone());
    let (mut first, second) = (Pending::new(one.put(1)), Pending::new(two.put(2)));
    for turn in 1..4 {
        assert!(running.try_get().is_ok());
        assert_eq!((first.wakes(), second.wakes()), (turn, 0));
        producer.try_put(9).unwrap();
        assert!(!first.poll());
    }
}

/// How many puts that do not wait others make, each in a place that has just become free, before one is refused.
fn passes(others: &Producer<u32>, consumer: &mut Consumer<u32>) -> usize {
    (0..1000).take_while(|n| consumer.try_get().is_ok() && others.try_put(*n).is_ok()).count()
}

fn full(capacity: u32) -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    let queue = IterableQueue::bounded(capacity as usize);
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    (0..capacity).for_each(|n| producer.try_put(n).expect("there is room"));
    (queue, producer, consumer)
}

#[test]
fn d11_a_put_that_waits_has_its_turn_after_a_bounded_number_of_others() {
    for capacity in [1, 2, 5, 64] {
        let (queue, others, mut consumer) = full(capacity);
        let (one, two) = (others.clone(), others.clone());
        let mut sink = others.clone().into_sink();
        let sending = std::future::poll_fn(|cx| Pin::new(&mut sink).poll_ready(cx));
        let (mut put, mut reserve) = (Pending::new(one.put(1)), Pending::new(two.reserve()));
        assert_eq!(passes(&others, &mut consumer), 32);
        assert!(queue.is_full() && put.wakes() > 0 && put.poll(), "however often the others were faster");
        // The one behind it has just as many before it, and so has a sink.
        assert_eq!(passes(&others, &mut consumer), 32);
        assert!(queue.is_full() && reserve.wakes() > 0 && reserve.poll());
        drop(reserve);
        while others.try_put(0).is_ok() {}
        let mut sending = Pending::new(sending);
        assert_eq!(passes(&others, &mut consumer), 32);
        assert!(queue.is_full() && sending.wakes() > 0 && sending.poll());
        drop(sending);
        drop(sink);
        while others.try_put(0).is_ok() {}
        assert_eq!(passes(&others, &mut consumer), 1000, "nobody waits any more");
    }
}

#[test]
fn d11_the_place_that_is_kept_is_for_the_first_who_waits() {
    let (_queue, others, mut consumer) = full(2);
    let (one, two) = (others.clone(), others.clone());
    let mut first = Pending::new(one.put(1));
    assert_eq!(passes(&others, &mut consumer), 32);
    let mut second = Pending::new(two.put(2));
    assert!(!second.poll(), "it stands behind the first");
    assert!(first.poll());
    assert!(consumer.try_get().is_ok());
    assert!(second.poll());
}

/// All room was reserved when it began to wait, and then none of it is used.
#[test]
fn d11_a_place_is_kept_also_where_others_have_room_for_long() {
    let (producer, _consumer) = IterableQueue::bounded(64).split().unwrap();
    let (one, others) = (producer.clone(), producer.clone());
    let permits: Vec<_> = (0..64).map(|_| producer.reserve().now_or_never().unwrap().unwrap()).collect();
    let mut waiting = Pending::new(one.put(1));
    drop(permits);
    assert_eq!((0..).take_while(|n| others.try_put(*n).is_ok()).count(), 63);
    assert!(waiting.poll());
}

#[test]
fn d11_a_place_is_kept_for_nobody_who_has_left() {
    let (queue, others, mut consumer) = full(1);
    let (one, two) = (others.clone(), others.clone());
    let mut leaving = [Pending::new(one.put(1)), Pending::new(two.reserve())];
    assert_eq!(passes(&others, &mut consumer), 32);
    assert!(queue.is_empty() && queue.is_full());
    leaving.iter_mut().for_each(Pending::leave);
    assert!(!queue.is_full());
    others.try_put(2).unwrap();
}

#[test]
fn d6_a_put_that_leaves_passes_the_place_that_was_kept_on() {
    let (_queue, others, mut consumer) = full(1);
    let (one, two) = (others.clone(), others.clone());
    let mut first = Pending::new(one.put(1));
    assert_eq!(passes(&others, &mut consumer), 32);
    let mut second = Pending::new(two.put(2));
    let wakes = second.wakes();
    first.leave();
    assert_eq!(second.wakes(), wakes + 1);
    assert!(others.try_put(3).unwrap_err().is_full());
    assert!(second.poll());
}

/// Polls a put as long as it wakes itself.
fn insist(put: &mut Pending<'_>) -> bool {
    for _ in 0..1000 {
        let wakes = put.wakes();
        if put.poll() {
            return true;
        }
        if put.wakes() == wakes {
            return false;
        }
    }
    panic!("it looks again and again");
}

/// It was woken, and is never polled again, as a sink that is kept for later.
#[test]
fn d11_a_put_that_nobody_polls_holds_up_no_other_that_waits() {
    for (capacity, reserved) in [(1, 0), (3, 2), (2, 0), (3, 1)] {
        let queue = IterableQueue::bounded(capacity);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let (one, others) = (producer.clone(), producer.clone());
        let _permits: Vec<_> = (0..reserved).map(|_| producer.try_reserve().unwrap()).collect();
        while producer.try_put(0).is_ok() {}
        let unpolled = Pending::new(one.put(1));
        assert_eq!(passes(&others, &mut consumer), 32);
        assert_eq!(unpolled.wakes(), 1);
        for _ in 0..100 {
            while consumer.try_get().is_ok() {}
            let (task, mut put) = (Task::new(), Box::pin(others.put(3)));
            let looks = (0..1000).take_while(|look| task.poll(put.as_mut()).is_pending() && task.wakes() > *look);
            assert!(looks.count() <= 257, "it has the kept place, after some looks of its own");
            assert!(!consumer.is_empty());
        }
        while consumer.try_get().is_ok() {}
        within_watchdog(move || others.blocking_put(4).unwrap());
        drop(unpolled);
        assert!(producer.try_put(5).is_ok() == (capacity - reserved > 1), "all of the capacity can be used");
    }
}

#[test]
fn d6_who_leaves_beside_a_kept_place_has_the_next_one_look() {
    let (_queue, others, mut consumer) = full(1);
    let [one, two, three] = [(); 3].map(|()| others.clone());
    let _unpolled = Pending::new(one.put(1));
    assert_eq!(passes(&others, &mut consumer), 32);
    let (mut next, mut behind) = (Pending::new(two.put(2)), Pending::new(three.put(3)));
    assert_eq!((next.wakes(), behind.wakes()), (1, 0));
    next.leave();
    assert_eq!(behind.wakes(), 1);
    assert!(insist(&mut behind));
}

/// Over the end of a queue no place is kept: everybody hears of it.
#[test]
fn d8_a_place_that_is_kept_hides_no_end() {
    let (queue, others, mut consumer) = full(1);
    let one = others.clone();
    let mut first = Pending::new(one.put(1));
    assert_eq!(passes(&others, &mut consumer), 32);
    assert_eq!(queue.abort(), [0; 0]);
    assert!(!others.try_put(2).unwrap_err().is_full());
    assert!(first.poll());
}

#[test]
fn d11_returned_items_wake_too() {
    let queue = backend::unbounded();
    let producer = queue.producer().unwrap();
    let (mut holder, mut a) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    let item = holder.soon_lease();
    let mut get = Pending::new(a.get());
    item.requeue();
    backend::soon(|| get.wakes(), 1);
    assert!(get.poll());
}

#[test]
fn d6_a_get_keeps_no_place_once_it_is_dropped() {
    let queue = backend::unbounded::<u8>();
    let _producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    for _ in 0..3 {
        assert!(matches!(Task::new().poll(pin!(consumer.get())), Poll::Pending));
        assert_eq!(queue.snapshot().waiting_gets, 0);
    }
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
}

#[test]
fn d1_a_later_put_does_not_overtake_a_waiting_one_of_its_handle() {
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    producer.try_put(0).unwrap();
    let (mut first, mut second) = (Pending::new(producer.put(1)), Pending::new(producer.put(2)));
    assert_eq!(consumer.try_get(), Ok(0));
    assert!(producer.try_put(3).unwrap_err().is_full(), "others of this handle were first");
    assert!(!second.poll() && first.poll() && !second.poll());
    assert_eq!(consumer.try_get(), Ok(1));
    assert!(second.poll());
    assert_eq!(consumer.try_get(), Ok(2));
}
