//! A provider's buckets together, taken from all or nothing.
//!
//! Refuses to know who waits: that is the queue's. Invariant: what is held is the sum of what the open
//! reservations hold, in every dimension.

use super::ask::Lack;
use super::bucket::{Bucket, NotBefore, Order, Rate};
use super::heard::{Meaning, Reading, Shortage};
use super::limits::{Limits, Slices};
use super::saved::SavedBudget;
use crate::units::{Moment, Tokens};
use std::num::NonZeroU32;
use std::time::Duration;

/// What a call is expected to cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Input tokens.
    pub input: Tokens,
    /// Output tokens.
    pub output: Tokens,
    /// Whether `output` is a guess and no promise of the client: then it is cut to what a limit can
    /// ever hold, so that a small limit does not refuse for ever what it could serve.
    pub output_is_guess: bool,
}

impl Cost {
    /// Input and output together.
    pub fn total(self) -> Tokens {
        self.input + self.output
    }
}

/// What a limit counts, and over what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Requests a minute.
    RequestsPerMinute,
    /// Requests a day.
    RequestsPerDay,
    /// All tokens a minute.
    TokensPerMinute,
    /// All tokens a day.
    TokensPerDay,
    /// Input tokens a minute.
    InputTokensPerMinute,
    /// Output tokens a minute.
    OutputTokensPerMinute,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Dimension; 6] = [
        Dimension::RequestsPerMinute,
        Dimension::RequestsPerDay,
        Dimension::TokensPerMinute,
        Dimension::TokensPerDay,
        Dimension::InputTokensPerMinute,
        Dimension::OutputTokensPerMinute,
    ];

    /// The name used in configuration, in saved state, in `/health` and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::RequestsPerMinute => "requests_per_minute",
            Dimension::RequestsPerDay => "requests_per_day",
            Dimension::TokensPerMinute => "tokens_per_minute",
            Dimension::TokensPerDay => "tokens_per_day",
            Dimension::InputTokensPerMinute => "input_tokens_per_minute",
            Dimension::OutputTokensPerMinute => "output_tokens_per_minute",
        }
    }

    /// Whether requests are counted, not tokens.
    pub const fn counts_requests(self) -> bool {
        matches!(self, Dimension::RequestsPerMinute | Dimension::RequestsPerDay)
    }

    /// Whether the limit is over a day, not over a minute.
    const fn is_daily(self) -> bool {
        matches!(self, Dimension::RequestsPerDay | Dimension::TokensPerDay)
    }

    /// What `cost` weighs here.
    fn weigh(self, cost: Cost) -> u64 {
        match self {
            Dimension::RequestsPerMinute | Dimension::RequestsPerDay => 1,
            Dimension::TokensPerMinute | Dimension::TokensPerDay => cost.total().0,
            Dimension::InputTokensPerMinute => cost.input.0,
            Dimension::OutputTokensPerMinute => cost.output.0,
        }
    }

    /// The rate that `limits` give here.
    fn rate(self, limits: &Limits) -> Option<Rate> {
        let (limit, window, burst) = match self {
            Dimension::RequestsPerMinute => (limits.requests_per_minute, MINUTE, limits.burst_requests),
            Dimension::TokensPerMinute => (limits.tokens_per_minute, MINUTE, limits.burst_tokens),
            Dimension::InputTokensPerMinute => (limits.input_tokens_per_minute, MINUTE, limits.burst_tokens),
            Dimension::OutputTokensPerMinute => {
                (limits.output_tokens_per_minute, MINUTE, limits.burst_tokens)
            }
            // A day's allowance may be spent at any time of the day, so all of it may pass at once.
            Dimension::RequestsPerDay => (limits.requests_per_day, DAY, limits.requests_per_day),
            Dimension::TokensPerDay => (limits.tokens_per_day, DAY, limits.tokens_per_day),
        };
        limit.map(|limit| {
            let burst = burst.unwrap_or_else(|| self.one_slice(limit, limits.slices));
            Rate { limit, window, burst: burst.min(limit) }
        })
    }

    /// What one slice of a minute holds, rounded up.
    fn one_slice(self, limit: NonZeroU32, slices: Slices) -> NonZeroU32 {
        let slice = if self.counts_requests() { slices.requests } else { slices.tokens };
        let units = (u128::from(limit.get()) * slice.min(MINUTE).as_nanos()).div_ceil(MINUTE.as_nanos());
        u32::try_from(units).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A call that no rest of the bucket would make room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The limit that is too small.
    pub dimension: Dimension,
    /// The limit.
    pub limit: u64,
    /// What the call would take.
    pub asked: u64,
}

