//! One queue in Redis as one process sees it: a call for each script, and nothing that decides.
//!
//! Every call but `claim` may be repeated unchanged if its answer was lost, after [`QueueClient::attach`] where the
//! connection is a new one.
//!
//! - `queue_client.rs`: how a script is called; `scripts.rs`, `scripts/*.lua`: all that decides
//! - `joining.rs`, `membership.rs`, `items.rs`: the calls; `letters.rs`: those on dead letters that no reader has
//! - `types.rs`: what they take and answer; `wire.rs`, `reply.rs`, `report.rs`: how that is encoded
//! - `process_id.rs`: what a process is called

mod items;
mod joining;
mod letters;
mod membership;
pub(crate) mod process_id;
mod queue_client;
mod reply;
mod report;
mod scripts;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod wire;

pub(crate) use joining::{Attached, Joined, Rejoined};
pub(crate) use letters::{GREATEST_ID, LetterPlace, ListedLetter, Moved};
pub(crate) use queue_client::{QueueClient, pointer};
pub(crate) use report::{QueueEnd, QueueReport};
pub(crate) use types::{
    ClaimReply, Entry, Failure, MAX_BATCH, Op, PutReply, Registered, Renewed, Settings, SettleReply,
};
