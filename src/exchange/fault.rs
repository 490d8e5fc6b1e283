//! Why an exchange failed, and the one place where that becomes an answer.
//!
//! Every refusal says when to come back, in the headers that the official SDKs obey and in words.
//! Invariant: nothing here quotes a body, a key or a URL.

use super::Request;
use super::answer::{Answer, AnswerBody};
use super::headers::show_skipped;
use super::ways::{Skipped, unfit_code};
use crate::admission::{Refusal, TooLarge, Why};
use crate::dialect::{Dialect, Family};
use crate::units::Moment;
use crate::wire::{BadCall, ErrorBody};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use std::time::Duration;

/// A wait that the official SDKs still obey. They discard a longer one and come back after half a second
/// (openai-node, openai-python up to 2.51), so beyond it they are told not to retry.
pub(super) const OBEYED_MAX: Duration = Duration::from_secs(60);

/// The header that the official SDKs obey before any rule of their own.
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What Codex says of itself in every request.
const AGENT: HeaderName = HeaderName::from_static("originator");

/// What is said where room comes when another exchange ends, which nobody can foretell. Nothing would bring
/// the client back at once, again and again.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// Why an exchange failed before an answer had begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The body is no call.
    #[error(transparent)]
    BadCall(#[from] BadCall),
    /// A header has a value that cannot be meant.
    #[error("the header `{name}` must be {must_be}")]
    BadHeader {
        /// The header.
        name: &'static str,
        /// What its value must be.
        must_be: &'static str,
    },
    /// Nobody serves the model.
    #[error("no provider serves this model")]
    UnknownModel {
        /// The name that was asked for, cut to a length that can be shown.
        model: String,
        /// Names that are much like it.
        suggestions: Vec<String>,
    },
    /// No target's dialect has words for what is asked.
    #[error("no target can be told what is asked")]
    Unfit(Vec<Skipped>),
    /// The desk has no room.
    #[error("no room")]
    Refused(Refusal),
    /// Every target's breaker is open.
    #[error("every target is sick")]
    AllSick {
        /// When the first of them may be tried again.
        until: Moment,
    },
    /// No target could be reached, or none answered in time.
    #[error("no provider answered")]
    NoAnswer {
        /// Whether the last one was connected but silent.
        timed_out: bool,
        /// How many attempts were made.
        attempts: u32,
    },
    /// The client's own body broke off, or fell silent, while it was passed on.
    #[error("the request's body did not come")]
    ClientBody,
    /// There is no provider to pass this path to.
    #[error("no default provider")]
    NoDefault,
    /// A part of tidegate broke.
    #[error("a part of tidegate broke")]
    Broken,
}

/// What an answer to a fault is made of.
pub(super) struct Words {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    pub(super) message: String,
    wait: Option<Duration>,
    /// Whether the same request can ever succeed.
    hopeless: bool,
}

impl Words {
    fn error(&self) -> ErrorBody<'_> {
        ErrorBody {
            status: self.status,
            message: &self.message,
            kind: self.kind,
            param: self.param,
            code: self.code,
            wait: self.wait,
        }
    }

    /// Says when to come back, in the headers that the official SDKs obey.
    fn put_retry(&self, headers: &mut HeaderMap) {
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
            let millis = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
            headers.insert(HeaderName::from_static("retry-after-ms"), millis.into());
        }
        if self.hopeless || self.wait.is_some_and(|wait| wait > OBEYED_MAX) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }

    fn plain(status: StatusCode, kind: &'static str, message: String) -> Words {
        Words { status, kind, code: None, param: None, message, wait: None, hopeless: false }
    }
}