/// When there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Now.
    Now,
    /// At this moment, if nothing else is taken before.
    At(Moment),
    /// When another exchange ends.
    WhenOneEnds,
    /// Never.
    Never(TooLarge),
}

impl Room {
    /// When there is room in both.
    pub(super) fn and(self, other: Room) -> Room {
        match (self, other) {
            (Room::Never(why), _) | (_, Room::Never(why)) => Room::Never(why),
            (Room::At(one), Room::At(other)) => Room::At(one.max(other)),
            (Room::At(at), _) | (_, Room::At(at)) => Room::At(at),
            (Room::WhenOneEnds, _) | (_, Room::WhenOneEnds) => Room::WhenOneEnds,
            (Room::Now, Room::Now) => Room::Now,
        }
    }
}

/// One provider's limits in use.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    buckets: Vec<(Dimension, Bucket)>,
    /// Open reservations.
    open: u32,
    /// Nothing is granted before this moment: the provider has said so.
    paused_until: Moment,
    /// Counts what takes from the buckets.
    order: Order,
}

/// What a take has taken, and when among all others.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) held: Cost,
    order: Order,
    /// What of it was taken later, in its order: a refund is worth what would still be there, and what was taken
    /// a moment ago would be.
    raises: Vec<(Cost, Order)>,
}

/// The most raises that are told apart. Beyond it the oldest count as one, and less of them is given back.
const RAISES_MAX: usize = 64;

impl Taken {
    fn raise(&mut self, more: Cost, order: Order) {
        self.raises.push((more, order));
        if self.raises.len() > RAISES_MAX {
            let (second, _) = self.raises.remove(1);
            let (first, _) = &mut self.raises[0];
            (first.input, first.output) = (first.input + second.input, first.output + second.output);
        }
    }

    /// Gives so many units back to a bucket: what was taken last is given back first.
    fn refund(&self, (dimension, bucket): &mut (Dimension, Bucket), mut units: u64, now: Moment) {
        let raises = if dimension.counts_requests() { &[][..] } else { &self.raises };
        for (more, order) in raises.iter().rev() {
            let back = units.min(dimension.weigh(*more));
            bucket.refund(back, *order, now);
            units -= back;
        }
        bucket.refund(units, self.order, now);
    }
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Budget {
        let bucket = |dimension: Dimension| Some((dimension, Bucket::new(dimension.rate(&limits)?)));
        let buckets = Dimension::ALL.into_iter().filter_map(bucket).collect();
        Budget { limits, buckets, open: 0, paused_until: Moment::START, order: 0 }
    }

    /// `cost` with a guessed output cut to what every limit can hold.
    pub(super) fn fitted(&self, cost: Cost) -> Cost {
        if !cost.output_is_guess {
            return cost;
        }
        let room = |(dimension, bucket): &(Dimension, Bucket)| match dimension {
            Dimension::TokensPerMinute | Dimension::TokensPerDay => {
                Some(Tokens(u64::from(bucket.rate().limit.get())) - cost.input)
            }
            Dimension::OutputTokensPerMinute => Some(Tokens(u64::from(bucket.rate().limit.get()))),
            _ => None,
        };
        let output = self.buckets.iter().filter_map(room).fold(cost.output, Ord::min);
        Cost { output, ..cost }
    }

    /// When there would be room for `cost`, if `ahead` (and as many requests as it counts) went first.
    pub(super) fn room(&self, cost: Cost, ahead: Ahead, now: Moment) -> Room {
        let mut ready = now.max(self.paused_until);
        for (dimension, bucket) in &self.buckets {
            let (asked, limit) = (dimension.weigh(cost), u64::from(bucket.rate().limit.get()));
            if asked > limit {
                return Room::Never(TooLarge { dimension: *dimension, limit, asked });
            }
            let before =
                if dimension.counts_requests() { ahead.requests } else { dimension.weigh(ahead.cost) };
            let stays = stays(*dimension, bucket, asked, ahead.reserve);
            ready = ready.max(bucket.ready_at(asked, before.saturating_add(stays), now));
        }
        if ready > now {
            Room::At(ready)
        } else if self.is_crowded() {
            Room::WhenOneEnds
        } else {
            Room::Now
        }
    }

