//! A day's limit that comes back all at once: a counter, forgiven whole at the reset.
//!
//! Refuses to know calendars: the moment of the reset comes in from outside, and repeats every 24 hours until
//! another is told. Until one was told, a day begins with its first take. Invariant: what was taken before a reset
//! gives nothing back after it.

use super::bucket::{NotBefore, Order};
use super::dimension::DAY;
use crate::units::Moment;
use std::num::NonZeroU32;
use std::time::Duration;

/// A reset that is told within so long after it was due here is the same one.
const GRACE: Duration = Duration::from_secs(120);

/// The counter of one day's limit.
#[derive(Debug)]
pub(super) struct Day {
    limit: NonZeroU32,
    used: u64,
    /// When it is forgiven next; `None` while nothing was taken and no reset was told.
    ends: Option<Moment>,
    /// The first take since the last reset.
    first: Option<Order>,
}

impl Day {
    /// A day of which nothing is used.
    pub(super) fn new(limit: NonZeroU32) -> Day {
        Day { limit, used: 0, ends: None, first: None }
    }

    /// Another limit; what is used stays used, and the reset stays where it is.
    pub(super) fn retune(&mut self, limit: NonZeroU32) {
        self.limit = limit;
    }

    /// The next reset is then. What has been used stays used until it. A moment that has passed tells that a reset
    /// has come: it forgives what was used, unless it has done so already.
    pub(super) fn ends_at(&mut self, ends: Moment, now: Moment) {
        self.roll(now);
        let is_old = |known: Moment| known.since(now).saturating_add(GRACE) < DAY;
        if ends <= now && self.ends.is_some_and(is_old) {
            (self.used, self.first) = (0, None);
        }
        self.ends = Some(next(ends, now));
    }

    /// Takes `units`, or says when the next day begins.
    pub(super) fn take(&mut self, units: u64, order: Order, now: Moment) -> Result<(), NotBefore> {
        let ready = self.ready_at(units, 0, now);
        if ready > now {
            return Err(NotBefore(ready));
        }
        self.charge(units, order, now);
        Ok(())
    }

    /// When `units` would be granted if `ahead` more went first.
    pub(super) fn ready_at(&self, units: u64, ahead: u64, now: Moment) -> Moment {
        let needed = self.used(now).saturating_add(ahead).saturating_add(units);
        if needed <= self.limit.get().into() {
            return now;
        }
        self.ends.map_or(now + DAY, |ends| next(ends, now))
    }

    /// Counts what has been used already.
    pub(super) fn charge(&mut self, units: u64, order: Order, now: Moment) {
        self.roll(now);
        self.ends.get_or_insert(now + DAY);
        self.first.get_or_insert(order);
        self.used = self.used.saturating_add(units);
    }

    /// Gives back what the take of this order did not use, if its day has not ended.
    pub(super) fn refund(&mut self, units: u64, taken: Order, now: Moment) {
        self.roll(now);
        if self.first.is_some_and(|first| first <= taken) {
            self.used = self.used.saturating_sub(units);
        }
    }

    /// Units that can be taken now; negative if more was used than is allowed.
    pub(super) fn level(&self, now: Moment) -> i64 {
        i64::from(self.limit.get()).saturating_sub_unsigned(self.used(now))
    }

    /// The level as a part of the limit.
    pub(super) fn fill(&self, now: Moment) -> f64 {
        1.0 - self.used(now) as f64 / f64::from(self.limit.get())
    }

    /// How long until the reset, if one is known.
    pub(super) fn left(&self, now: Moment) -> Option<Duration> {
        self.ends.map(|ends| next(ends, now).since(now))
    }

    /// Takes over what was saved `elapsed` ago: a level, and how long its day still had to go.
    pub(super) fn restore(&mut self, fill: f64, left: Duration, elapsed: Duration, now: Moment) {
        let left = left.min(DAY);
        let fill = if fill.is_nan() { 0.0 } else { fill.clamp(-1e3, 1.0) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates"
        )]
        let used = ((1.0 - fill) * f64::from(self.limit.get())).round() as u64;
        // An ended day's reset still tells when the next one is.
        let over = Duration::from_nanos(
            u64::try_from(elapsed.saturating_sub(left).as_nanos() % DAY.as_nanos()).unwrap_or(0),
        );
        let ended = elapsed >= left;
        self.used = if ended { 0 } else { used };
        self.first = None;
        self.ends = Some(now + if ended { DAY - over } else { left - elapsed });
    }

    pub(super) fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    fn used(&self, now: Moment) -> u64 {
        if self.ends.is_some_and(|ends| ends <= now) { 0 } else { self.used }
    }

    fn roll(&mut self, now: Moment) {
        if let Some(ends) = self.ends.filter(|ends| *ends <= now) {
            (self.used, self.first, self.ends) = (0, None, Some(next(ends, now)));
        }
    }
}

/// The first of this reset and those that follow it every 24 hours which is still to come.
fn next(ends: Moment, now: Moment) -> Moment {
    if ends > now {
        return ends;
    }
    let over = now.since(ends).as_nanos() % DAY.as_nanos();
    now + (DAY - Duration::from_nanos(u64::try_from(over).unwrap_or(0)))
}

#[cfg(test)]
#[path = "day_tests.rs"]
mod tests;
