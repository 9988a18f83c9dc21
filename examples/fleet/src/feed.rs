//! Who puts.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use actix_iterable_queue::error::{OpenError, Refusal};
use actix_iterable_queue::{IterableQueue, Producer};
use clap::Args;

use crate::{Ended, Job, Queue, farewell};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    queue: Queue,
    /// How many jobs to put
    #[arg(long, value_name = "N")]
    items: u64,
    /// The number of the first one, where several feed
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Others feed, too: end once Redis has these jobs, and leave the queue open
    #[arg(long)]
    keep_open: bool,
}

pub(crate) async fn run(options: Options) -> Ended {
    let began = Instant::now();
    let mut jobs = (options.first..options.first + options.items).map(|number| Job { number });
    let (queue, put) = match jobs.next() {
        Some(first) => {
            let (queue, producer) = begin(&options.queue, first).await?;
            let put = 1 + producer.put_all(jobs).await?;
            (queue, put)
        }
        None => (options.queue.builder().connect().await?, 0),
    };
    let seconds = began.elapsed().as_secs_f64();
    println!("{put} put and confirmed in {seconds:.2} s, {:.0} a second", put as f64 / seconds);
    if options.keep_open {
        // That its producer is closed is to be known, too, before this process ends.
        queue.flush().await;
        return Ok(ExitCode::SUCCESS);
    }
    queue.seal();
    // Its handle could open producers, and is shown by `status`. This process only waits.
    let drained = queue.drained();
    drop(queue);
    Ok(farewell(&format!("{put} put"), &drained.await))
}

/// Puts the first job into the queue that is open; or, if another feed has sealed that, into the next one.
async fn begin(options: &Queue, mut job: Job) -> Result<(IterableQueue<Job>, Producer<Job>), Box<dyn Error>> {
    loop {
        let queue = options.builder().connect().await?;
        match queue.producer_named("feed") {
            // It was sealed just now if this one is refused.
            Ok(producer) => match producer.put(job).await {
                Ok(()) => return Ok((queue, producer)),
                Err(error) if matches!(error.reason(), Refusal::Sealed | Refusal::Closed) => job = error.into_inner(),
                Err(error) => return Err(error.into()),
            },
            Err(OpenError::Sealed | OpenError::Ended) => {}
            Err(error) => return Err(error.into()),
        }
        eprintln!("fleet: no more is to come into this queue, so this feed begins the next one when it has ended");
        let drained = queue.drained();
        drop(queue);
        drained.await;
    }
}
