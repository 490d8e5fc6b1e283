//! One limit over one window: a bucket that refills steadily, may be given back to, and may go into debt.
//!
//! governor decides; the state it decides over is ours, because its own can neither be given back to
//! nor saved. The state is one number, the theoretical arrival time of the generic cell rate algorithm:
//! the moment at which the bucket will be full again. Refuses to know clocks: the hand of the clock that
//! governor reads is set to `now` before each decision.
//!
//! Invariant: from any moment on, what is taken and not given back in a time `d` is at most
//! `burst + rate * d`, beyond the one debt that [`Bucket::take`] allows a call larger than the burst. So
//! a refund is worth only what would still be there without its take: a bucket that has been full since
//! would have been full anyway.

use super::hand::{FullAt, Hand, TICKS_PER_NANO, Tick, moment_not_before, ticks};
use crate::units::Moment;
use governor::middleware::NoOpMiddleware;
use governor::state::NotKeyed;
use governor::{Quota, RateLimiter};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// More windows than this are never owed, so that one nonsensical usage does not shut a provider for ever.
/// Keeps sums far from overflow too.
const WINDOWS_OWED_MAX: u64 = 100;

/// The most [`Dip`]s that are remembered. Beyond it old reservations get less back than they might.
const DIPS_MAX: usize = 1_024;

/// How much passes, in what time, and how much of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Units in one window.
    pub(super) limit: NonZeroU32,
    /// The window.
    pub(super) window: Duration,
    /// Units that may pass at once after a rest; not more than `limit`.
    pub(super) burst: NonZeroU32,
}

/// A bucket. Units are tokens or requests.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Ticks that one unit takes to refill.
    interval: u64,
    hand: Hand,
    full_at: FullAt,
    limiter: RateLimiter<NotKeyed, FullAt, Hand, NoOpMiddleware<Tick>>,
    /// In the order in which they came, each lower than those after it: a dip that a later one
    /// undercuts bounds nothing.
    dips: VecDeque<Dip>,
}

/// Where an operation stands in the order of all operations on a bucket: the later, the larger.
pub(super) type Order = u64;

/// How full the bucket was just before somebody took: the most, in ticks, that a take from before it can
/// still give back. Whatever is more would have run over at that moment without the take.
#[derive(Clone, Copy, Debug)]
struct Dip {
    order: Order,
    bound: u64,
}

