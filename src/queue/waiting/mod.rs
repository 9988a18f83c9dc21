//! .

pub(crate) mod turns;
pub(crate) mod waiters;
