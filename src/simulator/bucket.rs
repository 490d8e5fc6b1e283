//! A strict bucket: continuous refill, a window of one minute, a capacity of exactly the limit, no debt.
//!
//! Integer arithmetic in nanosecond shares of a token, so that what is granted in any stretch of time never
//! exceeds capacity plus rate times time. It knows no clock; it is told the moment.

use crate::units::Moment;
use std::time::Duration;

/// One token in shares: a bucket of `limit` a minute gains `limit` shares a nanosecond.
const SHARES: u128 = 60_000_000_000;

/// The state of one limit.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    limit: u64,
    level: u128,
    at: Moment,
}

impl Bucket {
    /// A full bucket of `limit` a minute.
    pub(super) fn full(limit: u64, now: Moment) -> Bucket {
        Bucket { limit, level: u128::from(limit) * SHARES, at: now }
    }

    /// Lets the time until `now` refill the bucket.
    pub(super) fn refill(&mut self, now: Moment) {
        let gained = now.since(self.at).as_nanos() * u128::from(self.limit);
        self.level = (self.level + gained).min(self.capacity());
        self.at = self.at.max(now);
    }

    /// How long until `cost` fits; zero when it fits now. Only of use for a cost within the limit.
    pub(super) fn wait_for(&self, cost: u64) -> Duration {
        self.time_to_gain((u128::from(cost) * SHARES).saturating_sub(self.level))
    }

    /// Takes `cost`, which must fit.
    pub(super) fn take(&mut self, cost: u64) {
        debug_assert!(self.wait_for(cost).is_zero(), "a strict bucket never goes below zero");
        self.level = self.level.saturating_sub(u128::from(cost) * SHARES);
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Whole tokens left.
    pub(super) fn remaining(&self) -> u64 {
        u64::try_from(self.level / SHARES).unwrap_or(self.limit)
    }

    /// How long until the bucket is full again, which is what OpenAI calls the reset.
    pub(super) fn until_full(&self) -> Duration {
        self.time_to_gain(self.capacity() - self.level)
    }

    fn capacity(&self) -> u128 {
        u128::from(self.limit) * SHARES
    }

    fn time_to_gain(&self, shares: u128) -> Duration {
        let nanos = if shares == 0 { 0 } else { shares.div_ceil(u128::from(self.limit.max(1))) };
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_wait_that_it_names_is_exactly_enough() {
        let mut bucket = Bucket::full(60, at(0));
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
        let mut bucket = Bucket::full(10, at(0));
        bucket.refill(at(3_600_000));
        assert_eq!((bucket.remaining(), bucket.until_full()), (10, Duration::ZERO));
        bucket.take(5);
        assert_eq!(bucket.until_full(), Duration::from_secs(30));
    }

    #[test]
    fn never_more_is_granted_than_rate_times_time_plus_one_bucket() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut bucket, mut granted, mut now) = (Bucket::full(977, at(0)), 0, 0);
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
    fn a_limit_of_nothing_divides_by_nothing() {
        let bucket = Bucket::full(0, at(0));
        assert_eq!((bucket.remaining(), bucket.until_full()), (0, Duration::ZERO));
    }
}
