//! Those who put.

use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::WeakAddr;
use actix::prelude::*;
use actix_iterable_queue::error::PutTimeoutError;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::testing::{Fault, ProducerLog};
use futures::executor::block_on;
use futures::future::{Either, join_all, select};
use futures::pin_mut;

use crate::asks::{Job, Mint};
use crate::hands::Common;
use crate::plan::{PutHow, Puts};
use crate::takes::later;

pub(crate) fn start(
    puts: &Puts,
    producer: Producer<Job>,
    actor: &Addr<QueueActor<Job>>,
    common: &Common,
) -> Option<JoinHandle<()>> {
    let (puts, common, put) = (puts.clone(), common.clone(), common.ledger.producer());
    let fault = puts.dies_at.map_or_else(|| Fault::with_probability(0.0, 0), Fault::at);
    if puts.dies_at.is_some() && puts.how != PutHow::All {
        common.killed();
    }
    match puts.how {
        PutHow::Task => {
            actix_rt::spawn(async move {
                let mut mint = Mint::new();
                for _ in 0..puts.items {
                    fault.panic_if_it_strikes();
                    let key = common.key();
                    if !note(producer.put(mint.job(key)).await.is_ok(), key, &put, &common) {
                        break;
                    }
                }
            });
            None
        }
        PutHow::Ask => {
            actix_rt::spawn(async move { asks(puts.items, &fault, &producer, &put, &common).await });
            None
        }
        PutHow::Message => {
            // An address that waits would keep the queue unsealed, and with no consumer that is for ever.
            let actor = actor.downgrade();
            actix_rt::spawn(async move { messages(&puts, &fault, producer, &actor, &common).await });
            None
        }
        how => Some(thread::spawn(move || on_thread(how, puts.items, &fault, &producer, &put, &common))),
    }
}

/// Whether to go on.
fn note(accepted: bool, key: u64, put: &ProducerLog<u64>, common: &Common) -> bool {
    if accepted {
        put.accepted(key);
    } else {
        common.count.refused.fetch_add(1, Relaxed);
    }
    accepted
}

/// Notes what an asker has heard. Returns whether to go on.
fn note_ask(key: u64, heard: Result<u64, AskError<u64>>, put: &ProducerLog<u64>, common: &Common) -> bool {
    let accepted = !matches!(heard, Err(AskError::Refused(_)));
    common.asks.heard(key, heard);
    note(accepted, key, put, common)
}

/// Every fourth is given up if it takes long.
async fn asks(items: u64, fault: &Fault, producer: &Producer<Job>, put: &ProducerLog<u64>, common: &Common) {
    for n in 0..items {
        fault.panic_if_it_strikes();
        let key = common.key();
        if n % 4 != 0 {
            if !note_ask(key, producer.ask(key).await, put, common) {
                return;
            }
            continue;
        }
        let (ask, giving_up) = (producer.ask(key), later(20));
        pin_mut!(ask, giving_up);
        match select(ask, giving_up).await {
            Either::Left((heard, _)) if !note_ask(key, heard.clone(), put, common) => return,
            Either::Left(_) => {}
            Either::Right(_) => {
                put.unsure(key);
                common.count.unsure.fetch_add(1, Relaxed);
            }
        }
    }
}

fn on_thread(
    how: PutHow,
    items: u64,
    fault: &Fault,
    producer: &Producer<Job>,
    put: &ProducerLog<u64>,
    common: &Common,
) {
    let mut mint = Mint::new();
    if how == PutHow::All {
        let mut keys = Vec::new();
        let drawn = (0..items).map(|_| common.key()).inspect(|key| keys.push(*key)).map(|key| mint.job(key));
        let accepted = block_on(producer.put_all(drawn)).is_ok();
        let last = if accepted { None } else { keys.pop() };
        keys.into_iter().for_each(|key| put.accepted(key));
        if let Some(last) = last {
            note(false, last, put, common);
        }
        return;
    }
    for _ in 0..items {
        fault.panic_if_it_strikes();
        let key = common.key();
        if how == PutHow::BlockingAsk {
            if !note_ask(key, producer.blocking_ask(key), put, common) {
                break;
            }
            continue;
        }
        let mut job = mint.job(key);
        let accepted = match how {
            PutHow::Try => loop {
                match producer.try_put(job) {
                    Err(TryPutError::Full(full)) => job = full,
                    done => break done.is_ok(),
                }
                thread::yield_now();
            },
            PutHow::Timeout => loop {
                match producer.blocking_put_timeout(job, Duration::from_micros(300)) {
                    Err(PutTimeoutError::Timeout(late)) => job = late,
                    done => break done.is_ok(),
                }
            },
            PutHow::Reserve => block_on(producer.reserve()).is_ok_and(|permit| permit.put(job).is_ok()),
            _ => producer.blocking_put(job).is_ok(),
        };
        if !note(accepted, key, put, common) {
            break;
        }
    }
}

/// Three at a time. These have no order among each other: with a full mailbox, actix lets a later one in
/// first. So each of the three has a list of its own.
async fn messages(
    puts: &Puts,
    fault: &Fault,
    mut producer: Producer<Job>,
    actor: &WeakAddr<QueueActor<Job>>,
    common: &Common,
) {
    let lists = [(); 3].map(|()| common.ledger.producer());
    let mut mint = Mint::new();
    let mut left = puts.items;
    while left > 0 {
        let keys = Vec::from_iter((0..left.min(lists.len() as u64)).map(|_| common.key()));
        left -= keys.len() as u64;
        fault.panic_if_it_strikes();
        let sent = actor.upgrade().map(|actor| {
            let put = |key: &u64| actor.send(Put::new(&producer, mint.job(*key)));
            keys.iter().map(put).collect::<Vec<_>>()
        });
        let answers = match sent {
            Some(sent) => join_all(sent).await,
            // Its address is gone: without it, then.
            None => {
                let jobs: Vec<_> = keys.iter().map(|key| mint.job(*key)).collect();
                join_all(jobs.into_iter().map(|job| async { Ok(producer.put(job).await) })).await
            }
        };
        let mut refused = false;
        for ((key, answer), put) in keys.into_iter().zip(answers).zip(&lists) {
            match answer {
                Ok(answer) => refused |= !note(answer.is_ok(), key, put, common),
                Err(_) => {
                    put.unsure(key);
                    common.count.unsure.fetch_add(1, Relaxed);
                    refused = true;
                }
            }
        }
        if refused {
            return;
        }
    }
    if let Some(actor) = actor.upgrade() {
        actor.do_send(Close::new(&mut producer));
    }
}
