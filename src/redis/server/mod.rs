//! A server as all queues of this process share it.
//!
//! If several queues find a connection broken, one of them opens the next pair, and all go on with that.
//!
//! - here: the pair that all use; `connection.rs`: a pair, and who may give it up
//! - `address.rs`, `address/`: where Redis is now; `tls.rs`: with which certificates
//! - `notifications.rs`: Pub/Sub messages for all queues; `outage.rs`: what the log says of an outage

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod notifications;
pub(crate) mod outage;
pub(crate) mod tls;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use redis::RedisError;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use crate::one_line::OneLine;
use crate::redis::server::address::{Address, Node, ServerKey};
use crate::redis::server::connection::{ConnectionPair, Doubt, QueueConnections};
use crate::redis::server::notifications::Notifications;
use crate::redis::server::outage::Outage;

/// Between two tries to open connections.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a probe connection is used.
const PROBE: Duration = Duration::from_secs(5);

/// How often the connection for large calls, which may be idle, is pinged.
const QUIET: Duration = Duration::from_secs(10);

/// A server as all queues of this process share it.
pub(crate) struct Server {
    address: Arc<Address>,
    connections: RefCell<Connections>,
    /// The newest probe, and when it was asked for.
    probe: RefCell<Option<(Instant, Opening)>>,
    doubt: Doubt,
    pub(crate) notifications: Rc<Notifications>,
    pub(crate) outage: RefCell<Outage>,
    tasks: [JoinHandle<()>; 3],
}

type Opening = Shared<LocalBoxFuture<'static, Result<Arc<ConnectionPair>, RedisError>>>;

struct Connections {
    now: Option<Arc<ConnectionPair>>,
    /// Where those of now lead, or the last ones led, if the address names several.
    node: Option<Node>,
    opening: Option<Opening>,
    /// When one was opened last, or was not to be had, and how long to wait then.
    tried: Option<Instant>,
    pause: Duration,
}

thread_local! {
    /// By what they were asked for with. Only the thread of the queues has any.
    static SERVERS: RefCell<HashMap<ServerKey, Weak<Server>>> = RefCell::default();
}

impl Server {
    /// Returns the server of this address, which is shared by all who have the same one. It is as patient as the most patient
    /// of them.
    pub(crate) fn of(address: &Arc<Address>) -> Rc<Self> {
        SERVERS.with_borrow_mut(|servers| {
            servers.retain(|_, server| server.strong_count() > 0);
            if let Some(server) = servers.get(address.key()).and_then(Weak::upgrade) {
                server.address.share_with(address);
                return server;
            }
            let server = Self::new(Arc::clone(address));
            servers.insert(address.key().clone(), Rc::downgrade(&server));
            server
        })
    }

    fn new(address: Arc<Address>) -> Rc<Self> {
        Rc::new_cyclic(|server: &Weak<Self>| {
            let notifications = Rc::new(Notifications::default());
            let tasks = [
                spawn_local(notifications::route(Rc::clone(&notifications), Arc::clone(&address))),
                spawn_local(keep_alive(server.clone())),
                spawn_local(follow(Arc::clone(&address), server.clone())),
            ];
            let connections = Connections { now: None, node: None, opening: None, tried: None, pause: Duration::ZERO };
            Self {
                address,
                connections: RefCell::new(connections),
                probe: RefCell::default(),
                doubt: Doubt::default(),
                notifications,
                outage: RefCell::default(),
                tasks,
            }
        })
    }

    /// Returns where the server is, for the log, without the login.
    pub(crate) fn place(&self) -> String {
        self.address.place(self.connections.borrow().node.as_ref())
    }

    /// Returns the current connections; opens them, after a pause, if there are none or they are broken.
    pub(crate) async fn pair(self: &Rc<Self>, patience: Duration) -> Result<QueueConnections, RedisError> {
        let opening = {
            let mut connections = self.connections.borrow_mut();
            if let Some(now) = connections.now.as_ref().filter(|now| !now.is_broken()) {
                return Ok(now.with(patience));
            }
            connections.now = None;
            match &connections.opening {
                Some(opening) => opening.clone(),
                None => {
                    let (address, doubt) = (Arc::clone(&self.address), Doubt::clone(&self.doubt));
                    let pause = connections.pause(address.patience() / 2);
                    let pair = async move {
                        sleep(pause).await;
                        ConnectionPair::open(address, doubt).await
                    };
                    connections.opening.insert(open(Rc::downgrade(self), pair).boxed_local().shared()).clone()
                }
            }
        };
        Ok(opening.await?.with(patience))
    }

