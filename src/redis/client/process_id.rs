//! What tells one process from all others.

use std::io;

/// Returns an id that nobody has used. Of a process id, a clock and what follows from them, clones of a machine
/// and containers may have the same, and then one would be taken for the other: its puts would be skipped.
pub(crate) fn process_id() -> io::Result<String> {
    // Enough for a million processes of one queue, and short, as each item that is held is kept under it.
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::process_id;

    /// All else that this process knows, another one may know, too.
    #[test]
    fn ids_of_processes_come_from_the_randomness_of_the_system() {
        let ids = [(), ()].map(|()| {
            fastrand::seed(7);
            process_id().unwrap()
        });
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0].len(), 16);
    }
}
