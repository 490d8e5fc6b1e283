//! Past exchanges with one provider, put to a desk once more under other limits, in virtual time.
//!
//! Arrivals stay where they were: nobody comes later because somebody before had to wait. Refuses to know where the
//! past was written down. Invariant: every exchange that arrives is in the end granted or refused, once.

use super::ask::{Ask, Choice, Draws, Share, Ticket};
use super::budget::{Cost, Dimension};
use super::desk::Desk;
use super::gauge::Level;
use super::limits::{Limits, Priority, QueueSettings};
use super::told::{Effect, Why};
use crate::ids::{BudgetId, ModelName, ProviderId, TargetId};
use crate::units::{Moment, Tokens};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// An exchange as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it came.
    pub at: Moment,
    /// What was held for it.
    pub held: Cost,
    /// What the provider charged for it in the end.
    pub charged: Cost,
    /// How long it was at the provider; `None` if it never came so far.
    pub lasted: Option<Duration>,
    /// Its class.
    pub priority: Priority,
    /// Whose it was.
    pub share: Share,
}

/// What an exchange does when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It waits at the desk.
    Waits,
    /// It is refused, and comes again after each of these times, as a client without a gateway does.
    Returns(&'static [Duration]),
}

/// How long exchanges have waited. Kept to three digits, so that it does not grow with their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    counts: BTreeMap<u64, u64>,
    longest: Duration,
}

/// How far a limit was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The limit.
    pub dimension: Dimension,
    /// Its size.
    pub limit: u64,
    /// Of a thousand parts of it, so many were used on average.
    pub mean_permille: u64,
    /// And so many in the minute (or day) that used most. Above 1,000 where a rest was saved up.
    pub busiest_permille: u64,
}

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Exchanges that came.
    pub exchanges: u64,
    /// Those that got room.
    pub granted: u64,
    /// What these were charged, in tokens.
    pub tokens: Tokens,
    /// How long these waited.
    pub waits: Waits,
    /// Those that nobody could serve before their deadline.
    pub too_late: u64,
    /// Those that came when the queue was full.
    pub queue_full: u64,
    /// Those that are larger than a limit.
    pub too_large: u64,
    /// How often somebody was told to come again.
    pub turned_away: u64,
    /// The most that were at the provider at a time.
    pub open_max: u64,
    /// How far each limit was used.
    pub uses: Vec<Use>,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    desk: Desk,
    manner: Manner,
    max_wait: Duration,
    target: TargetId,
    draws: Arc<Draws>,
    now: Moment,
    /// Before this the desk is not asked again: it has just said what it has to say.
    next_look: Moment,
    waiting: HashMap<Ticket, Come>,
    due: BTreeMap<(Moment, u64), Due>,
    /// Tells apart what is due at one moment.
    sequence: u64,
    first: Option<Moment>,
    /// How long those have been at the provider of whom it is known, and how many they are.
    lasted: (Duration, u32),
    open: u64,
    gauges: Vec<Gauge>,
    replayed: Replayed,
}

/// An exchange on its way.
#[derive(Clone, Debug)]
struct Come {
    past: Past,
    asked: Moment,
    tries: usize,
}

#[derive(Debug)]
enum Due {
    End(Ticket, Cost),
    Again(Come),
}

/// What is used of one limit, window by window.
#[derive(Debug)]
struct Gauge {
    dimension: Dimension,
    limit: u64,
    window: u64,
    in_window: u64,
    busiest: u64,
    total: u64,
}

