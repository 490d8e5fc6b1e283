//! Limits that nobody says: how they are found from refusals, and how they grow again.
//!
//! A refusal means that the provider's bucket is empty. The first one tells the limit if the bucket was full when
//! traffic began, and otherwise too little: so the pace grows fast until there is a second one. That and every later
//! one tell it better, because between two empty buckets exactly as much was admitted as came in. A little below that
//! the pace starts again and grows while it is what holds traffic back: slowly at first, so that a right limit is
//! seldom overrun, and ever faster, so that a wrong one does not last.
//!
//! Refuses to know readings and queues. Invariant: where a limit rests on more than one refusal, a single further one
//! lowers it to not less than [`FALL_MOST`] of it, whatever its reason.

use super::bucket::Order;
use super::dimension::{Dimension, Sums};
use crate::units::Moment;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// Where the pace starts below what was measured: the next overrun is then minutes away.
const FALL: f64 = 0.985;
/// The most that one event lowers a limit to.
const FALL_MOST: f64 = 0.85;
/// The part of the limit that it grows by in a minute at first.
const GROWTH: f64 = 0.004;
/// Minutes after which a limit has doubled, if nothing is refused: while it rests on one refusal, and later. At first
/// fast, before the provider's bucket of one minute runs over: what runs over would be missing from what is measured.
const DOUBLED_AFTER: [f64; 2] = [0.25, 10.0];
/// Refusals closer than this are one series: what was on the way when the bucket ran dry. They say that it is still
/// empty, and too little of how fast it fills.
const SERIES: Duration = Duration::from_secs(5);
/// A series of so many refusals has kept the bucket empty all the time, and what was admitted is what came in.
const SERIES_SURE: u32 = 2;
/// After so many refusals in a row there is no doubt that the pace is far too high, and a fifth of the time will do.
const LONG_SERIES: u32 = 5;
/// The least that is measured, as a part of the limit.
const MEASURED_LEAST: f64 = 0.1;
/// A pause between two takes longer than this is no sign of a limit that holds back.
const IDLE: Duration = Duration::from_secs(10);
/// Refusals below a configured limit which are further apart than this have other reasons than its height.
const SOON: Duration = Duration::from_secs(300);
/// How long traffic is held after it grew too fast: providers let it grow by half in this time.
const RAMP: Duration = Duration::from_secs(900);

/// A limit that refusals have shown.
#[derive(Debug)]
pub(super) struct Found {
    /// The limit at the last event.
    base: f64,
    /// How long it has held traffic back since.
    bound: Duration,
    /// The last take, and the last that was held back.
    seen: Moment,
    pub(super) bound_at: Moment,
    /// More than one event speaks for it.
    is_sure: bool,
    /// It is a configured limit, and one refusal may have other reasons.
    is_borrowed: bool,
    /// The last event: when the provider's bucket was empty, which takes came after, and what they took.
    emptied: Moment,
    event: Order,
    since: u64,
    /// The first take after it. If that is refused, the provider's bucket has only stayed empty.
    next: Option<Order>,
    /// Refusals since that were too close to measure by.
    series: u32,
    /// What a unit that turns out not to have been admitted takes from the limit, while the first event lasts.
    share: Option<f64>,
}

impl Found {
    /// A limit that is taken as it is.
    pub(super) fn new(limit: f64, event: Order, now: Moment) -> Found {
        Found {
            base: limit,
            bound: Duration::ZERO,
            seen: now,
            bound_at: now,
            is_sure: true,
            is_borrowed: false,
            emptied: now,
            event,
            since: 0,
            next: None,
            series: 0,
            share: None,
        }
    }

    /// A configured limit under which the provider refused once.
    pub(super) fn borrowed(limit: NonZeroU32, event: Order, now: Moment) -> Found {
        Found { is_borrowed: true, ..Found::new(limit.get().into(), event, now) }
    }

    /// The limit of a bucket that was full `traffic` ago and is empty after so many units in the last minute, but at
    /// least `floor`.
    pub(super) fn first(used: u64, floor: u64, traffic: Duration, event: Order, now: Moment) -> Found {
        let windows = 1.0 + traffic.as_secs_f64().min(60.0) / 60.0;
        let found = Found::new((FALL * used as f64 / windows).max(floor as f64), event, now);
        Found { is_sure: false, share: Some(FALL / windows), ..found }
    }

    /// A call of the first event, which had been counted as admitted, was not.
    pub(super) fn less(&mut self, units: u64) {
        if let Some(share) = self.share {
            self.base -= share * units as f64;
        }
    }

