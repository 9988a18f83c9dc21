//! .

pub(crate) mod boxes;
pub(crate) mod delayed;
#[cfg(feature = "redis")]
pub(crate) mod elsewhere;
pub(crate) mod give_back;
pub(crate) mod moves;
pub(crate) mod overflow;
pub(crate) mod remote;
pub(crate) mod returned;
pub(crate) mod transfer;
