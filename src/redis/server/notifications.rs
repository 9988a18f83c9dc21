//! Messages of Redis that there is something for this process. They may be lost; nobody relies on them.
//!
//! All queues of a server share one Pub/Sub connection. When it is a new one, or a channel is, those who listen look for
//! themselves: what was said before is lost.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use redis::aio::PubSubSink;
use redis::{Msg, RedisError};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::redis::server::address::Address;
use crate::redis::server::connection::{LONGEST_PATIENCE, words};

/// Between two tries to listen: twice as long after each. What Redis refuses once, it refuses as a rule until somebody
/// allows it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE_IF_REFUSED: Duration = Duration::from_secs(60);

/// A connection on which nothing comes may be none any more: so often it is asked.
const QUIET: Duration = Duration::from_secs(10);

/// What a queue is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listener {
    pub(crate) items: Rc<Notify>,
    pub(crate) room: Rc<Notify>,
    /// How much of it there was when that was said last.
    pub(crate) room_said: Rc<Cell<u64>>,
    pub(crate) state: Rc<Notify>,
}

impl Listener {
    fn all(&self) {
        for one in [&self.items, &self.room, &self.state] {
            one.notify_one();
        }
    }
}

/// Who listens to which channel.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    channels: RefCell<HashMap<String, Vec<Listener>>>,
    changed: Notify,
    anew: Notify,
    /// How often listening failed since it last worked.
    failed: Cell<u32>,
    /// The log has said since then that Redis refuses it.
    warned: Cell<bool>,
}

impl Notifications {
    /// There are new connections: what comes on an old one may be of another server.
    pub(crate) fn listen_anew(&self) {
        self.anew.notify_one();
    }

    fn works(&self) {
        self.failed.set(0);
        self.warned.set(false);
    }

    /// Returns how long to wait after this failure, and whether the log is to be told that Redis refuses it.
    fn fails(&self, error: &RedisError) -> (Duration, bool) {
        // That passes without anybody who does something.
        let refused = error.code().is_some_and(|code| code != "LOADING");
        let failed = self.failed.replace(self.failed.get().saturating_add(1));
        let longest = if refused { LONGEST_PAUSE_IF_REFUSED } else { LONGEST_PAUSE };
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failed)).min(longest);
        (pause, refused && !self.warned.replace(true))
    }
}

/// Has messages passed on for as long as the session lasts.
pub(crate) async fn listen(notifications: &Notifications, channels: [String; 2], listener: Listener) -> Infallible {
    for channel in &channels {
        notifications.channels.borrow_mut().entry(channel.clone()).or_default().push(listener.clone());
    }
    notifications.changed.notify_one();
    let _listening = Listening { notifications, channels, listener };
    pending().await
}

struct Listening<'a> {
    notifications: &'a Notifications,
    channels: [String; 2],
    listener: Listener,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut channels = self.notifications.channels.borrow_mut();
        for channel in &self.channels {
            let Some(all) = channels.get_mut(channel) else { continue };
            all.retain(|listener| !Rc::ptr_eq(&listener.items, &self.listener.items));
            if all.is_empty() {
                channels.remove(channel);
            }
        }
        self.notifications.changed.notify_one();
    }
}

/// Passes messages on to those who listen.
pub(crate) async fn route(notifications: Rc<Notifications>, address: Arc<Address>) {
    loop {
        if notifications.channels.borrow().is_empty() {
            notifications.changed.notified().await;
            continue;
        }
        // What is opened from now on leads to where the address leads now.
        let _ = notifications.anew.notified().now_or_never();
        if let Either::Left((Err(error), _)) =
            select(pin!(listen_to(&address, &notifications)), pin!(notifications.anew.notified())).await
        {
            let (pause, warn) = notifications.fails(&error);
            let (queue, why) = (address.queue().to_owned(), words(&error));
            // A logger that panics is not to end this.
            spawn_local(async move {
                if warn {
                    log::warn!(
                        "{queue}: Redis does not let this process listen to its messages, so it hears up to a second late \
                         of items and room: {why}"
                    );
                } else {
                    log::debug!("no messages from Redis: {why}");
                }
            });
            select(pin!(sleep(pause)), pin!(notifications.anew.notified())).await;
        }
    }
}

