//! The simulated account: its buckets and its places, all or nothing, and how a refusal reads.
//!
//! A request that is refused takes nothing. One that is admitted is charged at once and gets nothing back, as with
//! OpenAI, whatever becomes of it. Every dialect draws from the same buckets.

use super::bucket::Bucket;
use super::limit_headers::{go_duration, limit_headers};
use super::refusal::Refusal;
use super::settings::SimulatedLimits;
use crate::dialect::Family;
use crate::units::{Moment, WallTime};
use http::HeaderMap;
use std::time::Duration;

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Account {
    /// In the order of [`Kind::ALL`].
    buckets: [Option<Bucket>; 4],
    places: Option<u64>,
    busy: u64,
}

/// What a call is charged, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Cost {
    pub(super) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// What a bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Requests,
    Tokens,
    Input,
    Output,
}

impl Account {
    /// Everything unused.
    pub(super) fn open(limits: &SimulatedLimits, now: Moment) -> Account {
        let limit = |kind: Kind| match kind {
            Kind::Requests => limits.requests_per_minute,
            Kind::Tokens => limits.tokens_per_minute,
            Kind::Input => limits.input_tokens_per_minute,
            Kind::Output => limits.output_tokens_per_minute,
        };
        Account {
            buckets: Kind::ALL.map(|kind| limit(kind).map(|limit| Bucket::full(limit, now))),
            places: limits.concurrent,
            busy: 0,
        }
    }

    /// Other limits from now on, with full buckets; what runs keeps its place.
    pub(super) fn retune(&mut self, limits: &SimulatedLimits, now: Moment) {
        *self = Account { busy: self.busy, ..Account::open(limits, now) };
    }

    /// Takes a place, one request and the tokens, or nothing at all.
    pub(super) fn admit(&mut self, model: &str, cost: Cost, now: Moment) -> Result<(), Refusal> {
        self.refill(now);
        if let Some(limit) = self.places.filter(|limit| self.busy >= *limit) {
            return Err(Refusal::limited(too_many(model, limit, self.busy), Kind::Requests, None));
        }
        for (kind, bucket) in self.limits() {
            let cost = kind.of(cost);
            if cost > bucket.limit() {
                return Err(Refusal::limited(too_large(model, kind, bucket.limit(), cost), kind, None));
            }
        }
        // The longest wait is told, or whoever waited for one bucket would then meet the other.
        let waits = self.limits().map(|(kind, bucket)| (bucket.wait_for(kind.of(cost)), kind, bucket));
        if let Some((wait, kind, bucket)) = waits.max_by_key(|(wait, ..)| *wait)
            && !wait.is_zero()
        {
            return Err(reached(model, kind, bucket, kind.of(cost), wait));
        }
        for (kind, bucket) in Kind::ALL.into_iter().zip(&mut self.buckets) {
            if let Some(bucket) = bucket {
                bucket.take(kind.of(cost));
            }
        }
        self.busy += 1;
        Ok(())
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self) {
        debug_assert!(self.busy > 0, "only who was admitted leaves");
        self.busy = self.busy.saturating_sub(1);
    }

    /// The headers that tell what is left, in the formats of that family.
    pub(super) fn headers(&mut self, family: Family, now: Moment, wall: WallTime) -> HeaderMap {
        self.refill(now);
        limit_headers(family, self.limits(), wall)
    }

    fn refill(&mut self, now: Moment) {
        for bucket in self.buckets.iter_mut().flatten() {
            bucket.refill(now);
        }
    }

    /// The limits that are set.
    fn limits(&self) -> impl Iterator<Item = (Kind, &Bucket)> {
        Kind::ALL.into_iter().zip(&self.buckets).filter_map(|(kind, bucket)| Some((kind, bucket.as_ref()?)))
    }
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Requests, Kind::Tokens, Kind::Input, Kind::Output];

    /// What a call takes from this bucket.
    fn of(self, cost: Cost) -> u64 {
        match self {
            Kind::Requests => 1,
            Kind::Tokens => cost.total(),
            Kind::Input => cost.input,
            Kind::Output => cost.output,
        }
    }

    /// OpenAI's word for it, which knows no difference between input and output.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Requests => "requests",
            Kind::Tokens | Kind::Input | Kind::Output => "tokens",
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Kind::Requests => "requests per min (RPM)",
            Kind::Tokens => "tokens per min (TPM)",
            Kind::Input => "input tokens per min (ITPM)",
            Kind::Output => "output tokens per min (OTPM)",
        }
    }
}