/// The refusal of a take: when the same would be granted if nothing else were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotBefore(pub(super) Moment);

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate) -> Bucket {
        let window = u64::try_from(rate.window.as_nanos()).unwrap_or(u64::MAX).saturating_mul(TICKS_PER_NANO);
        let interval = window.div_ceil(u64::from(rate.limit.get())).max(1);
        let quota = Quota::with_period(Duration::from_nanos(interval))
            .expect("the interval is at least one tick")
            .allow_burst(rate.burst);
        // The hand stands at zero while the limiter is built, so that governor's private start is zero
        // and the numbers it hands to the state are absolute.
        let (hand, full_at) = (Hand::default(), FullAt::default());
        let limiter = RateLimiter::new(quota, full_at.clone(), hand.clone());
        Bucket { rate, interval, hand, full_at, limiter, dips: VecDeque::new() }
    }

    /// A bucket into which nothing flows back from takes up to `order`: they were made from another.
    pub(super) fn since(rate: Rate, order: Order) -> Bucket {
        let mut bucket = Bucket::new(rate);
        bucket.note_dip(order.saturating_add(1), 0);
        bucket
    }

    /// Takes `units` now, or nothing. More than the burst is granted by a full bucket alone, and leaves
    /// it in debt; whether so much can ever be granted is for the budget to know.
    pub(super) fn take(&mut self, units: u64, order: Order, now: Moment) -> Result<(), NotBefore> {
        let Some(at_once) = self.at_once(units) else { return Ok(()) };
        let owed = self.owed(now);
        self.hand.set(now);
        match self.limiter.check_n(at_once) {
            Ok(Ok(())) => {
                self.note_dip(order, owed);
                self.raise(units.saturating_sub(u64::from(at_once.get())), now);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(NotBefore(self.ready_at(units, 0, now))),
        }
    }

    /// When `units` would be granted if `ahead` more units went first; `now` if at once.
    pub(super) fn ready_at(&self, units: u64, ahead: u64, now: Moment) -> Moment {
        let Some(at_once) = self.at_once(units) else { return now };
        let needed = ahead.saturating_add(u64::from(at_once.get())).saturating_mul(self.interval);
        let ready = self.full_at.get().max(ticks(now)).saturating_add(needed).saturating_sub(self.slack());
        moment_not_before(ready).max(now)
    }

    /// Gives back what the take of this order did not use, as far as it would still be there.
    pub(super) fn refund(&mut self, units: u64, taken: Order, now: Moment) {
        self.flow_back(units.saturating_mul(self.interval), taken, now);
    }

    /// Lowers the level to what it is at most if it was at most `level` units at `then`, and `since` units net were
    /// taken after it. Never to more than one window of debt: after that a bucket of any level is full. Less than one
    /// unit is not worth a change. Returns the units that it was lowered by.
    pub(super) fn lower(&mut self, level: i128, since: i128, then: (Moment, Order), now: Moment) -> f64 {
        let missing = i128::from(self.rate.burst.get()).saturating_sub(level).saturating_add(since);
        let full_at = i128::from(ticks(then.0)).saturating_add(missing.saturating_mul(self.interval.into()));
        let latest = i128::from(ticks(now)).saturating_add(i128::from(self.window()));
        let full_at = u64::try_from(full_at.min(latest).max(0)).unwrap_or(u64::MAX);
        let before = self.full_at.get().max(ticks(now));
        let lowered = full_at.saturating_sub(before);
        if lowered < self.interval {
            return 0.0;
        }
        // The past is now as if so much more had been taken then.
        let later = self.dips.partition_point(|dip| dip.order <= then.1);
        for dip in self.dips.range_mut(later..) {
            dip.bound = dip.bound.saturating_add(lowered);
        }
        self.full_at.set(full_at);
        lowered as f64 / self.interval as f64
    }

    /// Raises the level to what it is at least if no more than `missing` units are gone, unless the bucket has been
    /// as full since the take of that order. Less than one unit is not worth a change. Returns the units that it was raised
    /// by.
    pub(super) fn raise_to(&mut self, missing: i128, taken: Order, now: Moment) -> f64 {
        let missing = u64::try_from(missing.max(0)).unwrap_or(u64::MAX);
        let back = self.owed(now).saturating_sub(missing.saturating_mul(self.interval));
        if back < self.interval {
            return 0.0;
        }
        self.flow_back(back, taken, now) as f64 / self.interval as f64
    }

    /// Returns as much of it as would still be there.
    fn flow_back(&mut self, back: u64, taken: Order, now: Moment) -> u64 {
        let later = self.dips.partition_point(|dip| dip.order <= taken);
        let lowest = self.dips.get(later).map_or(u64::MAX, |dip| dip.bound);
        let back = back.min(lowest).min(self.owed(now));
        // The past is now as if less had been taken.
        for dip in self.dips.range_mut(later..) {
            dip.bound -= back;
        }
        if let Some(lowered) = self.dips.get(later).map(|dip| dip.bound) {
            let lower = self.dips.partition_point(|dip| dip.bound < lowered && dip.order <= taken);
            self.dips.drain(lower..later);
        }
        self.full_at.set(self.full_at.get().saturating_sub(back));
        back
    }

    /// Another rate, as full as before. What was taken at the old one flows back by the new: for small changes.
    pub(super) fn stretch(&mut self, rate: Rate, now: Moment) {
        let mut other = Bucket::new(rate);
        let (from, to) = (u128::from(self.slack().max(1)), u128::from(other.slack()));
        let scaled = |owed: u64| u64::try_from(u128::from(owed) * to / from).unwrap_or(u64::MAX);
        other.dips = self.dips.iter().map(|dip| Dip { bound: scaled(dip.bound), ..*dip }).collect();
        other.owe(scaled(self.owed(now)), now);
        *self = other;
    }

    /// Takes what has been used already, into debt if need be.
    pub(super) fn charge(&mut self, units: u64, order: Order, now: Moment) {
        self.note_dip(order, self.owed(now));
        self.raise(units, now);
    }

    /// Lowers the level so that at `until` it is not more than `level` units: somebody who knows better,
    /// the provider, has said so. What was taken before is part of that level.
    pub(super) fn drain_until(&mut self, until: Moment, level: u64, order: Order, now: Moment) -> f64 {
        let room = level.saturating_mul(self.interval).min(self.slack());
        let full_at = ticks(until).saturating_add(self.slack() - room);
        self.note_dip(order, self.full_at.get().saturating_sub(full_at.max(ticks(now))));
        let before = self.full_at.get().max(ticks(until));
        self.full_at.set(self.full_at.get().max(full_at));
        full_at.saturating_sub(before) as f64 / self.interval as f64
    }

    /// Units that can be taken now; negative in debt.
    pub(super) fn level(&self, now: Moment) -> i64 {
        let burst = i64::from(self.rate.burst.get());
        burst.saturating_sub_unsigned(self.owed(now).div_ceil(self.interval))
    }

    /// The level as a part of the burst: 1 is full, below 0 is debt.
    pub(super) fn fill(&self, now: Moment) -> f64 {
        1.0 - self.owed(now) as f64 / self.slack() as f64
    }

    /// Sets the level by [`Bucket::fill`]. What is not a number counts as empty.
    pub(super) fn set_fill(&mut self, fill: f64, now: Moment) {
        let fill = if fill.is_nan() { 0.0 } else { fill.clamp(-1e6, 1.0) };
        let owed = (1.0 - fill) * self.slack() as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates"
        )]
        self.owe(owed.ceil() as u64, now);
    }

    /// Lets `elapsed` pass at once: time in which the process did not run.
    pub(super) fn rest(&mut self, elapsed: Duration, now: Moment) {
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).saturating_mul(TICKS_PER_NANO);
        let owed = self.owed(now).saturating_sub(elapsed);
        self.owe(owed, now);
    }

    /// How much, in what time, how much at once.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// The part of `units` that governor is asked for; `None` if there is nothing to ask.
    fn at_once(&self, units: u64) -> Option<NonZeroU32> {
        let units = units.min(u64::from(self.rate.burst.get()));
        u32::try_from(units).ok().and_then(NonZeroU32::new)
    }

    /// The time in which an empty bucket fills.
    fn slack(&self) -> u64 {
        u64::from(self.rate.burst.get()) * self.interval
    }

    /// The time in which as much as the limit passes.
    fn window(&self) -> u64 {
        u64::from(self.rate.limit.get()).saturating_mul(self.interval)
    }

    fn owed(&self, now: Moment) -> u64 {
        self.full_at.get().saturating_sub(ticks(now))
    }

    fn owe(&self, owed: u64, now: Moment) {
        let most = self.window().saturating_mul(WINDOWS_OWED_MAX);
        self.full_at.set(ticks(now).saturating_add(owed.min(most)));
    }

    fn raise(&self, units: u64, now: Moment) {
        self.owe(self.owed(now).saturating_add(units.saturating_mul(self.interval)), now);
    }

    fn note_dip(&mut self, order: Order, bound: u64) {
        while self.dips.back().is_some_and(|dip| dip.bound >= bound) {
            self.dips.pop_back();
        }
        self.dips.push_back(Dip { order, bound });
        if self.dips.len() > DIPS_MAX
            && let Some(oldest) = self.dips.pop_front()
            && let Some(next) = self.dips.front_mut()
        {
            next.bound = oldest.bound;
        }
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
