//! Answers to messages, now or later.
//!
//! The types are `pub` because the `Handler` impls of the public `QueueActor` name them; their module is private.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};

use crate::queue::drop_quietly;

/// An answer that may come later. A refusal that nobody waits for, because the message came by
/// `do_send`, is logged.
#[derive(Debug)]
pub enum Reply<O, E> {
    /// The answer.
    Now(Result<O, E>),
    /// The answer will be given to the asker by whoever shares this.
    Later(Asker<O, E>),
}

/// Who waits for an answer that comes later: known once the handler has returned. It needs no task
/// of its own, which an arbiter that stops would drop before it has passed the answer on.
#[derive(Debug)]
pub struct Asker<O, E>(Arc<Mutex<Option<Waits<O, E>>>>);

type Waits<O, E> = OneshotSender<Result<O, E>>;

impl<O, E> Asker<O, E> {
    pub(super) fn unknown() -> Self {
        Self(Arc::default())
    }

    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn is(&self, asker: Option<Waits<O, E>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = asker;
    }

    pub(super) fn answer<M>(&self, result: Result<O, E>)
    where
        E: fmt::Display,
    {
        let asker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer::<M, O, E>(result, asker);
    }
}

impl<A, M, O, E> MessageResponse<A, M> for Reply<O, E>
where
    A: Actor,
    M: Message<Result = Result<O, E>>,
    O: 'static,
    E: fmt::Display + 'static,
{
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<M::Result>>) {
        match self {
            Self::Now(result) => answer::<M, O, E>(result, asker),
            Self::Later(later) => later.is(asker),
        }
    }
}

/// The items that were left. If nobody waits for them they are dropped, which does the actor no harm.
#[derive(Debug)]
pub struct LeftItems<T>(pub(super) Vec<T>);

impl<A, M, T> MessageResponse<A, M> for LeftItems<T>
where
    A: Actor,
    M: Message<Result = Vec<T>>,
{
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<Vec<T>>>) {
        let unwanted = match asker {
            Some(asker) => asker.send(self.0).err().unwrap_or_default(),
            None => self.0,
        };
        unwanted.into_iter().for_each(drop_quietly);
    }
}

fn answer<M, O, E: fmt::Display>(result: Result<O, E>, asker: Option<Waits<O, E>>) {
    match (asker, result) {
        // An asker that has gone does not want to know; what comes back may hold a user's item.
        (Some(asker), result) => drop_quietly(asker.send(result)),
        (None, Err(error)) => {
            log::warn!(
                "{} was refused, and nobody waits for the answer: {error}. Use send instead of do_send",
                std::any::type_name::<M>()
            );
            drop_quietly(error);
        }
        (None, Ok(endpoint)) => drop_quietly(endpoint),
    }
}
