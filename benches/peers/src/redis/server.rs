//! A Redis of our own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Connection};
use tempfile::TempDir;

use crate::children;
use crate::trial::Failure;

const PROGRAM: &str = "redis-server";
const LIMIT: Duration = Duration::from_secs(10);

/// Where a server is. If there is none, that is what goes wrong with each run that needs it.
#[derive(Clone)]
pub(super) struct Address(Result<Here, Failure>);

impl Address {
    /// A connection to an empty server.
    pub(super) fn emptied(&self) -> anyhow::Result<Here> {
        let here = self.0.clone()?;
        let emptied = here.connect().and_then(|mut connection| Ok(redis::cmd("FLUSHALL").exec(&mut connection)?));
        emptied.map_err(|error| Failure::missing(format!("{PROGRAM} does not answer ({error:#})")))?;
        Ok(here)
    }
}

/// A server that answers.
#[derive(Clone)]
pub(super) struct Here {
    client: Client,
    pub(super) url: String,
}

impl Here {
    pub(super) fn connect(&self) -> anyhow::Result<Connection> {
        Ok(self.client.get_connection()?)
    }
}

/// Runs until it is dropped; writes nothing to the disk.
pub(super) struct Server {
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts a server, if the program is installed, and says where it is.
    pub(super) fn start() -> (Option<Self>, Address) {
        match Self::try_start() {
            Ok((server, here)) => (Some(server), Address(Ok(here))),
            Err(error) => (None, Address(Err(error.into()))),
        }
    }

    fn try_start() -> anyhow::Result<(Self, Here)> {
        let folder = tempfile::tempdir()?;
        // Somebody else may take the port before Redis has it; then it ends, and the connection fails.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new(PROGRAM);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut server = Self { child: children::start(&mut command)?, _folder: folder };
        let url = format!("redis://127.0.0.1:{port}/");
        let here = Here { client: Client::open(&*url)?, url };
        server.wait_until_it_answers(&here)?;
        Ok((server, here))
    }

    fn wait_until_it_answers(&mut self, here: &Here) -> anyhow::Result<()> {
        let began = Instant::now();
        while let Err(error) = here.connect() {
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure::missing(format!("{PROGRAM} ended with {status}")).into());
            }
            if began.elapsed() > LIMIT {
                return Err(Failure::missing(format!("{PROGRAM} does not answer ({error})")).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
