//! `web [--port N] [--workers N] [--capacity N] [--grace SECONDS]`: a web service that takes jobs, and
//! keeps its word on the way out.
//!
//! ```sh
//! cargo run --release -p web
//! curl -i localhost:8080/jobs --json '{"text": "how many words are these", "millis": 500}'
//! curl localhost:8080/jobs/1
//! curl localhost:8080/status
//! ```
//!
//! `POST /jobs` answers 202 with the job's id, or 503: with `Retry-After` while the queue is full,
//! without it when the service is about to end. A job with the text `panic` crashes its worker; after
//! its last attempt it has failed. With `RUST_LOG=web=info` each finished job is logged.
//!
//! SIGTERM and ctrl-c: no new jobs, what was accepted is finished within the grace, and what was not
//! is listed as left over. Every job that was answered 202 is finished or listed, never both.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::clock::sleep;
use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A web service that counts words.
#[derive(Parser)]
#[command(name = "web")]
struct Args {
    /// Where to listen; 0 for any port that is free
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// How many jobs to work on at a time, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// How many jobs may wait, at least 1
    #[arg(long, value_name = "N", default_value_t = 1000)]
    capacity: usize,
    /// How long to go on with accepted jobs after SIGTERM or ctrl-c
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

/// Finished jobs that can still be asked for; older ones are forgotten.
const REMEMBERED: usize = 10_000;

#[actix::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    env_logger::init();
    let args = Args::parse();
    let backoff = Backoff::exponential(Duration::from_millis(50), Duration::from_secs(5));
    let queue =
        IterableQueue::<Job>::builder().name("jobs").capacity(args.capacity).redelivery_backoff(backoff).build()?;
    let jobs = Arc::new(Jobs::default());

    let mut dead_letters = queue.dead_letters()?;
    let table = Arc::clone(&jobs);
    let read_dead_letters = actix::spawn(async move {
        while let Some(letter) = dead_letters.get().await {
            table.set(letter.item.id, JobState::Failed { reason: letter.to_string() });
        }
    });
    // A worker has one job at a time: a crash takes all that it holds with it, and that is one attempt
    // at each.
    let pool = WorkerPool::builder(&queue).workers(usize::from(args.workers)).start({
        let jobs = Arc::clone(&jobs);
        move |_index| Worker(Arc::clone(&jobs))
    })?;

    let producer = queue.producer_named("http")?;
    let server = HttpServer::new({
        let (queue, jobs) = (queue.clone(), Arc::clone(&jobs));
        move || {
            let service = Service { queue: queue.clone(), producer: producer.clone(), jobs: Arc::clone(&jobs) };
            App::new()
                .app_data(web::Data::new(service))
                .route("/jobs", web::post().to(submit))
                .route("/jobs/{id}", web::get().to(job))
                .route("/status", web::get().to(status))
        }
    });
    // The signals are for the queue: the server goes on until the jobs are done.
    let server = server.disable_signals().shutdown_timeout(5).bind((Ipv4Addr::LOCALHOST, args.port))?;
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = actix::spawn(server);

    let shutdown = queue.shutdown_on_signal(Duration::from_secs(args.grace))?;
    println!("listening on http://{address}");
    shutdown.await;
    // The queue has ended and accepts nothing. What became a dead letter before that is written down
    // before the rest is given up; from there on, workers that are not done cannot finish a job.
    read_dead_letters.await?;
    let left = jobs.give_up();
    for id in &left {
        println!("left over: job {id}");
    }
    let accepted = jobs.table().accepted;
    println!("{accepted} {} accepted, {} left over", if accepted == 1 { "job" } else { "jobs" }, left.len());
    handle.stop(true).await; // the last answers go out
    serving.await??;
    if left.is_empty() {
        pool.drained().await?;
    } // otherwise nobody waits for what is in hand
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a client sends.
#[derive(Deserialize)]
struct NewJob {
    text: String,
    /// Pretended work.
    #[serde(default)]
    millis: u64,
}

struct Job {
    id: u64,
    text: String,
    millis: u64,
}

/// Each thread of the server has one, with its own handle of the producer.
struct Service {
    queue: IterableQueue<Job>,
    producer: Producer<Job>,
    jobs: Arc<Jobs>,
}

async fn submit(service: web::Data<Service>, new: web::Json<NewJob>) -> HttpResponse {
    let NewJob { text, millis } = new.into_inner();
    match service.jobs.accept(|id| service.producer.try_put(Job { id, text, millis })) {
        Ok(id) => {
            let location = (LOCATION, format!("/jobs/{id}"));
            HttpResponse::Accepted().insert_header(location).json(json!({ "id": id }))
        }
        Err(TryPutError::Full(_)) => HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).finish(),
        Err(refused) => HttpResponse::ServiceUnavailable().body(refused.to_string()),
    }
}

