//! .

pub(crate) mod counters;
pub(crate) mod lifecycle;
pub(crate) mod registry;
