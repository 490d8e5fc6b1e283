//! One limit in use: what it counts, how full it is, and where the limit is known from.
//!
//! Refuses to know calls and their order among each other. Invariant: a limit that a person wrote never changes by
//! itself, and nothing weighs more than a limit that was learned: it may be wrong, and then only another call shows it.

use super::bucket::{Bucket, NotBefore, Order, Rate};
use super::day::Day;
use super::dimension::{Cost, DAY, Dimension};
use super::learn::Said;
use super::limits::{DayReset, Limits, Slices};
use super::pace::{Found, Ramp};
use super::saved::SavedLimit;
use crate::units::Moment;
use std::num::NonZeroU32;
use std::time::Duration;

/// What was learned and has not mattered for so long is as likely wrong as right.
pub(super) const FORGOTTEN_AFTER: Duration = DAY;

/// A limit that grows does so in steps of one part in so many.
const GROWTH_STEPS: u32 = 400;

/// A limit in use.
#[derive(Debug)]
pub(super) struct Gauge {
    pub(super) dimension: Dimension,
    pub(super) meter: Meter,
    pub(super) source: Source,
}

/// How a limit comes back.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a budget has a handful, and most are buckets")]
pub(super) enum Meter {
    /// Steadily.
    Bucket(Bucket),
    /// All at once.
    Day(Day),
}

/// Where a limit is known from.
#[derive(Debug)]
pub(super) enum Source {
    /// A person wrote it.
    Configured,
    /// The provider said it.
    Said(Said),
    /// Refusals showed it.
    Found(Found),
    /// Traffic grew too fast.
    Ramp(Ramp),
}

/// Where a limit is known from, as a word for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// A person wrote it.
    Configured,
    /// The provider said it.
    Said,
    /// Refusals showed it.
    Found,
    /// It is held for a while, because traffic grew too fast.
    Ramp,
}

impl Known {
    /// The word used in `/health` and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Known::Configured => "configured",
            Known::Said => "said",
            Known::Found => "found",
            Known::Ramp => "ramp",
        }
    }
}

/// What one limit looks like to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// What it counts.
    pub dimension: Dimension,
    /// Units in one window.
    pub limit: u64,
    /// Units that could be taken now; negative in debt.
    pub level: i64,
    /// Where the limit is known from.
    pub known: Known,
    /// Units that somebody else took from it in the last minute, as far as it shows.
    pub used_elsewhere: u64,
}

impl Gauge {
    /// The gauge of a dimension that these limits limit, full.
    pub(super) fn configured(dimension: Dimension, limits: &Limits) -> Option<Gauge> {
        let rate = dimension.rate(limits)?;
        let meter = if is_calendar(dimension, limits) {
            Meter::Day(Day::new(rate.limit))
        } else {
            Meter::Bucket(Bucket::new(rate))
        };
        Some(Gauge { dimension, meter, source: Source::Configured })
    }

    /// The same dimension under other limits. Into a bucket that has changed nothing flows back from before `order`.
    pub(super) fn reconfigured(
        before: Option<Gauge>,
        dimension: Dimension,
        limits: &Limits,
        order: Order,
        now: Moment,
    ) -> Option<Gauge> {
        let rate = dimension.rate(limits)?;
        let meter = match before.map(|gauge| gauge.meter) {
            Some(Meter::Day(mut day)) if is_calendar(dimension, limits) => {
                day.retune(rate.limit);
                Meter::Day(day)
            }
            _ if is_calendar(dimension, limits) => Meter::Day(Day::new(rate.limit)),
            Some(Meter::Bucket(bucket)) => Meter::Bucket(retuned(bucket, rate, order, now)),
            Some(Meter::Day(_)) | None => Meter::Bucket(Bucket::since(rate, order)),
        };
        Some(Gauge { dimension, meter, source: Source::Configured })
    }

    pub(super) fn is_configured(&self) -> bool {
        matches!(self.source, Source::Configured)
    }

    pub(super) fn is_ramp(&self) -> bool {
        matches!(self.source, Source::Ramp(_))
    }

    /// What `cost` weighs here.
    pub(super) fn weigh(&self, cost: Cost) -> u64 {
        let units = self.dimension.weigh(cost);
        if self.is_configured() { units } else { units.min(self.limit().get().into()) }
    }