impl Replay {
    /// A replay under these limits, with full buckets.
    pub fn new(limits: Limits, settings: QueueSettings, manner: Manner) -> Replay {
        let provider = ProviderId::from("provider");
        let own = BudgetId::from(provider.as_str());
        let desk = Desk::new(settings, [(own.clone(), limits)]);
        let levels = desk.view(Moment::START).into_iter().flat_map(|budget| budget.levels);
        let gauge = |Level { dimension, limit, .. }| Gauge {
            dimension,
            limit,
            window: 0,
            in_window: 0,
            busiest: 0,
            total: 0,
        };
        Replay {
            draws: Arc::new(Draws { configured: vec![own], pool: None }),
            gauges: levels.map(gauge).collect(),
            desk,
            manner,
            max_wait: settings.max_wait,
            target: TargetId { provider, model: ModelName::from("model") },
            now: Moment::START,
            next_look: Moment::START,
            waiting: HashMap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            first: None,
            lasted: (Duration::ZERO, 0),
            open: 0,
            replayed: Replayed::default(),
        }
    }

    /// One more exchange comes. One that should have come before now comes now.
    pub fn arrive(&mut self, past: Past) {
        let at = past.at.max(self.now);
        self.pass(Some(at));
        self.now = at;
        self.first.get_or_insert(at);
        self.replayed.exchanges += 1;
        self.ask(Come { past, asked: at, tries: 0 });
    }

    /// Nobody comes any more: lets those who wait and those who are served come to their end.
    pub fn finish(mut self) -> Replayed {
        self.pass(None);
        debug_assert!(self.waiting.is_empty() && self.open == 0, "somebody was forgotten");
        let span = self.now.since(self.first.unwrap_or(self.now));
        self.replayed.uses = self.gauges.iter().map(|gauge| gauge.used(span)).collect();
        self.replayed
    }

    /// Lets time pass, up to and with `until`.
    fn pass(&mut self, until: Option<Moment>) {
        loop {
            let due = self.due.keys().next().map(|(at, _)| *at);
            let look = self.desk.next_wakeup().map(|at| at.max(self.next_look));
            let Some(next) = due.into_iter().chain(look).min() else { return };
            if until.is_some_and(|until| next > until) {
                return;
            }
            self.now = self.now.max(next);
            if due == Some(next) {
                match self.due.pop_first() {
                    Some((_, Due::End(ticket, charged))) => {
                        self.open -= 1;
                        self.desk.settle(ticket, charged, self.now);
                        self.hear();
                    }
                    Some((_, Due::Again(come))) => self.ask(come),
                    None => {}
                }
            } else {
                self.desk.poll(self.now);
                self.next_look = self.now + Duration::from_nanos(1);
                self.hear();
            }
        }
    }

    fn ask(&mut self, come: Come) {
        let deadline = match self.manner {
            Manner::Waits => self.now + self.max_wait,
            Manner::Returns(_) => self.now,
        };
        let choice = Choice {
            target: self.target.clone(),
            draws: Arc::clone(&self.draws),
            cost: come.past.held,
            open_from: self.now,
        };
        let ask = Ask {
            choices: vec![choice],
            priority: come.past.priority,
            share: come.past.share,
            entered: self.now,
            turn: None,
            deadline,
        };
        let ticket = self.desk.enter(ask, self.now);
        self.waiting.insert(ticket, come);
        self.hear();
    }

    /// Does what the desk has decided.
    fn hear(&mut self) {
        for effect in self.desk.take_effects() {
            let (Effect::Granted(super::Grant { ticket, .. }) | Effect::Refused(ticket, _)) = &effect;
            let ticket = *ticket;
            let Some(come) = self.waiting.remove(&ticket) else { continue };
            match effect {
                Effect::Granted(_) => self.granted(ticket, &come),
                Effect::Refused(_, refusal) => self.refused(refusal.why, come),
            }
        }
    }

    fn granted(&mut self, ticket: Ticket, come: &Come) {
        let charged = come.past.charged;
        self.replayed.granted += 1;
        self.replayed.tokens += charged.total();
        self.replayed.waits.add(self.now.since(come.asked));
        for gauge in &mut self.gauges {
            gauge.add(charged, self.now);
        }
        self.open += 1;
        self.replayed.open_max = self.replayed.open_max.max(self.open);
        let (sum, count) = &mut self.lasted;
        let lasted = match come.past.lasted {
            Some(lasted) => {
                (*sum, *count) = (sum.saturating_add(lasted), count.saturating_add(1));
                lasted
            }
            // As long as the others.
            None => sum.checked_div(*count).unwrap_or_default(),
        };
        self.due(lasted, Due::End(ticket, charged));
    }

