//! Waiting in a line of the queue until a look at it has a result.

use std::convert::Infallible;
use std::task::{Context, Poll};

use super::block::Operation;
use crate::queue::{Line, Shared, Waiting};

/// Waits in a line until `look` returns something. What `look` sees is changed before the line is woken.
pub(super) struct LineWait<'a, T, L> {
    waiting: Waiting<'a, T>,
    look: L,
}

impl<'a, T, R, L: Fn(&Shared<T>) -> Option<R>> LineWait<'a, T, L> {
    pub(super) fn new(shared: &'a Shared<T>, line: Line, look: L) -> Self {
        Self { waiting: Waiting::new(shared, line), look }
    }
}

impl<T, R, L: Fn(&Shared<T>) -> Option<R>> Operation for LineWait<'_, T, L> {
    type Output = R;

    fn attempt(&mut self) -> Option<R> {
        (self.look)(self.waiting.shared)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        let Self { waiting: Waiting { shared, place }, look } = self;
        shared.wait(place, cx, |_| look(shared).map(Ok::<_, Infallible>)).map(|Ok(result)| result)
    }
}
