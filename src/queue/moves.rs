//! What holds an item while it is put or taken.
//!
//! The item stays there, and what is handed down and up is a reference to it. Handed down by value, and back in
//! results, it would be copied at each step, and a large one would take its size of the stack each time.

use std::mem;
use std::num::NonZeroU64;

use super::remote::Receipt;
use crate::error::{PutError, Refusal};

/// An item that is being put.
#[derive(Debug)]
pub(crate) enum Outgoing<T> {
    /// Not accepted.
    Here(T),
    /// Accepted, and yet to be confirmed.
    Unconfirmed(NonZeroU64),
    /// Accepted, with nothing to be confirmed.
    Gone,
}

impl<T> Outgoing<T> {
    /// Takes the item for what accepts it.
    #[inline]
    pub(crate) fn take(&mut self) -> T {
        mem::replace(self, Self::Gone).into_item()
    }

    /// The item, which was not accepted.
    #[inline]
    pub(crate) fn into_item(self) -> T {
        match self {
            Self::Here(item) => item,
            Self::Unconfirmed(_) | Self::Gone => unreachable!("an item is accepted once"),
        }
    }

    /// The error of a put that is refused, around its item.
    #[cold]
    pub(crate) fn refused(self, reason: Refusal) -> PutError<T> {
        PutError::new(self.into_item(), reason)
    }

    /// The item, which is not accepted.
    pub(crate) fn item(&self) -> &T {
        match self {
            Self::Here(item) => item,
            Self::Unconfirmed(_) | Self::Gone => unreachable!("an item is accepted once"),
        }
    }

    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }

    pub(crate) fn receipt(&self) -> Receipt {
        match self {
            Self::Unconfirmed(put) => Some(*put),
            Self::Here(_) | Self::Gone => None,
        }
    }
}

/// What a consumer takes an item into.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    /// `None` until one is taken.
    pub(crate) item: Option<T>,
    /// How many times it has been handed out, this one included.
    pub(crate) attempt: u32,
    /// The consumer's number for the lease; 0 without one.
    pub(crate) sequence: u64,
}

impl<T> Taken<T> {
    /// Nothing so far, and what is to be said of an item that is handed out for the first time.
    #[inline]
    pub(crate) fn nothing() -> Self {
        Self { item: None, attempt: 1, sequence: 0 }
    }

    /// The item, which was taken.
    #[inline]
    pub(crate) fn into_item(self) -> T {
        match self.item {
            Some(item) => item,
            None => unreachable!("a take that succeeds has an item"),
        }
    }
}