    pub(super) fn take(&mut self, cost: Cost, order: Order, now: Moment) -> Result<(), NotBefore> {
        let units = self.weigh(cost);
        match &mut self.meter {
            Meter::Bucket(bucket) => bucket.take(units, order, now),
            Meter::Day(day) => day.take(units, order, now),
        }
    }

    pub(super) fn ready_at(&self, units: u64, ahead: u64, now: Moment) -> Moment {
        match &self.meter {
            Meter::Bucket(bucket) => bucket.ready_at(units, ahead, now),
            Meter::Day(day) => day.ready_at(units, ahead, now),
        }
    }

    /// What must stay when `asked` is taken. Nothing is kept from a day: it would never be used.
    pub(super) fn stays(&self, asked: u64, reserve: u32) -> u64 {
        match &self.meter {
            Meter::Bucket(bucket) if !self.dimension.is_daily() => {
                let burst = u64::from(bucket.rate().burst.get());
                (burst * u64::from(reserve) / 1_000).min(burst.saturating_sub(asked))
            }
            Meter::Bucket(_) | Meter::Day(_) => 0,
        }
    }

    pub(super) fn refund(&mut self, units: u64, taken: Order, now: Moment) {
        match &mut self.meter {
            Meter::Bucket(bucket) => bucket.refund(units, taken, now),
            Meter::Day(day) => day.refund(units, taken, now),
        }
    }

    pub(super) fn charge(&mut self, units: u64, order: Order, now: Moment) {
        match &mut self.meter {
            Meter::Bucket(bucket) => bucket.charge(units, order, now),
            Meter::Day(day) => day.charge(units, order, now),
        }
    }

    /// See [`Bucket::drain_until`]. A day's allowance is left alone, or one refusal for a minute would cost the day.
    pub(super) fn drain_until(&mut self, until: Moment, level: u64, order: Order, now: Moment) -> f64 {
        match self.bucket() {
            Some(bucket) if bucket.rate().window < DAY => bucket.drain_until(until, level, order, now),
            _ => 0.0,
        }
    }

    /// Another limit: a small change keeps what may flow back, a large one begins anew, as full as before. Where
    /// `is_measured`, what is left is known too: then no debt is taken over, which was one under a wrong limit.
    pub(super) fn adopt(&mut self, rate: Rate, is_measured: bool, order: Order, now: Moment) {
        let Some(bucket) = self.bucket() else { return };
        let (from, to) = (u64::from(bucket.rate().limit.get()), u64::from(rate.limit.get()));
        if from.abs_diff(to) <= from / 8 {
            bucket.stretch(rate, now);
        } else {
            let mut other = Bucket::since(rate, order);
            let fill = bucket.fill(now);
            other.set_fill(if is_measured { fill.max(0.0) } else { fill }, now);
            *bucket = other;
        }
    }

    /// The same limit in other slices, as full as before.
    pub(super) fn cut(&mut self, slices: Slices, order: Order, now: Moment) {
        let rate = self.dimension.rate_of(self.limit(), slices);
        if let Meter::Bucket(bucket) = &mut self.meter {
            let before = std::mem::replace(bucket, Bucket::new(rate));
            *bucket = retuned(before, rate, order, now);
        }
    }

    pub(super) fn bucket(&mut self) -> Option<&mut Bucket> {
        match &mut self.meter {
            Meter::Bucket(bucket) => Some(bucket),
            Meter::Day(_) => None,
        }
    }

    pub(super) fn limit(&self) -> NonZeroU32 {
        match (&self.meter, &self.source) {
            // The bucket may be slower, to leave others what they use.
            (Meter::Bucket(_), Source::Said(said)) => said.limit,
            (Meter::Bucket(bucket), _) => bucket.rate().limit,
            (Meter::Day(day), _) => day.limit(),
        }
    }

    pub(super) fn level(&self, now: Moment) -> i64 {
        match &self.meter {
            Meter::Bucket(bucket) => bucket.level(now),
            Meter::Day(day) => day.level(now),
        }
    }

    pub(super) fn fill(&self, now: Moment) -> f64 {
        match &self.meter {
            Meter::Bucket(bucket) => bucket.fill(now),
            Meter::Day(day) => day.fill(now),
        }
    }

    /// A day's limit that comes back all at once does so then.
    pub(super) fn day_ends(&mut self, at: Moment, now: Moment) {
        if let Meter::Day(day) = &mut self.meter {
            day.ends_at(at, now);
        }
    }

