//! The simulated account: its buckets and its places, all or nothing, and how a refusal and its headers read.
//!
//! A request that is refused takes nothing. One that is admitted is charged at once and gets nothing back, as with
//! OpenAI, whatever becomes of it.

use super::bucket::Bucket;
use super::refusal::Refusal;
use super::settings::SimulatedLimits;
use crate::units::Moment;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Account {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    places: Option<u64>,
    busy: u64,
}

impl Account {
    /// Everything unused.
    pub(super) fn open(limits: &SimulatedLimits, now: Moment) -> Account {
        Account {
            requests: limits.requests_per_minute.map(|limit| Bucket::full(limit, now)),
            tokens: limits.tokens_per_minute.map(|limit| Bucket::full(limit, now)),
            places: limits.concurrent,
            busy: 0,
        }
    }

    /// Other limits from now on, with full buckets; what runs keeps its place.
    pub(super) fn retune(&mut self, limits: &SimulatedLimits, now: Moment) {
        *self = Account { busy: self.busy, ..Account::open(limits, now) };
    }

    /// Takes a place, one request and `tokens`, or nothing at all.
    pub(super) fn admit(&mut self, model: &str, tokens: u64, now: Moment) -> Result<(), Refusal> {
        let costs = [(Kind::Requests, 1), (Kind::Tokens, tokens)];
        for bucket in [&mut self.requests, &mut self.tokens].into_iter().flatten() {
            bucket.refill(now);
        }
        if let Some(limit) = self.places.filter(|limit| self.busy >= *limit) {
            return Err(Refusal::limited(too_many(model, limit, self.busy), Kind::Requests.word()));
        }
        for (kind, cost) in costs {
            if let Some(bucket) = self.bucket(kind).filter(|bucket| cost > bucket.limit()) {
                return Err(Refusal::limited(too_large(model, kind, bucket.limit(), cost), kind.word()));
            }
        }
        // The longest wait is told, or whoever waited for one bucket would then meet the other.
        let waits = costs.into_iter().filter_map(|(kind, cost)| {
            let bucket = self.bucket(kind)?;
            Some((bucket.wait_for(cost), kind, bucket, cost))
        });
        if let Some((wait, kind, bucket, cost)) = waits.max_by_key(|(wait, ..)| *wait)
            && !wait.is_zero()
        {
            return Err(reached(model, kind, bucket, cost, wait));
        }
        for (bucket, (_, cost)) in [&mut self.requests, &mut self.tokens].into_iter().zip(costs) {
            if let Some(bucket) = bucket {
                bucket.take(cost);
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

    /// The `x-ratelimit-*` headers in OpenAI's formats; a reset is the time until the bucket is full.
    pub(super) fn headers(&mut self, now: Moment) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for bucket in [&mut self.requests, &mut self.tokens].into_iter().flatten() {
            bucket.refill(now);
        }
        for kind in [Kind::Requests, Kind::Tokens] {
            let Some(bucket) = self.bucket(kind) else { continue };
            let [limit, remaining, reset] = kind.headers().map(HeaderName::from_static);
            headers.insert(limit, bucket.limit().into());
            headers.insert(remaining, bucket.remaining().into());
            let value = HeaderValue::try_from(go_duration(bucket.until_full()));
            headers.insert(reset, value.expect("a duration is plain text"));
        }
        headers
    }

    fn bucket(&self, kind: Kind) -> Option<&Bucket> {
        match kind {
            Kind::Requests => self.requests.as_ref(),
            Kind::Tokens => self.tokens.as_ref(),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Requests,
    Tokens,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Requests => "requests",
            Kind::Tokens => "tokens",
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Kind::Requests => "requests per min (RPM)",
            Kind::Tokens => "tokens per min (TPM)",
        }
    }

    fn headers(self) -> [&'static str; 3] {
        match self {
            Kind::Requests => {
                ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
            }
            Kind::Tokens => {
                ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
            }
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
    Refusal::limited(message, kind.word()).retry_after(wait)
}

/// A duration as Go prints it to the millisecond: `120ms`, `1.2s`, `6m0s`.
fn go_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let mut seconds = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match minutes {
        0 => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_duration;

    fn limits(requests: u64, tokens: u64, concurrent: u64) -> SimulatedLimits {
        SimulatedLimits {
            requests_per_minute: Some(requests),
            tokens_per_minute: Some(tokens),
            concurrent: Some(concurrent),
        }
    }

    #[test]
    fn a_refused_request_takes_nothing_from_any_bucket() {
        let now = Moment::START;
        let mut account = Account::open(&limits(2, 100, 9), now);
        assert!(account.admit("sim", 90, now).is_ok());
        assert!(account.admit("sim", 20, now).is_err());
        assert!(account.admit("sim", 10, now).is_ok());
        assert!(account.admit("sim", 0, now).is_err());
        assert_eq!(account.busy, 2);
    }

    #[test]
    fn whoever_waits_as_told_is_admitted() {
        let mut account = Account::open(&limits(7, 1_000, 1), Moment::START);
        let (mut now, mut refused) = (Moment::START, 0);
        for cost in (1..=1_000).step_by(37) {
            if let Err(refusal) = account.admit("sim", cost, now) {
                refused += 1;
                let wait = refusal.wait().expect("a refusal says when");
                assert!(account.admit("sim", cost, now + (wait - Duration::from_millis(1))).is_err());
                now = now + wait;
                assert!(account.admit("sim", cost, now).is_ok(), "{refusal:?}");
            }
            account.leave();
        }
        assert!(refused > 10);
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_leaves() {
        let mut account = Account::open(&limits(9, 9, 1), Moment::START);
        assert!(account.admit("sim", 1, Moment::START).is_ok());
        let refusal = account.admit("sim", 1, Moment::START).expect_err("the only place is taken");
        assert_eq!(refusal.wait(), None);
        account.leave();
        assert!(account.admit("sim", 1, Moment::START).is_ok());
    }

    #[test]
    fn durations_read_as_openai_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_200, "1.2s"),
            (8_640, "8.64s"),
            (60_000, "1m0s"),
            (61_005, "1m1.005s"),
            (360_000, "6m0s"),
            (70_000, "1m10s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)));
        }
    }
}
