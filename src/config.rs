//! The builder.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::BuildError;
use crate::queue::{IterableQueue, name};

/// Describes a queue before it is built; from [`IterableQueue::builder`].
pub struct Builder<T> {
    name: Option<Arc<str>>,
    capacity: Option<usize>,
    max_attempts: u32,
    item: PhantomData<fn(T)>,
}

impl<T> Builder<T> {
    /// How often an item is handed out unless the builder says otherwise.
    pub(crate) const MAX_ATTEMPTS: u32 = 5;

    pub(crate) fn new() -> Self {
        Self { name: None, capacity: None, max_attempts: Self::MAX_ATTEMPTS, item: PhantomData }
    }

    /// A name, for snapshots and the log.
    #[must_use]
    pub fn name(mut self, queue_name: impl Into<String>) -> Self {
        self.name = name(queue_name);
        self
    }

    /// The most items that wait for a consumer before puts have to wait. Without it there is no
    /// bound.
    #[must_use]
    pub fn capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items);
        self
    }

    /// How often an item is handed out at most; 5 unless given. A lease that ends unsettled uses
    /// one attempt up, and after the last the item is a dead letter.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Builds the queue.
    ///
    /// # Errors
    ///
    /// If the capacity or the number of attempts is 0.
    pub fn build(self) -> Result<IterableQueue<T>, BuildError> {
        if self.capacity == Some(0) {
            return Err(BuildError::ZeroCapacity);
        }
        if self.max_attempts == 0 {
            return Err(BuildError::ZeroMaxAttempts);
        }
        Ok(IterableQueue::new(self.name, self.capacity, self.max_attempts))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("max_attempts", &self.max_attempts)
            .finish()
    }
}
