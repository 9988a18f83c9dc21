//! A runtime that several contenders use in turn.

use std::ops::Deref;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

/// When its last handle is dropped, it does not wait for tasks: one of them may hang.
#[derive(Clone)]
pub(crate) struct SharedRuntime(Arc<Inner>);

struct Inner(Option<Runtime>);

impl SharedRuntime {
    pub(crate) fn new(builder: &mut Builder) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner(Some(builder.build()?)))))
    }
}

impl Deref for SharedRuntime {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