fn too_many(model: &str, limit: u64, busy: u64) -> String {
    format!(
        "Rate limit reached for {model} in organization org-sim on concurrent requests: Limit {limit}, \
         Used {busy}, Requested 1. Please try again when a request has finished."
    )
}

fn too_large(model: &str, kind: Kind, limit: u64, cost: u64) -> String {
    format!(
        "Request too large for {model} in organization org-sim on {}: Limit {limit}, Requested {cost}. The input \
         or output tokens must be reduced in order to run successfully.",
        kind.phrase()
    )
}

fn reached(model: &str, kind: Kind, bucket: &Bucket, cost: u64, wait: Duration) -> Refusal {
    let (limit, used) = (bucket.limit(), bucket.limit() - bucket.remaining());
    // Rounded up to the millisecond everywhere, so that whoever waits as told is admitted.
    let wait = Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
    let message = format!(
        "Rate limit reached for {model} in organization org-sim on {}: Limit {limit}, Used {used}, \
         Requested {cost}. Please try again in {}.",
        kind.phrase(),
        go_duration(wait)
    );
    Refusal::limited(message, kind, Some(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u64, tokens: u64, concurrent: u64) -> SimulatedLimits {
        SimulatedLimits {
            requests_per_minute: Some(requests),
            tokens_per_minute: Some(tokens),
            concurrent: Some(concurrent),
            ..SimulatedLimits::default()
        }
    }

    fn tokens(input: u64) -> Cost {
        Cost { input, output: 0 }
    }

    #[test]
    fn input_and_output_have_buckets_of_their_own_and_a_common_one() {
        let one = |input, output, both| SimulatedLimits {
            input_tokens_per_minute: input,
            output_tokens_per_minute: output,
            tokens_per_minute: both,
            ..SimulatedLimits::default()
        };
        let check = |limits: &SimulatedLimits, fits: bool| {
            let cost = Cost { input: 60, output: 50 };
            let admitted = Account::open(limits, Moment::START).admit("sim", cost, Moment::START);
            assert_eq!(admitted.is_ok(), fits, "{limits:?}");
        };
        check(&one(Some(60), Some(50), Some(110)), true);
        check(&one(Some(59), None, None), false);
        check(&one(None, Some(49), None), false);
        check(&one(None, None, Some(109)), false);
    }

    #[test]
    fn a_refused_request_takes_nothing_from_any_bucket() {
        let now = Moment::START;
        let mut account = Account::open(&limits(2, 100, 9), now);
        assert!(account.admit("sim", tokens(90), now).is_ok());
        assert!(account.admit("sim", tokens(20), now).is_err());
        assert!(account.admit("sim", tokens(10), now).is_ok());
        assert!(account.admit("sim", tokens(0), now).is_err());
        assert_eq!(account.busy, 2);
    }

    #[test]
    fn whoever_waits_as_told_is_admitted() {
        let mut account = Account::open(&limits(7, 1_000, 1), Moment::START);
        let (mut now, mut refused) = (Moment::START, 0);
        for cost in (1..=1_000).step_by(37) {
            if let Err(refusal) = account.admit("sim", tokens(cost), now) {
                refused += 1;
                let wait = refusal.wait().expect("a refusal says when");
                assert!(account.admit("sim", tokens(cost), now + (wait - Duration::from_millis(1))).is_err());
                now = now + wait;
                assert!(account.admit("sim", tokens(cost), now).is_ok(), "{refusal:?}");
            }
            account.leave();
        }
        assert!(refused > 10);
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_leaves() {
        let mut account = Account::open(&limits(9, 9, 1), Moment::START);
        assert!(account.admit("sim", tokens(1), Moment::START).is_ok());
        let refusal = account.admit("sim", tokens(1), Moment::START).expect_err("the only place is taken");
        assert_eq!(refusal.wait(), None);
        account.leave();
        assert!(account.admit("sim", tokens(1), Moment::START).is_ok());
    }
}
