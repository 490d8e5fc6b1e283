//! A dry run: the exchanges of an access log, put once more to the desk under other limits.
//!
//! Reads a log line by line and keeps a bounded number of exchanges at a time, so that it does not matter how long
//! the log is. Refuses to know arguments and how a report is shown.

use crate::admission::{Limits, Manner, Past, QueueSettings, Replay, Replayed, Share};
use crate::config::Settings;
use crate::exchange::{Line, Logged, read_line};
use crate::units::{Moment, WallTime};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, Read};
use std::time::Duration;

/// The most exchanges that are put in order at a time, some 150 bytes each. A log is in the order in which they ended;
/// the order in which they came is right unless one outlasted so many others.
pub const IN_ORDER_MAX: usize = 500_000;

/// The longest line that is read. The program writes some 700 bytes.
const LINE_MAX: u64 = 64 * 1024;

/// The most providers that are told apart.
const PROVIDERS_MAX: usize = 1_000;

/// How often, and after which times, the SDKs come again by themselves.
const RETURNS: Manner = Manner::Returns(&[Duration::from_millis(500), Duration::from_secs(1)]);

/// How far the limits that are looked for may be from the given ones, in thousandths of them.
const SCALE: (u32, u32) = (10, 100_000);

/// What is to be found out.
#[derive(Clone, Debug)]
pub struct PlanQuestion {
    /// The limits of providers by name.
    pub limits: BTreeMap<String, Limits>,
    /// The limits of all other providers.
    pub limits_of_others: Limits,
    /// How exchanges wait.
    pub queue: QueueSettings,
    /// So many times the traffic, in thousandths: all comes so much sooner after the first.
    pub times: u32,
    /// Within which time 99 of 100 should have room. `None` looks for no limits.
    pub goal: Option<Duration>,
}

/// Limits as a command line says them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLimits {
    provider: Option<String>,
    limits: Limits,
}

impl PlanLimits {
    /// Of which provider; `None` of all.
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }
}

/// Reads `tokens_per_minute=600000,requests_per_minute=500`, for one provider where `NAME:` stands before it.
///
/// # Errors
/// What is wrong, in words.
pub fn plan_limits(text: &str) -> Result<PlanLimits, String> {
    let colon = text.find(':').filter(|colon| text.find('=').is_none_or(|equals| *colon < equals));
    let (provider, list) = match colon {
        Some(colon) => (Some(text[..colon].trim().to_owned()), &text[colon + 1..]),
        None => (None, text),
    };
    let mut limits = Limits::default();
    for pair in list.split(',') {
        let (name, number) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not NAME=NUMBER"))?;
        let place = Limits::NAMES.iter().position(|known| *known == name.trim());
        let place = place
            .ok_or_else(|| format!("no limit is called `{name}`; there are {}", Limits::NAMES.join(", ")))?;
        let number = number.trim().replace('_', "").parse();
        *limits.each()[place] =
            Some(number.map_err(|_| format!("`{pair}`: a limit is a number from 1 to {}", u32::MAX))?);
    }
    Ok(PlanLimits { provider, limits })
}

impl Default for PlanQuestion {
    fn default() -> Self {
        PlanQuestion {
            limits: BTreeMap::new(),
            limits_of_others: Limits::default(),
            queue: QueueSettings::default(),
            times: 1_000,
            goal: None,
        }
    }
}

impl PlanQuestion {
    /// Asks about the limits and the queue of a configuration.
    pub fn of(settings: &Settings) -> PlanQuestion {
        let providers = settings.exchange.providers.iter();
        PlanQuestion {
            limits: providers.map(|provider| (provider.id.as_str().to_owned(), provider.limits)).collect(),
            queue: settings.exchange.queue,
            ..PlanQuestion::default()
        }
    }

    /// Puts these limits in the place of those of their provider, or of everybody.
    pub fn put(&mut self, new: &PlanLimits) {
        let put = |into: &mut Limits| {
            let mut given = new.limits;
            for (into, given) in into.each().into_iter().zip(given.each()) {
                *into = given.or(*into);
            }
        };
        match &new.provider {
            Some(provider) => put(self.limits.entry(provider.clone()).or_insert(self.limits_of_others)),
            None => self.limits.values_mut().chain([&mut self.limits_of_others]).for_each(put),
        }
    }
}

