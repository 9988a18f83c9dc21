//! The right to open consumers, also after seal.

use std::sync::Arc;

use super::consumer::Consumer;
use crate::error::OpenError;
use crate::queue::Shared;

/// What a pool holds for as long as it may replace its workers: while it does, a queue without
/// consumers is not abandoned (D7).
pub(crate) struct Claim<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Claim<T> {
    pub(crate) fn on(queue: Arc<Shared<T>>) -> Result<Self, OpenError> {
        queue.open_pool()?;
        Ok(Self { shared: queue })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    pub(crate) fn consumer(&self, name: &str) -> Consumer<T> {
        Consumer::new(Arc::clone(&self.shared), self.shared.add_pool_consumer(Arc::from(name)))
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        self.shared.close_pool();
    }
}
