//! The one place that reads clocks.
//!
//! Monotonic time is tokio's, so that tests on paused time move it; it counts from the creation of the
//! clock. Everything below this layer receives `now`.

use crate::units::{Moment, WallTime};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Tells the time. Clones share one start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Begins to count now.
    #[expect(clippy::disallowed_methods, reason = "this file is the one place that reads clocks")]
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Monotonic time since the start.
    pub fn now(self) -> Moment {
        Moment::START + self.origin.elapsed()
    }

    /// Calendar time; 1970 if the system's clock stands before it.
    #[expect(clippy::disallowed_methods, reason = "this file is the one place that reads clocks")]
    pub fn wall(self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Completes at `moment`, at once if it has passed.
    pub async fn sleep_until(self, moment: Moment) {
        tokio::time::sleep_until(self.origin + moment.since(Moment::START)).await;
    }
}
