//! .

pub(crate) mod deadlines;
pub(crate) mod link;
pub(crate) mod prefetch;
pub(crate) mod put_window;
pub(crate) mod settle_log;
pub(crate) mod unreadable;
