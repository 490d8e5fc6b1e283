//! A provider's buckets together, taken from all or nothing.
//!
//! Refuses to know who waits: that is the queue's. Invariant: what is held is the sum of what the open
//! reservations hold, in every dimension.

pub use super::dimension::{Cost, Dimension, TooLarge};

use super::ask::Lack;
use super::bucket::Order;
use super::dimension::{DAY, Sums};
use super::gauge::{Gauge, Level};
use super::limits::{Limits, Slices};
use super::pace::Pool;
use super::saved::SavedBudget;
use crate::units::{Moment, Tokens};
use std::time::Duration;

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

/// Limits in use: those of a provider or of a group as they were configured, or those of a pool, which learn.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    pub(super) gauges: Vec<Gauge>,
    /// Open reservations.
    open: u32,
    /// Nothing is granted before this moment: the provider has said so.
    pub(super) paused_until: Moment,
    /// Counts what takes from the buckets.
    pub(super) order: Order,
    /// All that was ever taken, and all that was ever given back.
    pub(super) flow: Flow,
    /// What a pool remembers to learn from; `None` for limits that were configured.
    pub(super) pool: Option<Pool>,
}

/// All that was ever taken and given back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    pub(super) taken: Sums,
    pub(super) returned: Sums,
}

/// What a take has taken, and when among all others.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) held: Cost,
    /// What was held at first.
    pub(super) asked: Cost,
    pub(super) order: Order,
    /// When it was taken, and what had been by then, itself included.
    pub(super) at: Moment,
    pub(super) flow: Flow,
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
    fn refund(&self, gauge: &mut Gauge, mut units: u64, now: Moment) {
        let raises = if gauge.dimension.counts_requests() { &[][..] } else { &self.raises };
        for (more, order) in raises.iter().rev() {
            let back = units.min(gauge.dimension.weigh(*more));
            gauge.refund(back, *order, now);
            units -= back;
        }
        gauge.refund(units, self.order, now);
    }
}

impl Budget {
    /// Limits as they were configured; they never learn.
    pub(super) fn new(limits: Limits) -> Budget {
        let gauge = |dimension| Gauge::configured(dimension, &limits);
        Budget {
            limits,
            gauges: Dimension::ALL.into_iter().filter_map(gauge).collect(),
            open: 0,
            paused_until: Moment::START,
            order: 0,
            flow: Flow::default(),
            pool: None,
        }
    }

    /// What one provider allows of one model: open, until the provider says or shows a limit.
    pub(super) fn pool(slices: Slices) -> Budget {
        Budget { pool: Some(Pool::default()), ..Budget::new(Limits { slices, ..Limits::default() }) }
    }

    /// `cost` with a guessed output cut to what every limit can hold.
    pub(super) fn fitted(&self, cost: Cost) -> Cost {
        if !cost.output_is_guess {
            return cost;
        }
        let room = |gauge: &Gauge| {
            let limit = Tokens(gauge.limit().get().into());
            match gauge.dimension {
                Dimension::TokensPerMinute | Dimension::TokensPerDay => Some(limit - cost.input),
                Dimension::OutputTokensPerMinute => Some(limit),
                _ => None,
            }
        };
        let output = self.gauges.iter().filter_map(room).fold(cost.output, Ord::min);
        Cost { output, ..cost }
    }

