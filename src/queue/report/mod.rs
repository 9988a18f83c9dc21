//! .

pub(crate) mod blockers;
pub(crate) mod clock;
pub(crate) mod inspect;
pub(crate) mod snapshot;
