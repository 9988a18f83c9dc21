//! What is logged. The tests of one program share a log: the names of their queues tell them apart.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Kept(Mutex<Vec<(Level, String)>>);

static LOG: Kept = Kept(Mutex::new(Vec::new()));

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().expect("no panic while it is held").push((record.level(), record.args().to_string()));
    }

    fn flush(&self) {}
}

/// From now on what is logged is kept.
pub fn keep() {
    let _ = log::set_logger(&LOG); // by whichever test is first
    log::set_max_level(LevelFilter::Debug);
}

/// What was logged at this level with this in it.
pub fn said(level: Level, what: &str) -> Vec<String> {
    let log = LOG.0.lock().expect("no panic while it is held");
    let said = log.iter().filter(|(of, text)| *of == level && text.contains(what));
    said.map(|(_, text)| text.clone()).collect()
}
