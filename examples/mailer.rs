//! A mail sender that loses no mail: workers that are functions, retries, dead letters, an orderly end on ctrl-c and SIGTERM.
//!
//! ```sh
//! cargo run --example mailer          # sends what the last run left, or else some samples
//! cargo run --example mailer -- FILE  # sends what the last run left, then FILE; `-` is the standard input
//! ```
//!
//! A mail is a line: address, tab, text. The file `mails.left` has all mails during a run, and then those that are not done:
//! the next run sends them. So nothing is lost when a run is killed; some mails may be sent twice. `mails.failed` has the
//! mails that were given up, and why. To try these again, rename the file and send it.

use std::error::Error;
use std::fs::{self, File};
use std::future::pending;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;
use std::{env, thread};

use actix::clock::sleep;
use actix_iterable_queue::prelude::*;
use futures::future::join;

const LEFT: &str = "mails.left";
const FAILED: &str = "mails.failed";
const SAMPLES: [&str; 7] = [
    "anna@mail.example\tThe report is ready.",
    "bert@busy.example\tLunch at noon?",
    "cleo@flaky.example\tYour order is on its way.",
    "dora@slow.example\tWelcome!",
    "emma@gone.example\tDo you still read this?",
    "fred@down.example\tIs your server up?",
    "gina@mail.example\tSee you tomorrow.",
];

/// Sends a mail. In place of a server there are domains that fail as servers do.
async fn send(mail: &Item<String>) -> Result<Verdict, io::Error> {
    let Some((address, text)) = mail.split_once('\t') else {
        return Ok(Verdict::Reject("no tab between address and text".to_owned()));
    };
    sleep(Duration::from_millis(20)).await; // to the server and back
    Ok(match (address.rsplit('@').next(), mail.attempt()) {
        (Some("gone.example"), _) => Verdict::Reject("550 no such mailbox".to_owned()),
        (Some("busy.example"), 1) => Verdict::RetryAfter(Duration::from_millis(300), "450 come back later".to_owned()),
        (Some("flaky.example"), 1) => Err(ErrorKind::ConnectionReset)?,
        (Some("down.example"), _) => Err(ErrorKind::ConnectionRefused)?,
        (Some("slow.example"), 1) => pending().await, // no answer: the handler timeout drops this future
        (_, attempt) => {
            println!("sent to {address} at attempt {attempt}: {text}");
            Verdict::Ack
        }
    })
}

fn read(file: &str) -> Result<Vec<String>, String> {
    let text = if file == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| format!("{file}: {error}"))?;
    Ok(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect())
}

/// Replaces `mails.left` in one step: if the process dies meanwhile, the file is as it was.
fn save(mails: &[String]) -> Result<(), String> {
    let lines: String = mails.iter().map(|mail| format!("{mail}\n")).collect();
    let saved = fs::write("mails.new", lines).and_then(|()| fs::rename("mails.new", LEFT));
    saved.map_err(|error| format!("{LEFT}: {error}"))
}

#[actix::main]
async fn main() -> Result<PoolReport, Box<dyn Error>> {
    env_logger::init();
    let mut mails = if fs::exists(LEFT)? { read(LEFT)? } else { Vec::new() };
    match env::args().nth(1) {
        Some(file) => mails.extend(read(&file)?),
        None if mails.is_empty() => mails.extend(SAMPLES.map(String::from)),
        None => {}
    }
    save(&mails)?; // from here on no mail is lost, whatever happens
    let count = mails.len();

    let queue = IterableQueue::builder()
        .name("mails")
        .capacity(100)
        .max_attempts(3)
        .redelivery_backoff(Backoff::exponential(Duration::from_millis(50), Duration::from_secs(1)))
        .keep_dead_letters(usize::MAX) // for when they cannot be written
        .build()?;

    let letters = queue.dead_letters()?;
    let mut failed = File::options().create(true).append(true).open(FAILED).map_err(|e| format!("{FAILED}: {e}"))?;
    let writer = thread::spawn(move || {
        for letter in letters.into_blocking_leases() {
            failed.write_all(format!("# {}\n{}\n", *letter, letter.item).as_bytes())?;
            letter.ack(); // after an error this letter, and all further ones, stay in the queue
        }
        Ok::<_, io::Error>(())
    });

    let timeout = Duration::from_millis(200); // in real use 10 s
    let pool = WorkerPool::builder(&queue).name("mailer").workers(2).max_in_flight(8).handler_timeout(timeout);
    let pool = pool.run_async(send)?;
    let grace = Duration::from_millis(500); // in real use 20 s: more than the timeout, less than what the platform gives
    let producer = queue.producer()?;
    queue.seal(); // there will be no other producer
    let feed = async move {
        let mut rest = mails.into_iter();
        let refused = producer.put_all(&mut rest).await.err(); // after a signal the queue takes no more
        refused.map(PutError::into_inner).into_iter().chain(rest)
    }; // drops the producer, and so closes it

    let (not_put, end) = join(feed, queue.shutdown_on_signal(grace)?).await; // all is done, or the grace is over
    let report = pool.drained().await?; // what workers still had is done, or came back: the timeout sees to it
    let written = writer.join().map_err(|_| "the writer of dead letters panicked")?;

    let unwritten: Vec<_> = queue.dead_letters()?.into_iter().map(|letter| letter.item).collect();
    let given_up = report.drained.totals.dead_lettered - unwritten.len() as u64;
    let mut left = end.left; // what no worker had when the grace was over
    left.extend(queue.take_left()); // what came back from workers after that
    left.extend(not_put.chain(unwritten));
    save(&left)?;
    println!("{count} to send: {} sent, {given_up} given up, {} left", report.totals.acked, left.len());
    written.map_err(|error| format!("{FAILED}: {error}"))?;
    match left.len() {
        0 => Ok(report), // prints the totals and fails, if mails were given up
        n => Err(format!("{n} mails are in {LEFT}: run it again").into()),
    }
}
