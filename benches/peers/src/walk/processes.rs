//! Programs that are timed from start to end.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

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
        let output = folder.path().join("sums");
        let mut stdout = Some(Stdio::from(File::create(&output)?));
        let began = Instant::now();
        let mut stdin = Stdio::null();
        let mut children = Vec::with_capacity(self.0.len());
        for (index, words) in self.0.iter().enumerate() {
            let last = index + 1 == self.0.len();
            let to = if last { stdout.take().unwrap_or_else(Stdio::null) } else { Stdio::piped() };
            let mut child = start(words, stdin, to)?;
            stdin = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
            children.push(child);
        }
        for (child, words) in children.into_iter().zip(&self.0) {
            let finished = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&finished.stderr);
            ensure!(finished.status.success(), "{} ended with {}: {said}", words[0], finished.status);
        }
        let time = began.elapsed();
        Ok((time, fs::read_to_string(output)?))
    }
}

fn start(words: &[String], stdin: Stdio, stdout: Stdio) -> anyhow::Result<Child> {
    let (program, arguments) = words.split_first().context("no program")?;
    Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))
}

/// Whether there is such a program; where there is not, it is said.
pub(super) fn is_here(program: &str) -> bool {
    let mut probe = Command::new(program);
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Windows has another `find`.
    let here = cfg!(unix) && probe.status().is_ok();
    if !here {
        println!("walk: there is no {program} on this machine, so it is not among the peers");
    }
    here
}

/// Cargo builds the example, if need be, and knows where it is.
pub(super) fn checksum_program() -> anyhow::Result<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "actix-iterable-queue", "--example", "checksum"])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(build.status.success(), "cargo could not build the example");
    let executable = build.stdout.split(|&byte| byte == b'\n').find_map(|message| {
        let message: Value = serde_json::from_slice(message).ok()?;
        (message["target"]["name"] == "checksum").then_some(())?;
        Some(message["executable"].as_str()?.to_owned())
    });
    executable.context("cargo does not say where the example is")
}
