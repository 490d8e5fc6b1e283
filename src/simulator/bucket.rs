//! A strict bucket: it holds exactly its limit, refills steadily or at fixed moments, and lets nothing in beyond it.
//!
//! Integer arithmetic in nanosecond shares of a token, so that what is admitted in any stretch of time never exceeds
//! capacity plus rate times time. Only what a call uses while it runs may draw it below zero, and then nobody else
//! is let in before that is made up for. It knows no clock; it is told the moment.

use crate::units::Moment;
use std::time::Duration;

/// One token in shares: a bucket of `limit` a minute gains `limit` shares a nanosecond.
const SHARES: i128 = 60_000_000_000;

/// How a bucket fills again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refill {
    /// Its capacity a minute, steadily.
    Steady,
    /// Whole, at every multiple of this time; never zero.
    Whole(Duration),
}

/// The state of one limit.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// The limit as it is told, which a slice of a second holds only a part of.
    limit: u64,
    capacity: u64,
    refill: Refill,
    level: i128,
    at: Moment,
}

impl Bucket {
    /// A full bucket of `limit`, of which `capacity` fits.
    pub(super) fn full(limit: u64, capacity: u64, refill: Refill, now: Moment) -> Bucket {
        Bucket { limit, capacity, refill, level: shares(capacity), at: now }
    }

    /// Becomes as full as another was.
    pub(super) fn fill_like(&mut self, other: &Bucket) {
        if other.capacity > 0 {
            // Divided first: a product of two such numbers need not fit, and what is lost is below a token.
            let per_unit = other.level / i128::from(other.capacity);
            self.level = per_unit.saturating_mul(i128::from(self.capacity));
        }
    }

    /// Lets the time until `now` refill the bucket.
    pub(super) fn refill(&mut self, now: Moment) {
        match self.refill {
            Refill::Steady => {
                let nanos = i128::try_from(now.since(self.at).as_nanos()).unwrap_or(i128::MAX);
                let gained = nanos.saturating_mul(i128::from(self.capacity));
                self.level = self.level.saturating_add(gained).min(shares(self.capacity));
            }
            Refill::Whole(time) if turn(now, time) > turn(self.at, time) => {
                self.level = shares(self.capacity);
            }
            Refill::Whole(_) => {}
        }
        self.at = self.at.max(now);
    }

    /// How long until `cost` fits; zero when it fits now. Only of use for a cost within the capacity.
    pub(super) fn wait_for(&self, cost: u64) -> Duration {
        self.time_to_gain(shares(cost) - self.level)
    }

    /// Takes `cost`, which must fit.
    pub(super) fn take(&mut self, cost: u64) {
        debug_assert!(self.wait_for(cost).is_zero(), "a strict bucket never goes below zero at admission");
        self.draw(cost);
    }

    /// Takes what has been used already, below zero if need be.
    pub(super) fn draw(&mut self, used: u64) {
        self.level = self.level.saturating_sub(shares(used));
    }

    /// Gives back what was taken at a moment and not used, unless the bucket has been filled whole since.
    pub(super) fn give_back(&mut self, unused: u64, taken: Moment) {
        let is_past = matches!(self.refill, Refill::Whole(time) if turn(self.at, time) > turn(taken, time));
        if !is_past {
            self.level = self.level.saturating_add(shares(unused)).min(shares(self.capacity));
        }
    }

    /// The limit as it is told.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The most that it can hold.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whole tokens left; none in debt.
    pub(super) fn remaining(&self) -> u64 {
        u64::try_from(self.level.max(0) / SHARES).unwrap_or(self.capacity)
    }

    /// How long until the bucket is full again, which is what OpenAI calls the reset.
    pub(super) fn until_full(&self) -> Duration {
        self.time_to_gain(shares(self.capacity) - self.level)
    }