/// What a log would have been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// When the first exchange came and the last one ended.
    pub span: Option<(WallTime, WallTime)>,
    /// Lines that tell of no exchange that a limit could have changed.
    pub other_lines: u64,
    /// Lines of exchanges that cannot be read.
    pub bad_lines: u64,
    /// The number of the first of those, and what is wrong with it.
    pub first_bad: Option<(u64, &'static str)>,
    /// Exchanges that were taken a little later than they came, because the log was too far out of order.
    pub out_of_order: u64,
    /// Each provider by name.
    pub providers: BTreeMap<String, PlannedProvider>,
}

/// What the exchanges with one provider would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedProvider {
    /// Under which limits.
    pub limits: Limits,
    /// How long they waited in truth, altogether.
    pub waited_then: Duration,
    /// With tidegate.
    pub waiting: Replayed,
    /// With clients that are refused and come again.
    pub returning: Replayed,
    /// The least limits that would have met the goal: `None` if it was not asked, `Some(None)` if there are none.
    pub least: Option<Option<Limits>>,
}

/// The replays of one provider.
struct Replays {
    limits: Limits,
    waited_then: Duration,
    waiting: Replay,
    returning: Replay,
    /// All that came, for further replays; given up where it would be too much.
    kept: Option<Vec<Past>>,
}

/// An exchange in the order of its coming.
struct Arrived {
    at: WallTime,
    /// Keeps those that came at one moment in the order of the log.
    number: u64,
    logged: Box<Logged>,
}

impl PartialEq for Arrived {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Arrived {}

impl PartialOrd for Arrived {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrived {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Replays a log.
///
/// # Errors
/// It cannot be read.
pub fn plan(question: &PlanQuestion, mut log: impl BufRead) -> io::Result<PlanReport> {
    let mut planner = Planner::new(question);
    let mut waiting: BinaryHeap<Reverse<Arrived>> = BinaryHeap::new();
    let (mut line, mut number) = (Vec::new(), 0);
    while next_line(&mut log, &mut line)? {
        number += 1;
        match read_line(&line) {
            Ok(Line::Exchange(logged)) => {
                let at = WallTime(logged.ended.0.saturating_sub(millis(logged.total)));
                waiting.push(Reverse(Arrived { at, number, logged }));
            }
            Ok(Line::Other) => planner.report.other_lines += 1,
            Err(wrong) => {
                planner.report.bad_lines += 1;
                planner.report.first_bad.get_or_insert((number, wrong));
            }
        }
        if waiting.len() > IN_ORDER_MAX {
            planner.keeps_all = false;
            if let Some(Reverse(first)) = waiting.pop() {
                planner.take(&first);
            }
        }
    }
    while let Some(Reverse(next)) = waiting.pop() {
        planner.take(&next);
    }
    Ok(planner.finish())
}

/// Reads a line without its end. Of one that is too long the first part is given, which is no line of ours.
fn next_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if log.by_ref().take(LINE_MAX).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    let whole = line.last() == Some(&b'\n');
    if !whole && line.len() as u64 == LINE_MAX {
        log.skip_until(b'\n')?;
    }
    Ok(true)
}

struct Planner<'a> {
    question: &'a PlanQuestion,
    report: PlanReport,
    replays: BTreeMap<String, Replays>,
    /// The start of virtual time: the day on which the first exchange came.
    origin: Option<WallTime>,
    /// The last that was taken.
    last: WallTime,
    /// Whether every exchange so far is at hand.
    keeps_all: bool,
}

impl<'a> Planner<'a> {
    fn new(question: &'a PlanQuestion) -> Planner<'a> {
        Planner {
            question,
            report: PlanReport::default(),
            replays: BTreeMap::new(),
            origin: None,
            last: WallTime(0),
            keeps_all: question.goal.is_some(),
        }
    }

    fn take(&mut self, arrived: &Arrived) {
        const DAY_MS: u64 = 86_400_000;
        let Arrived { at, logged, .. } = arrived;
        if !self.replays.contains_key(&logged.provider) {
            if self.replays.len() == PROVIDERS_MAX {
                self.report.other_lines += 1;
                return;
            }
            let limits = self.limits(&logged.provider);
            self.replays.insert(logged.provider.clone(), Replays::new(limits, &self.question.queue));
        }
        self.report.out_of_order += u64::from(*at < self.last);
        self.last = self.last.max(*at);
        // Days begin where the providers' do.
        let origin = *self.origin.get_or_insert(WallTime(at.0 / DAY_MS * DAY_MS));
        let (first, end) = self.report.span.unwrap_or((*at, logged.ended));
        self.report.span = Some((first.min(*at), end.max(logged.ended)));
        let first = first.since(origin);
        let since_first = at.since(origin).saturating_sub(first);
        let sooner = since_first.as_nanos() * 1_000 / u128::from(self.question.times.max(1));
        let at = Moment::START + first + Duration::from_nanos(u64::try_from(sooner).unwrap_or(u64::MAX));
        let Some(replays) = self.replays.get_mut(&logged.provider) else { return };
        if !self.keeps_all {
            replays.kept = None;
        }
        replays.arrive(past(at, logged), logged.queued);
    }

    fn limits(&self, provider: &str) -> Limits {
        self.question.limits.get(provider).copied().unwrap_or(self.question.limits_of_others)
    }

    fn finish(mut self) -> PlanReport {
        for (name, replays) in self.replays {
            let kept = replays.kept.filter(|_| self.keeps_all);
            let least = self.question.goal.zip(kept);
            let least =
                least.map(|(goal, past)| least_limits(replays.limits, &self.question.queue, &past, goal));
            let planned = PlannedProvider {
                limits: replays.limits,
                waited_then: replays.waited_then,
                waiting: replays.waiting.finish(),
                returning: replays.returning.finish(),
                least,
            };
            self.report.providers.insert(name, planned);
        }
        self.report
    }
}

impl Replays {
    fn new(limits: Limits, queue: &QueueSettings) -> Replays {
        Replays {
            limits,
            waited_then: Duration::ZERO,
            waiting: Replay::new(limits, *queue, Manner::Waits),
            returning: Replay::new(limits, *queue, RETURNS),
            kept: Some(Vec::new()),
        }
    }

