//! Programs that are timed from start to end.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use process_control::{ChildExt as _, Control as _};
use serde_json::Value;

use crate::children;
use crate::trial::Failure;

/// A build takes minutes where there is nothing to begin with.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// One program, or one whose output is the next one's input.
pub(super) struct Pipeline(Vec<Vec<String>>);

impl Pipeline {
    pub(super) fn of<'a>(program: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Vec::new()).into(program)
    }

    pub(super) fn into<'a>(mut self, program: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.push(program.into_iter().map(String::from).collect());
        self
    }

    /// How long it took, and what it printed: into a file, so that nobody has to keep up with it.
    pub(super) fn run(&self) -> anyhow::Result<(Duration, String)> {
        let folder = tempfile::tempdir()?;
        let (output, errors) = (folder.path().join("sums"), folder.path().join("errors"));
        let said = File::create(&errors)?;
        let mut stdout = Some(Stdio::from(File::create(&output)?));
        let began = Instant::now();
        let mut stdin = Stdio::null();
        let mut children = Children(Vec::with_capacity(self.0.len()));
        for (index, words) in self.0.iter().enumerate() {
            let (program, arguments) = words.split_first().context("no program")?;
            let last = index + 1 == self.0.len();
            let to = if last { stdout.take().unwrap_or_else(Stdio::null) } else { Stdio::piped() };
            let mut command = Command::new(program);
            command.args(arguments).stdin(stdin).stdout(to).stderr(said.try_clone()?);
            let mut child = children::start(&mut command)?;
            stdin = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
            children.0.push(child);
        }
        for (child, words) in children.0.iter_mut().zip(&self.0) {
            let ended = child.controlled().time_limit(children::LIMIT).terminate_for_timeout().wait()?;
            let ended = ended.ok_or(Failure::Hung { seconds: children::LIMIT.as_secs() })?;
            ensure!(ended.success(), "{} ended with {ended}: {}", words[0], fs::read_to_string(&errors)?);
        }
        let time = began.elapsed();
        Ok((time, fs::read_to_string(output)?))
    }
}

/// None of them is left when one has failed.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Most of them have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// That all these programs are installed.
pub(super) fn need(programs: &[&str]) -> Result<(), Failure> {
    for program in programs {
        // Windows has another `find`.
        if cfg!(not(unix)) {
            return Err(Failure::missing(format!("{program}, as Unix has it")));
        }
        children::output(Command::new(program).arg("--version")).map_err(Failure::from)?;
    }
    Ok(())
}

/// Cargo builds the example, if need be, and knows where it is.
pub(super) fn checksum_program() -> anyhow::Result<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args(["build", "--release", "--package", "checksum"])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(manifest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let build = children::finish(&mut build, BUILD_LIMIT)?;
    ensure!(build.status.success(), "cargo could not build the example");
    let executable = build.stdout.split(|&byte| byte == b'\n').find_map(|message| {
        let message: Value = serde_json::from_slice(message).ok()?;
        (message["target"]["name"] == "checksum").then_some(())?;
        Some(message["executable"].as_str()?.to_owned())
    });
    executable.context("cargo does not say where the example is")
}
