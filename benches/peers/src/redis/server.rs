//! A Redis of our own.

use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use redis::{Client, Connection};
use tempfile::TempDir;

const PROGRAM: &str = "redis-server";
const LIMIT: Duration = Duration::from_secs(10);

/// Runs until it is dropped; writes nothing to the disk.
pub(super) struct Server {
    child: Child,
    client: Client,
    pub(super) url: String,
    _folder: TempDir,
}

impl Server {
    /// `None` if the program is not installed.
    pub(super) fn start() -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        // Somebody else may take the port before Redis has it; then it ends, and the connection fails.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let started = Command::new(PROGRAM)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("cannot start redis-server"),
        };
        let url = format!("redis://127.0.0.1:{port}/");
        let mut server = Self { child, client: Client::open(&*url)?, url, _folder: folder };
        server.wait_until_it_answers()?;
        Ok(Some(server))
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while let Err(error) = self.connect() {
            if let Some(status) = self.child.try_wait()? {
                bail!("redis-server ended with {status}");
            }
            if began.elapsed() > LIMIT {
                return Err(error).context("redis-server does not answer");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(super) fn connect(&self) -> anyhow::Result<Connection> {
        Ok(self.client.get_connection()?)
    }

    /// Without what others left there.
    pub(super) fn emptied(&self) -> anyhow::Result<&Self> {
        redis::cmd("FLUSHALL").exec(&mut self.connect()?)?;
        Ok(self)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
