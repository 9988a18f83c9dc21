//! `AskQueue` messages: what their sender is told, and when.
//!
//! `AskReply` is `pub` in a private module for the same reason as `Reply`.

use std::fmt;
use std::pin::pin;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};
use futures::future::{Either, select};
use tokio::sync::oneshot;

use super::reply::Reply;
use crate::endpoint::{PendingAnswer, refused_ask};
use crate::error::{AskError, PutError};
use crate::message::Put;
use crate::queue::{Ask, drop_quietly};

/// The reply to an ask: the answer, once it comes.
pub struct AskReply<J, D>(State<J, D>);

enum State<J, D> {
    /// The producer is closed.
    Refused(PutError<J>),
    /// The put that asks, and what comes after it.
    Put(Reply<(), PutError<Ask<J, D>>>, PendingAnswer<J, D>),
}

impl<J, D> AskReply<J, D> {
    pub(super) fn refused(error: PutError<J>) -> Self {
        Self(State::Refused(error))
    }

    pub(super) fn after(put: Reply<(), PutError<Ask<J, D>>>, answer: PendingAnswer<J, D>) -> Self {
        Self(State::Put(put, answer))
    }
}

impl<A, M, J, D> MessageResponse<A, M> for AskReply<J, D>
where
    A: Actor,
    M: Message<Result = Result<D, AskError<J>>>,
    J: Send + 'static,
    D: Send + 'static,
{
    fn handle(self, ctx: &mut A::Context, sender: Option<OneshotSender<M::Result>>) {
        match (self.0, sender) {
            (State::Refused(error), sender) => {
                MessageResponse::<A, M>::handle(Reply::Now(Err(AskError::Refused(error))), ctx, sender);
            }
            // Nobody waits for the answer, and consumers may see that.
            (State::Put(put, answer), None) => {
                drop(answer);
                MessageResponse::<A, Put<Ask<J, D>>>::handle(put, ctx, None);
            }
            (State::Put(put, answer), Some(sender)) => {
                // The put replies into a channel, which gets a refusal also if the actor is gone by then.
                let (done, put_done) = oneshot::channel();
                MessageResponse::<A, Put<Ask<J, D>>>::handle(put, ctx, Some(done));
                // A task, as it is not for the actor to stay alive until consumers have answered.
                actix_rt::spawn(send_answer(put_done, answer, sender));
            }
        }
    }
}

/// Sends what becomes of the ask, unless the sender stops waiting.
async fn send_answer<J, D>(
    put_done: oneshot::Receiver<Result<(), PutError<Ask<J, D>>>>,
    answer: PendingAnswer<J, D>,
    mut sender: OneshotSender<Result<D, AskError<J>>>,
) {
    let result = async {
        // Without a reply, the ask is gone with its put, and the channel of the answer tells that.
        if let Ok(put) = put_done.await {
            put.map_err(refused_ask)?;
        }
        answer.await
    };
    let result = match select(pin!(result), pin!(sender.closed())).await {
        Either::Left((result, _)) => result,
        Either::Right(((), _)) => return,
    };
    // If the sender stopped waiting just now, the result comes back.
    drop_quietly(sender.send(result));
}

impl<J, D> fmt::Debug for AskReply<J, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskReply")
    }
}
