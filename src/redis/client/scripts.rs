//! The scripts that Redis runs, each in one piece: nothing comes between its steps. They are the only
//! ones that touch the keys.

use std::sync::LazyLock;

use redis::Script as RedisScript;

/// The format of the keys and entries. Releases that differ in it do not meet; see `pointer` in `client/`.
pub(crate) const FORMAT: &str = "3";

/// Names the keys: a variant for each, and its name in Redis, which is also its name in the scripts.
macro_rules! keys {
    ($($key:ident $name:literal,)+) => {
        /// A key of a queue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Key {
            $($key),+
        }

        impl Key {
            pub(crate) const ALL: &[Self] = &[$(Self::$key),+];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$key => $name),+
                }
            }
        }
    };
}

keys! {
    Meta "meta",
    Procs "procs",
    Proc "proc",
    Inf "inf",
    Left "left",
    Gone "gone",
    Ready "ready",
    Suspects "suspects",
    Back "back",
    Delayed "delayed",
    Was "was",
    Past "past",
    Wc "wc",
    Wp "wp",
    // These outlive the queue; see `Key::of`.
    Pointer "pointer",
    LetterMeta "letter_meta",
    LetterReady "letter_ready",
    LetterWc "letter_wc",
    // Only calls on kept letters need these.
    LetterBack "letter_back",
    LetterSuspects "letter_suspects",
    LetterDelayed "letter_delayed",
}

impl Key {
    /// The key in Redis of the queue with this pointer and this number.
    pub(crate) fn of(self, pointer: &str, generation: &str) -> String {
        match self {
            Self::Pointer => pointer.to_owned(),
            Self::LetterMeta
            | Self::LetterReady
            | Self::LetterWc
            | Self::LetterBack
            | Self::LetterSuspects
            | Self::LetterDelayed => {
                let name = self.name().trim_start_matches("letter_");
                format!("{pointer}:{LETTERS}:{name}")
            }
            _ => format!("{pointer}:{generation}:{}", self.name()),
        }
    }
}

/// Stands in the place of a queue's number for the queue of its dead letters.
pub(crate) const LETTERS: &str = "dead";

/// One script, and the keys that it declares. A cluster refuses it before it begins if one of them is just moving.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) script: RedisScript,
    pub(crate) keys: &'static [Key],
}

impl Script {
    fn new(flags: &str, keys: &'static [Key], parts: &[&str]) -> Self {
        let names: Vec<_> = keys.iter().map(|key| key.name()).collect();
        let head = format!("#!lua {flags}\nlocal {} = unpack(KEYS)\nlocal FORMAT = '{FORMAT}'\n", names.join(", "));
        Self { script: RedisScript::new(&(head + &parts.concat())), keys }
    }
}

/// In tests, a call that is given a number fails: see `int` in the prelude.
#[cfg(test)]
const GUARD: &str = include_str!("tests/guard.lua");
#[cfg(not(test))]
const GUARD: &str = "";

/// Puts a script together: its flags, its keys, what it shares with others, and its own text.
macro_rules! script {
    ($flags:literal, $keys:expr, $($part:literal),+) => {
        Script::new($flags, $keys, &[include_str!("scripts/prelude.lua"), GUARD, $(include_str!(concat!("scripts/", $part, ".lua"))),+])
    };
}

/// All scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) abort: Script,
    pub(crate) attach: Script,
    pub(crate) begin: Script,
    pub(crate) claim: Script,
    pub(crate) join: Script,
    pub(crate) leave: Script,
    pub(crate) list_letters: Script,
    pub(crate) move_letters: Script,
    pub(crate) put: Script,
    pub(crate) register: Script,
    pub(crate) renew: Script,
    pub(crate) report: Script,
    pub(crate) retry_letter: Script,
    pub(crate) seal: Script,
    pub(crate) settle: Script,
}

/// What the queue itself needs.
const QUEUE: &[Key] = Key::ALL.split_at(Key::LetterBack as usize).0;

/// Where letters are that no reader has.
const KEPT_LETTERS: &[Key] = &[Key::LetterReady, Key::LetterBack, Key::LetterSuspects, Key::LetterDelayed];
const MOVE_LETTERS: &[Key] = &[
    Key::LetterReady,
    Key::LetterBack,
    Key::LetterSuspects,
    Key::LetterDelayed,
    Key::LetterMeta,
    Key::Meta,
    Key::Back,
    Key::Wc,
];
const RETRY_LETTER: &[Key] = &[Key::Meta, Key::Back, Key::Was, Key::Past, Key::Wc];

/// What the two scripts need that run most often.
const PUT: &[Key] = &[Key::Meta, Key::Proc, Key::Ready, Key::Wc, Key::Wp];
const CLAIM: &[Key] =
    &[Key::Meta, Key::Proc, Key::Inf, Key::Ready, Key::Suspects, Key::Back, Key::Delayed, Key::Wc, Key::Wp];

// What may free memory, or ends something, must run although no memory is left: so must a consumer that joins.
pub(crate) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    abort: script!("flags=allow-oom", QUEUE, "clock", "notifications", "ending", "abort"),
    attach: script!("flags=allow-oom", QUEUE, "attach"),
    begin: script!("flags=allow-oom", QUEUE, "begin"),
    claim: script!("flags=allow-oom", CLAIM, "clock", "notifications", "items", "claim"),
    join: script!("flags=allow-oom", QUEUE, "clock", "notifications", "ending", "join"),
    leave: script!("flags=allow-oom", QUEUE, "clock", "notifications", "items", "ending", "removal", "leave"),
    list_letters: script!("flags=no-writes,allow-oom", KEPT_LETTERS, "letters", "list_letters"),
    move_letters: script!("flags=allow-oom", MOVE_LETTERS, "clock", "notifications", "letters", "move_letters"),
    put: script!("", PUT, "notifications", "put"),
    register: script!("flags=allow-oom", QUEUE, "clock", "notifications", "ending", "register"),
    renew: script!("flags=allow-oom", QUEUE, "clock", "notifications", "items", "ending", "removal", "renew"),
    // Before 7.0.1 reading alone was no reason to be let.
    report: script!("flags=no-writes,allow-oom", QUEUE, "clock", "report"),
    retry_letter: script!("", RETRY_LETTER, "clock", "notifications", "retry_letter"),
    seal: script!("flags=allow-oom", QUEUE, "clock", "notifications", "ending", "seal"),
    settle: script!("flags=allow-oom", QUEUE, "clock", "notifications", "items", "ending", "settle"),
});
