//! Calls that make this process one of the queue's, and find out where it is after an outage.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::queue_client::{Name, Process, QueueClient, pointer};
use super::report::QueueReport;
use super::scripts::{Key, LETTERS, SCRIPTS};
use super::types::{Failure, Settings};
use super::wire::foreign;
use crate::redis::server::connection::{Connection, QueueConnections};

/// What came of joining a queue.
#[derive(Debug)]
pub(crate) enum Joined {
    /// This process is one of its processes. It has one opener, and no endpoint yet.
    Ok(QueueClient),
    /// There is none that has not ended.
    None,
    /// Another one is the current one now.
    Again,
    /// It has ended: that of a process that came back.
    Ended,
    /// The queue is there with another setting.
    Mismatch { field: String, theirs: String, ours: String },
}

/// What came of joining again after [`Failure::Fenced`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejoined {
    Ok,
    Ended,
}

/// What Redis knows of this process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) last_put: u64,
    pub(crate) last_batch: u64,
}

impl QueueClient {
    /// Joins the queue of that name. If there is none, or if it has ended, it is begun, or [`Joined::None`] if `begin` is
    /// false. `process_id` must be one that nobody has used.
    pub(crate) async fn join(
        pair: impl Into<QueueConnections>,
        name: &str,
        settings: &Settings,
        process_id: &str,
        process_name: &str,
        begin: bool,
    ) -> Result<Joined, Failure> {
        let name = Name { pointer: pointer(name), process: process_name.to_owned() };
        let pair = pair.into();
        loop {
            let current: Option<String> = redis::cmd("GET").arg(&name.pointer).query_async(&mut pair.control()).await?;
            let current = current.unwrap_or_default();
            let process = Process::new(name.clone(), &current, process_id, settings.encode());
            let client = Self { pair: pair.clone(), conn: 1, process: Arc::new(process) };
            // With no pointer there is nothing to join.
            let joined = if current.is_empty() { Joined::None } else { client.try_join(&current).await? };
            match joined {
                Joined::None if begin => client.begin(&current).await?,
                // Another queue has begun meanwhile.
                Joined::Again => {}
                joined => return Ok(joined),
            }
        }
    }

    /// The queue of the dead letters of this one, to be joined with [`QueueClient::rejoin`]. It keeps no connection.
    pub(crate) fn letters(&self, settings: &Settings) -> Self {
        let process = Process::new(self.process.name.clone(), LETTERS, "", settings.encode());
        Self { pair: self.pair.none(), conn: self.conn, process: Arc::new(process) }
    }

    /// The same queue, without connections.
    pub(crate) fn unconnected(&self) -> Self {
        Self { pair: self.pair.none(), ..self.clone() }
    }

    /// Begins a queue in the place of the current one.
    async fn begin(&self, current: &str) -> Result<(), Failure> {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.pair.control()).await?;
        let mut number = seconds * 1_000_000 + micros;
        loop {
            let generation = number.to_string();
            let process = Process::new(self.process.name.clone(), &generation, &self.process.id, Vec::new());
            let begun = Self { process: Arc::new(process), ..self.clone() };
            let reply = begun.call(&SCRIPTS.begin, |cmd| _ = cmd.arg(current).arg(&generation)).await?;
            match reply.word() {
                "OK" | "AGAIN" => return Ok(()),
                "TAKEN" => number += 1,
                _ => return Err(reply.failure()),
            }
        }
    }

    async fn try_join(&self, current: &str) -> Result<Joined, Failure> {
        let process = &self.process;
        let mut reply = self
            .call(&SCRIPTS.join, |cmd| {
                cmd.arg(&process.name.process).arg(current).arg(&process.settings);
            })
            .await?;
        match reply.word() {
            "OK" => {
                process.set_clock(reply.next()?);
                Ok(Joined::Ok(self.clone()))
            }
            "MISMATCH" => Ok(Joined::Mismatch { field: reply.next()?, theirs: reply.next()?, ours: reply.next()? }),
            "NONE" => Ok(Joined::None),
            "AGAIN" => Ok(Joined::Again),
            "ENDED" => Ok(Joined::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// A look from outside at the queue of that name, as it was last begun.
    pub(crate) async fn look(pair: &QueueConnections, name: &str) -> Result<Option<QueueReport>, Failure> {
        let name = Name { pointer: pointer(name), process: String::new() };
        let generation: Option<String> = redis::cmd("GET").arg(&name.pointer).query_async(&mut pair.control()).await?;
        let Some(generation) = generation else { return Ok(None) };
        let process = Process::new(name, &generation, "", Vec::new());
        match (Self { pair: pair.clone(), conn: 0, process: Arc::new(process) }).report().await {
            Ok(report) => Ok(Some(report)),
            Err(Failure::Gone) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Joins the same queue anew under another id, after [`Failure::Fenced`]. All that this process held
    /// is void. It has one opener, and no endpoint. Never begins a queue: who waited for the end of
    /// this one must hear of it. But that of dead letters has no end, and begins with the first process that asks.
    pub(crate) async fn rejoin(&mut self, process_id: &str) -> Result<Rejoined, Failure> {
        let old = &self.process;
        let process = Process::new(old.name.clone(), &old.generation, process_id, old.settings.clone());
        process.next_id.store(old.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
        let client = Self { process: Arc::new(process), ..self.clone() };
        let current = if self.is_of_letters() { LETTERS } else { "" };
        if self.is_of_letters() {
            client.call(&SCRIPTS.begin, |cmd| _ = cmd.arg("").arg("")).await?.done()?;
        }
        match client.try_join(current).await? {
            Joined::Ok(client) => {
                *self = client;
                Ok(Rejoined::Ok)
            }
            Joined::Ended => Ok(Rejoined::Ended),
            other => Err(foreign_join(&other)),
        }
    }

    /// Whether another generation of the queue is there in the place of this one.
    pub(crate) async fn is_superseded(&self) -> Result<bool, Failure> {
        let mut cmd = redis::cmd("GET");
        let now: Option<String> = cmd.arg(self.process.key(Key::Pointer)).query_async(&mut self.pair.control()).await?;
        Ok(now.is_some_and(|now| now != self.process.generation))
    }

    /// To be called first after each further connection: calls through earlier ones do nothing from now
    /// on, so what this tells stays true.
    pub(crate) async fn attach(&self) -> Result<Attached, Failure> {
        self.attach_through(self.pair.control()).await
    }

    /// Attaches through both connections: where the address has just led elsewhere, they may lead to two servers.
    pub(crate) async fn attach_both(&self) -> Result<Attached, Failure> {
        self.attach().await?;
        self.attach_through(self.pair.bulk()).await
    }

    async fn attach_through(&self, line: Connection) -> Result<Attached, Failure> {
        let mut reply = self.call_through(line, &SCRIPTS.attach, |_| {}).await?;
        match reply.word() {
            "OK" => Ok(Attached { last_put: reply.next()?, last_batch: reply.next()? }),
            _ => Err(reply.failure()),
        }
    }

    /// The last item that was accepted from a process that is not one any more, as long as the retention.
    pub(crate) async fn last_put_of(&self, process_id: &str) -> Result<Option<u64>, Failure> {
        let mut connection = self.pair.control();
        Ok(redis::cmd("HGET").arg(self.process.key(Key::Was)).arg(process_id).query_async(&mut connection).await?)
    }
}

/// Only a queue that is not what its keys say can answer this.
fn foreign_join(joined: &Joined) -> Failure {
    match joined {
        Joined::Mismatch { .. } => foreign("a queue with other settings"),
        _ => foreign("no queue"),
    }
}
