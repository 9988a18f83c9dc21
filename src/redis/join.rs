//! How a process joins a queue, and undoes it if nobody heard of it.

use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError};
use tokio::time::sleep;

use crate::error::ConnectError;
use crate::one_line::OneLine;
use crate::queue::{Config, IterableQueue, QueueId, Snapshot, Store, label};
use crate::redis::client::process_id::process_id;
use crate::redis::client::{Failure, Joined, QueueClient, Settings};
use crate::redis::dead_letters;
use crate::redis::driver::QueueDriver;
use crate::redis::driver::report;
use crate::redis::json::Payload;
use crate::redis::kept_letters::KeptLetters;
use crate::redis::local::link::Link;
use crate::redis::server::address::Address;
use crate::redis::server::connection::{self, QueueConnections};
use crate::redis::server::{FIRST_PAUSE, LONGEST_PAUSE, Server};

/// Between two looks for a queue to join: one that lives shorter may be missed.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// What to do where there is no queue that has not ended.
pub(crate) enum Start {
    /// Begin one.
    Begin,
    /// Wait for one, as long as somebody waits for that.
    WaitFor(Weak<()>),
}

/// All that is needed to connect.
pub(crate) struct Connecting<T> {
    pub(crate) config: Config<T>,
    pub(crate) address: Arc<Address>,
    pub(crate) settings: Settings,
    pub(crate) deadline: Option<Duration>,
    pub(crate) abort_if_gone_for: Option<Duration>,
    pub(crate) process_name: String,
}

impl<T: Payload> Connecting<T> {
    pub(crate) fn server(&self) -> Rc<Server> {
        Server::of(&self.address)
    }

    pub(crate) async fn join(
        self,
        server: &Rc<Server>,
        start: &Start,
    ) -> Result<(IterableQueue<T>, QueueDriver<T>), Failed> {
        let Self { config, settings, process_name, .. } = self;
        let pair = server.pair(settings.patience()).await.map_err(ConnectError::Redis)?;
        let joining = Joining {
            queue: config.name.clone().unwrap_or_default().to_string(),
            settings,
            process_id: process_id().map_err(ConnectError::Random)?,
            process_name,
        };
        let client = match joining.start(server, &pair, start).await {
            Ok(Joined::Ok(client)) => client,
            Ok(Joined::Mismatch { field, theirs, ours }) => {
                return Err(ConnectError::Mismatch { setting: field, theirs, ours }.into());
            }
            Ok(Joined::None | Joined::Again | Joined::Ended) => return Err(went_away().into()),
            // What Redis answers with an error it has not done.
            Err(Failure::Away(error)) if error.code().is_some() => return Err(ConnectError::Redis(error).into()),
            Err(failure) => return Err(Failed { error: refused(failure), joining: Some(joining) }),
        };
        let report = match client.report().await {
            Ok(report) => report,
            Err(failure) => return Err(Failed { error: refused(failure), joining: Some(joining) }),
        };
        let delays = match &config.redelivery_backoff {
            Some(backoff) => (1..=config.max_attempts.min(64)).map(|attempt| backoff.delay(attempt)).collect(),
            None => Vec::new(),
        };
        // Those of now: to wait for a queue may outlast those of before.
        let pair = client.pair();
        let largest = connection::largest_item(&pair).await;
        let id = QueueId::next();
        let label = label(config.name.as_deref(), id);
        let link = Arc::new(Link::new(label.clone(), &config, largest, self.deadline));
        let (most, described) = (config.kept_letters, config.describe.is_some());
        let store = Store::remote(link.clone(), config.capacity);
        let queue = IterableQueue::open(id, config, store);
        let shared = Arc::clone(queue.shared());
        let letters = dead_letters::opener(&joining.queue, &client, &self.address, &joining.settings, largest);
        link.open_letters.get_or_init(|| letters);
        let (address, patience) = (&self.address, joining.settings.patience());
        link.kept_letters
            .get_or_init(|| KeptLetters::new(label, &client, address, patience, most, described, &link.over));
        report::spread(&report, &client, &shared, &link);
        let mut driver = QueueDriver::new(shared, link, client, Rc::clone(server), joining.settings);
        driver.delays = delays;
        driver.abort_if_gone_for = self.abort_if_gone_for;
        connection::look_for_eviction(&pair, &driver.shared.label()).await;
        Ok((queue, driver))
    }

