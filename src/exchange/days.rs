//! Tells the desk when days end.
//!
//! The desk counts in monotonic time, which stands still while a machine sleeps, and knows no summer; walls have
//! clocks that are set. So it is told anew every minute, and of each reset that has come by the clock on the wall.
//! Refuses to know what was used.

use super::Gateway;
use crate::admission::DayReset;
use crate::ids::BudgetId;
use crate::units::{Moment, WallTime};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a reset may be overslept.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// When the day of each budget was last said to end.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// Held while the desk is told, so that two who tell do not undo each other's work.
    told: Mutex<HashMap<BudgetId, WallTime>>,
}

impl Gateway {
    /// Tells the desk when days end, until told to stop.
    pub async fn keep_days(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.clock.sleep_until(self.clock.now() + TOLD_EVERY) => self.tell_days(),
            }
        }
    }

    /// Tells the desk when days end.
    pub fn tell_days(&self) {
        self.tell_days_at(self.clock.wall());
    }

    fn tell_days_at(&self, wall: WallTime) {
        let mut told = self.days.told.lock();
        let (live, now) = (self.live.load(), self.clock.now());
        let mut ends: Vec<(BudgetId, Moment)> = Vec::new();
        let mut tell = HashMap::new();
        for (budget, limits) in live.limits() {
            let Some(next) = live.next_day(&budget, wall).filter(|_| limits.day == DayReset::AtReset) else {
                continue;
            };
            if told.get(&budget).is_some_and(|end| *end <= wall) {
                ends.push((budget.clone(), now));
            }
            ends.push((budget.clone(), now + next.since(wall)));
            tell.insert(budget, next);
        }
        *told = tell;
        if !ends.is_empty() {
            self.turnstile.days_end(&ends);
        }
    }
}

#[cfg(test)]
#[path = "days_tests.rs"]
mod tests;
