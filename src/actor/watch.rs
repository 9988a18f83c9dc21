//! Dead addresses, found out at an interval (A3).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::time::{Sleep, sleep};

use crate::message::Probe;
use crate::queue::{ProducerEndpoint, Shared};

/// Endpoints that are to close when an actor dies.
pub(super) struct Watch {
    pub(super) interval: Duration,
    /// Runs only while there is something to watch.
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
    /// Nobody else holds it: it closed by itself.
    fn is_gone(&self) -> bool {
        match self {
            Self::Producer(endpoint) => Arc::strong_count(endpoint) == 1,
            Self::Consumer { shut, .. } => Arc::strong_count(shut) == 1,
        }
    }

    fn close<T>(&self, shared: &Shared<T>) {
        match self {
            Self::Producer(endpoint) => {
                log::warn!("{}: the actor of producer {} died; it is closed", shared.label(), endpoint.name);
                shared.close_endpoint(endpoint);
            }
            Self::Consumer { shut, name } => {
                log::warn!("{}: the actor of consumer {name} died; it is closed", shared.label());
                shared.shut_consumers(shut);
            }
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

    /// The queue has ended: there is nothing left to close.
    pub(super) fn clear(&mut self) {
        self.watched.clear();
    }

    /// Closes the endpoints of dead actors whenever the interval is over, and has the caller
    /// polled then; `also` keeps the timer running for addresses that the caller looks after.
    pub(super) fn poll<T>(&mut self, shared: &Shared<T>, also: bool, cx: &mut Context<'_>) {
        self.watched.retain(|watched| !watched.endpoint.is_gone());
        if self.watched.is_empty() && !also {
            self.timer = None;
            return;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.interval)));
        while let Poll::Ready(()) = timer.as_mut().poll(cx) {
            self.watched.retain(|watched| {
                let lives = (watched.actor_lives)();
                if !lives {
                    watched.endpoint.close(shared);
                }
                lives
            });
            *timer = Box::pin(sleep(self.interval));
        }
    }
}
