//! Programs that are run to be measured, or to measure.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use process_control::{ChildExt as _, Control as _};

use crate::trial::Failure;

/// After this much time a child has hung, and is killed: before the watchdog gives up on a run that has two of them.
pub(crate) const LIMIT: Duration = Duration::from_secs(50);

/// Starts a program. One that is not installed is [`Failure::Missing`].
pub(crate) fn start(command: &mut Command) -> anyhow::Result<Child> {
    let started = command.spawn();
    let program = command.get_program().to_string_lossy();
    match started {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::missing(program).into()),
        started => started.with_context(|| format!("cannot start {program}")),
    }
}

/// Runs a program to its end, and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Output> {
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), LIMIT)
}

/// Runs a program to its end, or kills it after this much time. Returns what it printed into pipes.
pub(crate) fn finish(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    let child = start(command)?;
    let ended = child.controlled_with_output().time_limit(limit).terminate_for_timeout().wait()?;
    Ok(ended.ok_or(Failure::Hung { seconds: limit.as_secs() })?.into_std_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_is_missing() {
        let missing = output(&mut Command::new("there-is-no-such-program")).map_err(Failure::from);
        assert_eq!(missing, Err(Failure::missing("there-is-no-such-program")));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_hangs_is_killed() {
        let hung = finish(Command::new("sleep").arg("3600"), Duration::from_millis(50)).map_err(Failure::from);
        assert_eq!(hung, Err(Failure::Hung { seconds: 0 }));
    }
}
