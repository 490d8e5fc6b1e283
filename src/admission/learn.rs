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

use super::bucket::{Bucket, Order, Rate};
use super::budget::{Budget, Taken};
use super::gauge::{Gauge, Meter, Source};
use super::heard::Reading;
use super::limits::Slices;
use crate::units::Moment;
use std::num::NonZeroU32;

/// What is remembered of a limit that the provider says.
#[derive(Debug)]
pub(super) struct Said {
    /// What is said. The bucket may be slower, to leave others what they use.
    pub(super) limit: NonZeroU32,
    /// When it was last said.
    pub(super) at: Moment,
    /// The call whose reading was applied last: those of calls before it tell of an older past.
    pub(super) heard: Order,
    /// Calls up to this one were let in while nothing was known of the limit; what they take is nobody else's.
    blind: Order,
    /// A higher limit that was said once.
    rise: Option<NonZeroU32>,
    /// What others take, and when that was reckoned last.
    elsewhere: Decayed,
    pressure: Decayed,
    reckoned: Moment,
    /// More was left at the provider than we may take at once: others press nobody.
    is_ample: bool,
}

/// A part of the limit that readings may be off by, through estimates, before others are suspected.
const NOISE: f64 = 0.01;

/// How fast the pace follows what others take: the memory of it in seconds.
const PRESSURE_SECONDS: f64 = 10.0;

/// Others are left at most this part of a limit. They would otherwise take all of it in time, because the more one
/// yields the more they find.
const YIELDED_MOST: f64 = 0.5;

/// The part of what is yielded that counts as taken without being seen: what is not seen again is forgotten in minutes.
const SUSTAINED: f64 = 0.95;

/// A pace that differs by less than this part from the one that is kept is not worth a change.
const PACE_STEP: f64 = 0.02;

/// So much of what others take in a minute is left in the provider's bucket: the half second that a call is on its way.
const ON_THE_WAY: f64 = 1.0 / 120.0;

impl Said {
    pub(super) fn new(limit: NonZeroU32, now: Moment) -> Said {
        Said {
            limit,
            at: now,
            heard: 0,
            blind: 0,
            rise: None,
            elsewhere: Decayed::over(60.0),
            pressure: Decayed::over(PRESSURE_SECONDS),
            reckoned: now,
            is_ample: false,
        }
    }

    /// Units a minute that others take now; 0 if it may as well be noise.
    fn yielded(&self, now: Moment) -> f64 {
        let taken = self.pressure.at(now) * 60.0 / PRESSURE_SECONDS;
        let limit = f64::from(self.limit.get());
        if taken < limit * 2.0 * NOISE { 0.0 } else { taken.min(limit * YIELDED_MOST) }
    }

    /// Others have taken so many units more than was reckoned with while the pace was `pace`; negative if less.
    fn reckon(&mut self, more: f64, pace: NonZeroU32, now: Moment) {
        let minutes = now.since(self.reckoned).as_secs_f64().min(PRESSURE_SECONDS) / 60.0;
        let reckoned_with = f64::from(self.limit.get().saturating_sub(pace.get())) * minutes;
        self.elsewhere.add(more + reckoned_with, now);
        self.pressure.add(more + if self.is_ample { 0.0 } else { reckoned_with * SUSTAINED }, now);
        self.reckoned = now;
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
                let said = Said { blind: self.order, ..Said::new(limit, now) };
                let (meter, source) = (Meter::Bucket(bucket), Source::Said(said));
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
            Source::Said(said) => (said.limit, said.at, said.rise) = (limit, now, None),
            source => *source = Source::Said(Said::new(limit, now)),
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
            said.limit = adopted;
            self.adopt(self.dimension.rate_of(adopted, slices), reading.remaining.is_some(), order, now);
        }
        let is_believed = limit == Some(self.limit());
        // A limit without what is left of it still means that this call and what was taken since it are gone.
        let Some(remaining) = reading.remaining.or(is_first.then_some(u64::MAX)) else { return };
        let own = if is_first { i128::from(self.dimension.weigh(taken.asked)) } else { 0 };
        let (Meter::Bucket(bucket), Source::Said(said)) = (&mut self.meter, &mut self.source) else { return };
        let (limit, burst) = (i128::from(said.limit.get()), i128::from(bucket.rate().burst.get()));
        #[expect(clippy::cast_possible_truncation, reason = "at most half a limit")]
        let left = (said.yielded(now) * ON_THE_WAY) as i128;
        let (half, remaining) = (i128::from(reading.grain / 2), i128::from(remaining));
        let net = i128::from(since.taken) - i128::from(since.returned);
        let most =
            burst - if reading.remaining.is_some() { own.min((limit - remaining).max(0)) } else { own };
        let lowered = bucket.lower((remaining + half - left).min(most), net, (taken.at, taken.order), now);
        let mut raised = 0.0;
        if is_believed && reading.remaining.is_some() {
            let missing = (limit - remaining).max(0) + half + left + i128::from(since.taken);
            raised = bucket.raise_to(missing, taken.order, now);
        }
        said.is_ample = remaining > burst.saturating_add(left);
        if taken.order > said.blind && !is_first && adopted.is_none() {
            self.taken_elsewhere(lowered - raised, slices, now);
        }
    }

    /// Others have taken so many units more than was reckoned with; negative if less. They are left what they take.
    pub(super) fn taken_elsewhere(&mut self, more: f64, slices: Slices, now: Moment) {
        let (Meter::Bucket(bucket), Source::Said(said)) = (&mut self.meter, &mut self.source) else { return };
        said.reckon(more, bucket.rate().limit, now);
        self.keep_pace(slices, now);
    }

    /// Sets the pace by what others take now. Where the provider says nothing more, that is forgotten.
    pub(super) fn keep_pace(&mut self, slices: Slices, now: Moment) {
        let (Meter::Bucket(bucket), Source::Said(said)) = (&mut self.meter, &self.source) else { return };
        let pace = paced(said, now);
        if let Some(pace) = pace.filter(|pace| is_worth_it(bucket.rate().limit, *pace)) {
            let Rate { burst, .. } = self.dimension.rate_of(said.limit, slices);
            bucket.stretch(Rate { limit: pace, burst: burst.min(pace), ..bucket.rate() }, now);
        }
    }
}

/// What passes a minute beside others.
fn paced(said: &Said, now: Moment) -> Option<NonZeroU32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from half a limit to all of it"
    )]
    let pace = (f64::from(said.limit.get()) - said.yielded(now)).round() as u32;
    NonZeroU32::new(pace)
}

fn is_worth_it(from: NonZeroU32, to: NonZeroU32) -> bool {
    f64::from(from.get().abs_diff(to.get())) > f64::from(from.get()) * PACE_STEP
}

pub(super) fn not_zero(limit: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX))
}

/// A sum that forgets, never below nothing: of what comes at a steady pace it holds as much as comes in its memory.
#[derive(Clone, Copy, Debug, Default)]
struct Decayed {
    sum: f64,
    at: Moment,
    /// The memory, in seconds.
    over: f64,
}

impl Decayed {
    fn over(seconds: f64) -> Decayed {
        Decayed { over: seconds, ..Decayed::default() }
    }

    fn at(&self, now: Moment) -> f64 {
        self.sum * (-now.since(self.at).as_secs_f64() / self.over).exp()
    }

    fn add(&mut self, units: f64, now: Moment) {
        *self = Decayed { sum: (self.at(now) + units).max(0.0), at: now, ..*self };
    }
}

#[cfg(test)]
#[path = "learn_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "learn_simulation_tests.rs"]
mod simulation;
