//! Connections to Redis.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};

use super::address::Address;
use super::engine::Settings;
use crate::one_line::OneLine;

/// No answer for so long is as good as none: there must be time for another try within the lease.
pub(super) fn patience(settings: &Settings) -> Duration {
    (settings.lease / 3).clamp(Duration::from_millis(200), Duration::from_secs(5))
}

pub(super) async fn open(address: &Address, settings: &Settings) -> Result<MultiplexedConnection, RedisError> {
    let patience = patience(settings);
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
    address.client().await?.get_multiplexed_async_connection_with_config(&config).await
}

/// Says in the log if Redis deletes keys when its memory is short. Whoever may not ask for that is told nothing.
pub(super) async fn look_for_eviction(mut connection: MultiplexedConnection, label: &str) {
    let info = match redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await {
        Ok(info) => info,
        Err(error) => return log::debug!("{label}: Redis does not tell its maxmemory-policy: {}", OneLine(error)),
    };
    let figure = |name| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if let (Some(limit), Some(policy)) = (figure("maxmemory"), figure("maxmemory_policy"))
        && limit != "0"
        && policy != "noeviction"
    {
        log::error!(
            "{label}: Redis deletes keys when its memory is short, and with them items may be lost: its maxmemory-policy \
             is {}; set it to noeviction",
            OneLine(policy)
        );
    }
}
