//! What may happen to a queue. Numbers choose among what is there when it happens, so that every
//! list of operations is a program, also after some of them were left out.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::Settle;

/// Chooses one of those that are there.
pub(super) type Any = u8;

#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    OpenProducer,
    CloneProducer(Any),
    CloseProducer(Any),
    DropProducer(Any),
    /// `try_put`, or `blocking_put_timeout` with no time at all.
    TryPut(Any, Patience),
    /// `put`, polled once.
    Put(Any),
    /// `reserve`, polled once.
    Reserve(Any),
    /// `ask`, polled once.
    Ask(Any),
    PollPut(Any),
    DropPut(Any),
    UsePermit(Any),
    DropPermit(Any),
    /// A crowd of takes and puts that do not wait, past those that do.
    Pass(Any, Any),
    OpenConsumer,
    CloneConsumer(Any),
    DropConsumer(Any),
    /// Without waiting.
    Take(Any, How, Patience),
    /// `poll_next`, which keeps its place in the line.
    PollStream(Any),
    /// `get` or `lease`, polled once.
    Wait(Any, How),
    /// `lease_batch`, polled once.
    WaitForBatch(Any, BatchOf),
    PollWait(Any),
    CancelWait(Any),
    /// `blocking_lease_batch`, where it need not wait.
    TakeBatch(Any, usize),
    SettleBatch(Any, Settle),
    UnpackBatch(Any),
    PutChild(Any),
    Settle(Any, Settle),
    /// Through a lease.
    Answer(Any),
    PollAsk(Any),
    DropAsk(Any),
    Watch,
    OpenLetters,
    ReadLetter,
    DropLetters,
    ListLetters,
    /// The letter with this number, and this many after it.
    RetryLetters(Any, Any),
    DiscardLetters(Any, Any),
    TakeLeft,
    CloneQueue,
    DropQueue,
    Seal,
    Abort,
    ShutDown(Grace),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Get,
    Lease,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BatchOf {
    pub(super) max: usize,
    /// For ever, or not at all.
    pub(super) lingers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    Zero,
    /// A lease that is asked for again and again.
    Insisting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grace {
    Endless,
    None,
}

/// How a failed item waits before it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redelivery {
    AtOnce,
    /// Each step waits until nothing is delayed.
    AfterAMillisecond,
    Never,
}

#[derive(Clone)]
pub(crate) struct Program {
    pub(super) capacity: Option<usize>,
    pub(super) max_attempts: u32,
    pub(super) redelivery: Redelivery,
    /// Whether it has asks.
    pub(super) asks: bool,
    pub(super) operations: Vec<Operation>,
}

/// One operation a line.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity, max_attempts, redelivery, asks, operations } = self;
        write!(f, "{capacity:?} items, {max_attempts} attempts, redelivery {redelivery:?}, asks {asks}")?;
        operations.iter().try_for_each(|operation| write!(f, "\n  {operation:?}"))
    }
}

fn any_of() -> impl Strategy<Value = Any> + Clone {
    0..8_u8
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![2 => Just(How::Lease), 1 => Just(How::Get)]
}

fn patience() -> impl Strategy<Value = Patience> {
    prop_oneof![8 => Just(Patience::None), 2 => Just(Patience::Zero), 2 => Just(Patience::Insisting)]
}

fn settle() -> impl Strategy<Value = Settle> {
    prop_oneof![
        3 => Just(Settle::Ack),
        1 => Just(Settle::IntoInner),
        4 => Just(Settle::Requeue),
        2 => Just(Settle::Release),
        2 => Just(Settle::Drop),
        1 => Just(Settle::Reject),
    ]
}

fn batch() -> impl Strategy<Value = BatchOf> {
    (1..5_usize, any::<bool>()).prop_map(|(max, lingers)| BatchOf { max, lingers })
}

fn puts() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        8 => (any_of(), patience()).prop_map(|(which, patience)| TryPut(which, patience)),
        5 => any_of().prop_map(Put),
        3 => any_of().prop_map(Reserve),
        5 => any_of().prop_map(Ask),
        3 => any_of().prop_map(PollPut),
        1 => any_of().prop_map(DropPut),
        3 => any_of().prop_map(UsePermit),
        1 => any_of().prop_map(DropPermit),
        3 => any_of().prop_map(PutChild),
        1 => (any_of(), any_of()).prop_map(|(producer, consumer)| Pass(producer, consumer)),
    ]
}

fn takes() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        7 => (any_of(), how(), patience()).prop_map(|(which, how, patience)| Take(which, how, patience)),
        4 => (any_of(), how()).prop_map(|(which, how)| Wait(which, how)),
        4 => (any_of(), batch()).prop_map(|(which, batch)| WaitForBatch(which, batch)),
        2 => any_of().prop_map(PollStream),
        5 => any_of().prop_map(PollWait),
        2 => any_of().prop_map(CancelWait),
        2 => (any_of(), 1..5_usize).prop_map(|(which, max)| TakeBatch(which, max)),
    ]
}

fn settles() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        9 => (any_of(), settle()).prop_map(|(which, how)| Settle(which, how)),
        3 => (any_of(), settle()).prop_map(|(which, how)| SettleBatch(which, how)),
        2 => any_of().prop_map(UnpackBatch),
        2 => any_of().prop_map(Answer),
        3 => any_of().prop_map(PollAsk),
        1 => any_of().prop_map(DropAsk),
    ]
}

fn endpoints() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        2 => Just(OpenProducer),
        2 => any_of().prop_map(CloneProducer),
        1 => any_of().prop_map(CloseProducer),
        1 => any_of().prop_map(DropProducer),
        3 => Just(OpenConsumer),
        1 => any_of().prop_map(CloneConsumer),
        2 => any_of().prop_map(DropConsumer),
        1 => Just(Watch),
    ]
}

fn letters() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        1 => Just(OpenLetters),
        2 => Just(ReadLetter),
        1 => Just(DropLetters),
        1 => Just(ListLetters),
        2 => (any_of(), any_of()).prop_map(|(first, more)| RetryLetters(first, more)),
        1 => (any_of(), any_of()).prop_map(|(first, more)| DiscardLetters(first, more)),
    ]
}

fn ends() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        2 => Just(CloneQueue),
        2 => Just(DropQueue),
        4 => Just(Seal),
        1 => Just(Abort),
        1 => Just(TakeLeft),
        2 => prop_oneof![Just(Grace::Endless), Just(Grace::None)].prop_map(ShutDown),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![48 => puts(), 40 => takes(), 38 => settles(), 10 => endpoints(), 6 => letters(), 2 => ends()]
}

pub(crate) fn program() -> impl Strategy<Value = Program> {
    let capacity = prop_oneof![Just(None), Just(Some(1)), Just(Some(2)), Just(Some(5))];
    let redelivery = prop_oneof![
        60 => Just(Redelivery::AtOnce),
        8 => Just(Redelivery::Never),
        1 => Just(Redelivery::AfterAMillisecond)
    ];
    // Without endpoints most operations do nothing.
    let start = vec(prop_oneof![2 => Just(Operation::OpenProducer), 3 => Just(Operation::OpenConsumer)], 0..6);
    (capacity, 1..=5_u32, redelivery, any::<bool>(), start, vec(operation(), 0..120)).prop_map(
        |(capacity, max_attempts, redelivery, asks, start, operations)| {
            let operations = start.into_iter().chain(operations).collect();
            Program { capacity, max_attempts, redelivery, asks, operations }
        },
    )
}
