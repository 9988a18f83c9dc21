//! Which server the tests start.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};

/// Starts the `redis-server` of the path, or the program that `REDIS_SERVER` names: another release, or Valkey.
pub fn redis_server(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Child {
    let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| OsString::from("redis-server"));
    match Command::new(&program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
        Ok(process) => process,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!(
            "the tests of the feature redis need redis-server, and there is no {}: on Debian apt-get install redis-server",
            program.display()
        ),
        Err(error) => panic!("{} does not start: {error}", program.display()),
    }
}
