//! What an item must be to travel.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// An item that can be written as JSON and read elsewhere. Every type that fits is one.
///
/// A put whose value JSON cannot hold is refused with
/// [`Refusal::Unserializable`](crate::error::Refusal::Unserializable): one with a float that is not finite, with `Some` of
/// what is written as `null`, or with more than 126 levels of nesting. What is accepted is read back equal, if the
/// type's `Serialize` and `Deserialize` agree.
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}