    /// How long until a day's limit comes back all at once.
    pub(super) fn day_left(&self, now: Moment) -> Option<Duration> {
        match &self.meter {
            Meter::Bucket(_) => None,
            Meter::Day(day) => day.left(now),
        }
    }

    /// Takes over what was saved `elapsed` ago.
    pub(super) fn restore(&mut self, fill: f64, left: Duration, elapsed: Duration, now: Moment) {
        match &mut self.meter {
            Meter::Bucket(bucket) => {
                bucket.set_fill(fill, now);
                bucket.rest(elapsed, now);
            }
            Meter::Day(day) => day.restore(fill, left, elapsed, now),
        }
    }

    /// A take was granted, and a limit that was learned may have grown. `false` if it is to be forgotten.
    pub(super) fn goes_on(&mut self, cost: Cost, slices: Slices, order: Order, now: Moment) -> bool {
        let Meter::Bucket(bucket) = &self.meter else { return true };
        let (level, rate) = (bucket.level(now), bucket.rate());
        let (limit, least) = match &mut self.source {
            Source::Configured => return true,
            Source::Said(said) => {
                let is_kept = now.since(said.at) < FORGOTTEN_AFTER;
                self.keep_pace(slices, now);
                return is_kept;
            }
            Source::Found(found) => {
                let held_back = level.saturating_mul(2) < rate.burst.get().into();
                found.note_take(self.dimension.weigh(cost), order, held_back, now);
                if now.since(found.bound_at) >= FORGOTTEN_AFTER {
                    return false;
                }
                (found.limit(rate.limit.get().into()), rate.limit.get() / GROWTH_STEPS)
            }
            Source::Ramp(ramp) => match ramp.limit(now) {
                Some(limit) => (limit, rate.limit.get() / GROWTH_STEPS),
                None => return false,
            },
        };
        if limit.get() > rate.limit.get().saturating_add(least) {
            self.adopt(self.dimension.rate_of(limit, slices), false, order, now);
        }
        true
    }

    /// What a pool has learned here, for the next process.
    pub(super) fn learned(&self, now: Moment) -> Option<SavedLimit> {
        let (said, age) = match &self.source {
            Source::Configured | Source::Ramp(_) => return None,
            Source::Said(said) => (true, now.since(said.at)),
            Source::Found(found) => (false, now.since(found.bound_at)),
        };
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Some(SavedLimit { limit: self.limit().get(), said, age_ms })
    }

    /// A gauge that an earlier process had learned, full; `None` if that is too long ago.
    pub(super) fn relearned(
        dimension: Dimension,
        saved: &SavedLimit,
        elapsed: Duration,
        slices: Slices,
        now: Moment,
    ) -> Option<Gauge> {
        let age = Duration::from_millis(saved.age_ms).saturating_add(elapsed);
        let limit = NonZeroU32::new(saved.limit).filter(|_| age < FORGOTTEN_AFTER)?;
        let source = if saved.said {
            Source::Said(Said::new(limit, now))
        } else {
            Source::Found(Found::new(f64::from(limit.get()), 0, now))
        };
        let meter = Meter::Bucket(Bucket::new(dimension.rate_of(limit, slices)));
        Some(Gauge { dimension, meter, source })
    }

    pub(super) fn view(&self, now: Moment) -> Level {
        let (known, used_elsewhere) = match &self.source {
            Source::Configured => (Known::Configured, 0),
            Source::Said(said) => (Known::Said, said.used_elsewhere(self.limit(), now)),
            Source::Found(_) => (Known::Found, 0),
            Source::Ramp(_) => (Known::Ramp, 0),
        };
        let (limit, level) = (self.limit().get().into(), self.level(now));
        Level { dimension: self.dimension, limit, level, known, used_elsewhere }
    }
}

fn is_calendar(dimension: Dimension, limits: &Limits) -> bool {
    dimension.is_daily() && limits.day == DayReset::AtReset
}

/// The bucket for `rate`, as full as the one before it.
fn retuned(before: Bucket, rate: Rate, order: Order, now: Moment) -> Bucket {
    if before.rate() == rate {
        return before;
    }
    let mut bucket = Bucket::since(rate, order);
    bucket.set_fill(before.fill(now), now);
    bucket
}
