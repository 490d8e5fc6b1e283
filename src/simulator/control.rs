//! The handle on a running simulated provider: change its faults, let requests go, wait for what it has seen.
//!
//! Everything takes effect at once, for requests that are admitted afterwards; a request keeps the faults that it was
//! admitted with, but for a hold whose reason ends.

use super::counting::SimulatedCounting;
use super::faults::Faults;
use super::settings::SimulatedLimits;
use super::shared::Shared;
use super::stats::Stats;
use std::sync::Arc;

/// Controls one simulator. Clones control the same.
#[derive(Clone, Debug)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>) -> Control {
        Control { shared }
    }

    /// The faults as they are now.
    pub fn faults(&self) -> Faults {
        Faults::clone(&self.shared.faults())
    }

    /// Replaces the faults.
    pub fn set(&self, faults: Faults) {
        self.shared.change(|now| *now = faults);
    }

    /// Changes some of the faults.
    pub fn update(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.change(change);
    }

    /// The limits as they are now.
    pub fn limits(&self) -> SimulatedLimits {
        self.shared.limits()
    }

    /// Sets other limits; their buckets are full.
    pub fn set_limits(&self, limits: SimulatedLimits) {
        self.shared.retune(limits, false);
    }

    /// Sets other limits; each bucket is as full as it was, so that a change is no amnesty.
    pub fn retune(&self, limits: SimulatedLimits) {
        self.shared.retune(limits, true);
    }

    /// How it counts now.
    pub fn counting(&self) -> SimulatedCounting {
        self.shared.counting()
    }

    /// Counts otherwise from now on; what runs is counted as it was let in. Where windows change, buckets are full.
    pub fn set_counting(&self, counting: SimulatedCounting) {
        self.shared.recount(counting);
    }

    /// Lets the first `count` of those that are held now go on, in the order in which they came. Tells how many
    /// there were; those that come later are not let go by it.
    pub fn release(&self, count: usize) -> usize {
        self.shared.release(count)
    }

    /// Faults, limits, counting and counts as at the start; all that are held go on.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats().borrow().clone()
    }

    /// Waits until the counts are so; at once if they are. Wakes by events, never by time.
    pub async fn wait_for(&self, condition: impl FnMut(&Stats) -> bool) -> Stats {
        let mut stats = self.shared.stats();
        let reached = stats.wait_for(condition).await;
        reached.expect("the sender lives in what this handle holds").clone()
    }
}
