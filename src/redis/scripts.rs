//! The scripts that Redis runs, each in one piece: nothing comes between its steps. They are the only
//! ones that touch the keys.

use std::sync::LazyLock;

use redis::Script;

/// In tests, a call that is given a number fails: see `int` in the prelude.
#[cfg(test)]
macro_rules! guard {
    () => {
        include_str!("engine/tests/guard.lua")
    };
}

#[cfg(not(test))]
macro_rules! guard {
    () => {
        ""
    };
}

/// Puts a script together: its flags, what it shares with others, and its own text.
macro_rules! script {
    ($flags:literal, $($part:literal),+) => {
        Script::new(concat!("#!lua", $flags, "\n", include_str!("scripts/prelude.lua"), guard!(), $(include_str!(concat!("scripts/", $part, ".lua"))),+))
    };
}

/// All scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) abort: Script,
    pub(super) attach: Script,
    pub(super) claim: Script,
    pub(super) join: Script,
    pub(super) leave: Script,
    pub(super) letters: Script,
    pub(super) put: Script,
    pub(super) register: Script,
    pub(super) renew: Script,
    pub(super) report: Script,
    pub(super) seal: Script,
    pub(super) settle: Script,
}

// What may free memory, or ends something, must run although no memory is left: so must a consumer that joins.
pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    abort: script!(" flags=allow-oom", "ending", "abort"),
    attach: script!(" flags=allow-oom", "attach"),
    claim: script!(" flags=allow-oom", "items", "claim"),
    join: script!(" flags=allow-oom", "join"),
    leave: script!(" flags=allow-oom", "items", "ending", "removal", "leave"),
    letters: script!(" flags=allow-oom", "letters"),
    put: script!("", "put"),
    register: script!(" flags=allow-oom", "ending", "register"),
    renew: script!(" flags=allow-oom", "items", "ending", "removal", "renew"),
    // Before 7.0.1 reading alone was no reason to be let.
    report: script!(" flags=no-writes,allow-oom", "report"),
    seal: script!(" flags=allow-oom", "ending", "seal"),
    settle: script!(" flags=allow-oom", "items", "ending", "settle"),
});
