//! Replies to messages, given at once or later.
//!
//! `Reply` and `Asker` are `pub` in a private module because the public handlers of `QueueActor` have `Reply` as
//! their `Result`. Users cannot name them.

use std::fmt;
use std::sync::{Arc, Mutex};

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};

use crate::lock::lock;
use crate::queue::drop_quietly;

/// A reply that may come later.
///
/// A refusal is logged if the message was sent with `do_send`, as nobody waits for the reply.
#[derive(Debug)]
pub enum Reply<O, E> {
    /// The reply.
    Now(Result<O, E>),
    /// The reply comes through this asker, which the handler has shared.
    Later(Asker<O, E>),
}

/// The sender of a message, which waits for a reply that comes later.
///
/// actix passes the sender's channel on once the handler has returned. The reply needs no task of its own, which
/// an arbiter that stops would drop before the reply is sent.
#[derive(Debug)]
pub struct Asker<O, E>(Arc<Mutex<Option<ReplySender<O, E>>>>);

type ReplySender<O, E> = OneshotSender<Result<O, E>>;

impl<O, E> Asker<O, E> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn set(&self, sender: Option<ReplySender<O, E>>) {
        *lock(&self.0) = sender;
    }

    pub(super) fn reply<M>(&self, result: Result<O, E>)
    where
        E: fmt::Display,
    {
        let sender = lock(&self.0).take();
        send_reply::<M, O, E>(result, sender);
    }
}

impl<A, M, O, E> MessageResponse<A, M> for Reply<O, E>
where
    A: Actor,
    M: Message<Result = Result<O, E>>,
    O: 'static,
    E: fmt::Display + 'static,
{
    fn handle(self, _: &mut A::Context, sender: Option<OneshotSender<M::Result>>) {
        match self {
            Self::Now(result) => send_reply::<M, O, E>(result, sender),
            Self::Later(asker) => asker.set(sender),
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

fn send_reply<M, O, E: fmt::Display>(result: Result<O, E>, sender: Option<ReplySender<O, E>>) {
    match (sender, result) {
        // If the asker stopped waiting, the result comes back; it may hold a user's item.
        (Some(sender), result) => drop_quietly(sender.send(result)),
        (None, Err(error)) => {
            log::warn!(
                "{} was refused, and nobody waits for the reply: {error}. Use send instead of do_send",
                std::any::type_name::<M>()
            );
            drop_quietly(error);
        }
        (None, Ok(value)) => drop_quietly(value),
    }
}
