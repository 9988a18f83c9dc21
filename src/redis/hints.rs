//! Messages of Redis that there is something for this process. They may be lost; nobody relies on them.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use redis::RedisError;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::payload::Payload;
use super::session::{Session, Stop};
use crate::one_line::OneLine;

/// Between two tries to subscribe.
const PAUSE: Duration = Duration::from_millis(200);

/// Passes messages on for as long as the session lasts.
pub(super) async fn listen<T: Payload>(
    session: &Session<'_, T>,
    address: &Address,
    channels: [String; 2],
    patience: Duration,
) -> Result<Infallible, Stop> {
    loop {
        if let Err(error) = subscribe(session, address, &channels, patience).await {
            log::debug!("no messages from Redis: {}", OneLine(error));
        }
        sleep(PAUSE).await;
    }
}

async fn subscribe<T: Payload>(
    session: &Session<'_, T>,
    address: &Address,
    channels: &[String; 2],
    patience: Duration,
) -> Result<(), RedisError> {
    let client = address.client().await?;
    let opened = timeout(patience, async {
        let mut messages = client.get_async_pubsub().await?;
        messages.subscribe(&channels[..]).await?;
        Ok::<_, RedisError>(messages)
    });
    let Ok(messages) = opened.await else { return Ok(()) };
    let mut messages = messages?;
    // What was said before is lost.
    for all in [&session.items, &session.room, &session.state] {
        all.notify_one();
    }
    let mut messages = messages.on_message();
    while let Some(message) = messages.next().await {
        match message.get_payload_bytes() {
            b"items" => session.items.notify_one(),
            b"room" => session.room.notify_one(),
            _ => session.state.notify_one(),
        }
    }
    Ok(())
}