    /// Returns a connection of the last few seconds: an older one may lead to the previous master. Several queues that
    /// ask for one share it, or why there is none.
    pub(crate) async fn probe(&self, patience: Duration) -> Result<QueueConnections, RedisError> {
        let opening = {
            let mut probe = self.probe.borrow_mut();
            match &*probe {
                Some((asked, opening)) if is_fresh(*asked, opening) => opening.clone(),
                _ => {
                    let pair = ConnectionPair::open_one(Arc::clone(&self.address));
                    let opening = async { pair.await.map(Arc::new) }.boxed_local().shared();
                    probe.insert((Instant::now(), opening)).1.clone()
                }
            }
        };
        Ok(opening.await?.with(patience))
    }

    /// Gives the connections of now up, if they lead to this node.
    fn give_up(&self, node: &Node, why: RedisError) {
        let now = self.connections.borrow().now.clone();
        if let Some(now) = now.filter(|now| now.node() == Some(node)) {
            now.give_up(why);
        }
    }
}

/// Whether a probe is one of now: there may be more than one who asks at a time, and who asks in turn.
fn is_fresh(asked: Instant, probe: &Opening) -> bool {
    match probe.peek() {
        None => true,
        Some(Ok(connections)) => asked.elapsed() < PROBE && !connections.is_broken(),
        Some(Err(_)) => asked.elapsed() < LONGEST_PAUSE,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Connections {
    /// How long to wait before the next try, at most so long: what fails at once is not tried again at once.
    fn pause(&mut self, longest: Duration) -> Duration {
        let Some(since) = self.tried.map(|tried| tried.elapsed()) else { return Duration::ZERO };
        if since > LONGEST_PAUSE {
            self.pause = FIRST_PAUSE;
            return Duration::ZERO;
        }
        let pause = self.pause.max(FIRST_PAUSE).min(longest);
        self.pause = (2 * pause).min(LONGEST_PAUSE);
        pause.saturating_sub(since)
    }
}

/// Has the server use these, if it is still there: it is not kept by what it waits for.
async fn open(
    server: Weak<Server>,
    pair: impl Future<Output = Result<ConnectionPair, RedisError>>,
) -> Result<Arc<ConnectionPair>, RedisError> {
    let opened = pair.await.map(Arc::new);
    let Some(server) = server.upgrade() else { return opened };
    let mut connections = server.connections.borrow_mut();
    connections.opening = None;
    connections.tried = Some(Instant::now());
    connections.now = opened.as_ref().ok().cloned();
    let Ok(pair) = &opened else { return opened };
    let before = pair.node().and_then(|node| connections.node.replace(node.clone()));
    drop(connections);
    // Messages are to come from there, too.
    server.notifications.listen_anew();
    if let (Some(now), Some(before)) = (pair.node(), before.as_ref())
        && now != before
    {
        let queue = server.address.queue();
        let said = format!("{queue}: the master is now {}; it was {}", OneLine(now), OneLine(before));
        // A logger that panics is to hit nobody who waits for these connections.
        spawn_local(async move { log::warn!("{said}") });
    }
    opened
}

/// The master of now may not be that of a moment ago, which may still answer.
async fn follow(address: Arc<Address>, server: Weak<Server>) {
    loop {
        let Some(here) = server.upgrade().map(|server| server.connections.borrow().node.clone()) else { return };
        if let Some(here) = here {
            let why = address.moved(&here).await;
            let Some(server) = server.upgrade() else { return };
            // They may lead there by now.
            server.give_up(&here, why);
        }
        sleep(LONGEST_PAUSE).await;
    }
}

/// Middleboxes forget connections on which nothing comes; and a probe that nobody asks for any more is closed.
async fn keep_alive(server: Weak<Server>) {
    loop {
        sleep(QUIET).await;
        let pair = server.upgrade().map(|server| {
            server.probe.borrow_mut().take_if(|(asked, probe)| !is_fresh(*asked, probe));
            server.connections.borrow().now.clone()
        });
        let Some(pair) = pair else { return };
        if let Some(pair) = pair {
            // What fails gives them up.
            let _ = redis::cmd("PING").query_async::<redis::Value>(&mut pair.with(QUIET).bulk()).await;
        }
    }
}
