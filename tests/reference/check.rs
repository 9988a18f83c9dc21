//! What is compared after each step.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use actix_iterable_queue::error::Refusal;
use futures::FutureExt;

use super::model::{self, ConsumerNumber};
use super::operation::Redelivery;
use super::parts::{OpenConsumer, OpenProducer, Sleeper, WaitingPut};
use super::world::World;

/// Only against hangs.
const TOO_LONG: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn require(&self, what: &str, holds: bool) {
        if !holds {
            let seen = self.queues.first().map(|queue| queue.snapshot().to_string());
            panic!("{what}, after\n{}\n{}", self.trace.join("\n"), seen.unwrap_or_default());
        }
    }

    #[track_caller]
    pub(super) fn same<V: PartialEq + Debug>(&self, what: &str, real: &V, expected: &V) {
        if real != expected {
            self.require(&format!("{what}: it is {real:?}, and should be {expected:?}"), false);
        }
    }

    /// Holds at once; where a timer brings items back, as soon as that has done so.
    fn require_soon(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let since = Instant::now();
        while self.redelivery == Redelivery::AfterAMillisecond && !holds() && since.elapsed() < TOO_LONG {
            thread::yield_now();
        }
        self.require(what, holds());
    }

    pub(super) fn compare(&mut self) {
        self.compare_snapshot();
        self.compare_closed();
        self.compare_getters();
        self.compare_batches();
        self.compare_putters();
        self.compare_askers();
        for mut watcher in std::mem::take(&mut self.watchers) {
            self.same("C5: drained() is woken by the end", &(watcher.task.wakes() > 0), &self.model.ended.is_some());
            match watcher.task.poll(watcher.future.as_mut()) {
                Poll::Pending => self.watchers.push(watcher),
                Poll::Ready(drained) => self.compare_end(&drained),
            }
        }
        self.require("C5: drained() is ready at the end", self.watchers.is_empty() || self.model.ended.is_none());
    }

    /// What a producer says of itself is what its next put would find.
    fn compare_closed(&self) {
        for OpenProducer { closed, handle, producer } in &self.producers {
            let expected = match self.model.refusal(false, ()) {
                _ if *closed => Some(Refusal::Closed),
                refused => refused.err().map(|refused| refused.reason()),
            };
            let seen = (producer.closed().now_or_never(), producer.is_closed());
            self.same(&format!("C2, D7, D8: p{handle}.closed()"), &seen, &(expected, expected.is_some()));
        }
    }

    fn compare_snapshot(&self) {
        let (Some(queue), model) = (self.queues.first(), &self.model) else { return };
        if !model.for_ever {
            self.require_soon("what failed comes back", || queue.snapshot().delayed == 0);
        }
        let seen = queue.snapshot();
        self.same("C1: the state", &(seen.state, queue.state()), &(model.state(), model.state()));
        self.same("the length", &(seen.buffered, queue.len()), &(model.buffered(), model.buffered()));
        self.same("is_empty", &queue.is_empty(), &(model.buffered() == 0));
        self.same("D5: is_full", &queue.is_full(), &(model.room_past_line() == 0));
        self.same("D3: what waits for its backoff", &seen.delayed, &model.delayed());
        self.same("leased", &seen.leased, &(model.leased.len() as u64));
        self.same("the totals", &seen.totals, &model.totals);
        let totals = seen.totals;
        let there = totals.acked + totals.taken + totals.dead_lettered + totals.discarded;
        self.same("C6: conservation", &(there + seen.buffered as u64 + seen.leased), &totals.accepted);
        let rows = seen.consumers.into_iter().map(|row| {
            let number = row.id.to_string().trim_start_matches("consumer-").parse().unwrap_or_default();
            (number, model::Consumer { open: row.open, taken: row.taken, acked: row.acked, leased: row.leased })
        });
        self.same("the consumers", &rows.collect(), &model.consumers);
        let mut producers = BTreeMap::<String, (usize, u64)>::new();
        for handle in model.handles.values() {
            let puts = model.puts.get(&handle.endpoint).copied().unwrap_or_default();
            let row = producers.entry(format!("producer-{}", handle.endpoint)).or_insert((0, puts));
            row.0 += 1;
        }
        let rows = seen.producers.into_iter().map(|row| (row.id.to_string(), (row.handles, row.puts)));
        self.same("C2: the producers, their handles and puts", &rows.collect(), &producers);
        let parked = self.sleepers().filter(|sleeper| sleeper.is_parked()).count();
        let asleep = self.sleepers().filter(|sleeper| sleeper.sleeps().is_some()).count();
        // A timer's wake-up may be on its way.
        let asleep = if self.redelivery == Redelivery::AfterAMillisecond { 0 } else { asleep };
        self.require("whoever sleeps is seen to wait", (asleep..=parked).contains(&seen.waiting_gets));
        let asleep = self.puts_in_turn().filter(|put| put.sleeper.sleeps().is_some()).count();
        self.require("whoever sleeps is seen to wait", (asleep..=self.puts.len()).contains(&seen.waiting_puts));
    }

    fn sleepers(&self) -> impl Iterator<Item = &Sleeper> {
        self.consumers.iter().map(|consumer| &consumer.sleeper)
    }

    /// D6: as many are woken as there are items, unless nobody sleeps. One that looks again by itself may be the one that is
    /// woken, and passes that on when it has looked. C5: nobody sleeps after the end.
    fn compare_getters(&self) {
        let there = self.model.buffered() - self.model.delayed();
        self.require_soon("D6: nobody sleeps while something is there for him", || {
            let asleep = self.sleepers().any(|sleeper| sleeper.sleeps().is_some());
            let woken = self.sleepers().filter(|sleeper| sleeper.is_woken()).count();
            let passes_on = self.sleepers().any(Sleeper::looks_again);
            !asleep || (self.model.ended.is_none() && (woken >= there || passes_on))
        });
    }

    fn puts_in_turn(&self) -> impl Iterator<Item = &WaitingPut> {
        self.puts.iter().filter(|put| !self.model.waits_for_turn(put.handle, put.number))
    }

    /// The same for room, among those whose turn it is. A refusal is for everybody.
    fn compare_putters(&self) {
        let (asleep, woken): (Vec<_>, Vec<_>) = self.puts_in_turn().partition(|put| put.sleeper.sleeps().is_some());
        let enough = asleep.is_empty() || woken.len() >= self.model.room();
        self.require("D6: no put sleeps while there is room", enough);
        let asleep = self.puts.iter().any(|put| put.sleeper.sleeps().is_some());
        self.require("D7, D8: no put sleeps while it is refused", !asleep || !self.model.refuses());
    }

    /// Who sleeps in a take, and since when.
    pub(super) fn asleep(&self) -> Vec<(ConsumerNumber, usize)> {
        let asleep = |consumer: &OpenConsumer| Some((consumer.number, consumer.sleeper.sleeps()?));
        self.consumers.iter().filter_map(asleep).collect()
    }

    /// D11: of those who slept before this step, the first in line were woken. A giver is passed over, and
    /// whoever has just looked may have woken itself.
    pub(super) fn compare_turns(&self, before: &[(ConsumerNumber, usize)]) {
        if self.redelivery == Redelivery::AfterAMillisecond {
            return;
        }
        let others = before.iter().filter(|(number, _)| Some(*number) != self.acting);
        let since = |which: fn(&Sleeper) -> bool| {
            let consumers = self.consumers.iter().filter(move |consumer| which(&consumer.sleeper));
            let numbers: Vec<_> = consumers.map(|consumer| consumer.number).collect();
            others.clone().filter(move |(number, _)| numbers.contains(number)).map(|(_, since)| *since)
        };
        let first_asleep = since(|sleeper| sleeper.sleeps().is_some()).min();
        let last_woken = since(Sleeper::is_woken).max();
        let in_turn = first_asleep.zip(last_woken).is_none_or(|(asleep, woken)| woken < asleep);
        self.require("D11: they are woken in turn", in_turn);
    }
}
