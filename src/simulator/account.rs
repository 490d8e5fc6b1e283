//! The simulated account: its buckets and its places, all or nothing.
//!
//! Pure: the moment comes in, and what follows goes out as values, so that it may be driven in virtual time too. Every
//! dialect draws from the same buckets. A request that is refused takes nothing, unless refused requests count; then
//! it takes one request where there is one.

use super::bucket::{Bucket, Refill};
use super::counting::{CountingWindow, OutputCharge, SimulatedCounting};
use super::denial::Denial;
use super::settings::SimulatedLimits;
use crate::dialect::Family;
use crate::units::Moment;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// To what Anthropic rounds the tokens that are left.
const ANTHROPIC_GRAIN: u64 = 1_000;

/// What is left of the limits.
#[derive(Debug)]
pub struct Account {
    limits: SimulatedLimits,
    counting: SimulatedCounting,
    /// In the order of [`Kind::ALL`].
    buckets: [Option<Bucket>; 6],
    busy: u64,
}

/// What a call will use, in tokens by the rule of `count`; the account counts them by its own factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Everything that was sent.
    pub input: u64,
    /// Of the input, what its cache holds.
    pub cached: u64,
    /// The most that may be written, in the account's own tokens; `None` where the call sets no cap.
    pub cap: Option<u64>,
    /// What will be written, if nothing breaks.
    pub output: u64,
}

/// What an admitted call has been charged. Given back to [`Account::leave`] at its end.
#[derive(Debug)]
#[must_use = "a charge that is lost keeps its place for ever"]
pub struct Charge {
    demand: Demand,
    rule: OutputCharge,
    input: u64,
    output: u64,
    at: Moment,
}

/// What a call is charged, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    input: u64,
    output: u64,
}

/// What a limit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests a minute.
    Requests,
    /// All tokens a minute.
    Tokens,
    /// Input tokens a minute.
    Input,
    /// Output tokens a minute.
    Output,
    /// Requests a day.
    DailyRequests,
    /// All tokens a day.
    DailyTokens,
}

/// One limit as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub kind: Kind,
    /// Its size.
    pub limit: u64,
    /// What is left, rounded to a multiple of `grain`.
    pub remaining: u64,
    /// How long until all of it is there again, if nothing more is taken.
    pub full_in: Duration,
    /// See `remaining`.
    pub grain: u64,
}

impl Account {
    /// Everything unused.
    pub fn open(limits: SimulatedLimits, counting: SimulatedCounting, now: Moment) -> Account {
        let buckets = Kind::ALL.map(|kind| kind.bucket(&limits, &counting, now));
        Account { limits, counting, buckets, busy: 0 }
    }

    /// The limits.
    pub fn limits(&self) -> &SimulatedLimits {
        &self.limits
    }

    /// How it counts.
    pub fn counting(&self) -> &SimulatedCounting {
        &self.counting
    }

    /// Other limits from now on, with full buckets; what runs keeps its place.
    pub fn renew(&mut self, limits: SimulatedLimits, now: Moment) {
        *self = Account { busy: self.busy, ..Account::open(limits, self.counting.clone(), now) };
    }

    /// Other limits from now on, each as full as it was; one that is new is full.
    pub fn retune(&mut self, limits: SimulatedLimits, now: Moment) {
        self.refill(now);
        let old = std::mem::take(&mut self.buckets);
        self.renew(limits, now);
        for (new, old) in self.buckets.iter_mut().zip(&old) {
            if let (Some(new), Some(old)) = (new, old) {
                new.fill_like(old);
            }
        }
    }

    /// Counts otherwise from now on. Other windows begin with full buckets.
    pub fn recount(&mut self, counting: SimulatedCounting, now: Moment) {
        let same = self.counting.has_windows_of(&counting);
        self.counting = counting;
        if !same {
            self.renew(self.limits.clone(), now);
        }
    }

    /// Takes a place, one request and the tokens that count at admission, or refuses.
    ///
    /// # Errors
    /// What there is no room for, and when there will be.
    pub fn admit(&mut self, demand: Demand, family: Family, now: Moment) -> Result<Charge, Denial> {
        self.refill(now);
        let rule = self.counting.output_for(family);
        let free = if self.counting.counts_cached(family) { 0 } else { demand.cached };
        let input = self.counting.counted(demand.input.saturating_sub(free));
        let output = match rule {
            OutputCharge::AtAdmission | OutputCharge::Own => self.most(demand),
            OutputCharge::AsProduced | OutputCharge::Never => 0,
        };
        let cost = Cost { input, output };
        if let Err(denial) = self.fits(cost, rule) {
            return Err(self.refused(denial, cost, rule));
        }
        for (kind, bucket) in self.buckets_mut() {
            bucket.take(kind.of(cost));
        }
        self.busy += 1;
        Ok(Charge { demand, rule, input, output, at: now })
    }