    /// When there would be room for `cost`, if `ahead` (and as many requests as it counts) went first.
    pub(super) fn room(&self, cost: Cost, ahead: Ahead, now: Moment) -> Room {
        let mut ready = now.max(self.paused_until);
        for gauge in &self.gauges {
            let (asked, limit) = (gauge.weigh(cost), u64::from(gauge.limit().get()));
            if asked > limit {
                return Room::Never(TooLarge { dimension: gauge.dimension, limit, asked });
            }
            let before = if gauge.dimension.counts_requests() {
                ahead.requests
            } else {
                gauge.dimension.weigh(ahead.cost)
            };
            let before = before.saturating_add(gauge.stays(asked, ahead.reserve));
            ready = ready.max(gauge.ready_at(asked, before, now));
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
        for index in 0..self.gauges.len() {
            if self.gauges[index].take(cost, self.order, now).is_err() {
                for gauge in &mut self.gauges[..index] {
                    gauge.refund(gauge.weigh(cost), self.order, now);
                }
                return None;
            }
        }
        self.open += 1;
        self.flow.taken = self.flow.taken.plus(Sums::of(1, cost));
        self.note_take(cost, now);
        Some(Taken {
            held: cost,
            asked: cost,
            order: self.order,
            at: now,
            flow: self.flow,
            raises: Vec::new(),
        })
    }

    /// Replaces what is held by `truth` in every bucket of tokens. The request itself stays counted: the
    /// providers count failed ones too.
    pub(super) fn correct(&mut self, taken: &mut Taken, truth: Cost, now: Moment) {
        self.order += 1;
        for gauge in self.gauges.iter_mut().filter(|gauge| !gauge.dimension.counts_requests()) {
            let (held, truth) = (gauge.weigh(taken.held), gauge.weigh(truth));
            match truth.checked_sub(held) {
                Some(0) => {}
                Some(more) => gauge.charge(more, self.order, now),
                None => taken.refund(gauge, held - truth, now),
            }
        }
        let (more, less) = (difference(truth, taken.held), difference(taken.held, truth));
        self.note_change(taken, Sums::of(0, more), Sums::of(0, less));
        if more.total() > Tokens::ZERO {
            taken.raise(more, self.order);
        }
        taken.held = truth;
    }

    /// Undoes a take of which the provider never heard: not even a request was used.
    pub(super) fn undo(&mut self, taken: &Taken, now: Moment) {
        for gauge in &mut self.gauges {
            let units = gauge.weigh(taken.held);
            taken.refund(gauge, units, now);
        }
        self.note_change(taken, Sums::default(), Sums::of(1, taken.held));
        self.close();
    }

    /// One reservation less.
    pub(super) fn close(&mut self) {
        debug_assert!(self.open > 0, "more reservations closed than opened");
        self.open = self.open.saturating_sub(1);
    }

    /// Grants nothing before `until`, and then no more at once than the call that was refused: the
    /// provider has just shown that its own bucket is lower than ours. A day's buckets are left alone, or
    /// one refusal for a minute would cost the day. A pause is only ever extended.
    pub(super) fn pause(&mut self, until: Moment, refused: Cost, now: Moment) {
        self.paused_until = self.paused_until.max(until);
        self.order += 1;
        for gauge in &mut self.gauges {
            gauge.drain_until(until, gauge.dimension.weigh(refused).max(1), self.order, now);
        }
    }

    /// What keeps `cost` out now, and until when as far as that is known.
    pub(super) fn lack(&self, cost: Cost, reserve: u32, now: Moment) -> Option<(Lack, Option<Moment>)> {
        let waits = self.gauges.iter().map(|gauge| {
            let asked = gauge.weigh(cost);
            (Lack::Limit(gauge.dimension), gauge.ready_at(asked, gauge.stays(asked, reserve), now))
        });
        let pause = (Lack::Pause, self.paused_until);
        let longest = waits.chain([pause]).filter(|(_, at)| *at > now).max_by_key(|(_, at)| *at);
        let places = || self.is_crowded().then_some((Lack::Places, None));
        longest.map(|(lack, at)| (lack, Some(at))).or_else(places)
    }

    /// The limits as they were configured.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A day's limits that come back all at once do so then, and every 24 hours until another moment is told.
    pub(super) fn day_ends(&mut self, at: Moment, now: Moment) {
        for gauge in &mut self.gauges {
            gauge.day_ends(at, now);
        }
    }

    /// Takes over new limits, keeping how full each bucket is and what is open. Into a bucket that has
    /// changed nothing flows back from before. What a pool has learned stays, in other slices.
    pub(super) fn retune(&mut self, limits: Limits, now: Moment) {
        self.order += 1;
        self.limits = limits;
        if self.pool.is_some() {
            self.gauges.iter_mut().for_each(|gauge| gauge.cut(limits.slices, self.order, now));
            return;
        }
        let mut old = std::mem::take(&mut self.gauges);
        let gauge = |dimension: Dimension| {
            let before = old.iter().position(|gauge| gauge.dimension == dimension);
            let before = before.map(|index| old.swap_remove(index));
            Gauge::reconfigured(before, dimension, &limits, self.order, now)
        };
        self.gauges = Dimension::ALL.into_iter().filter_map(gauge).collect();
    }

    pub(super) fn slices(&self) -> Slices {
        self.limits.slices
    }

    pub(super) fn open(&self) -> u32 {
        self.open
    }

    pub(super) fn paused_until(&self) -> Moment {
        self.paused_until
    }

    /// Each dimension with its limit and the units that could be taken now.
    pub(super) fn levels(&self, now: Moment) -> impl Iterator<Item = (Dimension, u64, i64)> + '_ {
        let lasting = self.gauges.iter().filter(|gauge| !gauge.is_ramp());
        lasting.map(move |gauge| (gauge.dimension, gauge.limit().get().into(), gauge.level(now)))
    }

