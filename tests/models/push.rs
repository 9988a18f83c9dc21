//! Consumer actors that are served by address, without actix: the mailbox is a list.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::sources::block_on;
use crate::sources::endpoint::Consumer;
use crate::sources::lock::lock;
use crate::sources::queue::Item;
use crate::sync::{AtomicWaker, Mutex};

#[path = "../../src/actor/push/consumer.rs"]
mod consumer;
#[path = "../../src/actor/push/here.rs"]
mod here;
#[path = "../../src/actor/push/task.rs"]
mod task;

/// The mailbox of a consumer actor that is served by address. It never dies.
pub struct Mailbox<T>(Arc<(Mutex<VecDeque<Item<T>>>, AtomicWaker)>);

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(VecDeque::new()), AtomicWaker::new())))
    }
}

impl<T> Mailbox<T> {
    pub fn read(&self) -> Option<Item<T>> {
        lock(&self.0.0).pop_front()
    }
}

impl<T: Send + 'static> consumer::Mailbox<T> for Mailbox<T> {
    fn is_alive(&self) -> bool {
        true
    }

    fn send(&self, item: Item<T>) {
        lock(&self.0.0).push_back(item);
        self.0.1.wake();
    }
}

type PushTask<T> = task::Task<consumer::PushConsumer<T, Mailbox<T>>>;
type PushBacklog<T> = task::Backlog<consumer::PushConsumer<T, Mailbox<T>>>;

/// What a queue's actor knows of a consumer actor that it serves.
pub struct Pusher<T: Send + 'static> {
    task: Arc<PushTask<T>>,
    backlog: Arc<PushBacklog<T>>,
}

impl<T: Send + 'static> Pusher<T> {
    /// Registers the actor with this mailbox, and hands it what is there.
    pub fn register(consumer: Consumer<T>, max_in_flight: usize, mailbox: Mailbox<T>) -> Self {
        let backlog = PushBacklog::new();
        let consumer = consumer::PushConsumer::new(consumer, max_in_flight, mailbox);
        let task = PushTask::new(consumer, &backlog);
        let pusher = Self { task, backlog };
        pusher.poll();
        pusher
    }

    /// What the actor does when it is woken.
    pub fn poll(&self) {
        while self.backlog.poll_next().is_some() {}
    }

    /// What the thread of both actors does until an item comes.
    pub fn wait_for_item(&self, mailbox: &Mailbox<T>) -> Item<T> {
        block_on(poll_fn(|cx| {
            self.backlog.register(cx.waker());
            mailbox.0.1.register(cx.waker());
            self.poll();
            mailbox.read().map_or(Poll::Pending, Poll::Ready)
        }))
    }

    pub fn unregister(self) {
        drop(self.task.take_work());
    }
}
