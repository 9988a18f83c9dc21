//! How things look on their way to a script and back.

use std::io::Write;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisWrite, ToRedisArgs};

use super::types::{Entry, Failure, Op};

/// A payload as the entry of an item that was never handed out.
pub(super) struct Fresh<'a>(pub(super) &'a [u8]);

impl ToRedisArgs for Fresh<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut out = out.writer_for_next_arg();
        out.write_all(b"0:").and_then(|()| out.write_all(self.0)).expect("memory takes it");
    }
}

impl Entry {
    pub(super) fn parse(mut entry: Vec<u8>) -> Result<Self, Failure> {
        let colon = entry.iter().position(|byte| *byte == b':').unwrap_or(0);
        let attempts = std::str::from_utf8(&entry[..colon]).ok().and_then(|digits| digits.parse().ok());
        let Some(attempts) = attempts else { return Err(foreign("an entry without attempts")) };
        entry.drain(..=colon);
        Ok(Self { attempts, payload: entry })
    }
}

/// The script takes each kind in one go.
pub(super) fn encode(cmd: &mut Cmd, batch: u64, ops: &[Op]) {
    let count = |kind: fn(&Op) -> bool| ops.iter().filter(|op| kind(op)).count();
    cmd.arg(batch)
        .arg(count(|op| matches!(op, Op::Child(_))))
        .arg(count(|op| matches!(op, Op::Ack(_))))
        .arg(count(|op| matches!(op, Op::Taken(_))))
        .arg(count(|op| matches!(op, Op::Requeue(..))))
        .arg(count(|op| matches!(op, Op::Undo(_))))
        .arg(count(|op| matches!(op, Op::Dead(..))));
    let mut each = |add: fn(&mut Cmd, &Op)| ops.iter().for_each(|op| add(cmd, op));
    each(|cmd, op| {
        if let Op::Child(payload) = op {
            cmd.arg(Fresh(payload));
        }
    });
    each(|cmd, op| {
        if let Op::Ack(id) = op {
            cmd.arg(id);
        }
    });
    each(|cmd, op| {
        if let Op::Taken(id) = op {
            cmd.arg(id);
        }
    });
    each(|cmd, op| {
        if let Op::Requeue(id, delay, payload) = op {
            cmd.arg(id).arg(millis(*delay)).arg(payload);
        }
    });
    each(|cmd, op| {
        if let Op::Undo(id) = op {
            cmd.arg(id);
        }
    });
    each(|cmd, op| {
        if let Op::Dead(id, letter) = op {
            cmd.arg(id).arg(letter);
        }
    });
}

/// Rounded up: nothing comes before its time, and a short delay is not none. Bounded, as Lua's numbers
/// are exact up to 2^53: a hundred years.
pub(super) fn millis(duration: Duration) -> u64 {
    const CENTURY: u128 = 100 * 366 * 24 * 3_600 * 1_000;
    duration.as_nanos().div_ceil(1_000_000).min(CENTURY) as u64
}

/// Redis holds what none of our scripts has put there.
pub(super) fn foreign(what: &'static str) -> Failure {
    Failure::Away(RedisError::from((ErrorKind::UnexpectedReturnType, what)))
}
