//! The headers of answers: the provider's own, and what tidegate tells of the exchange.

use super::beginning::{Begun, BegunKind, GivenBack};
use super::fault::{OBEYED_MAX, SHOULD_RETRY};
use super::ways::Skipped;
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
const TRANSLATED: HeaderName = HeaderName::from_static("x-tidegate-translated");
const DROPPED: HeaderName = HeaderName::from_static("x-tidegate-dropped");
const SKIPPED: HeaderName = HeaderName::from_static("x-tidegate-skipped");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The head of an answer that has begun.
pub(super) fn begun(begun: &Begun, trace: &Trace) -> HeaderMap {
    let mut headers = begun.headers.clone();
    if !matches!(begun.kind, BegunKind::Plain(_)) {
        // Events may be taken out or added, and no proxy before the client may hold them back.
        headers.remove(CONTENT_LENGTH);
    }
    if matches!(begun.kind, BegunKind::Events { .. }) {
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
    if let Some((from, to)) = trace.translated {
        insert(headers, TRANSLATED, &format!("{from} -> {to}"));
    }
    if let Some(dropped) = &trace.dropped {
        insert(headers, DROPPED, dropped);
    }
    if !trace.skipped.is_empty() {
        insert(headers, SKIPPED, &show_skipped(&trace.skipped));
    }
    if let Some(estimated) = tokens(trace.estimated) {
        headers.insert(ESTIMATED, estimated);
    }
    if let Some(reserved) = tokens(trace.reserved) {
        headers.insert(RESERVED, reserved);
    }
}

/// Each target with its reason, as in `a/m (audio input), b/m (n = 3)`.
pub(super) fn show_skipped(skipped: &[Skipped]) -> String {
    /// A route may have many targets; this many tell enough.
    const SHOWN_MAX: usize = 8;
    let shown = skipped.iter().take(SHOWN_MAX).map(|Skipped { target, why }| format!("{target} ({why})"));
    shown.collect::<Vec<_>>().join(", ")
}

/// Model names may hold what a header may not; such a header is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
