//! Finds dead actors at an interval, and closes their endpoints (A3).

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use actix_rt::time::{Sleep, sleep};

use crate::message::Probe;
use crate::one_line::OneLine;
use crate::queue::{ProducerEndpoint, Shared};
use crate::sync::atomic::AtomicBool;

/// Endpoints that are closed when an actor dies.
pub(super) struct Watch {
    pub(super) interval: Duration,
    /// `None` while nothing is watched.
    timer: Option<Pin<Box<Sleep>>>,
    watched: Vec<Watched>,
}

struct Watched {
    actor_lives: Probe,
    endpoint: Endpoint,
}

pub(super) enum Endpoint {
    Producer(Arc<ProducerEndpoint>),
    /// The flag that a consumer shares with its clones.
    Consumer {
        shut: Arc<AtomicBool>,
        name: Arc<str>,
    },
}

impl Endpoint {
    /// Returns whether only the watch still holds the endpoint, so it has closed.
    fn is_gone(&self) -> bool {
        match self {
            Self::Producer(endpoint) => Arc::strong_count(endpoint) == 1,
            Self::Consumer { shut, .. } => Arc::strong_count(shut) == 1,
        }
    }
}

impl Watch {
    pub(super) fn every(interval: Duration) -> Self {
        Self { interval, timer: None, watched: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    pub(super) fn add(&mut self, actor_lives: Probe, endpoint: Endpoint) {
        self.watched.push(Watched { actor_lives, endpoint });
    }

    /// Forgets all endpoints: the queue has ended, so none is left to close.
    pub(super) fn clear(&mut self) {
        self.watched.clear();
    }

    /// Forgets endpoints that have closed.
    pub(super) fn prune(&mut self) {
        self.watched.retain(|watched| !watched.endpoint.is_gone());
    }

    /// Closes the endpoints of dead actors each time the interval has passed, and returns whether it has.
    /// `also` keeps the timer running for addresses that the caller checks.
    pub(super) fn poll<T>(&mut self, shared: &Shared<T>, also: bool, cx: &mut Context<'_>) -> bool {
        if self.watched.is_empty() && !also {
            self.timer = None;
            return false;
        }
        let mut passed = false;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.interval)));
        while timer.as_mut().poll(cx).is_ready() {
            passed = true;
            *timer = Box::pin(sleep(self.interval));
        }
        if passed {
            self.prune();
            self.close_dead(shared);
        }
        passed
    }

    fn close_dead<T>(&mut self, shared: &Shared<T>) {
        let (mut producers, mut consumers) = (Vec::new(), Vec::new());
        for dead in self.watched.extract_if(.., |watched| !(watched.actor_lives)()) {
            let (kind, name) = match dead.endpoint {
                Endpoint::Producer(endpoint) => {
                    producers.push(Arc::clone(&endpoint));
                    ("producer", Arc::clone(&endpoint.name))
                }
                Endpoint::Consumer { shut, name } => {
                    consumers.push(shut);
                    ("consumer", name)
                }
            };
            log::warn!("{}: the actor of {kind} {} died; closing the {kind}", shared.label(), OneLine(name));
        }
        if !producers.is_empty() {
            shared.close_endpoints(&producers);
        }
        if !consumers.is_empty() {
            shared.shut_consumers(consumers.iter().map(|shut| &**shut));
        }
    }
}
