//! What a pool makes of a refusal: how long it is silent, which limit was met, and what that teaches.
//!
//! Refuses to know status codes and bodies. Invariant: refusals of calls that were sent before the last event belong
//! to it and teach nothing new.

use super::bucket::Bucket;
use super::budget::{Budget, Taken};
use super::dimension::{Cost, Dimension, Sums};
use super::gauge::{Gauge, Meter, Source};
use super::heard::{Meaning, Shortage};
use super::learn::not_zero;
use super::limits::{Limits, Slices};
use super::pace::{Found, Ramp};
use crate::units::Moment;
use std::num::NonZeroU32;
use std::time::Duration;

/// A limit of which less than this part was in use is not the one that was met.
const FAR_BELOW: f64 = 0.5;

/// Traffic must have lasted so long before what it used tells which limit was met.
const TRAFFIC_TELLS: Duration = Duration::from_secs(30);

/// After traffic grew too fast, at least so many calls like the refused one pass a minute.
const RAMP_CALLS_LEAST: u64 = 20;

/// At least so many calls like the refused one pass a minute when a first refusal is all that is known: it may have
/// other reasons, and nobody is to wait for long because of it.
const FIRST_CALLS_LEAST: u64 = 20;

impl Budget {
    /// The provider has refused this call for want of room. What it held has been given back already; `ceiling` is
    /// what a person configured for the provider. Limits that were configured learn nothing and are only silent.
    pub(super) fn refused(
        &mut self,
        taken: &Taken,
        shortage: &Shortage,
        ceiling: Option<&Limits>,
        now: Moment,
    ) {
        debug_assert!(taken.held.total().0 == 0, "a refused call still holds tokens");
        let is_new = match &mut self.pool {
            _ if shortage.meaning == Meaning::Day => {
                self.paused_until = self.paused_until.max(shortage.until);
                return;
            }
            None => return self.pause(shortage.until, taken.asked, now),
            Some(pool) => {
                let is_new = taken.order > pool.event;
                pool.event = if is_new { self.order + 1 } else { pool.event };
                is_new
            }
        };
        self.paused_until = self.paused_until.max(shortage.until);
        self.order += 1;
        // A refused request is not one that the limit let pass.
        self.note_change(taken, Sums::default(), Sums::of(1, Cost::default()));
        match shortage.meaning {
            Meaning::Ramp => self.too_fast(taken.asked, is_new, shortage.until, now),
            Meaning::Minute | Meaning::Day => self.short(taken, shortage, (ceiling, is_new), now),
        }
    }

    fn short(
        &mut self,
        taken: &Taken,
        shortage: &Shortage,
        (ceiling, is_new): (Option<&Limits>, bool),
        now: Moment,
    ) {
        let asked = taken.asked;
        let met = self.pool.as_ref().and_then(|pool| pool.met).filter(|_| !is_new);
        let dimension = shortage.dimension.or(met).unwrap_or_else(|| self.guess(asked, now));
        if let Some(pool) = &mut self.pool {
            pool.met = Some(dimension);
        }
        let (slices, order, until) = (self.slices(), self.order, shortage.until);
        let known = self.gauges.iter().position(|gauge| gauge.dimension == dimension && !gauge.is_ramp());
        let said = shortage.limit.and_then(not_zero);
        let index = match (known, said) {
            (Some(index), _) => index,
            (None, Some(limit)) => {
                self.gauges.push(beginning(dimension, limit, slices, Found::new(0.0, order, now)));
                self.gauges.len() - 1
            }
            (None, None) => {
                let found = is_new.then(|| self.first(dimension, asked, ceiling, now)).flatten();
                let Some((limit, found)) = found else { return };
                let mut gauge = beginning(dimension, limit, slices, found);
                gauge.drain_until(until, dimension.weigh(asked).max(1), order, now);
                return self.gauges.push(gauge);
            }
        };
        let gauge = &mut self.gauges[index];
        if let Some(limit) = said {
            gauge.say(limit, (slices, order), now);
        }
        let least = gauge.dimension.weigh(asked).max(1);
        let limit = gauge.limit();
        let left = match &mut gauge.source {
            Source::Said(said) => {
                said.heard = order;
                // When there is room for the call that was refused is what the provider has just told.
                least
            }
            Source::Found(found) => {
                if is_new {
                    found.emptied(limit, taken.order, order, now);
                } else {
                    found.less(least);
                }
                let limit = found.limit(least);
                gauge.adopt(gauge.dimension.rate_of(limit, slices), false, order, now);
                least
            }
            Source::Configured | Source::Ramp(_) => 0,
        };
        let lowered = gauge.drain_until(until, left, order, now);
        if known.is_some() {
            // There was room by our count and none by the provider's.
            gauge.taken_elsewhere(lowered, slices, now);
        }
    }

