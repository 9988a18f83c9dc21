//! A Redis of one's own: on a free port, with a folder of its own, to be killed, frozen and started again.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::ops::Range;
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use harness::{eventually, signal};
use redis::FromRedisValue;
use tempfile::TempDir;

/// Below the range from which the system takes ports for connections. There, somebody who tries to connect to a
/// server that is down may meet himself, and the port would be taken when the server comes back.
const PORTS: Range<u16> = 20_000..32_000;

/// A redis-server. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    process: Child,
}

impl Server {
    /// With nothing on disk.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more options: `["--appendonly yes", "--maxmemory 10mb"]`.
    pub fn with(options: &[&str]) -> Self {
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

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Sends a command, written as in `redis-cli`, on a connection of its own.
    #[track_caller]
    pub fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The same, where Redis may refuse.
    pub fn try_ask<T: FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        ask(self.port, command)
    }

    /// A figure of `INFO`, 0 if it is not there.
    #[track_caller]
    pub fn info(&self, figure: &str) -> u64 {
        let info: String = self.ask("INFO everything");
        number_after(&info, &format!("\n{figure}"))
    }

    /// As a replica: waits until it has all that the primary has now.
    pub fn catch_up(&self, primary: &Self) {
        let mark: u64 = primary.ask("INCR mark");
        eventually("the replica has caught up", || self.ask::<Option<u64>>("GET mark") == Some(mark));
    }

    /// As a replica: the same without a write.
    pub fn catch_up_to_bytes(&self, primary: &Self) {
        let mark = primary.info("master_repl_offset");
        eventually("the replica has caught up", || self.info("master_repl_offset") >= mark);
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        end(&mut self.process);
    }

    /// After `kill9`: on the same port, with what is left in the folder.
    pub fn restart(&mut self) {
        end(&mut self.process);
        self.process = launch(self.port, &self.folder, &self.options).unwrap_or_else(|| {
            panic!("Redis does not start again:\n{}", fs::read_to_string(log_of(&self.folder)).unwrap_or_default())
        });
    }

    /// After `kill9`, with `--appendonly yes`: as if it were started again only after so much time. To all that it is
    /// told, the clock is the server's, so every moment that it has noted is put back instead.
    pub fn let_pass(&self, time: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        let time = time.as_millis() as u64;
        for file in fs::read_dir(self.folder.path().join("appendonlydir")).expect("what it has written") {
            let file = file.expect("a file").path();
            if file.extension().is_some_and(|extension| extension == "aof") {
                let text = fs::read(&file).expect("a file");
                fs::write(&file, put_back(&text, now - time..now + time, time)).expect("the same file");
            }
        }
    }

    /// It answers nobody until `thaw`; connections stay open.
    pub fn freeze(&self) {
        signal(self.process.id(), "STOP");
    }

    pub fn thaw(&self) {
        signal(self.process.id(), "CONT");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A port that nobody had a moment ago.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}

/// The number that stands behind `figure:` or `figure:…=`.
pub fn number_after(text: &str, figure: &str) -> u64 {
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

/// Lessens all numbers within the range, which have as many digits afterwards.
fn put_back(text: &[u8], range: Range<u64>, by: u64) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    for part in text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        let number = str::from_utf8(part).ok().and_then(|digits| digits.parse().ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => result.extend((number - by).to_string().into_bytes()),
            None => result.extend(part),
        }
    }
    result
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
    let mut process =
        harness::redis_server([file.into_os_string()].into_iter().chain(options.iter().map(OsString::from)));
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
