//! Who puts.

use std::time::Instant;

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
    /// Others may feed, too: the queue ends when one without this option has sealed it
    #[arg(long)]
    keep_open: bool,
}

pub(crate) async fn run(options: Options) -> Ended {
    let queue = options.queue.builder().connect().await?;
    let producer = queue.producer_named("feed")?;
    if !options.keep_open {
        queue.seal();
    }
    let began = Instant::now();
    let jobs = (options.first..options.first + options.items).map(|number| Job { number });
    let put = producer.put_all(jobs).await?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{put} put and confirmed in {seconds:.2} s, {:.0} a second", put as f64 / seconds);
    drop(producer);
    // Its handle could open producers, and is shown by `status`. This process only waits.
    let drained = queue.drained();
    drop(queue);
    Ok(farewell(&format!("{put} put"), &drained.await))
}
