//! What a script answers: a word, and what belongs to it.

use std::vec;

use redis::{FromRedisValue, Value};

use super::types::Failure;
use super::wire::foreign;

pub(crate) struct ScriptReply {
    word: String,
    rest: vec::IntoIter<Value>,
}

impl ScriptReply {
    pub(crate) fn new(value: Value) -> Result<Self, Failure> {
        let Value::Array(values) = value else { return Err(foreign("not an answer of a script")) };
        let mut rest = values.into_iter();
        let word = rest.next().ok_or_else(|| foreign("an empty answer"))?;
        Ok(Self { word: convert(word)?, rest })
    }

    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// The next value.
    pub(crate) fn next<V: FromRedisValue>(&mut self) -> Result<V, Failure> {
        convert(self.rest.next().ok_or_else(|| foreign("an answer that is too short"))?)
    }

    /// For calls that have nothing to tell.
    pub(crate) fn done(self) -> Result<(), Failure> {
        if self.word == "OK" { Ok(()) } else { Err(self.failure()) }
    }

    /// The word is none that this call has a meaning for.
    pub(crate) fn failure(&self) -> Failure {
        match self.word() {
            "GONE" => Failure::Gone,
            "FENCED" => Failure::Fenced,
            "STALE" => Failure::Stale,
            _ => foreign("an unknown answer of a script"),
        }
    }
}

pub(crate) fn convert<V: FromRedisValue>(value: Value) -> Result<V, Failure> {
    V::from_redis_value(value).map_err(|error| Failure::Away(error.into()))
}
