//! What a pool believes of the readings that come with answers.
//!
//! A reading was made when the provider let its call in, about when we took room for it. What we have taken and
//! given back since is known exactly, so every reading bounds the bucket as it stands now, and corrections need not
//! know of each other: a bound that already holds changes nothing. Two bounds follow from one reading:
//! the level is not above what was left, or we would be refused; and no more is missing than the provider misses, or
//! we would wait for nothing. For the first, refunds since count, and time since the take; for the second they do
//! not, and time counts from the answer: each errs on the side where it changes less.
//!
//! Refuses to know headers. Invariant: readings that agree with our own count change nothing, whatever the order in
//! which they come; one that is wrong costs at most a window of waiting.

use super::bucket::{Bucket, Order};
use super::budget::{Budget, Taken};
use super::gauge::{Gauge, Meter, Source};
use super::heard::Reading;
use super::limits::Slices;
use crate::units::Moment;
use std::num::NonZeroU32;

/// What is remembered of a limit that the provider says.
#[derive(Debug)]
pub(super) struct Said {
    /// When it was last said.
    pub(super) at: Moment,
    /// The call whose reading was applied last: those of calls before it tell of an older past.
    pub(super) heard: Order,
    /// A higher limit that was said once.
    rise: Option<NonZeroU32>,
    elsewhere: Decayed,
}

/// A part of the limit that readings may be off by, through estimates, before others are suspected.
const NOISE: f64 = 0.01;

impl Said {
    pub(super) fn new(now: Moment) -> Said {
        Said { at: now, heard: 0, rise: None, elsewhere: Decayed::default() }
    }

    /// Units that somebody else took in the last minute, as far as it shows.
    pub(super) fn used_elsewhere(&self, limit: NonZeroU32, now: Moment) -> u64 {
        let used = self.elsewhere.at(now);
        if used < f64::from(limit.get()) * NOISE {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates"
        )]
        let used = used.round() as u64;
        used
    }

    /// The limit to go by from now on, if it is another: a lower one at once, a higher one when it was said twice in
    /// a row, the lower of the two. Where two limits answer under one name in turn, the lower holds.
    fn adopted(&mut self, current: NonZeroU32, limit: NonZeroU32) -> Option<NonZeroU32> {
        let rise = self.rise.take();
        if limit > current && rise.is_none() {
            self.rise = Some(limit);
            return None;
        }
        Some(rise.map_or(limit, |rise| rise.min(limit)).max(limit.min(current)))
            .filter(|limit| *limit != current)
    }
}

/// What was taken and given back since a call was let in.
#[derive(Clone, Copy, Debug)]
struct Since {
    taken: u64,
    returned: u64,
}

impl Budget {
    /// The answer to this call has said how much was left. Limits that were configured never learn.
    pub(super) fn hear(&mut self, taken: &Taken, readings: &[Reading], now: Moment) {
        if self.pool.is_none() {
            return;
        }
        for reading in readings {
            let limit = reading.limit.and_then(not_zero);
            let known = self.said_of(reading, limit, taken.order, now);
            let Some(index) = known else { continue };
            let since = Since {
                taken: self.flow.taken.since(taken.flow.taken).units(reading.dimension),
                returned: self.flow.returned.since(taken.flow.returned).units(reading.dimension),
            };
            let (slices, order) = (self.slices(), self.order);
            self.gauges[index].hear(taken, reading, since, (slices, order), now);
        }
    }

    /// The gauge that a reading is about; one that was not known before begins with it.
    fn said_of(
        &mut self,
        reading: &Reading,
        limit: Option<NonZeroU32>,
        taken: Order,
        now: Moment,
    ) -> Option<usize> {
        let same = |gauge: &Gauge| gauge.dimension == reading.dimension && !gauge.is_ramp();
        match (self.gauges.iter().position(same), limit) {
            (Some(index), Some(limit)) if matches!(self.gauges[index].source, Source::Found(_)) => {
                let (slices, order) = (self.slices(), self.order);
                self.gauges[index].say(limit, (slices, order), now);
                Some(index)
            }
            (Some(index), _) => Some(index),
            (None, Some(limit)) => {
                let rate = reading.dimension.rate_of(limit, self.slices());
                let bucket = Bucket::since(rate, taken);
                let (meter, source) = (Meter::Bucket(bucket), Source::Said(Said::new(now)));
                self.gauges.push(Gauge { dimension: reading.dimension, meter, source });
                Some(self.gauges.len() - 1)
            }
            (None, None) => None,
        }
    }
}

impl Gauge {
    /// The provider says outright that this is the limit.
    pub(super) fn say(&mut self, limit: NonZeroU32, (slices, order): (Slices, Order), now: Moment) {
        if limit != self.limit() {
            self.adopt(self.dimension.rate_of(limit, slices), false, order, now);
        }
        match &mut self.source {
            Source::Said(said) => (said.at, said.rise) = (now, None),
            source => *source = Source::Said(Said::new(now)),
        }
    }

    fn hear(
        &mut self,
        taken: &Taken,
        reading: &Reading,
        since: Since,
        (slices, order): (Slices, Order),
        now: Moment,
    ) {
        let current = self.limit();
        let Source::Said(said) = &mut self.source else { return };
        if taken.order <= said.heard {
            return;
        }
        let is_first = said.heard == 0;
        said.heard = taken.order;
        let limit = reading.limit.and_then(not_zero);
        let adopted = limit.and_then(|limit| said.adopted(current, limit));
        if limit.is_some() {
            said.at = now;
        }
        if let Some(adopted) = adopted {
            self.adopt(self.dimension.rate_of(adopted, slices), reading.remaining.is_some(), order, now);
        }
        let is_believed = limit == Some(self.limit());
        // A limit without what is left of it still means that this call and what was taken since it are gone.
        let Some(remaining) = reading.remaining.or(is_first.then_some(u64::MAX)) else { return };
        let own = if is_first { i128::from(self.dimension.weigh(taken.asked)) } else { 0 };
        let (Meter::Bucket(bucket), Source::Said(said)) = (&mut self.meter, &mut self.source) else { return };
        let (limit, burst) = (i128::from(bucket.rate().limit.get()), i128::from(bucket.rate().burst.get()));
        let (half, remaining) = (i128::from(reading.grain / 2), i128::from(remaining));
        let net = i128::from(since.taken) - i128::from(since.returned);
        let most =
            burst - if reading.remaining.is_some() { own.min((limit - remaining).max(0)) } else { own };
        let lowered = bucket.lower((remaining + half).min(most), net, (taken.at, taken.order), now);
        if !is_first && adopted.is_none() {
            said.elsewhere.add(lowered, now);
        }
        if is_believed && reading.remaining.is_some() {
            let missing = (limit - remaining).max(0) + half + i128::from(since.taken);
            bucket.raise_to(missing, taken.order, now);
        }
    }
}

pub(super) fn not_zero(limit: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX))
}

/// A sum that forgets: of what comes at a steady pace it holds one minute's worth.
#[derive(Clone, Copy, Debug, Default)]
struct Decayed {
    sum: f64,
    at: Moment,
}

impl Decayed {
    fn at(&self, now: Moment) -> f64 {
        self.sum * (-now.since(self.at).as_secs_f64() / 60.0).exp()
    }

    fn add(&mut self, units: f64, now: Moment) {
        *self = Decayed { sum: self.at(now) + units, at: now };
    }
}

#[cfg(test)]
#[path = "learn_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "learn_simulation_tests.rs"]
mod simulation;