impl Fault {
    /// The word used in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::BadCall(_) | Fault::BadHeader { .. } => "bad_request",
            Fault::UnknownModel { .. } => "unknown_model",
            Fault::Unfit(_) => "unfit",
            Fault::Refused(refusal) => match refusal.why {
                Why::QueueFull => "queue_full",
                Why::Deadline => "deadline",
                Why::TooLarge(_) => "too_large",
                Why::NoProvider => "no_provider",
                Why::Closed => "draining",
            },
            Fault::AllSick { .. } => "all_sick",
            Fault::NoAnswer { .. } => "no_answer",
            Fault::ClientBody => "client_body",
            Fault::NoDefault => "no_default",
            Fault::Broken => "broken",
        }
    }

    /// The answer in the shape of a client's family.
    pub fn answer(&self, now: Moment, family: Family) -> Answer {
        let words = self.words(now);
        let error = words.error();
        let mut answer = Response::new(AnswerBody::whole(error.to_json(family)));
        *answer.status_mut() = error.status_in(family);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        words.put_retry(headers);
        answer
    }

    /// The answer to a call. Agents that speak responses (Codex) give up on a 429, but wait as long as a failed
    /// stream tells them to; so they get what may pass by itself as such a stream. `stream` is whether the call
    /// asked for one.
    pub(super) fn answer_to(&self, request: &Request, stream: bool, now: Moment) -> Answer {
        let words = self.words(now);
        let is_agent = request.asked.dialect == Dialect::Responses && request.headers.contains_key(AGENT);
        let reads_streams = stream && is_agent;
        if !reads_streams || words.wait.is_none() || words.hopeless {
            return self.answer(now, request.asked.dialect.family());
        }
        let mut answer = Response::new(AnswerBody::whole(words.error().to_failed_responses_stream()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        answer
    }

    pub(super) fn words(&self, now: Moment) -> Words {
        let plain = Words::plain;
        let invalid = "invalid_request_error";
        match self {
            Fault::BadCall(bad) => {
                let param = match bad {
                    BadCall::NotJson(_) => None,
                    BadCall::Missing(key) | BadCall::Wrong { key, .. } => Some(*key),
                };
                Words { param, ..plain(StatusCode::BAD_REQUEST, invalid, sentence(&bad.to_string())) }
            }
            Fault::BadHeader { .. } => plain(StatusCode::BAD_REQUEST, invalid, sentence(&self.to_string())),
            Fault::UnknownModel { model, suggestions } => Words {
                code: Some("model_not_found"),
                param: Some("model"),
                ..plain(StatusCode::NOT_FOUND, invalid, unknown_model(model, suggestions))
            },
            Fault::Unfit(skipped) => Words {
                code: Some(unfit_code(skipped)),
                hopeless: true,
                ..plain(StatusCode::BAD_REQUEST, invalid, unfit(skipped))
            },
            Fault::Refused(refusal) => refused(refusal, now),
            Fault::AllSick { until } => {
                let wait = wait(*until, now);
                let message = format!(
                    "Every provider for this model has failed and is being left alone. {}",
                    try_again(wait)
                );
                Words {
                    code: Some("server_is_overloaded"),
                    wait: Some(wait),
                    ..plain(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", message)
                }
            }
            Fault::NoAnswer { timed_out, attempts } => {
                let (status, code, what) = if *timed_out {
                    (StatusCode::GATEWAY_TIMEOUT, "provider_timed_out", "did not answer in time")
                } else {
                    (StatusCode::BAD_GATEWAY, "provider_unreachable", "could not be reached")
                };
                let message = format!("The provider {what} ({attempts} attempts).");
                Words { code: Some(code), ..plain(status, "api_error", message) }
            }
            Fault::ClientBody => {
                let message = "The request's body broke off, or did not come in time.".to_owned();
                Words { code: Some("body_broken"), ..plain(StatusCode::REQUEST_TIMEOUT, invalid, message) }
            }
            Fault::NoDefault => Words {
                code: Some("no_default_provider"),
                hopeless: true,
                ..plain(
                    StatusCode::NOT_FOUND,
                    invalid,
                    "This path is passed on to the default provider, and there is none: set \
                     `default_provider` under [server]."
                        .to_owned(),
                )
            },
            Fault::Broken => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "A part of tidegate broke.".to_owned())
            }
        }
    }
}

fn unknown_model(model: &str, suggestions: &[String]) -> String {
    let hint = match suggestions {
        [] => "GET /v1/models lists what there is.".to_owned(),
        some => format!("Did you mean {}? GET /v1/models lists what there is.", some.join(" or ")),
    };
    format!("No provider serves the model `{model}`. {hint}")
}

fn unfit(skipped: &[Skipped]) -> String {
    let shown = show_skipped(skipped);
    format!("No provider of this model can be told what this request asks: {shown}.")
}

