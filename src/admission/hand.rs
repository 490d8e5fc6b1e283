//! What governor reads and writes in our place: the hand of a clock that stands where it was set, and the one number
//! that is a bucket's state.
//!
//! Refuses to know limits. Invariant: both are shared between a bucket and its limiter alone.

use crate::units::Moment;
use governor::clock::{Clock, Reference};
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What governor takes for nanoseconds are parts of one, so that the interval of a fast limit, 60 ns a
/// token at a thousand million a minute, is not rounded by more than 0.03 %. It is rounded up: a bucket
/// is never faster than its limit. The count of parts overflows after nine years of uptime.
pub(super) const TICKS_PER_NANO: u64 = 64;

pub(super) fn ticks(moment: Moment) -> u64 {
    moment.as_nanos().saturating_mul(TICKS_PER_NANO)
}

pub(super) fn moment_not_before(ticks: u64) -> Moment {
    Moment::from_nanos(ticks.div_ceil(TICKS_PER_NANO))
}

/// The clock that governor reads: it stands still where it was last set.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(super) fn set(&self, now: Moment) {
        self.0.store(ticks(now), Ordering::Relaxed);
    }
}

impl Clock for Hand {
    type Instant = Tick;
    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::Relaxed))
    }
}

/// A reading of [`Hand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Add<Nanos> for Tick {
    type Output = Tick;
    fn add(self, ticks: Nanos) -> Tick {
        Tick(self.0.saturating_add(ticks.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Tick) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }
    fn saturating_sub(&self, ticks: Nanos) -> Tick {
        Tick(self.0.saturating_sub(ticks.as_u64()))
    }
}

/// The tick at which the bucket is full; in the past, it has been full since. Shared between a bucket
/// and its limiter only, under the desk's lock, so the loads and stores need no order.
#[derive(Clone, Debug, Default)]
pub(super) struct FullAt(Arc<AtomicU64>);

impl FullAt {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, ticks: u64) {
        self.0.store(ticks, Ordering::Relaxed);
    }
}

impl StateStore for FullAt {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, next) = decide(Some(self.get().into()))?;
        self.set(next.into());
        Ok(answer)
    }
}
