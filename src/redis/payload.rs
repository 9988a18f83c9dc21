//! What an item must be to travel.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// An item that can be written as JSON and read elsewhere. Every type that fits is one.
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}