    /// So much has been written by now, by the rule of `count`. Tells how many tokens were charged for it.
    pub fn wrote(&mut self, charge: &mut Charge, written: u64, now: Moment) -> u64 {
        if charge.rule != OutputCharge::AsProduced {
            return 0;
        }
        let more = self.written(charge.demand, written).saturating_sub(charge.output);
        charge.output += more;
        self.refill(now);
        let cost = Cost { input: 0, output: more };
        for (kind, bucket) in self.buckets_mut().filter(|(kind, _)| !kind.counts_requests()) {
            bucket.draw(kind.of(cost));
        }
        more
    }

    /// The call has ended after so much was written. Gives its place back, and where that is the rule what it did not
    /// use; tells how many tokens.
    pub fn leave(&mut self, charge: &Charge, written: u64, now: Moment) -> u64 {
        debug_assert!(self.busy > 0, "only who was admitted leaves");
        self.busy = self.busy.saturating_sub(1);
        if !self.counting.gives_back || charge.rule == OutputCharge::AsProduced {
            return 0;
        }
        let unused = charge.output.saturating_sub(self.written(charge.demand, written));
        self.refill(now);
        let cost = Cost { input: 0, output: unused };
        for (kind, bucket) in self.buckets_mut().filter(|(kind, _)| !kind.counts_requests()) {
            bucket.give_back(kind.of(cost), charge.at);
        }
        unused
    }

    /// What its answers tell of the limits, for a call of that family.
    pub fn told(&mut self, family: Family, now: Moment) -> Vec<Standing> {
        self.refill(now);
        let Some(style) = self.counting.limit_headers.style(family) else { return Vec::new() };
        let told = self.buckets().filter(|(kind, _)| self.tells(*kind, style));
        told.map(|(kind, bucket)| {
            let rounds = style == Family::Anthropic && !kind.counts_requests();
            let grain = if rounds { ANTHROPIC_GRAIN } else { 1 };
            let remaining = bucket.remaining().saturating_add(grain / 2) / grain * grain;
            Standing { kind, limit: bucket.limit(), remaining, full_in: bucket.until_full(), grain }
        })
        .collect()
    }

    /// Whether headers of that family tell it. Those of OpenAI have one place for requests and one for tokens, where a
    /// minute goes before a day; nobody tells what is left of a second.
    fn tells(&self, kind: Kind, style: Family) -> bool {
        let is_set = |kind: Kind| self.buckets().any(|(other, _)| other == kind);
        let sliced = !kind.is_daily() && kind.window(&self.counting) == CountingWindow::Second;
        let has_name = match (style, kind) {
            (Family::OpenAi, Kind::DailyRequests) => !is_set(Kind::Requests),
            (Family::OpenAi, Kind::DailyTokens) => !is_set(Kind::Tokens),
            (Family::OpenAi, kind) => !matches!(kind, Kind::Input | Kind::Output),
            (Family::Anthropic, kind) => !kind.is_daily(),
            (Family::Gemini, _) => false,
        };
        has_name && !sliced
    }

    /// What is left of a limit now, however it is told; `None` where it is none.
    pub fn remaining(&mut self, kind: Kind, now: Moment) -> Option<u64> {
        self.refill(now);
        self.buckets().find(|(other, _)| *other == kind).map(|(_, bucket)| bucket.remaining())
    }

    fn fits(&self, cost: Cost, rule: OutputCharge) -> Result<(), Denial> {
        if let Some(limit) = self.limits.concurrent.filter(|limit| self.busy >= *limit) {
            return Err(Denial::Crowded { limit, busy: self.busy });
        }
        for (kind, bucket) in self.buckets() {
            let (asked, limit) = (kind.asked(cost, rule), bucket.capacity());
            if asked > limit {
                return Err(Denial::TooLarge { kind, limit, asked });
            }
        }
        // The longest wait is told, or whoever waited for one bucket would then meet the other.
        let waits =
            self.buckets().map(|(kind, bucket)| (bucket.wait_for(kind.asked(cost, rule)), kind, bucket));
        match waits.max_by_key(|(wait, ..)| *wait) {
            Some((wait, kind, bucket)) if !wait.is_zero() => {
                let (limit, asked) = (bucket.limit(), kind.asked(cost, rule));
                let used = bucket.capacity() - bucket.remaining();
                Err(Denial::Reached { kind, limit, used, asked, wait: whole_millis(wait) })
            }
            _ => Ok(()),
        }
    }

