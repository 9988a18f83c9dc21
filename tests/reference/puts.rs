//! Puts, in every way.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::Producer;
use actix_iterable_queue::error::{PutError, PutTimeoutError, Refusal, TryPutError};

use super::model::{self, HandleNumber, Waits};
use super::operation::{Any, Patience};
use super::parts::{Asker, Job, OpenPermit, OpenProducer, Put, PutFuture, WaitingPut, of_work};
use super::world::{World, among};

impl World {
    pub(super) fn add_handle(&mut self, endpoint: u64, producer: Producer<Job>) {
        self.handles += 1;
        self.note(format!("  is p{}", self.handles));
        self.model.handles.insert(self.handles, model::Handle { endpoint, shares: 1, ..Default::default() });
        self.producers.push(OpenProducer { closed: false, handle: self.handles, producer: Rc::new(producer) });
    }

    pub(super) fn try_put(&mut self, which: usize, patience: Patience) {
        let job = self.next_job();
        let (work, OpenProducer { closed, handle, producer }) = (*job.job(), &self.producers[which]);
        let (handle, closed) = (*handle, *closed);
        let put = match patience {
            Patience::None | Patience::Insisting => producer.try_put(job).map_err(|error| match error {
                TryPutError::Refused(refused) => TryPutError::Refused(of_work(refused)),
                full => TryPutError::Full(full.into_inner().into_job()),
            }),
            Patience::Zero => producer.blocking_put_timeout(job, Duration::ZERO).map_err(|error| match error {
                PutTimeoutError::Refused(refused) => TryPutError::Refused(of_work(refused)),
                timeout => TryPutError::Full(timeout.into_inner().into_job()),
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

    pub(super) fn wait_to_put(&mut self, which: usize, put: Put) {
        self.put_numbers += 1;
        let (number, of) = (self.put_numbers, &self.producers[which]);
        let (handle, closed) = (of.handle, of.closed);
        let mut waiting = WaitingPut::new(number, of, put);
        let work = waiting.work;
        self.note(format!("put{number} = p{handle}: {work:?}"));
        if closed {
            let put = waiting.poll(self.step).map(|outcome| outcome.map(drop));
            let expected = Poll::Ready(Err(PutError::new(work, Refusal::Closed)));
            return self.same("C2: a put after its close", &put, &expected);
        }
        self.share(handle);
        self.puts.push(waiting);
        self.poll_put(self.puts.len() - 1);
    }

    pub(super) fn poll_put(&mut self, which: usize) {
        let step = self.step;
        let put = &mut self.puts[which];
        let (number, handle) = (put.number, put.handle);
        let waits = if put.sleeper.is_notified() { Waits::Woken } else { Waits::Yes };
        let expected = self.model.put(handle, number, put.work, waits);
        match put.poll(step) {
            Poll::Pending if put.is_ask() && expected == Some(Ok(())) => {
                let WaitingPut { work, sleeper, future, .. } = self.puts.swap_remove(which);
                let (Some(work), PutFuture::Ask(future)) = (work, future) else { unreachable!("it is an ask") };
                self.begin_to_wait(Asker { work, handle, sleeper, future });
            }
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

    pub(super) fn drop_put(&mut self, which: Any) -> Option<()> {
        let put = self.puts.swap_remove(among(which, self.puts.len())?);
        self.note(format!("drop(put{})", put.number));
        self.model.leave(put.handle, put.number);
        self.model.drop_share(put.handle);
        Some(())
    }

    pub(super) fn use_permit(&mut self, which: Any) -> Option<()> {
        let OpenPermit { handle, permit } = self.permits.swap_remove(among(which, self.permits.len())?);
        let job = self.next_job();
        let work = *job.job();
        let put = permit.put(job).map_err(of_work);
        self.note(format!("permit of p{handle}.put({work}) -> {put:?}"));
        let expected = self.model.put_reserved(handle, work);
        self.same("D6: the put of a permit", &put, &expected);
        self.model.drop_share(handle);
        Some(())
    }

    pub(super) fn drop_permit(&mut self, which: Any) -> Option<()> {
        let OpenPermit { handle, permit } = self.permits.swap_remove(among(which, self.permits.len())?);
        drop(permit);
        self.note(format!("drop(permit of p{handle})"));
        self.model.permits -= 1;
        self.model.drop_share(handle);
        Some(())
    }

    pub(super) fn put_child(&mut self, which: Any) -> Option<()> {
        let which = among(which, self.leases.len())?;
        let job = self.next_job();
        let (work, parent) = (*job.job(), &self.leases[which]);
        let put = parent.put_child(job).map_err(of_work);
        self.note(format!("lease of {}.put_child({work}) -> {put:?}", parent.job()));
        let expected = self.model.put_child(work);
        self.same("D9: a put through a lease", &put, &expected);
        Some(())
    }

    pub(super) fn share(&mut self, handle: HandleNumber) {
        if let Some(handle) = self.model.handles.get_mut(&handle) {
            handle.shares += 1;
        }
    }
}
