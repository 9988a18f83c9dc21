//! Those who take on threads.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::thread::{self, JoinHandle};

use actix_iterable_queue::prelude::*;
use futures::executor::block_on;
use futures::future::{Either, select};
use futures::{StreamExt, pin_mut};

use crate::asks::Job;
use crate::hands::{Deed, Hands};
use crate::plan::{TakeHow, Takes};

/// It ends after its last item, with the queue, or by a planned fault.
pub(crate) fn start(takes: &Takes, consumer: Consumer<Job>, hands: Hands) -> JoinHandle<()> {
    let takes = takes.clone();
    thread::spawn(move || {
        let excused = hands.excused.clone();
        let ended = catch_unwind(AssertUnwindSafe(|| take(&takes, consumer, hands)));
        if let Err(panic) = ended
            && !excused.load(std::sync::atomic::Ordering::Relaxed)
        {
            std::panic::resume_unwind(panic);
        }
    })
}

fn take(takes: &Takes, mut consumer: Consumer<Job>, mut hands: Hands) {
    let most = takes.leaves_at.map_or(usize::MAX, |n| n as usize);
    match takes.how {
        TakeHow::Leases => {
            for item in consumer.into_blocking_leases().take(most) {
                hands.begin(&item).end(item, &hands.log);
            }
        }
        TakeHow::Gets => consumer.into_iter().take(most).for_each(|job| hands.take(&job)),
        TakeHow::Batches(size) => {
            let mut left = most;
            while left > 0 {
                let batch = consumer.blocking_lease_batch(size.max.min(left), size.linger);
                if batch.is_empty() {
                    break;
                }
                left -= batch.len();
                Deed::end_batch(hands.begin_all(&batch), batch, &hands.log);
            }
        }
        TakeHow::DroppingBatches(size) => block_on(async {
            // Every second one waits as long as it takes: else the same items may be given back for ever.
            let (mut left, mut patient) = (most, false);
            while left > 0 {
                let giving_up = async move {
                    later(3).await;
                    if patient {
                        pending::<()>().await;
                    }
                };
                patient = !patient;
                let batch = consumer.lease_batch(size.max.min(left), size.linger);
                pin_mut!(batch, giving_up);
                match select(batch, giving_up).await {
                    Either::Left((batch, _)) if batch.is_empty() => break,
                    Either::Left((batch, _)) => {
                        left -= batch.len();
                        Deed::end_batch(hands.begin_all(&batch), batch, &hands.log);
                    }
                    Either::Right(_) => thread::yield_now(),
                }
            }
        }),
        TakeHow::Stream => block_on(consumer.into_leases().take(most).for_each_concurrent(3, |item| {
            let (deed, log, yields) = (hands.begin(&item), hands.log.clone(), hands.yields());
            async move {
                later(yields).await;
                deed.end(item, &log);
            }
        })),
        TakeHow::Dropping => block_on(async {
            let mut left = most;
            while left > 0 {
                let (lease, giving_up) = (consumer.lease(), later(1));
                pin_mut!(lease, giving_up);
                match select(lease, giving_up).await {
                    Either::Left((Some(item), _)) => {
                        hands.begin(&item).end(item, &hands.log);
                        left -= 1;
                    }
                    Either::Left((None, _)) => break,
                    Either::Right(_) => thread::yield_now(),
                }
            }
        }),
    }
}

/// Ready at the poll after so many others.
pub(crate) async fn later(mut polls: u8) {
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(());
        }
        polls -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
