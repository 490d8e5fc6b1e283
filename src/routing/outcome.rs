//! What an attempt came to: the table from a provider's answer to what follows from it.
//!
//! Knows no JSON: whoever read the body brings its words as [`ErrorFacts`]. Invariant: money, keys and
//! limits are told apart here and nowhere else, because vendors put the same trouble under different statuses.

use super::breaker::Verdict;
use http::StatusCode;
use std::time::Duration;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took it and answers.
    Served,
    /// A limit over time is used up; nothing is wrong with the target.
    RateLimited {
        /// When the provider says that there is room again.
        retry_after: Option<Duration>,
        /// Whether waiting is worth it.
        window: Window,
    },
    /// Larger than the target will ever take at once; another target may have a larger limit.
    TooLarge,
    /// The target has more work than it can do.
    Overloaded {
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The target failed.
    ServerError {
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The request collided with another or was given up by the server; sent again it may pass, and it
    /// says nothing about the target's health.
    Conflict {
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No connection, or one that broke before an answer.
    Unreachable,
    /// This machine had no room for another connection. Nothing was sent, and it says nothing about the target.
    Unsent,
    /// Connected, but no answer in time.
    TimedOut,
    /// The key is wrong.
    CredentialRefused,
    /// The account has no money or has reached its own spending limit; waiting does not help.
    OutOfMoney,
    /// The provider does not know the model.
    ModelMissing,
    /// The account may not do this: permission, region, a model without any allowance. Or the configuration
    /// cannot be meant: a redirect, a circle of gateways.
    Forbidden,
    /// The target's dialect cannot say what is asked. Nothing was sent.
    Unfit,
    /// The client's own fault; the answer goes back unchanged, because clients act on its wording.
    Rejected,
}

/// The time over which a limit is counted, as far as it matters: whether an exchange can wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Over soon.
    Minute,
    /// Hours away.
    Day,
    /// None: no limit is reached, but traffic grows faster than the provider allows. A slower pace helps.
    Ramp,
}

/// What the body of an error says.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorFacts<'a> {
    /// The sentence for people, or the whole body where it has no known shape.
    pub message: &'a str,
    /// `error.type`, or Google's `error.status`.
    pub kind: Option<&'a str>,
    /// `error.code`, `error.details.error_code`, or Google's `ErrorInfo.reason`.
    pub code: Option<&'a str>,
    /// A quota named in the details is counted by the day.
    pub daily: bool,
    /// The words' own numbers say that the call is larger than the limit.
    pub above_limit: bool,
    /// The account has no allowance for the model at all.
    pub no_allowance: bool,
}

/// A 429 that sends away for longer is not a limit over a minute that somebody used up: Azure says 86,400 s
/// for a request above the deployment's limit. To pause the whole budget for it would be wrong.
const WAIT_WORTHWHILE_MAX: Duration = Duration::from_secs(3_600);

/// Judges an answer by its status, its error body, and the wait that it asks for. The first line that fits
/// wins; the order matters where one status has several meanings.
pub fn judge(status: StatusCode, facts: &ErrorFacts<'_>, retry_after: Option<Duration>) -> Outcome {
    use Outcome::*;
    let minute = RateLimited { retry_after, window: Window::Minute };
    let day = RateLimited { retry_after, window: Window::Day };
    let ramp = RateLimited { retry_after, window: Window::Ramp };
    match status.as_u16() {
        ..=299 => Served,
        // Redirects are not followed: the key must not go where the configuration does not point.
        300..=399 => Forbidden,

        _ if facts.named(CONTEXT_NAMES) => Rejected,
        400..=428 if facts.say(CONTEXT_WORDS) => Rejected,
        401 => CredentialRefused,
        400..=499 if facts.named(KEY_NAMES) => CredentialRefused,
        // OpenRouter: other exchanges in flight hold the budget; it comes back when they end.
        402 if retry_after.is_some() && !facts.named(MONEY_NAMES) => minute,
        402 => OutOfMoney,
        400..=499 if facts.named(MONEY_NAMES) || facts.say(MONEY_WORDS) => OutOfMoney,

        400..=499 if facts.named(MODEL_NAMES) => ModelMissing,
        404 => ModelMissing,
        400 if facts.named(&["FAILED_PRECONDITION"]) => Forbidden,
        403 if facts.named(POLICY_NAMES) || facts.say(POLICY_WORDS) => Rejected,
        403 | 451 => Forbidden,
        408 | 409 | 425 | 499 => Conflict { retry_after },

        413 | 429 if facts.above_limit || facts.say(SIZE_WORDS) => TooLarge,
        413 if facts.named(&["rate_limit_exceeded"]) => TooLarge,
        429 if facts.no_allowance || facts.say_limit_zero() => Forbidden,
        // A ramp that was too steep: the target is well, the pace is not.
        429 | 503 if facts.named(RAMP_NAMES) || facts.say(RAMP_WORDS) => ramp,
        429 if facts.named(CAPACITY_NAMES) || facts.say(CAPACITY_WORDS) => Overloaded { retry_after },
        429 if facts.daily || facts.named(DAY_NAMES) || facts.say(DAY_WORDS) => day,
        429 if retry_after.is_some_and(|wait| wait > WAIT_WORTHWHILE_MAX) => TooLarge,
        429 => minute,
        498 => Overloaded { retry_after },
        400..=499 => Rejected,

        503 | 529 => Overloaded { retry_after },
        // The way to this target leads in a circle: each further try would go round it again.
        508 => Forbidden,
        _ if facts.named(CAPACITY_NAMES) => Overloaded { retry_after },
        _ => ServerError { retry_after },
    }
}

