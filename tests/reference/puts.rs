//! Puts, in every way.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::Producer;
use actix_iterable_queue::error::{PutError, PutTimeoutError, Refusal, TryPutError};

use super::model::{self, HandleNumber, Waits, Work};
use super::operation::Patience;
use super::parts::{OpenPermit, OpenProducer, WaitingPut};
use super::world::World;

impl World {
    pub(super) fn add_handle(&mut self, endpoint: u64, producer: Producer<Work>) {
        self.handles += 1;
        self.note(format!("  is p{}", self.handles));
        self.model.handles.insert(self.handles, model::Handle { endpoint, shares: 1, ..Default::default() });
        self.producers.push(OpenProducer { closed: false, handle: self.handles, producer: Rc::new(producer) });
    }

    pub(super) fn try_put(&mut self, which: usize, patience: Patience) {
        let (work, OpenProducer { closed, handle, producer }) = (self.next_work(), &self.producers[which]);
        let (handle, closed) = (*handle, *closed);
        let put = match patience {
            Patience::None | Patience::Insisting => producer.try_put(work),
            Patience::Zero => producer.blocking_put_timeout(work, Duration::ZERO).map_err(|error| match error {
                PutTimeoutError::Refused(refused) => TryPutError::Refused(refused),
                timeout => TryPutError::Full(timeout.into_inner()),
            }),
        };
        self.note(format!("p{handle}.try_put({work}), patience {patience:?} -> {put:?}"));
        let expected = if closed {
            Err(TryPutError::Refused(PutError::new(work, Refusal::Closed)))
        } else {
            self.put_numbers += 1;
            let put = self.model.put(handle, self.put_numbers, Some(work), Waits::No);
            self.model.leave(handle, self.put_numbers);
            match put {
                None => Err(TryPutError::Full(work)),
                Some(put) => put.map_err(|refused| TryPutError::Refused(PutError::new(work, refused.reason()))),
            }
        };
        self.same("a put that does not wait", &put, &expected);
    }

    pub(super) fn wait_to_put(&mut self, which: usize, work: Option<Work>) {
        self.put_numbers += 1;
        let (put, of) = (self.put_numbers, &self.producers[which]);
        let (handle, closed) = (of.handle, of.closed);
        let mut waiting = WaitingPut::new(put, of, work);
        self.note(format!("put{put} = p{handle}: {work:?}"));
        if closed {
            let polled = waiting.sleeper.task.poll(waiting.future.as_mut()).map(|outcome| outcome.map(drop));
            return self.same(
                "C2: a put after its close",
                &polled,
                &Poll::Ready(Err(PutError::new(work, Refusal::Closed))),
            );
        }
        self.share(handle);
        self.puts.push(waiting);
        self.poll_put(self.puts.len() - 1);
    }

    pub(super) fn poll_put(&mut self, which: usize) {
        let step = self.step;
        let WaitingPut { number, handle, work, sleeper, future } = &mut self.puts[which];
        let (number, handle) = (*number, *handle);
        let waits = if sleeper.is_notified() { Waits::Woken } else { Waits::Yes };
        let expected = self.model.put(handle, number, *work, waits);
        match sleeper.poll(step, |task| task.poll(future.as_mut())) {
            Poll::Pending => {
                self.note(format!("  put{number} waits"));
                self.same("it waits for room", &None, &expected);
            }
            Poll::Ready(outcome) => {
                drop(self.puts.swap_remove(which));
                let put = outcome.map(|permit| {
                    self.share(handle);
                    match permit {
                        Some(permit) => self.permits.push(OpenPermit { handle, permit }),
                        None => self.model.drop_share(handle),
                    }
                });
                self.note(format!("  put{number} -> {put:?}"));
                self.same("a put that may wait", &Some(put), &expected);
                self.model.drop_share(handle);
            }
        }
    }

    pub(super) fn share(&mut self, handle: HandleNumber) {
        if let Some(handle) = self.model.handles.get_mut(&handle) {
            handle.shares += 1;
        }
    }
}