    fn arrive(&mut self, past: Past, waited_then: Duration) {
        self.waited_then = self.waited_then.saturating_add(waited_then);
        if let Some(kept) = &mut self.kept {
            kept.push(past.clone());
        }
        self.returning.arrive(past.clone());
        self.waiting.arrive(past);
    }
}

fn past(at: Moment, logged: &Logged) -> Past {
    Past {
        at,
        held: logged.held,
        charged: logged.charged,
        lasted: logged.served.then(|| logged.total.saturating_sub(logged.queued)),
        priority: logged.priority,
        share: Share {
            payer: hashed(&logged.client_key),
            flow: hashed(&logged.client),
            weight: logged.weight,
        },
    }
}

fn hashed(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The least of these limits, all scaled alike, under which 99 of 100 would have had room within `goal`; to one part
/// in fifty. `None` if not even the largest would do, or there is nothing to scale.
fn least_limits(limits: Limits, queue: &QueueSettings, past: &[Past], goal: Duration) -> Option<Limits> {
    let meets = |scale: u32| {
        let mut replay = Replay::new(limits.scaled(scale), *queue, Manner::Waits);
        past.iter().for_each(|past| replay.arrive(past.clone()));
        replay.finish().served_within(goal)
    };
    let (mut low, mut high) = SCALE;
    if limits.scaled(high) == limits || !meets(high) {
        return None;
    }
    while high - low > 1 && (high - low) * 50 > low {
        let middle = geometric_middle(low, high);
        if meets(middle) { high = middle } else { low = middle }
    }
    Some(limits.scaled(high))
}

fn geometric_middle(low: u32, high: u32) -> u32 {
    let middle = (u64::from(low) * u64::from(high)).isqrt();
    u32::try_from(middle).unwrap_or(high).clamp(low + 1, high - 1)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
