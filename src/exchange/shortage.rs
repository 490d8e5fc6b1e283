//! What a refusal says of limits: facts for its judge, readings and a shortage for the desk.
//!
//! Here the words of routing and of admission meet; both refuse to know each other. Refuses to decide where an
//! exchange goes next. Invariants: nobody is sent away for longer than is believed, and each further refusal by the
//! same target sends the exchange away for no less.

use super::beginning::{Failed, Spent};
use crate::admission::{Dimension, Meaning, Reading, Said, Shortage, allows_nothing};
use crate::ids::TargetId;
use crate::routing::{ErrorFacts, Outcome, Window, judge};
use crate::units::Moment;
use crate::wire::{ProviderError, Quota};
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// The longest that a provider is left in peace for a limit that is not over a day, whatever it says: a wrong
/// number would otherwise shut all its models for a day.
const SAID_WAIT_MAX: Duration = Duration::from_secs(3_600);
/// The same for a limit over a day.
const SAID_DAY_WAIT_MAX: Duration = Duration::from_secs(86_400);
/// How long a provider is left in peace after a 429 that does not say when to come back.
const UNSAID_WAIT: Duration = Duration::from_secs(1);
/// The same for a limit over a day.
const UNSAID_DAY_WAIT: Duration = Duration::from_secs(10 * 60);
/// How long at least after the second 429 that a target gives one exchange, whatever was said; each further one
/// doubles it. A provider that keeps saying "at once" would otherwise be asked as fast as the network allows.
const REPEATED_WAIT: Duration = Duration::from_millis(250);
/// The same where traffic grows too fast, from the first on: such a limit grows by the minute, and a wait that does
/// not grow meets it again and again.
const RAMP_WAIT: Duration = Duration::from_secs(1);
/// Doublings after which those waits grow no more.
const DOUBLINGS_MAX: u32 = 5;

/// Judges an answer that is no success. `readings` are what its headers told; `wait` is what it asks for.
pub(super) fn judged(
    status: StatusCode,
    headers: &HeaderMap,
    error: &ProviderError,
    wait: Option<Duration>,
    mut readings: Vec<Reading>,
) -> Failed {
    let used_up = |reading: &Reading| reading.dimension.is_daily() && reading.remaining == Some(0);
    let daily = error.daily || plan_is_used_up(headers) || readings.iter().any(used_up);
    let said = said(headers, error, daily);
    let facts = ErrorFacts {
        message: &error.message,
        kind: error.kind.as_deref(),
        code: error.code.as_deref(),
        // The words name the limit that was met; that another is used up as well is then beside the point.
        daily: daily && said.dimension.is_none_or(Dimension::is_daily),
        above_limit: said.is_above_limit(),
        no_allowance: allows_nothing(headers) || error.quotas.iter().any(Quota::allows_nothing),
    };
    let outcome = judge(status, &facts, wait);
    if outcome == Outcome::TooLarge
        && let Some(limit) = said.reading()
    {
        add(&mut readings, limit);
    }
    Failed { status: Some(status), readings, said, ..Failed::after(outcome, Spent::Request) }
}

/// A subscription of Anthropic's, which counts over hours and days and tells no units.
fn plan_is_used_up(headers: &HeaderMap) -> bool {
    headers.get("anthropic-ratelimit-unified-status").is_some_and(|status| status == "rejected")
}

/// The limit that was met, from the most exact source that names one.
fn said(headers: &HeaderMap, error: &ProviderError, daily: bool) -> Said {
    let quotas =
        error.quotas.iter().map(|quota| Said::in_quota(&quota.id, &quota.metric, quota.value.as_deref()));
    // The day's outweighs a minute's that is named beside it.
    let by_weight =
        |said: &Said| (said.dimension.is_none(), said.dimension.is_some_and(|one| !one.is_daily()));
    let quota = quotas.min_by_key(by_weight).unwrap_or_default();
    let policy = headers.get("policy-id").and_then(|policy| policy.to_str().ok()).map(Said::in_policy);
    let words = Said::in_words(&error.message, error.kind.as_deref(), daily);
    quota.or(words).or(policy.unwrap_or_default())
}

