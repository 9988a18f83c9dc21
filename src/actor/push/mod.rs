//! Push: items are sent to the addresses of consumer actors.
//!
//! - `consumer.rs`: one of these actors, and what it is sent
//! - `task.rs`: sends on the thread that makes it possible
//!
//! A put that finds a waiting actor sends it the item, and the settle of an actor that was at its limit sends it the next
//! one, each on its own thread. The queue's actor does the rest: it begins, it goes on where a thread has sent enough or
//! unwinds, and it forgets actors that have died.

mod consumer;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Context;

use self::consumer::PushConsumer;
use self::task::{Backlog, Task};
use super::ITEMS_PER_POLL;
use crate::endpoint::Consumer;
use crate::message::RegisterConsumer;
use crate::queue::{ConsumerId, Line, Place, Shared};

/// The registered consumer actors.
pub(super) struct PushConsumers<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    tasks: BTreeMap<ConsumerId, Arc<Task<PushConsumer<T>>>>,
    backlog: Arc<Backlog<PushConsumer<T>>>,
    /// Waits for the end.
    end: Place,
}

impl<T: Send + 'static> PushConsumers<T> {
    pub(super) fn of(shared: &Arc<Shared<T>>) -> Self {
        let end = Place::new(Line::Watchers);
        Self { shared: Arc::clone(shared), tasks: BTreeMap::new(), backlog: Backlog::new(), end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn register(&mut self, consumer: Consumer<T>, register: RegisterConsumer<T>) -> ConsumerId {
        let consumer = PushConsumer::new(consumer, register);
        let id = consumer.id();
        let task = Task::new(consumer, &self.backlog);
        self.tasks.insert(id, task);
        id
    }

    /// Removes a consumer. Returns whether it was registered. Nothing is sent to it any more.
    pub(super) fn unregister(&mut self, id: ConsumerId) -> bool {
        self.tasks.remove(&id).and_then(|task| task.take_work()).is_some()
    }

    /// Removes consumers whose actor died while they waited: no item is sent to them that would show it.
    pub(super) fn remove_dead(&mut self) {
        let dead = self.tasks.values().filter_map(|task| task.take_work_if(|consumer| !consumer.is_alive()));
        let dead: Vec<_> = dead.collect();
        for consumer in &dead {
            self.tasks.remove(&consumer.id());
        }
    }

    /// Hands one item at a time to each consumer that the threads have left to the actor, in turn.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if self.is_empty() {
            return;
        }
        if self.shared.poll_end(&mut self.end, cx).is_ready() {
            return self.notify_end();
        }
        self.backlog.register(cx.waker());
        let (mut budget, mut moved) = (ITEMS_PER_POLL, true);
        while std::mem::take(&mut moved) {
            let round = self.backlog.len().min(budget);
            budget -= round;
            for polled in (0..round).map_while(|_| self.backlog.poll_next()) {
                moved |= polled.moved;
                if let Some(consumer) = polled.over {
                    self.tasks.remove(&consumer.id());
                    // Its actor is dead, or the queue has ended since the look above.
                    self.shared.ended().into_iter().for_each(|drained| consumer.tell_end(drained));
                }
            }
        }
        if self.backlog.len() > 0 {
            cx.waker().wake_by_ref();
        }
    }

    /// Sends `Drained` to all consumers, if the queue has ended.
    pub(super) fn notify_end(&mut self) {
        let Some(drained) = self.shared.ended() else { return };
        // An item that a thread is about to send comes first: it holds the task's mutex.
        let tasks = std::mem::take(&mut self.tasks);
        let consumers: Vec<_> = tasks.into_values().filter_map(|task| task.take_work()).collect();
        for consumer in &consumers {
            consumer.tell_end(drained.clone());
        }
    }
}

impl<T: Send + 'static> Drop for PushConsumers<T> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.end, false);
        self.backlog.close();
        // A consumer's wakers own its task, and the task owns the consumer.
        std::mem::take(&mut self.tasks).into_values().for_each(|task| drop(task.take_work()));
    }
}