    /// Each limit as a person sees it.
    pub(super) fn views(&self, now: Moment) -> impl Iterator<Item = Level> + '_ {
        self.gauges.iter().map(move |gauge| gauge.view(now))
    }

    pub(super) fn save(&self, now: Moment) -> SavedBudget {
        let lasting = || self.gauges.iter().filter(|gauge| !gauge.is_ramp());
        let name = |gauge: &Gauge| gauge.dimension.name().to_owned();
        let slices = self.slices();
        SavedBudget {
            paused_ms: millis(self.paused_until.since(now)),
            fill: lasting().map(|gauge| (name(gauge), gauge.fill(now))).collect(),
            day_left_ms: lasting()
                .filter_map(|gauge| Some((name(gauge), millis(gauge.day_left(now)?))))
                .collect(),
            learned: lasting().filter_map(|gauge| Some((name(gauge), gauge.learned(now)?))).collect(),
            slices_ms: self.pool.as_ref().map(|_| [slices.requests, slices.tokens].map(millis)),
        }
    }

    /// Takes over what was saved `elapsed` ago. A pause is held to a day at most, whatever was saved.
    pub(super) fn restore(&mut self, saved: &SavedBudget, elapsed: Duration, now: Moment) {
        let pause = Duration::from_millis(saved.paused_ms).min(DAY).saturating_sub(elapsed);
        if !pause.is_zero() {
            self.paused_until = self.paused_until.max(now + pause);
        }
        if self.pool.is_some() {
            if let Some([requests, tokens]) = saved.slices_ms.map(|slices| slices.map(Duration::from_millis))
            {
                // What was saved are parts of what these hold.
                self.limits.slices = Slices { requests, tokens };
            }
            let slices = self.slices();
            let known = |dimension: Dimension| Some((dimension, saved.learned.get(dimension.name())?));
            let known = Dimension::ALL.into_iter().filter_map(known);
            self.gauges =
                known.filter_map(|(of, saved)| Gauge::relearned(of, saved, elapsed, slices, now)).collect();
        }
        for gauge in &mut self.gauges {
            if let Some(fill) = saved.fill.get(gauge.dimension.name()) {
                // Without a saved end the day has only begun: what was used is remembered longest.
                let left = saved.day_left_ms.get(gauge.dimension.name());
                let left = left.map_or(DAY, |left| Duration::from_millis(*left));
                gauge.restore(*fill, left, elapsed, now);
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.limits.concurrent.is_some_and(|most| self.open >= most.get())
    }
}

/// What `this` has more of each kind than `other`.
fn difference(this: Cost, other: Cost) -> Cost {
    Cost { input: this.input - other.input, output: this.output - other.output, output_is_guess: false }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
