//! A Redis of one's own: on a free port, with a folder of its own, to be killed, frozen and started again.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use redis::FromRedisValue;
use tempfile::TempDir;

use super::program::{eventually, signal};

/// Below the range from which the system takes ports for connections. There, somebody who tries to connect to a
/// server that is down may meet himself, and the port would be taken when the server comes back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A redis-server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    process: Child,
}

impl Server {
    /// With nothing on disk.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more options: `["--appendonly yes", "--maxmemory 10mb"]`.
    pub(crate) fn with(options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect();
        // In memory where there is such a place: kill -9 is no power cut, and no test waits for a disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder for Redis");
        loop {
            let port = free_port();
            if let Some(process) = launch(port, &folder, &options) {
                return Self { port, folder, options, process };
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Sends a command, written as in `redis-cli`, on a connection of its own.
    #[track_caller]
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The same, where Redis may refuse.
    pub(crate) fn try_ask<T: FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        ask(self.port, command)
    }

    /// A figure of `INFO`, 0 if it is not there.
    #[track_caller]
    pub(crate) fn info(&self, figure: &str) -> u64 {
        let info: String = self.ask("INFO everything");
        number_after(&info, &format!("\n{figure}"))
    }

    /// As a replica: waits until it has all that the primary has now.
    pub(crate) fn catch_up(&self, primary: &Self) {
        let mark: u64 = primary.ask("INCR mark");
        eventually("the replica has caught up", || self.ask::<Option<u64>>("GET mark") == Some(mark));
    }

    /// As a replica: the same without a write.
    pub(crate) fn catch_up_to_bytes(&self, primary: &Self) {
        let mark = primary.info("master_repl_offset");
        eventually("the replica has caught up", || self.info("master_repl_offset") >= mark);
    }

    /// `kill -9`.
    pub(crate) fn kill9(&mut self) {
        end(&mut self.process);
    }

    /// After `kill9`: on the same port, with what is left in the folder.
    pub(crate) fn restart(&mut self) {
        end(&mut self.process);
        self.process = launch(self.port, &self.folder, &self.options).unwrap_or_else(|| {
            panic!("Redis does not start again:\n{}", fs::read_to_string(log_of(&self.folder)).unwrap_or_default())
        });
    }

    /// It answers nobody until `thaw`; connections stay open.
    pub(crate) fn freeze(&self) {
        signal(self.process.id(), "STOP");
    }

    pub(crate) fn thaw(&self) {
        signal(self.process.id(), "CONT");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}

/// The number that stands behind `figure:` or `figure:…=`.
pub(crate) fn number_after(text: &str, figure: &str) -> u64 {
    let rest = text.split_once(&format!("{figure}:")).map_or("", |(_, rest)| rest);
    let digits = rest.trim_start_matches(|c: char| c.is_alphabetic() || c == '=');
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn ask<T: FromRedisValue>(port: u16, command: &str) -> redis::RedisResult<T> {
    let mut words = command.split(' ');
    let mut request = redis::cmd(words.next().unwrap_or_default());
    request.arg(words.collect::<Vec<_>>());
    let patience = Duration::from_secs(60);
    let mut connection = redis::Client::open(url(port))?.get_connection_with_timeout(patience)?;
    connection.set_read_timeout(Some(patience))?;
    request.query(&mut connection)
}

fn log_of(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("log")
}

/// Until it answers, or ends because somebody else has the port.
fn launch(port: u16, folder: &TempDir, options: &[String]) -> Option<Child> {
    let mut settings = String::new();
    for (name, value) in [
        ("port", port.to_string()),
        ("bind", "127.0.0.1".to_owned()),
        ("dir", folder.path().display().to_string()),
        ("logfile", log_of(folder).display().to_string()),
        ("save", "\"\"".to_owned()),
        // Otherwise a replica that has the data is sent the news only a second later.
        ("repl-diskless-sync", "no".to_owned()),
    ] {
        writeln!(settings, "{name} {value}").expect("a string takes everything");
    }
    let file = folder.path().join("redis.conf");
    fs::write(&file, settings).expect("settings for Redis");
    let launched =
        Command::new("redis-server").arg(file).args(options).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut process = match launched {
        Ok(process) => process,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("the tests of the feature redis need redis-server: on Debian apt-get install redis-server")
        }
        Err(error) => panic!("redis-server does not start: {error}"),
    };
    loop {
        if process.try_wait().expect("it is a child of ours").is_some() {
            return None;
        }
        let ready = ask(port, "PING").is_ok_and(|answer: String| answer == "PONG");
        // Another server could have been quicker to take the port.
        let ours = |info: String| number_after(&info, "process_id") == u64::from(process.id());
        if ready && ask(port, "INFO server").is_ok_and(ours) {
            return Some(process);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn end(process: &mut Child) {
    let _ = process.kill(); // also a frozen one, and it may have ended before
    let _ = process.wait();
}
