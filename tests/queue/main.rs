//! The queue itself, with threads and futures: the contract's parts C and D.
#![allow(clippy::unwrap_used, reason = "in helpers too")]

mod batches;
mod capacity;
mod channel_users;
mod children;
mod closed;
mod cooperative;
mod dead_letters;
mod delivery;
mod delivery_oddities;
mod drained;
mod ending;
mod errors;
mod handover;
mod lease_batches;
mod lifecycle;
mod original;
mod plans;
mod preference;
mod preference_bounded;
mod preference_new_first;
mod preference_promises;
mod preference_schedules;
mod preference_waits;
mod redelivery;
mod redelivery_end;
mod serialize;
mod shutdown;
mod snapshot;
mod stores;
mod stress;
mod testing;
mod threads;
mod turns;
mod verbs;
mod waiting;