    /// Takes `cost` from every bucket, or nothing from any.
    pub(super) fn take(&mut self, cost: Cost, now: Moment) -> Option<Taken> {
        if now < self.paused_until || self.is_crowded() {
            return None;
        }
        self.order += 1;
        for index in 0..self.buckets.len() {
            let (dimension, bucket) = &mut self.buckets[index];
            if let Err(NotBefore(_)) = bucket.take(dimension.weigh(cost), self.order, now) {
                for (dimension, bucket) in &mut self.buckets[..index] {
                    bucket.refund(dimension.weigh(cost), self.order, now);
                }
                return None;
            }
        }
        self.open += 1;
        Some(Taken { held: cost, order: self.order, raises: Vec::new() })
    }

    /// Replaces what is held by `truth` in every bucket of tokens. The request itself stays counted: the
    /// providers count failed ones too.
    pub(super) fn correct(&mut self, taken: &mut Taken, truth: Cost, now: Moment) {
        self.order += 1;
        for place in self.buckets.iter_mut().filter(|(dimension, _)| !dimension.counts_requests()) {
            let (held, truth) = (place.0.weigh(taken.held), place.0.weigh(truth));
            match truth.checked_sub(held) {
                Some(0) => {}
                Some(more) => place.1.charge(more, self.order, now),
                None => taken.refund(place, held - truth, now),
            }
        }
        let more = Cost {
            input: truth.input - taken.held.input,
            output: truth.output - taken.held.output,
            output_is_guess: false,
        };
        if more.total() > Tokens::ZERO {
            taken.raise(more, self.order);
        }
        taken.held = truth;
    }

    /// Undoes a take of which the provider never heard: not even a request was used.
    pub(super) fn undo(&mut self, taken: &Taken, now: Moment) {
        for place in &mut self.buckets {
            let units = place.0.weigh(taken.held);
            taken.refund(place, units, now);
        }
        self.close();
    }

    /// One reservation less.
    pub(super) fn close(&mut self) {
        debug_assert!(self.open > 0, "more reservations closed than opened");
        self.open = self.open.saturating_sub(1);
    }

    /// What keeps `cost` out now, and until when as far as that is known.
    pub(super) fn lack(&self, cost: Cost, reserve: u32, now: Moment) -> Option<(Lack, Option<Moment>)> {
        let waits = self.buckets.iter().map(|(dimension, bucket)| {
            let asked = dimension.weigh(cost);
            let at = bucket.ready_at(asked, stays(*dimension, bucket, asked, reserve), now);
            (Lack::Limit(*dimension), at)
        });
        let pause = (Lack::Pause, self.paused_until);
        let longest = waits.chain([pause]).filter(|(_, at)| *at > now).max_by_key(|(_, at)| *at);
        let places = || self.is_crowded().then_some((Lack::Places, None));
        longest.map(|(lack, at)| (lack, Some(at))).or_else(places)
    }

    /// A budget that has no limits of its own and learns them.
    pub(super) fn pool() -> Budget {
        Budget::new(Limits::default())
    }

    /// The limits as they are now.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The provider has let a call in and said what is left.
    pub(super) fn hear(&mut self, _taken: &Taken, _readings: &[Reading], _now: Moment) {}

    /// The provider has refused a call for want of room. `ceilings` are the limits that were configured for it.
    pub(super) fn refused(
        &mut self,
        _taken: &Taken,
        shortage: &Shortage,
        _ceilings: &[Limits],
        _now: Moment,
    ) {
        self.paused_until = self.paused_until.max(shortage.until);
    }

    /// A call was refused for want of room although this budget had some: when the provider takes calls again, no
    /// more goes at once than the one that was refused. A day's buckets are left alone, or one refusal for a minute
    /// would cost the day.
    pub(super) fn drain(&mut self, shortage: &Shortage, refused: Cost, now: Moment) {
        if shortage.meaning == Meaning::Minute {
            self.drain_until(shortage.until, refused, now);
        }
    }