    fn time_to_gain(&self, missing: i128) -> Duration {
        if missing <= 0 {
            return Duration::ZERO;
        }
        match self.refill {
            Refill::Steady => {
                let rate = i128::from(self.capacity.max(1));
                let nanos = missing / rate + i128::from(missing % rate > 0);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            Refill::Whole(time) => {
                let next = (turn(self.at, time) + 1).saturating_mul(time.as_nanos());
                let nanos = next.saturating_sub(u128::from(self.at.as_nanos()));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}

fn shares(tokens: u64) -> i128 {
    i128::from(tokens) * SHARES
}

/// How many times a bucket that fills whole has done so.
fn turn(at: Moment, time: Duration) -> u128 {
    u128::from(at.as_nanos()) / time.as_nanos().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn steady(limit: u64) -> Bucket {
        Bucket::full(limit, limit, Refill::Steady, at(0))
    }

    fn whole(limit: u64, capacity: u64, seconds: u64) -> Bucket {
        Bucket::full(limit, capacity, Refill::Whole(Duration::from_secs(seconds)), at(0))
    }

    #[test]
    fn the_wait_that_it_names_is_exactly_enough() {
        let mut bucket = steady(60);
        bucket.take(60);
        assert_eq!(bucket.wait_for(1), Duration::from_secs(1));
        bucket.refill(at(999));
        assert_eq!(bucket.wait_for(1), Duration::from_millis(1));
        bucket.refill(at(1_000));
        assert!(bucket.wait_for(1).is_zero());
        assert_eq!(bucket.remaining(), 1);
    }

    #[test]
    fn it_never_holds_more_than_its_limit() {
        let mut bucket = steady(10);
        bucket.refill(at(3_600_000));
        assert_eq!((bucket.remaining(), bucket.until_full()), (10, Duration::ZERO));
        bucket.take(5);
        assert_eq!(bucket.until_full(), Duration::from_secs(30));
        bucket.give_back(99, at(0));
        assert_eq!(bucket.remaining(), 10);
    }

    #[test]
    fn never_more_is_granted_than_rate_times_time_plus_one_bucket() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut bucket, mut granted, mut now) = (steady(977), 0, 0);
        for _ in 0..10_000 {
            now += rng.u64(0..200);
            bucket.refill(at(now));
            let cost = rng.u64(1..50);
            if bucket.wait_for(cost).is_zero() {
                bucket.take(cost);
                granted += cost;
            }
            assert!(u128::from(granted) * 60_000 <= 977 * (60_000 + u128::from(now)));
        }
        assert!(granted > 977);
    }

    #[test]
    fn a_window_is_whole_again_at_its_end_and_not_before() {
        let mut bucket = whole(600, 10, 1);
        bucket.refill(at(5_300));
        bucket.take(10);
        assert_eq!((bucket.limit(), bucket.remaining()), (600, 0));
        assert_eq!(bucket.wait_for(1), Duration::from_millis(700));
        bucket.refill(at(5_999));
        assert_eq!((bucket.remaining(), bucket.wait_for(10)), (0, Duration::from_millis(1)));
        bucket.refill(at(6_000));
        assert_eq!((bucket.remaining(), bucket.until_full()), (10, Duration::ZERO));
    }

    #[test]
    fn nothing_flows_back_into_a_window_that_is_over() {
        let mut bucket = whole(100, 100, 60);
        bucket.take(80);
        bucket.refill(at(60_000));
        bucket.take(50);
        bucket.give_back(30, at(0));
        assert_eq!(bucket.remaining(), 50);
        bucket.give_back(30, at(60_000));
        assert_eq!(bucket.remaining(), 80);
    }

    #[test]
    fn what_runs_may_overdraw_it_and_the_debt_is_worked_off() {
        let mut bucket = steady(60);
        bucket.draw(90);
        assert_eq!((bucket.remaining(), bucket.wait_for(1)), (0, Duration::from_secs(31)));
        bucket.refill(at(31_000));
        assert!(bucket.wait_for(1).is_zero());
    }

    #[test]
    fn another_limit_is_as_full_as_the_one_before() {
        let mut old = steady(1_000);
        old.take(750);
        let mut new = steady(400);
        new.fill_like(&old);
        assert_eq!(new.remaining(), 100);
        old.draw(500);
        new.fill_like(&old);
        assert_eq!(new.wait_for(1), Duration::from_millis(15_150));
        new.fill_like(&steady(0));
        assert_eq!(new.wait_for(1), Duration::from_millis(15_150));
    }

    #[test]
    fn a_limit_of_nothing_divides_by_nothing() {
        let mut bucket = steady(0);
        bucket.refill(at(u64::MAX / 1_000_000));
        assert_eq!((bucket.remaining(), bucket.until_full()), (0, Duration::ZERO));
    }
}
