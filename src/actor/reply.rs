//! Answers to messages, now or later.

use std::fmt;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};
use futures::channel::oneshot;

/// An answer that may come later. A refusal that nobody waits for, because the message came by
/// `do_send`, is logged.
#[derive(Debug)]
pub enum Reply<O, E> {
    /// The answer.
    Now(Result<O, E>),
    /// Where the answer will come from.
    Later(oneshot::Receiver<Result<O, E>>),
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
            Self::Later(result) => {
                actix_rt::spawn(async move {
                    if let Ok(result) = result.await {
                        answer::<M, O, E>(result, asker);
                    }
                });
            }
        }
    }
}

fn answer<M, O, E: fmt::Display>(result: Result<O, E>, asker: Option<OneshotSender<Result<O, E>>>) {
    match (asker, result) {
        // An asker that has gone does not want to know.
        (Some(asker), result) => drop(asker.send(result)),
        (None, Err(error)) => {
            log::warn!(
                "{} was refused, and nobody waits for the answer: {error}. Use send instead of do_send",
                std::any::type_name::<M>()
            );
        }
        (None, Ok(_)) => {}
    }
}