    /// Grants nothing before `until`, and then no more at once than the call that was refused. A pause is only
    /// ever extended.
    pub(super) fn pause(&mut self, until: Moment, refused: Cost, now: Moment) {
        self.paused_until = self.paused_until.max(until);
        self.drain_until(until, refused, now);
    }

    fn drain_until(&mut self, until: Moment, refused: Cost, now: Moment) {
        self.order += 1;
        for (dimension, bucket) in &mut self.buckets {
            if !dimension.is_daily() {
                bucket.drain_until(until, dimension.weigh(refused).max(1), self.order, now);
            }
        }
    }

    /// Takes over new limits, keeping how full each bucket is and what is open. Into a bucket that has
    /// changed nothing flows back from before.
    pub(super) fn retune(&mut self, limits: Limits, now: Moment) {
        let mut old = std::mem::take(&mut self.buckets);
        self.order += 1;
        self.buckets = Dimension::ALL
            .into_iter()
            .filter_map(|dimension| {
                let rate = dimension.rate(&limits)?;
                let before = old.iter().position(|(known, _)| *known == dimension);
                let before = before.map(|index| old.swap_remove(index).1);
                Some((dimension, retuned(before, rate, self.order, now)))
            })
            .collect();
        self.limits = limits;
    }

    pub(super) fn open(&self) -> u32 {
        self.open
    }

    pub(super) fn paused_until(&self) -> Moment {
        self.paused_until
    }

    /// Each dimension with its limit and the units that could be taken now.
    pub(super) fn levels(&self, now: Moment) -> impl Iterator<Item = (Dimension, u64, i64)> + '_ {
        self.buckets.iter().map(move |(dimension, bucket)| {
            (*dimension, u64::from(bucket.rate().limit.get()), bucket.level(now))
        })
    }

    pub(super) fn save(&self, now: Moment) -> SavedBudget {
        SavedBudget {
            paused_ms: u64::try_from(self.paused_until.since(now).as_millis()).unwrap_or(u64::MAX),
            fill: self
                .buckets
                .iter()
                .map(|(dimension, bucket)| (dimension.name().into(), bucket.fill(now)))
                .collect(),
        }
    }

    /// Takes over what was saved `elapsed` ago. A pause is held to a day at most, whatever was saved.
    pub(super) fn restore(&mut self, saved: &SavedBudget, elapsed: Duration, now: Moment) {
        let pause = Duration::from_millis(saved.paused_ms).min(DAY).saturating_sub(elapsed);
        if !pause.is_zero() {
            self.paused_until = self.paused_until.max(now + pause);
        }
        for (dimension, bucket) in &mut self.buckets {
            if let Some(fill) = saved.fill.get(dimension.name()) {
                bucket.set_fill(*fill, now);
                bucket.rest(elapsed, now);
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.limits.concurrent.is_some_and(|most| self.open >= most.get())
    }
}

/// What must stay in a bucket when `asked` is taken. Nothing is kept from a day: it would never be used.
fn stays(dimension: Dimension, bucket: &Bucket, asked: u64, reserve: u32) -> u64 {
    let burst = u64::from(bucket.rate().burst.get());
    let kept = if dimension.is_daily() { 0 } else { burst * u64::from(reserve) / 1_000 };
    kept.min(burst.saturating_sub(asked))
}

/// The bucket for `rate`, as full as the one before it.
fn retuned(before: Option<Bucket>, rate: Rate, order: Order, now: Moment) -> Bucket {
    match before {
        Some(same) if same.rate() == rate => same,
        Some(other) => {
            let mut bucket = Bucket::since(rate, order);
            bucket.set_fill(other.fill(now), now);
            bucket
        }
        None => Bucket::since(rate, order),
    }
}

/// What waits in front of a call for the same budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) cost: Cost,
    pub(super) requests: u64,
    /// Thousandths of each burst that must stay.
    pub(super) reserve: u32,
}

impl Ahead {
    /// Puts one more call in front.
    pub(super) fn add(&mut self, cost: Cost) {
        self.cost.input += cost.input;
        self.cost.output += cost.output;
        self.requests += 1;
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