async fn job(service: web::Data<Service>, id: web::Path<u64>) -> HttpResponse {
    match service.jobs.table().states.get(&id) {
        Some(state) => HttpResponse::Ok().json(state),
        None => HttpResponse::NotFound().body("no such job, or it was finished long ago"),
    }
}

async fn status(service: web::Data<Service>) -> HttpResponse {
    HttpResponse::Ok().json(service.queue.snapshot())
}

struct Worker(Arc<Jobs>);

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<Job>> for Worker {
    // A future of the actor, not of its thread: a panic ends the worker, and the worker's end ends it.
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, job: Item<Job>, _: &mut Self::Context) -> Self::Result {
        let jobs = Arc::clone(&self.0);
        let work = async move {
            jobs.set(job.id, JobState::Running { attempt: job.attempt() });
            if job.millis > 0 {
                sleep(Duration::from_millis(job.millis)).await;
            }
            assert!(job.text != "panic", "this text brings bad luck");
            // Before the ack: when the queue is drained, all results are there.
            jobs.set(job.id, JobState::Done { words: job.text.split_whitespace().count() });
            job.ack();
        };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum JobState {
    Queued,
    Running { attempt: u32 },
    Done { words: usize },
    Failed { reason: String },
    LeftOver,
}

impl JobState {
    fn is_open(&self) -> bool {
        matches!(self, Self::Queued | Self::Running { .. })
    }
}

/// Every accepted job, and what has become of it.
#[derive(Default)]
struct Jobs(Mutex<Table>);

#[derive(Default)]
struct Table {
    accepted: u64,
    states: BTreeMap<u64, JobState>,
    /// Oldest first.
    finished: VecDeque<u64>,
}

impl Jobs {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job and writes it down, with nothing in between: no worker finishes a job that is not
    /// in the table yet, and none is in there that the queue refused.
    fn accept<E>(&self, put: impl FnOnce(u64) -> Result<(), E>) -> Result<u64, E> {
        let mut table = self.table();
        let id = table.accepted + 1;
        put(id)?;
        table.accepted = id;
        table.states.insert(id, JobState::Queued);
        Ok(id)
    }

    /// Unless the job is finished or given up: that is final.
    fn set(&self, id: u64, state: JobState) {
        let mut table = self.table();
        let Some(known) = table.states.get_mut(&id).filter(|known| known.is_open()) else { return };
        *known = state;
        if !known.is_open() {
            log::info!("job {id} finished: {known:?}");
            table.finished.push_back(id);
        }
        if table.finished.len() > REMEMBERED {
            let oldest = table.finished.pop_front();
            oldest.and_then(|oldest| table.states.remove(&oldest));
        }
    }

    /// Gives up every job that is not finished. This knows more than the `left` of the queue's report:
    /// also what the workers had in hand.
    fn give_up(&self) -> Vec<u64> {
        let mut table = self.table();
        let open = table.states.iter_mut().filter(|(_, state)| state.is_open());
        let left = open.map(|(&id, state)| (id, *state = JobState::LeftOver).0);
        left.collect()
    }
}
