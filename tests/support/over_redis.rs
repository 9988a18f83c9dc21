//! One Redis for all tests of a program, and a queue of its own for each.

use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use actix_iterable_queue::{Builder, IterableQueue, Payload};

use crate::redis_server::Server;

/// A static is not dropped, so somebody else ends the server, as soon as this program does not hold the pipe to it any
/// more: however this program ends.
struct Shared {
    server: Server,
    _end: Child,
}

fn url() -> String {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let server = Server::start();
        let id = server.info("process_id").to_string();
        let folder = server.ask::<Vec<String>>("CONFIG GET dir").swap_remove(1);
        let script = r#"trap '' INT; read -r _; kill -9 "$1"; rm -rf "$2""#;
        let end = Command::new("sh").args(["-c", script, "sh", &id, &folder]).stdin(Stdio::piped()).spawn();
        Shared { server, _end: end.expect("there is a shell") }
    });
    shared.server.url()
}

/// It seals itself, as in memory. On a thread of its own, as a test may be on an arbiter.
pub(crate) fn connect<T: Payload>(name: &str, builder: Builder<T>) -> IterableQueue<T> {
    let name = format!("{name}-{:016x}", fastrand::u64(..));
    let connect = || builder.name(name).redis(url()).seal_when_unowned().blocking_connect();
    let connected = thread::scope(|scope| scope.spawn(connect).join().expect("no panic"));
    connected.expect("Redis is there")
}