async fn listen_to(address: &Address, notifications: &Notifications) -> Result<Infallible, RedisError> {
    let messages = within(async { address.client().await?.0.get_async_pubsub().await }).await?;
    let (mut sink, mut messages) = messages.split();
    let mut known = HashSet::new();
    loop {
        follow(notifications, &mut sink, &mut known).await?;
        notifications.works();
        let changed = pin!(notifications.changed.notified());
        match timeout(QUIET, select(messages.next(), changed)).await {
            Ok(Either::Left((Some(message), _))) => tell(notifications, &message),
            Ok(Either::Left((None, _))) => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            Ok(Either::Right(_)) => {}
            Err(_) => drop(within(sink.ping::<redis::Value>()).await?),
        }
    }
}

/// Subscribes to what is listened to, and to nothing else.
async fn follow(
    notifications: &Notifications,
    sink: &mut PubSubSink,
    known: &mut HashSet<String>,
) -> Result<(), RedisError> {
    let (new, old): (Vec<String>, Vec<String>) = {
        let channels = notifications.channels.borrow();
        let new = channels.keys().filter(|channel| !known.contains(*channel)).cloned();
        (new.collect(), known.iter().filter(|channel| !channels.contains_key(*channel)).cloned().collect())
    };
    if !new.is_empty() {
        within(sink.subscribe(&new)).await?;
        let channels = notifications.channels.borrow();
        new.iter().filter_map(|channel| channels.get(channel)).flatten().for_each(Listener::all);
    }
    if !old.is_empty() {
        within(sink.unsubscribe(&old)).await?;
    }
    known.retain(|channel| !old.contains(channel));
    known.extend(new);
    Ok(())
}

fn tell(notifications: &Notifications, message: &Msg) {
    let channels = notifications.channels.borrow();
    let listener = channels.get(message.get_channel_name()).into_iter().flatten();
    let text = message.get_payload::<String>().unwrap_or_default();
    match text.split_once(' ').unwrap_or((&text, "")) {
        ("items", _) => listener.for_each(|listener| listener.items.notify_one()),
        ("room", room) => listener.for_each(|listener| {
            listener.room_said.set(room.parse().unwrap_or(1));
            listener.room.notify_one();
        }),
        _ => listener.for_each(|listener| listener.state.notify_one()),
    }
}

async fn within<V>(call: impl Future<Output = Result<V, RedisError>>) -> Result<V, RedisError> {
    timeout(LONGEST_PATIENCE, call).await.unwrap_or_else(|_| Err(silent()))
}

fn silent() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE_IF_REFUSED, Notifications};

    #[test]
    fn what_fails_again_and_again_is_tried_less_and_less_often() {
        let refused = redis::make_extension_error("NOPERM".to_owned(), None);
        let cut = io::Error::from(io::ErrorKind::BrokenPipe).into();
        for (error, longest) in [(refused, LONGEST_PAUSE_IF_REFUSED), (cut, LONGEST_PAUSE)] {
            let notifications = Notifications::default();
            let (pauses, warned): (Vec<_>, Vec<_>) = (0..99).map(|_| notifications.fails(&error)).unzip();
            assert_eq!((pauses[0], pauses[1], pauses[98]), (FIRST_PAUSE, 2 * FIRST_PAUSE, longest));
            assert!(pauses.is_sorted());
            let is_refused = error.code().is_some();
            assert_eq!(warned.iter().filter(|warned| **warned).count(), usize::from(is_refused));
            notifications.works();
            assert_eq!(notifications.fails(&error), (FIRST_PAUSE, is_refused));
        }
    }
}