    /// The provider's bucket is empty again: it has refused the take of this order.
    pub(super) fn emptied(&mut self, limit: NonZeroU32, refused: Order, event: Order, now: Moment) {
        if self.next == Some(refused) {
            (self.event, self.next) = (event, None);
            return;
        }
        let limit = f64::from(limit.get());
        let apart = now.since(self.emptied);
        self.series += 1;
        if apart < SERIES && !(self.series >= LONG_SERIES && apart >= SERIES / 5) {
            (self.event, self.next) = (event, None);
            return;
        }
        let is_other = self.is_borrowed && apart > SOON;
        let measured = self.since as f64 * 60.0 / apart.as_secs_f64();
        let is_measured = !self.is_sure || self.series > SERIES_SURE;
        let least = limit * if is_measured { MEASURED_LEAST } else { FALL_MOST };
        let base = if is_other { limit } else { FALL * measured.max(least).min(limit) };
        *self = Found { is_borrowed: is_other, ..Found::new(base, event, now) };
    }

    /// Units were taken; `held_back` if little was left after.
    pub(super) fn note_take(&mut self, units: u64, order: Order, held_back: bool, now: Moment) {
        self.next.get_or_insert(order);
        self.since = self.since.saturating_add(units);
        if held_back {
            self.bound = self.bound.saturating_add(now.since(self.seen).min(IDLE));
            self.bound_at = now;
        }
        self.seen = now;
    }

    /// What the take of this order has taken is now another amount.
    pub(super) fn note_change(&mut self, taken: Order, more: u64, less: u64) {
        if taken > self.event {
            self.since = self.since.saturating_add(more).saturating_sub(less);
        }
    }

    /// The limit as it has grown, but at least `least`.
    pub(super) fn limit(&self, least: u64) -> NonZeroU32 {
        let minutes = self.bound.as_secs_f64() / 60.0;
        let doubled = minutes / DOUBLED_AFTER[usize::from(self.is_sure)];
        whole((self.base * (1.0 + GROWTH * minutes + doubled.powi(4))).max(least as f64))
    }
}

/// A limit for the time after traffic grew too fast.
#[derive(Debug)]
pub(super) struct Ramp {
    base: f64,
    began: Moment,
}

impl Ramp {
    /// Half of what was used in the last minute, but not less than `floor`.
    pub(super) fn new(used: u64, floor: u64, now: Moment) -> Ramp {
        Ramp { base: (used / 2).max(floor) as f64, began: now }
    }

    /// The limit as it has recovered; `None` when it is over.
    pub(super) fn limit(&self, now: Moment) -> Option<NonZeroU32> {
        let part = now.since(self.began).as_secs_f64() / RAMP.as_secs_f64();
        (part < 1.0).then(|| whole(self.base * (1.0 + part)))
    }
}

fn whole(limit: f64) -> NonZeroU32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at both ends")]
    NonZeroU32::new(limit.round() as u32).unwrap_or(NonZeroU32::MIN)
}

/// What a pool remembers of its traffic.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Takes up to this one came before the last event: their refusals are the same event.
    pub(super) event: Order,
    /// Which limit was met then.
    pub(super) met: Option<Dimension>,
    /// What was taken in each second of the last minute, by the second.
    seconds: VecDeque<(u64, Sums)>,
    /// When traffic began, after a minute without any.
    began: Option<Moment>,
}

/// The seconds that are remembered: the last minute and the one that runs.
const SECONDS: u64 = 61;

impl Pool {
    pub(super) fn note_take(&mut self, what: Sums, now: Moment) {
        let second = second(now);
        if self.seconds.back().is_none_or(|(last, _)| second.saturating_sub(*last) >= SECONDS) {
            self.began = Some(now);
        }
        match self.seconds.back_mut() {
            Some((last, sums)) if *last >= second => *sums = sums.plus(what),
            _ => self.seconds.push_back((second, what)),
        }
        while self.seconds.front().is_some_and(|(first, _)| second.saturating_sub(*first) >= SECONDS) {
            self.seconds.pop_front();
        }
    }

    /// What was taken then is now another amount.
    pub(super) fn note_change(&mut self, taken: Moment, more: Sums, less: Sums) {
        let second = second(taken);
        if let Ok(index) = self.seconds.binary_search_by_key(&second, |(second, _)| *second) {
            let (_, sums) = &mut self.seconds[index];
            *sums = sums.plus(more).less(less);
        }
    }

    /// Units taken in the last minute.
    pub(super) fn used(&self, dimension: Dimension, now: Moment) -> u64 {
        let since = (second(now) + 1).saturating_sub(60);
        let recent = self.seconds.iter().filter(|(second, _)| *second >= since);
        recent.map(|(_, sums)| sums.units(dimension)).fold(0, u64::saturating_add)
    }

    /// How long there has been traffic.
    pub(super) fn traffic(&self, now: Moment) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.since(began))
    }
}

fn second(moment: Moment) -> u64 {
    moment.since(Moment::START).as_secs()
}