/// The words tell a limit that the headers may have told already.
fn add(readings: &mut Vec<Reading>, said: Reading) {
    match readings.iter_mut().find(|known| known.dimension == said.dimension) {
        Some(known) if known.limit.is_none() => {
            known.limit = said.limit;
            known.remaining = known.remaining.min(said.limit);
        }
        Some(_) => {}
        None => readings.push(said),
    }
}

/// The refusals that one exchange has met, by target; as many targets as its plan has.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(TargetId, u32)>);

impl Refusals {
    /// One more: what is short, and until when.
    pub(super) fn shortage(
        &mut self,
        target: &TargetId,
        window: Window,
        told: Option<Duration>,
        said: Said,
        now: Moment,
    ) -> Shortage {
        let before = self.count(target);
        let grown = |first: Duration, doublings: u32| first * (1 << doublings.min(DOUBLINGS_MAX));
        let repeated = before.checked_sub(1).map_or(Duration::ZERO, |again| grown(REPEATED_WAIT, again));
        let (meaning, wait) = match window {
            Window::Minute => (Meaning::Minute, told.unwrap_or(UNSAID_WAIT).max(repeated).min(SAID_WAIT_MAX)),
            Window::Day => {
                (Meaning::Day, told.unwrap_or(UNSAID_DAY_WAIT).max(repeated).min(SAID_DAY_WAIT_MAX))
            }
            Window::Ramp => {
                let least = grown(RAMP_WAIT, before);
                (Meaning::Ramp, told.unwrap_or_default().max(least).min(SAID_WAIT_MAX))
            }
        };
        Shortage { meaning, until: now + wait, dimension: said.dimension, limit: said.limit }
    }

    /// How many this target has given before; the one at hand is counted from now on.
    fn count(&mut self, target: &TargetId) -> u32 {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| known == target) {
            *count = count.saturating_add(1);
            return *count - 1;
        }
        self.0.push((target.clone(), 1));
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn target(provider: &str) -> TargetId {
        TargetId { provider: provider.into(), model: "m".into() }
    }

    fn waits(window: Window, told: &[Option<u64>]) -> Vec<u64> {
        let mut refusals = Refusals::default();
        let wait = |told: &Option<u64>| {
            let told = told.map(Duration::from_millis);
            let shortage = refusals.shortage(&target("a"), window, told, Said::default(), Moment::START);
            u64::try_from(shortage.until.since(Moment::START).as_millis()).unwrap()
        };
        told.iter().map(wait).collect()
    }

    #[test]
    fn the_told_wait_is_kept_and_an_untold_one_depends_on_the_window() {
        assert_eq!(waits(Window::Minute, &[Some(600)]), [600]);
        assert_eq!(waits(Window::Minute, &[None]), [1_000]);
        assert_eq!(waits(Window::Day, &[None]), [600_000]);
        assert_eq!(waits(Window::Day, &[Some(7_200_000)]), [7_200_000]);
        assert_eq!(waits(Window::Ramp, &[Some(20_000)]), [20_000]);
    }

    #[test]
    fn no_wait_is_longer_than_is_believed() {
        assert_eq!(waits(Window::Minute, &[Some(u64::MAX)]), [3_600_000]);
        assert_eq!(waits(Window::Ramp, &[Some(u64::MAX)]), [3_600_000]);
        assert_eq!(waits(Window::Day, &[Some(u64::MAX)]), [86_400_000]);
    }

