//! What a pool goes by.

use std::time::Duration;

use actix_rt::ArbiterHandle;

use crate::backoff::Backoff;

/// Before a worker is replaced that died before it was handed an item.
const RESTART_BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(10), Duration::from_secs(10));

/// As its builder was told.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) max_in_flight: usize,
    pub(super) arbiters: Vec<ArbiterHandle>,
    pub(super) restart_limit: Option<(usize, Duration)>,
    pub(super) restart_backoff: Backoff,
    pub(super) keep_queue: bool,
    pub(super) stuck_after: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "worker".to_owned(),
            max_in_flight: 1,
            arbiters: Vec::new(),
            restart_limit: None,
            restart_backoff: RESTART_BACKOFF,
            keep_queue: false,
            stuck_after: None,
        }
    }
}
