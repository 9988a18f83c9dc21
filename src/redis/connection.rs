//! Connections to Redis.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::engine::Settings;

/// No answer for so long is as good as none: there must be time for another try within the lease.
pub(super) fn patience(settings: &Settings) -> Duration {
    (settings.lease / 3).clamp(Duration::from_millis(200), Duration::from_secs(5))
}

pub(super) async fn open(client: &Client, settings: &Settings) -> Result<MultiplexedConnection, RedisError> {
    let patience = patience(settings);
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
    client.get_multiplexed_async_connection_with_config(&config).await
}