    pub(crate) async fn inspect(self) -> Result<Option<Snapshot>, ConnectError> {
        let pair = self.server().pair(self.settings.patience()).await.map_err(ConnectError::Redis)?;
        let name = self.config.name.unwrap_or_default();
        let report = QueueClient::look(&pair, &name).await.map_err(refused)?;
        Ok(report.map(|report| report::snapshot(&report, &name, self.config.capacity)))
    }
}

/// A process that joins a queue.
pub(crate) struct Joining {
    queue: String,
    settings: Settings,
    process_id: String,
    process_name: String,
}

impl Joining {
    async fn join(&self, pair: &QueueConnections, begin: bool) -> Result<Joined, Failure> {
        QueueClient::join(pair.clone(), &self.queue, &self.settings, &self.process_id, &self.process_name, begin).await
    }

    /// Joins the queue, when there is one.
    async fn start(&self, server: &Rc<Server>, pair: &QueueConnections, start: &Start) -> Result<Joined, Failure> {
        let Start::WaitFor(waits) = start else { return self.join(pair, true).await };
        let (queue, mut pause) = (OneLine(&self.queue), FIRST_PAUSE);
        let mut joined = self.join(pair, false).await;
        let mut said = String::new();
        loop {
            let wait = match &joined {
                Ok(Joined::None) => "no process has begun it".to_owned(),
                // It has answered before.
                Err(Failure::Away(error)) if !said.is_empty() => OneLine(error).to_string(),
                _ => return joined,
            };
            if waits.strong_count() == 0 {
                return joined;
            }
            if said != wait {
                log::info!("{queue}: waits to join the queue: {wait}");
                said = wait;
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_WAIT);
            joined = match server.pair(self.settings.patience()).await {
                Ok(pair) => self.join(&pair, false).await,
                Err(error) => Err(Failure::Away(error)),
            };
        }
    }

    /// Leaves the queue, as its answer to the join is not known. For as long as the lease; then the others find this
    /// process lost.
    pub(crate) async fn undo(self, server: &Rc<Server>) {
        let since = Instant::now();
        while !self.try_undo(server).await && since.elapsed() < self.settings.lease {
            sleep(LONGEST_PAUSE.min(self.settings.lease / 3)).await;
        }
    }

    /// Joins again, which does nothing if it is one of the processes: a request that is still on its way is refused once
    /// this process has left.
    async fn try_undo(&self, server: &Rc<Server>) -> bool {
        let Ok(pair) = server.pair(self.settings.patience()).await else { return false };
        match self.join(&pair, false).await {
            Ok(Joined::Ok(client)) => loop {
                match client.leave().await {
                    Ok(true) => {}
                    Ok(false) | Err(Failure::Fenced | Failure::Gone) => return true,
                    Err(_) => return false,
                }
            },
            Ok(_) | Err(Failure::Fenced | Failure::Gone) => true,
            Err(_) => false,
        }
    }
}

/// Why it did not connect, and what is left to be undone.
pub(crate) struct Failed {
    pub(crate) error: ConnectError,
    pub(crate) joining: Option<Joining>,
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self { error, joining: None }
    }
}

fn refused(failure: Failure) -> ConnectError {
    ConnectError::Redis(match failure {
        Failure::Away(error) => error,
        other => RedisError::from((ErrorKind::Client, "the queue cannot be joined", other.to_string())),
    })
}

pub(crate) fn went_away() -> ConnectError {
    refused(Failure::Gone)
}