    #[test]
    fn waits_grow_with_each_refusal_up_to_a_bound() {
        let at_once = [Some(0); 9];
        assert_eq!(waits(Window::Minute, &at_once), [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        assert_eq!(
            waits(Window::Ramp, &at_once),
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000, 32_000, 32_000]
        );
    }

    #[test]
    fn the_refusals_of_one_target_are_not_anothers() {
        let mut refusals = Refusals::default();
        let mut until = |provider| {
            let target = target(provider);
            refusals.shortage(&target, Window::Ramp, None, Said::default(), Moment::START).until
        };
        let second = Moment::START + Duration::from_secs(1);
        assert_eq!((until("a"), until("b")), (second, second));
        assert_eq!(until("a"), Moment::START + Duration::from_secs(2));
    }

    /// The outcome's name, the limit that was met, and the readings' dimensions with their limits.
    fn check(status: u16, lines: &[(&str, &str)], body: &str, expected: (&str, Option<Dimension>, &[&str])) {
        let line = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = lines.iter().map(line).collect();
        let error = ProviderError::read(body.as_bytes());
        let wait = crate::routing::retry_after(&headers, body, Default::default());
        let heard = crate::admission::readings(&headers, Default::default(), false);
        let failed = judged(StatusCode::from_u16(status).unwrap(), &headers, &error, wait, heard);
        let show = |reading: &Reading| format!("{} {:?}", reading.dimension.name(), reading.limit);
        let shown: Vec<_> = failed.readings.iter().map(show).collect();
        let shown: Vec<_> = shown.iter().map(String::as_str).collect();
        assert_eq!((failed.outcome.name(), failed.said.dimension, shown.as_slice()), expected, "{body}");
    }

    #[test]
    fn words_headers_and_quotas_are_taken_together() {
        use Dimension::*;
        check(
            429,
            &[],
            r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 36055.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ("too_large", Some(TokensPerMinute), &["tokens_per_minute Some(30000)"]),
        );
        check(
            429,
            &[],
            r#"{"error":{"message":"Rate limit reached on tokens per min (TPM): Limit 30000, Used 0, Requested 36055.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ("too_large", Some(TokensPerMinute), &["tokens_per_minute Some(30000)"]),
        );
        check(
            429,
            &[("x-ratelimit-limit-tokens", "30000"), ("x-ratelimit-remaining-tokens", "500")],
            r#"{"error":{"message":"Rate limit reached on tokens per min (TPM): Limit 30000, Used 29500, Requested 800.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ("rate_limited", Some(TokensPerMinute), &["tokens_per_minute Some(30000)"]),
        );
        // Groq: the day's requests are used up, and the wait is too long for a minute.
        let groq = [
            ("x-ratelimit-limit-requests", "1000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "6h0m0s"),
        ];
        check(429, &groq, "{}", ("daily_limit", None, &["requests_per_day Some(1000)"]));
        check(
            429,
            &groq,
            r#"{"error":{"message":"Rate limit reached on tokens per minute (TPM): Limit 6000, Used 6000, Requested 1. Please try again in 1s."}}"#,
            ("rate_limited", Some(TokensPerMinute), &["requests_per_day Some(1000)"]),
        );
        check(
            429,
            &[("policy-id", "DeploymentRatelimit-Token"), ("retry-after", "37")],
            r#"{"error":{"code":"429","message":"Please retry after 37 seconds."}}"#,
            ("rate_limited", Some(TokensPerMinute), &[]),
        );
        check(
            429,
            &[("policy-id", "DeploymentRatelimit-Token"), ("retry-after", "86400")],
            r#"{"error":{"code":"429","message":"have exceeded token rate limit"}}"#,
            ("too_large", Some(TokensPerMinute), &[]),
        );
        check(
            429,
            &[("anthropic-ratelimit-unified-status", "rejected"), ("retry-after", "9000")],
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your account's rate limit."}}"#,
            ("daily_limit", None, &[]),
        );
        check(
            429,
            &[("x-ratelimit-limit-req-minute", "0")],
            r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","code":"1300"}"#,
            ("forbidden", None, &[]),
        );
    }

    #[test]
    fn of_googles_quotas_the_days_outweighs_the_minutes() {
        use Dimension::*;
        let body = |quotas: &str| {
            format!(
                r#"{{"error":{{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[
                {{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{quotas}]}}]}}}}"#
            )
        };
        let minute = r#"{"quotaId":"GenerateContentInputTokensPerModelPerMinute","quotaValue":"250000"}"#;
        let day = r#"{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"50"}"#;
        let none = r#"{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"0"}"#;
        check(429, &[], &body(minute), ("rate_limited", Some(InputTokensPerMinute), &[]));
        check(429, &[], &body(&format!("{minute},{day}")), ("daily_limit", Some(RequestsPerDay), &[]));
        check(429, &[], &body(none), ("forbidden", Some(RequestsPerDay), &[]));
    }
}
