//! Was a round right?

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use actix_iterable_queue::prelude::*;
use actix_iterable_queue::testing::{Audit, assert_conserved};

use crate::asks::Asks;
use crate::plan::{End, Plan};

/// What a round left behind.
pub(crate) struct Facts {
    pub(crate) drained: Drained,
    /// After everything has ended. The queue that sealed itself has nobody to take it: of that, `drained` is
    /// all that is known.
    pub(crate) last: Option<Snapshot>,
    pub(crate) audit: Audit<u64>,
    pub(crate) asks: Arc<Asks>,
    pub(crate) kills: u64,
    pub(crate) refused: u64,
    pub(crate) unsure: u64,
    pub(crate) batches: u64,
    /// Workers that pools have added by themselves.
    pub(crate) joined: u64,
    /// Who should have been told of the end.
    pub(crate) owed: Vec<String>,
    /// How many items can have died in mailboxes: what comes back from there is in no order, and after
    /// an abort nobody has ever seen it.
    pub(crate) in_mailboxes: usize,
}

/// What is printed at the end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    items: u64,
    asks: u64,
    batches: u64,
    joined: u64,
    kills: u64,
    redelivered: u64,
    dead_lettered: u64,
    aborted: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.items += other.items;
        self.asks += other.asks;
        self.batches += other.batches;
        self.joined += other.joined;
        self.kills += other.kills;
        self.redelivered += other.redelivered;
        self.dead_lettered += other.dead_lettered;
        self.aborted += other.aborted;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, items, asks, batches, joined, kills, redelivered, dead_lettered, aborted } = self;
        let redeliveries = if *redelivered == 1 { "redelivery" } else { "redeliveries" };
        write!(f, "{}, {}, {}, ", count(*rounds, "round"), count(*items, "item"), count(*asks, "ask"))?;
        let batches = if *batches == 1 { "1 batch".to_owned() } else { format!("{batches} batches") };
        write!(f, "{batches}, {} added, {}, ", count(*joined, "worker"), count(*kills, "kill"))?;
        write!(f, "{redelivered} {redeliveries}, ")?;
        write!(f, "{}, {}", count(*dead_lettered, "dead letter"), count(*aborted, "abort"))
    }
}

pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Every way in which a round can be wrong; it panics if the queue's own numbers do not add up.
pub(crate) fn judge(plan: &Plan, facts: &Facts) -> Result<Tally, String> {
    let Facts { drained, last, audit, .. } = facts;
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: &str| {
        if !right {
            wrong.push(what.to_owned());
        }
    };
    check(audit.twice.is_empty(), "items were done twice");
    check(audit.from_nowhere.is_empty(), "items came from nowhere");
    let came_back_unseen = facts.in_mailboxes > 0 || plan.has_batches();
    check(audit.out_of_order.is_empty() || came_back_unseen, "items were out of order");
    let (asks, wrong_answers) = facts.asks.judge(drained.outcome);
    check(wrong_answers == 0, "askers heard what is not so");
    for (name, times) in &audit.told {
        check(*times <= 1, &format!("{name} was told of the end {times} times"));
    }
    for name in &facts.owed {
        check(audit.told.get(name) == Some(&1), &format!("{name} was not told of the end"));
    }

    let complete = drained.outcome == Outcome::Complete;
    if complete || plan.must_complete() {
        check(complete && audit.lost.is_empty() && audit.unfinished.is_empty(), "items were lost");
        check(facts.refused == 0 || !plan.must_complete(), "puts were refused");
    }
    if drained.outcome == Outcome::Aborted && plan.end != End::LoseActor {
        // Somebody has what the abort gave back, so only what was in somebody's hands has no end.
        check(audit.lost.len() <= facts.in_mailboxes || plan.may_drop_asks(), "the abort lost items");
    }
    let totals = last.as_ref().map_or(drained.totals, |last| last.totals);
    if let Some(last) = last {
        assert_conserved(last);
        check(last.buffered == 0 && last.leased == 0, "not everything has ended");
    }
    let sum = totals.acked + totals.taken + totals.dead_lettered + totals.discarded;
    // With nobody left to ask, the totals are those of the end: what was in hands then came to its end later.
    let in_hands = totals.accepted.checked_sub(sum);
    // After a shutdown calls may still be running then, however it ended.
    let shut_down = matches!(plan.end, End::Shutdown(_) | End::ShutdownMessage(_));
    let exact = last.is_some() || (complete && !shut_down);
    check(in_hands == Some(0) || (!exact && in_hands.is_some()), "the queue's last numbers do not add up");
    let later = audit.finished.checked_sub(totals.acked + totals.taken);
    check(later.is_some_and(|later| later <= in_hands.unwrap_or(0)), "the queue counts other ends than its consumers");
    // Accepted by a put whose answer was lost, and seen by nobody. The totals of the end also count puts
    // that were under way then, to be refused.
    let hidden = totals.accepted.wrapping_sub(audit.accepted);
    let under_way = if exact { 0 } else { facts.refused };
    check(hidden <= facts.unsure + under_way, "the queue counts other puts than its producers");
    // After an abort an item in hand is discarded, and a last dead letter can miss its reader.
    let unread = totals.dead_lettered.wrapping_sub(audit.dead_lettered);
    let dropped = totals.discarded.wrapping_sub(audit.left_over);
    check(unread == 0 || !complete, "dead letters were lost");
    check(unread <= totals.dead_lettered && dropped <= totals.discarded, "more was given back than the queue counts");
    let endless = (audit.lost.len() + audit.unfinished.len()) as u64;
    let still = in_hands.unwrap_or(0).wrapping_sub(later.unwrap_or(0));
    check(endless + hidden == unread.wrapping_add(dropped).wrapping_add(still), "items were lost");
    if wrong.is_empty() {
        return Ok(Tally {
            rounds: 1,
            items: totals.accepted,
            asks,
            batches: facts.batches,
            joined: facts.joined,
            kills: facts.kills,
            redelivered: totals.redelivered,
            dead_lettered: totals.dead_lettered,
            aborted: u64::from(!complete),
        });
    }
    let last = last.as_ref().map_or_else(|| format!("{drained:?}"), |last| format!("{:?}, {last}", drained.outcome));
    Err(format!("{}\n  {audit}\n  {last}", wrong.join("; ")))
}
