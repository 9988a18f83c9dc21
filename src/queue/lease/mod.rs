//! .

pub(crate) mod dead_letters;
pub(crate) mod item;
pub(crate) mod panic_capture;
