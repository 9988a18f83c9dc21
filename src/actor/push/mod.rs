//! Push: items are sent to the addresses of consumer actors.
//!
//! - `consumer.rs`: one of these actors, and what it is sent
//! - `task.rs`: what sends it, polled by the thread that makes it possible; `here.rs`: the tasks that a thread polls
//!
//! A put that finds a waiting actor sends it the item, and each settle of an actor that does not wait sends it the next one,
//! both on their own thread. The queue's actor does the rest: it begins, it fills actors up to their limit in turn, it goes on
//! where a thread unwinds, and it forgets actors that have died.

mod consumer;
mod here;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Context;

use actix::prelude::Recipient;

use self::consumer::{Mailbox, PushConsumer};
use self::task::{Backlog, Polled, Task};
use super::ITEMS_PER_POLL;
use crate::endpoint::Consumer;
use crate::message::RegisterConsumer;
use crate::queue::{ConsumerId, Drained, Item, Line, Place, Shared};

/// The registered consumer actors.
pub(super) struct PushConsumers<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    registered: BTreeMap<ConsumerId, Registered<T>>,
    backlog: Arc<Backlog<Pushing<T>>>,
    /// Waits for the end.
    end: Place,
    /// Those that were told of the end. They are closed a few at a time, as there may be thousands.
    told: Vec<Pushing<T>>,
}

type Pushing<T> = PushConsumer<T, Recipient<Item<T>>>;

struct Registered<T: Send + 'static> {
    task: Arc<Task<Pushing<T>>>,
    drained: Recipient<Drained>,
}

impl<T: Send + 'static> Mailbox<T> for Recipient<Item<T>> {
    fn is_alive(&self) -> bool {
        self.connected()
    }

    fn send(&self, item: Item<T>) {
        self.do_send(item);
    }
}

impl<T: Send + 'static> PushConsumers<T> {
    pub(super) fn of(shared: &Arc<Shared<T>>) -> Self {
        let end = Place::new(Line::Watchers);
        Self { shared: Arc::clone(shared), registered: BTreeMap::new(), backlog: Backlog::new(), end, told: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.registered.is_empty() && self.told.is_empty()
    }

    pub(super) fn register(&mut self, consumer: Consumer<T>, register: RegisterConsumer<T>) -> ConsumerId {
        let RegisterConsumer { items, drained, max_in_flight, .. } = register;
        // Weak, so that a lease does not keep its actor's address alive. A mailbox counts as closed
        // before it drops what it holds.
        let mailbox = items.downgrade();
        let alive = move || mailbox.upgrade().is_some_and(|items| items.connected());
        if consumer.slot().mailbox.set(Box::new(alive)).is_err() {
            unreachable!("the consumer was opened for this");
        }
        let id = consumer.id();
        let task = Task::new(PushConsumer::new(consumer, max_in_flight, items), &self.backlog);
        self.registered.insert(id, Registered { task, drained });
        id
    }

    /// Removes a consumer. Returns whether it was registered. Nothing is sent to it any more.
    pub(super) fn unregister(&mut self, id: ConsumerId) -> bool {
        self.registered.remove(&id).and_then(|registered| registered.task.take_work()).is_some()
    }

    /// Removes consumers whose actor died while they waited: no item is sent to them that would show it.
    pub(super) fn remove_dead(&mut self) {
        let all = self.registered.values();
        let dead: Vec<_> = all.filter_map(|each| each.task.take_work_if(|consumer| !consumer.is_alive())).collect();
        for consumer in &dead {
            self.registered.remove(&consumer.id());
        }
    }

    /// Hands one item at a time to each consumer that the threads have left to the actor, in turn.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if self.is_empty() {
            // Those that are listed were unregistered.
            return self.backlog.clear();
        }
        if self.shared.poll_end(&mut self.end, cx).is_ready() {
            self.notify_end();
            let rest = self.told.len().saturating_sub(ITEMS_PER_POLL);
            self.told.truncate(rest);
            if rest > 0 {
                cx.waker().wake_by_ref();
            }
            return;
        }
        self.backlog.register(cx.waker());
        let (mut budget, mut moved) = (ITEMS_PER_POLL, true);
        while std::mem::take(&mut moved) {
            let round = self.backlog.len().min(budget);
            budget -= round;
            for polled in (0..round).map_while(|_| self.backlog.poll_next()) {
                match polled {
                    Polled::Moved => moved = true,
                    Polled::Waits => {}
                    // Its actor is dead.
                    Polled::Over(consumer) => drop(consumer.map(|consumer| self.registered.remove(&consumer.id()))),
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
        for Registered { task, drained: actor } in std::mem::take(&mut self.registered).into_values() {
            // An item that a thread is about to send comes first: that thread holds the task's mutex.
            if let Some(consumer) = task.take_work() {
                actor.do_send(drained.clone());
                self.told.push(consumer);
            }
        }
    }
}

impl<T: Send + 'static> Drop for PushConsumers<T> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.end, false);
        self.backlog.close();
        // A consumer's wakers own its task, and the task owns the consumer.
        std::mem::take(&mut self.registered).into_values().for_each(|each| drop(each.task.take_work()));
    }
}