    fn refused(&mut self, why: Why, mut come: Come) {
        if let Manner::Returns(after) = self.manner
            && !matches!(why, Why::TooLarge(_))
        {
            self.replayed.turned_away += 1;
            if let Some(wait) = after.get(come.tries) {
                come.tries += 1;
                return self.due(*wait, Due::Again(come));
            }
        }
        match why {
            Why::TooLarge(_) => self.replayed.too_large += 1,
            Why::QueueFull => self.replayed.queue_full += 1,
            Why::Deadline | Why::NoProvider | Why::Closed => self.replayed.too_late += 1,
        }
    }

    fn due(&mut self, wait: Duration, what: Due) {
        self.sequence += 1;
        self.due.insert((self.now + wait, self.sequence), what);
    }
}

impl Replayed {
    /// Those that got no room at all.
    pub fn refused(&self) -> u64 {
        self.too_late + self.queue_full + self.too_large
    }

    /// Whether 99 of 100 exchanges got room within this time.
    pub fn served_within(&self, goal: Duration) -> bool {
        let late = self.refused() + self.waits.longer_than(goal);
        late.saturating_mul(100) <= self.exchanges
    }
}

impl Waits {
    fn add(&mut self, wait: Duration) {
        // Rounded up, so that only who did not wait at all has waited for nothing.
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let unit = 10_u64.pow(millis.checked_ilog10().unwrap_or(0).saturating_sub(2));
        *self.counts.entry((millis / unit).saturating_mul(unit)).or_default() += 1;
        self.longest = self.longest.max(wait);
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The time within which so many of a hundred had room.
    pub fn percentile(&self, percent: u64) -> Duration {
        let all: u64 = self.counts.values().sum();
        let mut left = all.saturating_mul(percent).div_ceil(100).max(1);
        for (millis, count) in &self.counts {
            match left.checked_sub(*count) {
                Some(more) if more > 0 => left = more,
                _ => return Duration::from_millis(*millis),
            }
        }
        Duration::ZERO
    }

    /// How many waited at all.
    pub fn waited(&self) -> u64 {
        self.longer_than(Duration::ZERO)
    }

    fn longer_than(&self, goal: Duration) -> u64 {
        let millis = u64::try_from(goal.as_millis()).unwrap_or(u64::MAX);
        self.counts
            .range((std::ops::Bound::Excluded(millis), std::ops::Bound::Unbounded))
            .map(|(_, n)| n)
            .sum()
    }
}

impl Gauge {
    /// The length of a window.
    fn length(&self) -> Duration {
        Duration::from_secs(if self.dimension.is_daily() { 86_400 } else { 60 })
    }

    fn add(&mut self, cost: Cost, now: Moment) {
        let window = now.since(Moment::START).as_secs() / self.length().as_secs();
        if window != self.window {
            (self.window, self.in_window) = (window, 0);
        }
        let units = self.dimension.weigh(cost);
        self.in_window = self.in_window.saturating_add(units);
        self.total = self.total.saturating_add(units);
        self.busiest = self.busiest.max(self.in_window);
    }

    /// What was used over so long, of which a part of a window counts as a whole one.
    fn used(&self, span: Duration) -> Use {
        let permille =
            |units: u64, of: u128| u64::try_from(u128::from(units) * 1_000 / of.max(1)).unwrap_or(u64::MAX);
        let length = self.length().as_millis();
        let allowed = u128::from(self.limit) * span.as_millis().div_ceil(length).max(1);
        Use {
            dimension: self.dimension,
            limit: self.limit,
            mean_permille: permille(self.total, allowed),
            busiest_permille: permille(self.busiest, u128::from(self.limit)),
        }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
