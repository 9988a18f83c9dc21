//! Who judges: not by what the queue says, but by what the workers did.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::{Ended, trace};

#[derive(Args)]
pub(crate) struct Options {
    /// How many jobs were put and confirmed: the numbers below this one
    #[arg(long, value_name = "N")]
    items: usize,
    /// What the workers traced
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// How often each job was done.
struct Account {
    times: Vec<u32>,
    from_nowhere: u64,
}

impl Account {
    fn of(items: usize) -> Self {
        Self { times: vec![0; items], from_nowhere: 0 }
    }

    fn note(&mut self, number: u64) {
        match usize::try_from(number).ok().and_then(|number| self.times.get_mut(number)) {
            Some(times) => *times += 1,
            None => self.from_nowhere += 1,
        }
    }

    fn lost(&self) -> usize {
        self.times.iter().filter(|&&times| times == 0).count()
    }

    fn duplicates(&self) -> u64 {
        self.times.iter().map(|&times| u64::from(times.saturating_sub(1))).sum()
    }
}

pub(crate) fn run(options: &Options) -> Ended {
    let mut account = Account::of(options.items);
    for file in &options.files {
        let numbers = trace::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{}: {} done", file.display(), numbers.len());
        numbers.into_iter().for_each(|number| account.note(number));
    }
    let (lost, from_nowhere) = (account.lost(), account.from_nowhere);
    println!("{} put, {lost} lost, {from_nowhere} from nowhere, {} done again", options.items, account.duplicates());
    Ok(if lost == 0 && from_nowhere == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