fn refused(refusal: &Refusal, now: Moment) -> Words {
    let wait = refusal.until.map(|until| wait(until, now));
    let when = wait.map_or_else(String::new, |wait| format!(" {}", try_again(wait)));
    let (kind, message) = match refusal.why {
        Why::QueueFull => {
            ("requests", format!("Rate limit reached: tidegate's queue for this model is full.{when}"))
        }
        Why::Deadline => (
            "tokens",
            format!("Rate limit reached: no room within the longest wait that tidegate allows.{when}"),
        ),
        Why::TooLarge(TooLarge { dimension, limit, asked }) => (
            "tokens",
            format!(
                "Request too large for every provider of this model: Limit {limit} ({}), Requested {asked}. \
                 Lower the output cap or shorten the input.",
                dimension.name()
            ),
        ),
        Why::Closed => {
            let message = format!("tidegate is shutting down.{when}");
            return Words {
                code: Some("draining"),
                wait,
                ..Words::plain(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", message)
            };
        }
        Why::NoProvider => ("requests", "No provider of this model is configured any more.".to_owned()),
    };
    Words {
        status: StatusCode::TOO_MANY_REQUESTS,
        kind,
        code: Some("rate_limit_exceeded"),
        param: None,
        message,
        wait,
        hopeless: wait.is_none(),
    }
}

fn wait(until: Moment, now: Moment) -> Duration {
    let wait = until.since(now);
    if wait.is_zero() { UNKNOWN_WAIT } else { wait }
}

/// An error's words as a sentence for people.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// The words that clients look for, rounded up so that they are never early.
pub(super) fn try_again(wait: Duration) -> String {
    format!("Please try again in {}s.", whole_seconds(wait))
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Dimension;
    use http_body_util::BodyExt;

    fn at(seconds: f64) -> Moment {
        Moment::START + Duration::from_secs_f64(seconds)
    }

    /// Status, retry headers and body, a line each.
    async fn check(fault: Fault, expected: &[&str]) {
        let (head, body) = fault.answer(at(10.0), Family::OpenAi).into_parts();
        let mut told = vec![head.status.as_u16().to_string()];
        for name in ["retry-after", "retry-after-ms", "x-should-retry"] {
            if let Some(value) = head.headers.get(name) {
                told.push(format!("{name}: {}", value.to_str().expect("ours are text")));
            }
        }
        let body = body.collect().await.expect("a whole body cannot fail").to_bytes();
        told.push(String::from_utf8_lossy(&body).into_owned());
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn a_refusal_says_when_to_come_back_and_is_never_early() {
        let refusal = Refusal { why: Why::QueueFull, until: Some(at(12.3001)), reason: None };
        check(
            Fault::Refused(refusal),
            &[
                "429",
                "retry-after: 3",
                "retry-after-ms: 2301",
                r#"{"error":{"message":"Rate limit reached: tidegate's queue for this model is full. Please try again in 3s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn who_waits_for_another_to_end_is_not_sent_back_at_once() {
        let (head, _) = Fault::Refused(Refusal { why: Why::QueueFull, until: Some(at(10.0)), reason: None })
            .answer(at(10.0), Family::OpenAi)
            .into_parts();
        assert_eq!(head.headers["retry-after"], "1");
        assert_eq!(head.headers["retry-after-ms"], "1000");
    }

    #[tokio::test]
    async fn a_wait_that_the_sdks_would_not_obey_tells_them_not_to_retry() {
        let refusal = Refusal { why: Why::Deadline, until: Some(at(90.0)), reason: None };
        let (head, _) = Fault::Refused(refusal).answer(at(10.0), Family::OpenAi).into_parts();
        assert_eq!(head.headers["retry-after"], "80");
        assert_eq!(head.headers["x-should-retry"], "false");
    }

    #[tokio::test]
    async fn what_can_never_be_served_says_which_limit_is_too_small() {
        let why = Why::TooLarge(TooLarge { dimension: Dimension::TokensPerMinute, limit: 600, asked: 601 });
        check(
            Fault::Refused(Refusal { why, until: None, reason: None }),
            &[
                "429",
                "x-should-retry: false",
                r#"{"error":{"message":"Request too large for every provider of this model: Limit 600 (tokens_per_minute), Requested 601. Lower the output cap or shorten the input.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn a_mistyped_model_is_met_with_the_likely_one() {
        let fault = Fault::UnknownModel { model: "gpt-4p".into(), suggestions: vec!["gpt-4o".into()] };
        check(
            fault,
            &[
                "404",
                r#"{"error":{"message":"No provider serves the model `gpt-4p`. Did you mean gpt-4o? GET /v1/models lists what there is.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
            ],
        )
        .await;
    }
}