    /// A first idea of a limit. Nothing is learned where nothing was admitted: then somebody else uses the account.
    fn first(
        &self,
        dimension: Dimension,
        asked: Cost,
        ceiling: Option<&Limits>,
        now: Moment,
    ) -> Option<(NonZeroU32, Found)> {
        let pool = self.pool.as_ref()?;
        let used = pool.used(dimension, now);
        if used == 0 || dimension.is_daily() {
            return None;
        }
        if let Some(rate) = ceiling.and_then(|limits| dimension.rate(limits)) {
            return Some((rate.limit, Found::borrowed(rate.limit, self.order, now)));
        }
        let one = dimension.weigh(asked).max(1);
        let found =
            Found::first(used, one.saturating_mul(FIRST_CALLS_LEAST), pool.traffic(now), self.order, now);
        Some((found.limit(one), found))
    }

    /// Which limit was met, where nobody says: of those that are known the one that is used most; tokens rather than
    /// requests as long as their use speaks for it.
    fn guess(&self, asked: Cost, now: Moment) -> Dimension {
        let minute = || self.gauges.iter().filter(|gauge| !gauge.is_ramp() && !gauge.dimension.is_daily());
        let said = minute().filter(|gauge| matches!(gauge.source, Source::Said(_)));
        if let Some(lowest) = said.min_by(|a, b| a.fill(now).total_cmp(&b.fill(now))) {
            return lowest.dimension;
        }
        let used = |gauge: &Gauge| {
            let used = self.pool.as_ref().map_or(0, |pool| pool.used(gauge.dimension, now));
            used as f64 / f64::from(gauge.limit().get())
        };
        let most = minute().max_by(|a, b| used(a).total_cmp(&used(b)));
        let usual =
            if asked.total().0 > 0 { Dimension::TokensPerMinute } else { Dimension::RequestsPerMinute };
        let knows = |dimension: Dimension| minute().any(|gauge| gauge.dimension == dimension);
        // After a start or a rest little was used of anything, and that speaks against nothing.
        let is_new = self.pool.as_ref().is_none_or(|pool| pool.traffic(now) < TRAFFIC_TELLS);
        match most {
            _ if is_new => usual,
            Some(gauge) if used(gauge) >= FAR_BELOW => gauge.dimension,
            _ if !knows(usual) => usual,
            _ if !knows(Dimension::RequestsPerMinute) => Dimension::RequestsPerMinute,
            Some(gauge) => gauge.dimension,
            None => usual,
        }
    }

    /// Halves the pace of the last minute and lets it recover.
    fn too_fast(&mut self, asked: Cost, is_new: bool, until: Moment, now: Moment) {
        let Some(pool) = self.pool.as_ref().filter(|_| is_new) else { return };
        let dimension =
            if asked.total().0 > 0 { Dimension::TokensPerMinute } else { Dimension::RequestsPerMinute };
        let floor = dimension.weigh(asked).saturating_mul(RAMP_CALLS_LEAST);
        let ramp = Ramp::new(pool.used(dimension, now), floor, now);
        let Some(limit) = ramp.limit(now) else { return };
        let meter = Meter::Bucket(Bucket::since(dimension.rate_of(limit, self.slices()), self.order));
        let mut gauge = Gauge { dimension, meter, source: Source::Ramp(ramp) };
        // When the call that was refused may come again is what the provider has just told.
        gauge.drain_until(until, dimension.weigh(asked).max(1), self.order, now);
        self.gauges.retain(|gauge| !gauge.is_ramp());
        self.gauges.push(gauge);
    }

    /// A take was granted.
    pub(super) fn note_take(&mut self, cost: Cost, now: Moment) {
        let (slices, order) = (self.slices(), self.order);
        let Some(pool) = &mut self.pool else { return };
        pool.note_take(Sums::of(1, cost), now);
        self.gauges.retain_mut(|gauge| gauge.goes_on(cost, slices, order, now));
    }

    /// What a take has taken is now another amount.
    pub(super) fn note_change(&mut self, taken: &Taken, more: Sums, less: Sums) {
        self.flow.taken = self.flow.taken.plus(more);
        self.flow.returned = self.flow.returned.plus(less);
        let Some(pool) = &mut self.pool else { return };
        pool.note_change(taken.at, more, less);
        for gauge in &mut self.gauges {
            if let Source::Found(found) = &mut gauge.source {
                found.note_change(taken.order, more.units(gauge.dimension), less.units(gauge.dimension));
            }
        }
    }
}

/// A gauge that refusals have shown.
fn beginning(dimension: Dimension, limit: NonZeroU32, slices: Slices, found: Found) -> Gauge {
    let meter = Meter::Bucket(Bucket::new(dimension.rate_of(limit, slices)));
    Gauge { dimension, meter, source: Source::Found(found) }
}

#[cfg(test)]
#[path = "refused_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "pace_simulation_tests.rs"]
mod simulation;
