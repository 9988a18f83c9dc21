//! How a queue is, seen by Redis.

use std::time::Duration;

use redis::Value;

use super::reply::{ScriptReply, convert};
use super::types::Failure;
use super::wire::foreign;

/// How a queue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueEnd {
    Complete,
    Aborted,
}

impl QueueEnd {
    /// Reads how a queue ended that has.
    pub(super) fn told(reply: &mut ScriptReply) -> Result<Self, Failure> {
        Self::parse(&reply.next::<String>()?).ok_or_else(|| foreign("an end that is none"))
    }

    fn parse(ended: &str) -> Option<Self> {
        match ended {
            "" => None,
            "complete" => Some(Self::Complete),
            _ => Some(Self::Aborted),
        }
    }
}

/// The state of a queue, in all its processes.
///
/// `accepted` = `acked` + `taken` + `dead` + `discarded` + `in_flight` + `ready` + `back` + `delayed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueReport {
    pub(crate) ended: Option<QueueEnd>,
    pub(crate) sealed: bool,
    pub(crate) in_flight: u64,
    pub(crate) producers: u64,
    pub(crate) consumers: u64,
    /// Processes that may open endpoints.
    pub(crate) openers: u64,
    pub(crate) accepted: u64,
    pub(crate) acked: u64,
    pub(crate) taken: u64,
    pub(crate) dead: u64,
    pub(crate) discarded: u64,
    pub(crate) redelivered: u64,
    /// Dead letters, which are among those accepted.
    pub(crate) retried: u64,
    pub(crate) lost_producers: u64,
    pub(crate) lost_processes: u64,
    /// Never handed out.
    pub(crate) ready: u64,
    /// Came back.
    pub(crate) back: u64,
    /// Come back later.
    pub(crate) delayed: u64,
    /// Dead letters that nobody has read yet.
    pub(crate) letters: u64,
    /// How long the one that was put first waits, of those that come next from each list.
    pub(crate) oldest: Option<Duration>,
    /// Up to 50, those with the longest silence first.
    pub(crate) processes: Vec<ProcessReport>,
}

/// One process of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessReport {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) producers: u64,
    pub(crate) consumers: u64,
    pub(crate) opener: bool,
    /// Some of its producers.
    pub(crate) producer_names: Vec<String>,
    /// Since it joined.
    pub(crate) age: Duration,
    pub(crate) in_flight: u64,
    /// Since it last said that it lives.
    pub(crate) silent: Duration,
}

impl QueueReport {
    pub(crate) fn parse(mut reply: ScriptReply) -> Result<Self, Failure> {
        let fields: Vec<String> = reply.next()?;
        let (in_flight, ready, back, delayed) = reply.next()?;
        let letters = reply.next()?;
        let oldest = u64::try_from(reply.next::<i64>()?).ok().map(Duration::from_millis);
        let processes = reply.next::<Vec<Value>>()?.into_iter().map(ProcessReport::parse).collect::<Result<_, _>>()?;
        let [ended, sealed, counts @ ..] = fields.as_slice() else { return Err(foreign("a report without a state")) };
        let counts: Result<Vec<u64>, _> = counts.iter().map(|count| count.parse()).collect();
        let Ok(
            [
                producers,
                consumers,
                openers,
                accepted,
                acked,
                taken,
                dead,
                discarded,
                redelivered,
                retried,
                lost_producers,
                lost_processes,
            ],
        ) = counts.map_err(drop).and_then(|counts| <[u64; 12]>::try_from(counts).map_err(drop))
        else {
            return Err(foreign("a report without its counts"));
        };
        Ok(Self {
            ended: QueueEnd::parse(ended),
            sealed: sealed == "1",
            in_flight,
            producers,
            consumers,
            openers,
            accepted,
            acked,
            taken,
            dead,
            discarded,
            redelivered,
            retried,
            lost_producers,
            lost_processes,
            ready,
            back,
            delayed,
            letters,
            oldest,
            processes,
        })
    }
}

impl ProcessReport {
    fn parse(value: Value) -> Result<Self, Failure> {
        type Row = (String, String, u64, u64, u8, String, u64, u64, u64);
        let (id, name, producers, consumers, opener, names, age, in_flight, silent): Row = convert(value)?;
        Ok(Self {
            id,
            name,
            producers,
            consumers,
            opener: opener == 1,
            producer_names: serde_json::from_str(&names).unwrap_or_default(),
            age: Duration::from_millis(age),
            in_flight,
            silent: Duration::from_millis(silent),
        })
    }
}