    /// Counts a refused request, if it counts; the wait is told as it is after that.
    fn refused(&mut self, denial: Denial, cost: Cost, rule: OutputCharge) -> Denial {
        if !self.counting.refused_count {
            return denial;
        }
        for (_, bucket) in self.buckets_mut().filter(|(kind, _)| kind.counts_requests()) {
            if bucket.remaining() > 0 {
                bucket.take(1);
            }
        }
        self.fits(cost, rule).err().unwrap_or(denial)
    }

    /// What is charged where a cap counts.
    fn most(&self, demand: Demand) -> u64 {
        demand.cap.unwrap_or_else(|| self.counting.counted(demand.output))
    }

    /// So much output as it counts: never more than the cap, which is in the account's own tokens.
    fn written(&self, demand: Demand, written: u64) -> u64 {
        self.counting.counted(written).min(demand.cap.unwrap_or(u64::MAX))
    }

    fn refill(&mut self, now: Moment) {
        for bucket in self.buckets.iter_mut().flatten() {
            bucket.refill(now);
        }
    }

    /// The limits that are set.
    fn buckets(&self) -> impl Iterator<Item = (Kind, &Bucket)> {
        Kind::ALL.into_iter().zip(&self.buckets).filter_map(|(kind, bucket)| Some((kind, bucket.as_ref()?)))
    }

    fn buckets_mut(&mut self) -> impl Iterator<Item = (Kind, &mut Bucket)> {
        Kind::ALL
            .into_iter()
            .zip(&mut self.buckets)
            .filter_map(|(kind, bucket)| Some((kind, bucket.as_mut()?)))
    }
}

impl Charge {
    /// All tokens that it stands for now.
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What will be written, if nothing breaks, by the rule of `count`.
    pub fn output(&self) -> u64 {
        self.demand.output
    }
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Requests, Kind::Tokens, Kind::Input, Kind::Output, Kind::DailyRequests, Kind::DailyTokens];

    /// Whether requests are counted, not tokens.
    pub fn counts_requests(self) -> bool {
        matches!(self, Kind::Requests | Kind::DailyRequests)
    }

    /// Whether the limit is over a day, not over a minute.
    pub fn is_daily(self) -> bool {
        matches!(self, Kind::DailyRequests | Kind::DailyTokens)
    }

    fn bucket(self, limits: &SimulatedLimits, counting: &SimulatedCounting, now: Moment) -> Option<Bucket> {
        let limit = match self {
            Kind::Requests => limits.requests_per_minute,
            Kind::Tokens => limits.tokens_per_minute,
            Kind::Input => limits.input_tokens_per_minute,
            Kind::Output => limits.output_tokens_per_minute,
            Kind::DailyRequests => limits.requests_per_day,
            Kind::DailyTokens => limits.tokens_per_day,
        }?;
        if self.is_daily() {
            return Some(Bucket::full(limit, limit, Refill::Whole(counting.day), now));
        }
        Some(match self.window(counting) {
            CountingWindow::Continuous => Bucket::full(limit, limit, Refill::Steady, now),
            CountingWindow::Minute => Bucket::full(limit, limit, Refill::Whole(MINUTE), now),
            CountingWindow::Second => Bucket::full(limit, limit.div_ceil(60), Refill::Whole(SECOND), now),
        })
    }

    fn window(self, counting: &SimulatedCounting) -> CountingWindow {
        if self.counts_requests() { counting.requests_window } else { counting.tokens_window }
    }

    /// What a call takes from this bucket.
    fn of(self, cost: Cost) -> u64 {
        match self {
            Kind::Requests | Kind::DailyRequests => 1,
            Kind::Tokens | Kind::DailyTokens => cost.input.saturating_add(cost.output),
            Kind::Input => cost.input,
            Kind::Output => cost.output,
        }
    }

    /// What has to be there before a call is let in: for output that counts as it comes, anything.
    fn asked(self, cost: Cost, rule: OutputCharge) -> u64 {
        let least = u64::from(self == Kind::Output && rule == OutputCharge::AsProduced);
        self.of(cost).max(least)
    }
}

/// Rounded up to the millisecond everywhere, so that whoever waits as told is admitted.
fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
