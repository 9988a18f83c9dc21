//! Batches that linger: they hold leases, and wait for more.
//!
//! The leases of such a batch are not settled before it stops to wait. So once they alone hold off the end of the queue, no
//! further item can come, and all that linger stop at once. `ending.rs` decides that.

/// All batches that linger.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    leases: u64,
    /// How often all that lingered were stopped.
    stops: u64,
}

/// What one batch has told of itself.
#[derive(Debug, Default)]
pub(crate) struct Linger(Option<Told>);

impl Linger {
    pub(super) fn is_told(&self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug)]
struct Told {
    leases: u64,
    stops: u64,
}

impl Lingering {
    /// Counts the leases of all batches that linger.
    pub(crate) fn leases(&self) -> u64 {
        self.leases
    }

    /// Stops all that linger.
    pub(crate) fn stop_all(&mut self) {
        self.leases = 0;
        self.stops += 1;
    }

    pub(super) fn is_stopped(&self, linger: &Linger) -> bool {
        linger.0.as_ref().is_some_and(|told| told.stops != self.stops)
    }

    pub(super) fn begin(&mut self, linger: &mut Linger, leases: u64) {
        if !self.is_stopped(linger) {
            self.end(linger);
            self.leases += leases;
            linger.0 = Some(Told { leases, stops: self.stops });
        }
    }

    pub(super) fn end(&mut self, linger: &mut Linger) {
        if let Some(told) = linger.0.take()
            && told.stops == self.stops
        {
            self.leases -= told.leases;
        }
    }
}