/// Longer than the model can read. Another target would refuse it too, and clients shorten on this wording.
const CONTEXT_NAMES: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];
const CONTEXT_WORDS: &[&str] = &[
    "maximum context length",
    "prompt is too long",
    "exceed context limit",
    "input is too long",
    "input token count",
];
const KEY_NAMES: &[&str] = &["API_KEY_INVALID", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"];
const MONEY_NAMES: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "enforced_spend_limit_reached",
];
const MONEY_WORDS: &[&str] = &[
    "you have reached your specified api usage limits",
    "you have reached your specified workspace api usage limits",
    "credit balance is too low",
    "used all available credits",
];
const MODEL_NAMES: &[&str] = &["model_not_found", "DeploymentNotFound"];
/// Not shopped around among providers.
const POLICY_NAMES: &[&str] =
    &["content_filter", "content_policy_violation", "invalid_prompt", "cyber_policy"];
const POLICY_WORDS: &[&str] = &["moderation", "flagged"];
const SIZE_WORDS: &[&str] = &["request too large"];
const CAPACITY_NAMES: &[&str] = &[
    "overloaded_error",
    "server_is_overloaded",
    "capacity_exceeded",
    "MODEL_CAPACITY_EXHAUSTED",
    "ModelNotReadyException",
    "engine_overloaded",
];
const CAPACITY_WORDS: &[&str] = &["experiencing high demand", "currently overloaded"];
/// OpenAI, and Together, whose limits are what was used lately and somewhat more.
const RAMP_NAMES: &[&str] = &["slow_down", "dynamic_request_limited", "dynamic_token_limited"];
/// Anthropic.
const RAMP_WORDS: &[&str] = &["maximum usage increase rate", "acceleration limit"];
/// A plan of ChatGPT's, counted over hours and weeks.
const DAY_NAMES: &[&str] = &["usage_limit_reached"];
const DAY_WORDS: &[&str] = &["per day", "(RPD)", "(TPD)", "per-day"];

impl ErrorFacts<'_> {
    fn named(&self, names: &[&str]) -> bool {
        let is =
            |word: Option<&str>| word.is_some_and(|word| names.iter().any(|n| n.eq_ignore_ascii_case(word)));
        is(self.kind) || is(self.code)
    }

    fn say(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| after(self.message, phrase).is_some())
    }

    /// `limit: 0` as Google writes it and `Limit 0,` as OpenAI does; not `limit: 0.5` nor `Limit 05`.
    fn say_limit_zero(&self) -> bool {
        ["limit: 0", "limit 0"].iter().any(|phrase| {
            after(self.message, phrase).is_some_and(|rest| {
                let mut rest = rest.chars();
                match rest.next() {
                    Some('.' | ',') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
                    Some(c) => !c.is_ascii_digit(),
                    None => true,
                }
            })
        })
    }
}

/// What follows the first `phrase` in the head of `text`, letter case aside. Only the head, because providers
/// put their reason first and a body may quote megabytes of the client's own words.
fn after<'t>(text: &'t str, phrase: &str) -> Option<&'t str> {
    const HEAD: usize = 2_048;
    let head = text.as_bytes().get(..HEAD).unwrap_or(text.as_bytes());
    let at = head.windows(phrase.len()).position(|window| window.eq_ignore_ascii_case(phrase.as_bytes()))?;
    text.get(at + phrase.len()..)
}

impl Outcome {
    /// What it says about the health of the target. A 429 is not sickness, nor does it prove health.
    pub fn verdict(&self) -> Verdict {
        match self {
            Outcome::Served => Verdict::Well,
            Outcome::Overloaded { .. }
            | Outcome::ServerError { .. }
            | Outcome::Unreachable
            | Outcome::TimedOut => Verdict::Sick,
            Outcome::RateLimited { .. }
            | Outcome::TooLarge
            | Outcome::Conflict { .. }
            | Outcome::Unsent
            | Outcome::CredentialRefused
            | Outcome::OutOfMoney
            | Outcome::ModelMissing
            | Outcome::Forbidden
            | Outcome::Unfit
            | Outcome::Rejected => Verdict::Neutral,
        }
    }

    /// The word used in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::RateLimited { window: Window::Minute, .. } => "rate_limited",
            Outcome::RateLimited { window: Window::Day, .. } => "daily_limit",
            Outcome::RateLimited { window: Window::Ramp, .. } => "ramp",
            Outcome::TooLarge => "too_large",
            Outcome::Overloaded { .. } => "overloaded",
            Outcome::ServerError { .. } => "server_error",
            Outcome::Conflict { .. } => "conflict",
            Outcome::Unreachable => "unreachable",
            Outcome::Unsent => "unsent",
            Outcome::TimedOut => "timed_out",
            Outcome::CredentialRefused => "credential_refused",
            Outcome::OutOfMoney => "out_of_money",
            Outcome::ModelMissing => "model_missing",
            Outcome::Forbidden => "forbidden",
            Outcome::Unfit => "unfit",
            Outcome::Rejected => "rejected",
        }
    }

    /// Whether there is an answer of the provider that could go back to the client.
    pub const fn has_answer(&self) -> bool {
        !matches!(self, Outcome::Unreachable | Outcome::Unsent | Outcome::TimedOut | Outcome::Unfit)
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
