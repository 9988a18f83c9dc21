//! Pools of other actor libraries, on a runtime with a thread for each core, as their documentation has it.

use std::time::Instant;

use kameo::message::{Context, Message};
use kameo::prelude::{Spawn as _, mailbox};
use kameo_actors::pool::{ActorPool, Dispatch};
use ractor::factory::queues::DefaultQueue;
use ractor::factory::routing::QueuerRouting;
use ractor::factory::{Factory, FactoryArguments, FactoryMessage, Job, Worker, WorkerBuilder, WorkerId};
use ractor::{Actor as _, ActorProcessingErr, ActorRef};
use tokio::runtime::{Builder, Runtime};

use super::producers::Threads;
use super::{CAPACITY, KAMEO, PRODUCERS, RACTOR, WORKERS, measured};
use crate::numbers::{Tallies, Tally, shares};
use crate::rounds::{Contender, Measured};
use crate::runtime::SharedRuntime;

pub(super) fn contenders(items: usize) -> anyhow::Result<Vec<Contender>> {
    let runtime = SharedRuntime::new(Builder::new_multi_thread().enable_all())?;
    let same = runtime.clone();
    Ok(vec![
        Contender::new(KAMEO, move || kameo_pool(&runtime, items))
            .lacking("0.22, kameo_actors 0.8: no ack, no redelivery, no end"),
        Contender::new(RACTOR, move || ractor_factory(&same, items))
            .lacking("0.16, queuer routing: no bound that waits, no redelivery"),
    ])
}

struct KameoWorker {
    tally: Tally,
}

impl kameo::Actor for KameoWorker {
    type Args = Self;
    type Error = kameo::error::Infallible;

    async fn on_start(worker: Self, _: kameo::actor::ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(worker)
    }
}

impl Message<u64> for KameoWorker {
    type Reply = ();

    async fn handle(&mut self, item: u64, _: &mut Context<Self, Self::Reply>) {
        self.tally.note(item);
    }
}

fn kameo_pool(runtime: &Runtime, items: usize) -> Measured {
    runtime.block_on(async {
        let tallies = Tallies::new();
        let tally = tallies.maker();
        let worker =
            move || KameoWorker::spawn_with_mailbox(KameoWorker { tally: tally() }, mailbox::bounded(CAPACITY));
        let pool = ActorPool::spawn_with_mailbox(ActorPool::new(WORKERS, worker), mailbox::bounded(CAPACITY));
        let began = Instant::now();
        for share in shares(items, PRODUCERS) {
            let pool = pool.clone();
            tokio::spawn(async move {
                for item in share {
                    // What is refused is missing in the end.
                    let _ = pool.tell(Dispatch(item)).send().await;
                }
            });
        }
        // With the last address the pool ends, and its workers with it, when their mailboxes are empty.
        drop(pool);
        measured(began, tallies, items).await
    })
}

struct RactorWorker;

impl Worker for RactorWorker {
    type Key = ();
    type Message = u64;
    type Arguments = Tally;
    type State = Tally;

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &ActorRef<FactoryMessage<(), u64>>,
        tally: Tally,
    ) -> Result<Tally, ActorProcessingErr> {
        Ok(tally)
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &ActorRef<FactoryMessage<(), u64>>,
        job: Job<(), u64>,
        tally: &mut Tally,
    ) -> Result<(), ActorProcessingErr> {
        tally.note(job.msg);
        Ok(())
    }
}

struct Tallied<M>(M);

impl<M: Fn() -> Tally + Send + Sync> WorkerBuilder<RactorWorker, Tally> for Tallied<M> {
    fn build(&mut self, _: WorkerId) -> (RactorWorker, Tally) {
        (RactorWorker, self.0())
    }
}

type Queuer = Factory<(), u64, Tally, RactorWorker, QueuerRouting<(), u64>, DefaultQueue<(), u64>>;

fn ractor_factory(runtime: &Runtime, items: usize) -> Measured {
    runtime.block_on(async {
        let tallies = Tallies::new();
        let workers: Box<dyn WorkerBuilder<RactorWorker, Tally>> = Box::new(Tallied(tallies.maker()));
        let arguments = FactoryArguments::builder()
            .num_initial_workers(WORKERS)
            .queue(DefaultQueue::default())
            .router(QueuerRouting::default())
            .worker_builder(workers)
            .build();
        let (factory, ended) = Queuer::spawn(None, Queuer::default(), arguments).await?;
        let senders = vec![factory.clone(); PRODUCERS].into_iter().map(|factory| {
            move |msg| {
                let job = Job { key: (), msg, options: Default::default(), accepted: None };
                // What is refused is missing in the end.
                let _ = factory.cast(FactoryMessage::Dispatch(job));
            }
        });
        let threads = Threads::new(items, senders);
        let began = threads.begin();
        // The factory must be told when there is no more, and the threads know.
        tokio::task::spawn_blocking(move || threads.join()).await??;
        factory.cast(FactoryMessage::DrainRequests)?;
        let measured = measured(began, tallies, items).await;
        ended.await?;
        measured
    })
}
