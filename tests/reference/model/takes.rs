//! Takes, and how leases end.

use std::collections::BTreeSet;

use super::{ConsumerNumber, Model, Returned, Told, Work};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) open: bool,
    pub(crate) taken: u64,
    pub(crate) acked: u64,
    pub(crate) leased: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    consumer: ConsumerNumber,
    sequence: u64,
    attempt: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Settle {
    Ack,
    IntoInner,
    Requeue,
    Release,
    Drop,
    Reject,
    /// As if it had not been handed out.
    Undo,
}

impl Model {
    /// What a take by `consumer` may bring (D1); `None` is nothing. With `others_woken`, another
    /// consumer was woken and has not looked since.
    pub(crate) fn choices(&self, consumer: ConsumerNumber, others_woken: bool) -> Vec<Option<Work>> {
        let new = self.new.front().map(|(work, _)| *work);
        let back = || self.back.iter().filter(|(_, returned)| !returned.delayed);
        let first = |of| back().find(|((giver, _), _)| *giver == of).map(|(_, returned)| returned.work);
        let givers: BTreeSet<_> = back().map(|((giver, _), _)| *giver).collect();
        if givers.iter().any(|giver| *giver != consumer) {
            return givers.into_iter().filter(|giver| *giver != consumer).map(first).collect();
        }
        let Some(own) = givers.into_iter().next().map(first) else { return vec![new] };
        // The exceptions, as long as fewer items came back than there are consumers.
        let at_work = |(other, row): (&ConsumerNumber, &Consumer)| *other != consumer && row.open && row.leased > 0;
        if back().count() >= self.open_consumers() {
            vec![own]
        } else if others_woken {
            vec![own, new]
        } else if new.is_some() && self.consumers.iter().any(at_work) {
            vec![new]
        } else {
            vec![own]
        }
    }

    /// Hands out an item that was one of the choices, and says which attempt it is.
    pub(crate) fn take(&mut self, consumer: ConsumerNumber, work: Work, lease: bool) -> u32 {
        let place = self.back.iter().find(|(_, returned)| returned.work == work).map(|(place, _)| *place);
        let attempt = match place.and_then(|place| self.back.remove(&place)) {
            Some(returned) => returned.attempts + 1,
            None => {
                self.new.retain(|(other, _)| *other != work);
                1
            }
        };
        if lease {
            self.leases += 1;
            self.leased.insert(work, Lease { consumer, sequence: self.leases, attempt });
            self.row(consumer).leased += 1;
        } else {
            self.totals.taken += 1;
            self.row(consumer).taken += 1;
            self.tell(work, Told::NoAnswer);
        }
        attempt
    }

    pub(crate) fn holder(&self, work: Work) -> Option<ConsumerNumber> {
        self.leased.get(&work).map(|lease| lease.consumer)
    }

    pub(crate) fn attempt(&self, work: Work) -> Option<u32> {
        self.leased.get(&work).map(|lease| lease.attempt)
    }

    pub(crate) fn settle(&mut self, work: Work, how: Settle) {
        let Some(Lease { consumer, sequence, attempt }) = self.leased.remove(&work) else { unreachable!() };
        self.row(consumer).leased -= 1;
        match how {
            Settle::Ack => {
                self.totals.acked += 1;
                self.row(consumer).acked += 1;
                self.tell(work, Told::NoAnswer);
            }
            Settle::IntoInner => {
                self.totals.taken += 1;
                self.row(consumer).taken += 1;
                self.tell(work, Told::NoAnswer);
            }
            _ if self.ended.is_some() => self.leave_over(work),
            Settle::Reject => self.bury(work, attempt, "rejected", consumer),
            Settle::Requeue | Settle::Drop if attempt == self.max_attempts => {
                self.bury(work, attempt, "attempts used up", consumer);
            }
            _ if self.is_lost() => {
                self.totals.discarded += 1;
                self.tell(work, Told::NoAnswer);
            }
            _ => {
                self.totals.redelivered += 1;
                let attempts = attempt - u32::from(matches!(how, Settle::Release | Settle::Undo));
                let delayed = self.for_ever && !matches!(how, Settle::Undo);
                self.back.insert((consumer, sequence), Returned { work, attempts, delayed });
            }
        }
        self.forget_closed();
    }

    fn row(&mut self, consumer: ConsumerNumber) -> &mut Consumer {
        self.consumers.entry(consumer).or_default()
    }

    pub(crate) fn close_consumer(&mut self, consumer: ConsumerNumber) {
        self.row(consumer).open = false;
        self.forget_closed();
    }

    fn forget_closed(&mut self) {
        self.consumers.retain(|_, row| row.open || row.leased > 0);
    }
}
