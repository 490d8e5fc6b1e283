//! The headers of answers: the provider's own, and what tidegate tells of the exchange.

use super::attempt::{Begun, BegunKind, GivenBack};
use super::fault::{OBEYED_MAX, SHOULD_RETRY};
use super::{Answer, AnswerBody, Trace};
use crate::admission::Cost;
use crate::routing::{Outcome, Window};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};

const PROVIDER: HeaderName = HeaderName::from_static("x-tidegate-provider");
const TARGET: HeaderName = HeaderName::from_static("x-tidegate-target");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tidegate-attempts");
const QUEUED: HeaderName = HeaderName::from_static("x-tidegate-queued-ms");
const ESTIMATED: HeaderName = HeaderName::from_static("x-tidegate-estimated-tokens");
const RESERVED: HeaderName = HeaderName::from_static("x-tidegate-reserved-tokens");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The head of an answer that has begun.
pub(super) fn begun(begun: &Begun, trace: &Trace) -> HeaderMap {
    let mut headers = begun.headers.clone();
    if matches!(begun.kind, BegunKind::Events { .. }) {
        // Events may be taken out or added, and no proxy before the client may hold them back.
        headers.remove(CONTENT_LENGTH);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(BUFFERING, HeaderValue::from_static("no"));
    }
    tell(&mut headers, trace);
    headers
}

/// A provider's refusal as it was.
pub(super) fn given_back(given: GivenBack, trace: &Trace) -> Answer {
    let mut answer = Answer::new(AnswerBody::whole(given.body));
    *answer.status_mut() = given.status;
    *answer.headers_mut() = given.headers;
    let headers = answer.headers_mut();
    // The body may have been cut at its bound, so its length is told anew.
    headers.remove(CONTENT_LENGTH);
    if trace.last_failure.as_ref().is_some_and(|(outcome, _)| is_hopeless(outcome)) {
        headers.entry(SHOULD_RETRY).or_insert(HeaderValue::from_static("false"));
    }
    tell(headers, trace);
    answer
}

/// Whether the same request would fail again within any time that an SDK waits. Without a word most of them
/// try again after half a second.
fn is_hopeless(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::TooLarge | Outcome::OutOfMoney => true,
        Outcome::RateLimited { retry_after, window } => {
            *window == Window::Day || retry_after.is_some_and(|wait| wait > OBEYED_MAX)
        }
        _ => false,
    }
}

/// What tidegate has to tell.
pub(super) fn tell(headers: &mut HeaderMap, trace: &Trace) {
    if let Some(target) = &trace.target {
        insert(headers, PROVIDER, target.provider.as_str());
        insert(headers, TARGET, &target.to_string());
    }
    headers.insert(ATTEMPTS, trace.attempts.into());
    headers.insert(QUEUED, u64::try_from(trace.waited.as_millis()).unwrap_or(u64::MAX).into());
    let tokens = |cost: Option<Cost>| cost.map(|cost| HeaderValue::from(cost.total().0));
    if let Some(estimated) = tokens(trace.estimated) {
        headers.insert(ESTIMATED, estimated);
    }
    if let Some(reserved) = tokens(trace.reserved) {
        headers.insert(RESERVED, reserved);
    }
}

/// Model names may hold what a header may not; such a header is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
