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

use futures::StreamExt;
use futures::future::{Either, select};
use redis::aio::PubSubSink;
use redis::{Msg, RedisError};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::connection::LONGEST_PATIENCE;
use crate::one_line::OneLine;

/// Between two tries to listen.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection on which nothing comes may be none any more: so often it is asked.
const QUIET: Duration = Duration::from_secs(10);

/// What a queue is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Ears {
    pub(super) items: Rc<Notify>,
    pub(super) room: Rc<Notify>,
    /// How much of it there was when that was said last.
    pub(super) room_said: Rc<Cell<u64>>,
    pub(super) state: Rc<Notify>,
}

impl Ears {
    fn all(&self) {
        for one in [&self.items, &self.room, &self.state] {
            one.notify_one();
        }
    }
}

/// Who listens to which channel.
#[derive(Debug, Default)]
pub(super) struct Hints {
    channels: RefCell<HashMap<String, Vec<Ears>>>,
    changed: Notify,
}

/// Has messages passed on for as long as the session lasts.
pub(super) async fn listen(hints: &Hints, channels: [String; 2], ears: Ears) -> Infallible {
    for channel in &channels {
        hints.channels.borrow_mut().entry(channel.clone()).or_default().push(ears.clone());
    }
    hints.changed.notify_one();
    let _listening = Listening { hints, channels, ears };
    pending().await
}

struct Listening<'a> {
    hints: &'a Hints,
    channels: [String; 2],
    ears: Ears,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut channels = self.hints.channels.borrow_mut();
        for channel in &self.channels {
            let Some(all) = channels.get_mut(channel) else { continue };
            all.retain(|ears| !Rc::ptr_eq(&ears.items, &self.ears.items));
            if all.is_empty() {
                channels.remove(channel);
            }
        }
        self.hints.changed.notify_one();
    }
}

/// Passes messages on to those who listen.
pub(super) async fn route(hints: Rc<Hints>, address: Arc<Address>) {
    loop {
        if hints.channels.borrow().is_empty() {
            hints.changed.notified().await;
            continue;
        }
        let Err(error) = listen_to(&address, &hints).await;
        log::debug!("no messages from Redis: {}", OneLine(error));
        sleep(PAUSE).await;
    }
}

async fn listen_to(address: &Address, hints: &Hints) -> Result<Infallible, RedisError> {
    let messages = within(async { address.client().await?.get_async_pubsub().await }).await?;
    let (mut sink, mut messages) = messages.split();
    let mut known = HashSet::new();
    loop {
        follow(hints, &mut sink, &mut known).await?;
        let changed = pin!(hints.changed.notified());
        match timeout(QUIET, select(messages.next(), changed)).await {
            Ok(Either::Left((Some(message), _))) => tell(hints, &message),
            Ok(Either::Left((None, _))) => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            Ok(Either::Right(_)) => {}
            Err(_) => drop(within(sink.ping::<redis::Value>()).await?),
        }
    }
}

/// Subscribes to what is listened to, and to nothing else.
async fn follow(hints: &Hints, sink: &mut PubSubSink, known: &mut HashSet<String>) -> Result<(), RedisError> {
    let (new, old): (Vec<String>, Vec<String>) = {
        let channels = hints.channels.borrow();
        let new = channels.keys().filter(|channel| !known.contains(*channel)).cloned();
        (new.collect(), known.iter().filter(|channel| !channels.contains_key(*channel)).cloned().collect())
    };
    if !new.is_empty() {
        within(sink.subscribe(&new)).await?;
        let channels = hints.channels.borrow();
        new.iter().filter_map(|channel| channels.get(channel)).flatten().for_each(Ears::all);
    }
    if !old.is_empty() {
        within(sink.unsubscribe(&old)).await?;
    }
    known.retain(|channel| !old.contains(channel));
    known.extend(new);
    Ok(())
}

fn tell(hints: &Hints, message: &Msg) {
    let channels = hints.channels.borrow();
    let ears = channels.get(message.get_channel_name()).into_iter().flatten();
    let text = message.get_payload::<String>().unwrap_or_default();
    match text.split_once(' ').unwrap_or((&text, "")) {
        ("items", _) => ears.for_each(|ears| ears.items.notify_one()),
        ("room", room) => ears.for_each(|ears| {
            ears.room_said.set(room.parse().unwrap_or(1));
            ears.room.notify_one();
        }),
        _ => ears.for_each(|ears| ears.state.notify_one()),
    }
}

async fn within<V>(call: impl Future<Output = Result<V, RedisError>>) -> Result<V, RedisError> {
    timeout(LONGEST_PATIENCE, call).await.unwrap_or_else(|_| Err(silent()))
}

fn silent() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
