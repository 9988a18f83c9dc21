//! How things look on their way to a script and back.

use std::io::Write;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisWrite, ToRedisArgs};

use super::types::{Entry, Failure, Op, millis};

/// A payload as the entry of an item that was never handed out.
pub(crate) struct Fresh<'a> {
    /// Of [`fresh`].
    pub(crate) head: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// Returns what stands before the payload of what is put at this time, on the server's clock in ms.
pub(crate) fn fresh(time: u64) -> Vec<u8> {
    format!("0:{time}:").into_bytes()
}

impl ToRedisArgs for Fresh<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut out = out.writer_for_next_arg();
        out.write_all(self.head).and_then(|()| out.write_all(self.payload)).expect("memory takes it");
    }
}

impl Entry {
    /// The attempts of what no script has written. All of it is payload then, and the next script that is told of it puts
    /// it aside.
    pub(crate) const FOREIGN: u32 = u32::MAX;

    pub(crate) fn parse(mut entry: Vec<u8>) -> Self {
        let mut parts = entry.splitn(3, |byte| *byte == b':');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
        let (attempts, time) = (number().and_then(|attempts| u32::try_from(attempts).ok()), number());
        match (attempts, time, parts.next().map(<[u8]>::len)) {
            (Some(attempts), Some(time), Some(payload)) if attempts < Self::FOREIGN => {
                entry.drain(..entry.len() - payload);
                Self { attempts, time, payload: entry }
            }
            _ => Self { attempts: Self::FOREIGN, time: 0, payload: entry },
        }
    }
}

/// Writes what a settle carries; the script takes each kind in one go.
pub(crate) struct Encoder {
    /// What stands before children: of [`fresh`].
    pub(crate) head: Vec<u8>,
    /// What the field of a delivery begins with, among what all processes hold.
    pub(crate) prefix: String,
}

impl Encoder {
    pub(crate) fn encode(&self, cmd: &mut Cmd, batch: u64, handed: u64, ops: &[Op], delays: &[Duration]) {
        let count = |kind: fn(&Op) -> bool| ops.iter().filter(|op| kind(op)).count();
        cmd.arg(batch)
            .arg(handed)
            .arg(count(|op| matches!(op, Op::Child(_))))
            .arg(count(|op| matches!(op, Op::Ack(_))))
            .arg(count(|op| matches!(op, Op::Taken(_))))
            .arg(count(|op| matches!(op, Op::Requeue(..) | Op::Release(..))))
            .arg(count(|op| matches!(op, Op::Undo(_))))
            .arg(count(|op| matches!(op, Op::Dead(..))))
            .arg(count(|op| matches!(op, Op::Overdue(_))));
        let mut each = |add: fn(&Self, &mut Cmd, &Op)| ops.iter().for_each(|op| add(self, cmd, op));
        each(|this, cmd, op| {
            if let Op::Child(payload) = op {
                cmd.arg(Fresh { head: &this.head, payload });
            }
        });
        each(|this, cmd, op| {
            if let Op::Ack(id) = op {
                cmd.arg(this.field(*id));
            }
        });
        each(|this, cmd, op| {
            if let Op::Taken(id) = op {
                cmd.arg(this.field(*id));
            }
        });
        each(|this, cmd, op| {
            if let Op::Requeue(id, delay, payload) | Op::Release(id, delay, payload) = op {
                let attempts = u8::from(matches!(op, Op::Requeue(..)));
                cmd.arg(this.field(*id)).arg(attempts).arg(millis(*delay)).arg(payload);
            }
        });
        each(|this, cmd, op| {
            if let Op::Undo(id) = op {
                cmd.arg(this.field(*id));
            }
        });
        each(|this, cmd, op| {
            if let Op::Dead(id, letter) = op {
                cmd.arg(this.field(*id)).arg(letter);
            }
        });
        each(|_, cmd, op| {
            if let Op::Overdue(ids) = op {
                cmd.arg(ids.start()).arg(ids.end());
            }
        });
        delays.iter().for_each(|delay| _ = cmd.arg(millis(*delay)));
    }

    fn field(&self, delivery: u64) -> Field<'_> {
        Field { prefix: &self.prefix, delivery }
    }
}

/// A delivery, among what all processes hold.
struct Field<'a> {
    prefix: &'a str,
    delivery: u64,
}

impl ToRedisArgs for Field<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg_fmt(format_args!("{}{}", self.prefix, self.delivery));
    }
}

/// Redis holds what none of our scripts has put there.
pub(crate) fn foreign(what: &'static str) -> Failure {
    Failure::Away(RedisError::from((ErrorKind::UnexpectedReturnType, what)))
}
