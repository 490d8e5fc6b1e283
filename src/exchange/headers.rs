//! The headers of answers: the provider's own, and what tidegate tells of the exchange.

use super::beginning::{Begun, BegunKind, GivenBack, is_kind};
use super::fault::{OBEYED_MAX, SHOULD_RETRY};
use super::ways::Skipped;
use super::{Answer, AnswerBody, Gateway, Trace};
use crate::admission::Cost;
use crate::routing::{Outcome, Window};
use crate::units::Tokens;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRAILER};

const PROVIDER: HeaderName = HeaderName::from_static("x-tidegate-provider");
const TARGET: HeaderName = HeaderName::from_static("x-tidegate-target");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tidegate-attempts");
const QUEUED: HeaderName = HeaderName::from_static("x-tidegate-queued-ms");
const ESTIMATED: HeaderName = HeaderName::from_static("x-tidegate-estimated-tokens");
const RESERVED: HeaderName = HeaderName::from_static("x-tidegate-reserved-tokens");
const QUEUED_FOR: HeaderName = HeaderName::from_static("x-tidegate-queued-for");
const USED: HeaderName = HeaderName::from_static("x-tidegate-used-tokens");
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
    if let Some((_, reason)) = &trace.queued_for {
        insert(headers, QUEUED_FOR, &reason.to_string());
    }
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

/// Tells what the answer took: in its head where that is known by then, which it is for a short one in one piece; at
/// the end of a stream where the client says that it reads what stands there.
pub(super) async fn tell_used(gateway: &Gateway, asked: &HeaderMap, answer: &mut Answer) {
    let is_read = is_kind(answer.headers(), "application/json");
    let AnswerBody::Relayed(relay) = answer.body_mut() else { return };
    if is_read {
        relay.gather(gateway.clock, &gateway.gathering).await;
    }
    if let Some(used) = relay.used() {
        answer.headers_mut().insert(USED, used.0.into());
    } else if reads_trailers(asked) && relay.tell_at_end() {
        announce_end(answer.headers_mut());
    }
}

/// Says in a head that the end of the stream will tell something: without that word it is not sent.
pub(super) fn announce_end(headers: &mut HeaderMap) {
    headers.insert(TRAILER, HeaderValue::from_name(USED));
}

/// What stands at the end of a stream.
pub(super) fn at_end(used: Tokens) -> HeaderMap {
    HeaderMap::from_iter([(USED, used.0.into())])
}

/// Whether a client says that it reads what stands at the end of a stream.
pub(super) fn reads_trailers(asked: &HeaderMap) -> bool {
    let values = asked.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("trailers"))
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
