//! What all of a driver's loops share, and what they tell the queue.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::queue::{Outcome, Shared, count, drop_quietly, wake};
use crate::redis::client::{Failure, QueueClient, Settings, SettleReply};
use crate::redis::json::Payload;
use crate::redis::local::link::Link;
use crate::redis::local::put_window::Confirmed;
use crate::redis::server::Server;
use crate::redis::server::outage::Outage;

/// Moves items of one queue between this process and Redis.
pub(crate) struct QueueDriver<T> {
    pub(crate) shared: Arc<Shared<T>>,
    pub(crate) link: Arc<Link<T>>,
    pub(crate) client: QueueClient,
    pub(crate) server: Rc<Server>,
    pub(crate) settings: Settings,
    /// How long a failed item waits after its first attempt, its second, …
    pub(crate) delays: Vec<Duration>,
    /// When it was connected last, after an outage.
    pub(crate) reconnected: Option<Instant>,
    /// When it joined anew, after its leases were lost.
    pub(crate) rejoined: Option<Instant>,
    /// It is one of those that see the outage of the server.
    pub(crate) away: bool,
    /// Since when the queue has not been in Redis.
    pub(crate) gone: Option<Instant>,
    /// What the log says where the server serves others.
    pub(crate) missed: Outage,
    /// How long to wait for it.
    pub(crate) abort_if_gone_for: Option<Duration>,
    /// It has served to the end.
    pub(crate) done: bool,
}

impl<T: Payload> QueueDriver<T> {
    pub(crate) fn new(
        shared: Arc<Shared<T>>,
        link: Arc<Link<T>>,
        client: QueueClient,
        server: Rc<Server>,
        settings: Settings,
    ) -> Self {
        Self {
            shared,
            link,
            client,
            server,
            settings,
            delays: Vec::new(),
            reconnected: None,
            rejoined: None,
            away: false,
            gone: None,
            missed: Outage::default(),
            abort_if_gone_for: None,
            done: false,
        }
    }

    /// Tells what became of leases, as much as one call takes.
    pub(crate) async fn send_settles(&self) -> Result<Sent, Failure> {
        let (lightened, batch) = self.link.settle_log(|log| (log.lighten(), log.next_batch()));
        for bytes in lightened {
            let label = self.shared.label();
            log::error!("{label}: an item of {bytes} bytes could not be sent as it is now; it is as it was put again");
        }
        let Some((number, ops)) = batch else { return Ok(Sent::Nothing) };
        let SettleReply::Done { late } = self.client.settle(number, self.link.handed(), &ops, &self.delays).await?
        else {
            return Ok(Sent::Ended);
        };
        self.link.settle_log(|log| log.done());
        self.shared.notify_flushers();
        if late > 0 {
            let items = count(late, "item");
            log::warn!("{}: {items} settled too late, to be done again by others", self.shared.label());
        }
        Ok(Sent::Some)
    }

    /// Nobody here can reach the queue any more but the driver, which has nothing to tell.
    pub(crate) fn is_needless(&self) -> bool {
        let told = || self.link.puts().len() == 0 && self.link.settle_log(|log| log.is_empty());
        Arc::strong_count(&self.shared) == 1 && told()
    }

    pub(crate) fn confirm(&self, confirmed: Confirmed<T>) {
        let Confirmed { items, wakers } = confirmed;
        let room = items.len();
        items.into_values().for_each(drop_quietly);
        wake(wakers.into_values());
        self.shared.notify_putters(room);
        self.shared.notify_flushers();
        if self.link.puts().len() == 0 {
            self.link.changed.notify_one();
        }
    }
}

/// A panic in here would leave everybody waiting for what never comes.
impl<T> Drop for QueueDriver<T> {
    fn drop(&mut self) {
        if !self.done {
            log::error!("{}: the way to Redis has died, so the queue is aborted here", self.shared.label());
            let totals = lock(&self.link.report).totals;
            self.shared.end_remote(Outcome::Aborted, totals);
        }
        if std::mem::take(&mut self.away)
            && let Ok(mut outage) = self.server.outage.try_borrow_mut()
        {
            outage.is_left();
        }
        self.link.end();
        self.shared.notify_flushers();
    }
}

/// What came of an attempt to tell what became of leases.
pub(crate) enum Sent {
    Some,
    Nothing,
    /// The queue has ended: nobody wants to know.
    Ended,
}
