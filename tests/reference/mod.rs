//! The public API against a specification that can be read at a glance.

mod check;
mod ends;
mod model;
mod operation;
mod parts;
mod puts;
mod takes;
mod world;

pub(crate) use operation::program;
pub(crate) use world::run;
