//! Checks that the numbers of a queue add up.

use std::cmp::Ordering;

use crate::queue::{Snapshot, count};

/// Checks that every item that the queue accepted is accounted for: accepted = acked + taken +
/// dead-lettered + discarded + buffered + leased.
///
/// It holds whenever no call on the queue is running. A snapshot of a queue over Redis combines numbers from different
/// moments of the last second with the leases of this process: it adds up if no other process holds an item and nothing has
/// happened for a second. The totals of [`Drained`](crate::Drained) and a snapshot by `RedisBuilder::inspect` are exact.
///
/// # Panics
///
/// If the sum is wrong. The message shows the balance, and how many items are missing or too many.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use actix_iterable_queue::testing::assert_conserved;
///
/// let queue = IterableQueue::unbounded();
/// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
/// (1..=3).try_for_each(|n| producer.try_put(n))?;
/// let item = consumer.try_lease()?;
/// assert_conserved(&queue.snapshot()); // 3 accepted = 2 buffered + 1 leased
/// item.ack();
/// assert_conserved(&queue.snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn assert_conserved(snapshot: &Snapshot) {
    let totals = &snapshot.totals;
    let parts = [
        (totals.acked, "acked"),
        (totals.taken, "taken"),
        (totals.dead_lettered, "dead-lettered"),
        (totals.discarded, "discarded"),
        (snapshot.buffered as u64, "buffered"),
        (snapshot.leased, "leased"),
    ];
    let (accepted, sum) = (totals.accepted, parts.iter().map(|(n, _)| n).sum::<u64>());
    let difference = count(accepted.abs_diff(sum), "item");
    let verdict = match sum.cmp(&accepted) {
        Ordering::Equal => return,
        Ordering::Less => format!("{difference} missing"),
        Ordering::Greater => format!("{difference} too many"),
    };
    let parts = parts.map(|(n, what)| format!("{n} {what}")).join(" + ");
    let shared = match snapshot.distributed {
        true => " (or this snapshot cannot tell: other processes hold items, or something happened in the last second)",
        false => "",
    };
    panic!("not conserved: {accepted} accepted, but {sum} = {parts}: {verdict}{shared}\n{snapshot}");
}
