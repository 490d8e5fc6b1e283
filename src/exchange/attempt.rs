//! One upstream try: send, and judge what comes back before the client sees any of it.
//!
//! Refuses to decide what follows: that is the plan's. Invariant: once an answer is called begun, nothing
//! is tried again.

use super::Gateway;
use super::live::Live;
use super::turnstile::Reservation;
use crate::dialect::Dialect;
use crate::ids::RequestId;
use crate::observe::status_class;
use crate::routing::{ErrorFacts, Outcome, judge, retry_after};
use crate::units::Moment;
use crate::upstream::{
    Failure, FailureKind, Reply, ReplyBody, RequestBody, UpstreamRequest, for_client, forwardable,
};
use crate::wire::{Call, Changes, Frame, ProviderError, Seen, SseDecoder, Tally, patch};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;

/// The most of an error body that is read: those of all providers have a few KiB.
const ERROR_BODY_MAX: usize = 64 * 1024;

/// The longest event that is read. What is longer passes through unread.
pub(super) const EVENT_MAX: usize = 4 * 1024 * 1024;

/// The most of a stream that is held back while it says nothing. A provider under load says `: keep-alive`
/// every few seconds for ten minutes, which is a few KiB.
const NOISE_MAX: usize = 64 * 1024;

/// What is sent, whoever serves it.
#[derive(Debug)]
pub(super) struct Sendable<'a> {
    pub(super) id: &'a RequestId,
    pub(super) call: &'a Call,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
}

/// How a try ended.
#[derive(Debug)]
pub(super) enum Attempted {
    /// The answer has begun.
    Begun(Box<Begun>),
    /// It failed before the client could see anything.
    Failed(Failed),
    /// The target fell sick between planning and sending; nothing was sent.
    FellSick,
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// When the request was sent.
    pub(super) sent: Moment,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ReplyBody,
    pub(super) kind: BegunKind,
}

/// What the body of an answer is.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time, within the box of its answer")]
pub(super) enum BegunKind {
    /// Events, of which some have been read already.
    Events { decoder: SseDecoder, tally: Tally, read: Vec<(Frame, Seen)> },
    /// One piece of JSON.
    Plain,
}

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    pub(super) spent: Spent,
    /// The provider's own words, to be given back if nobody else serves.
    pub(super) answer: Option<GivenBack>,
}

/// What a failed try has used of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// Nothing: the provider never heard of it.
    Nothing,
    /// A request, and no tokens: the provider has said no.
    Request,
    /// Nobody knows: the provider may have been working when it fell silent. What is held stays, because
    /// giving it back blindly would forgive real use.
    Unknown,
}

/// A provider's refusal, whole.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Sends to the reservation's target.
pub(super) async fn attempt(
    gateway: &Gateway,
    live: &Live,
    sendable: &Sendable<'_>,
    reservation: &mut Reservation,
) -> Attempted {
    let target = reservation.target().clone();
    let Some(upstream) = live.upstream(&target.provider).map(Arc::clone) else {
        return Attempted::Failed(Failed {
            outcome: Outcome::Unreachable,
            spent: Spent::Nothing,
            answer: None,
        });
    };
    let Some(trial) = gateway.health.begin(&target) else { return Attempted::FellSick };
    let changes = Changes {
        model: Some(target.model.as_str()),
        include_usage: sendable.call.stream && sendable.call.dialect.streams(),
    };
    let request = UpstreamRequest {
        method: Method::POST,
        path_and_query: path_and_query(sendable.call.dialect.path(), sendable.query),
        headers: forwardable(sendable.headers, &gateway.hop),
        body: RequestBody::Whole(patch(sendable.body, sendable.call, &changes)),
    };
    // From here on the provider may be working: whoever goes away now has used what is held.
    reservation.note(reservation.held());
    let sent = gateway.clock.now();
    let ended = match upstream.send(request).await {
        Ok(reply) => judged(gateway, sendable.call, reply, sent).await,
        Err(failure) => Err(failed(&failure)),
    };
    match ended {
        Ok(begun) => {
            count(gateway, &target.provider, &status_class(begun.status.as_u16()));
            trial.begun();
            Attempted::Begun(Box::new(begun))
        }
        Err(failed) => {
            let answered = failed.answer.as_ref().map(|answer| answer.status.as_u16());
            count(gateway, &target.provider, &answered.map_or("none".to_owned(), status_class));
            let labels =
                [("provider", target.provider.to_string()), ("kind", failed.outcome.name().to_owned())];
            gateway.metrics.upstream_errors.get_or_create(&labels).inc();
            tracing::info!(
                request_id = %sendable.id,
                provider = %target.provider,
                model = %target.model,
                status = answered,
                outcome = failed.outcome.name(),
                "attempt failed"
            );
            trial.failed(&failed.outcome, answered);
            Attempted::Failed(failed)
        }
    }
}

fn count(gateway: &Gateway, provider: &crate::ids::ProviderId, status: &str) {
    let labels = [("provider", provider.to_string()), ("status", status.to_owned())];
    gateway.metrics.upstream_requests.get_or_create(&labels).inc();
}

pub(super) fn path_and_query(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn failed(failure: &Failure) -> Failed {
    let (outcome, spent) = match failure.kind {
        FailureKind::TimedOut | FailureKind::Idle => (Outcome::TimedOut, Spent::Unknown),
        // Nothing was sent: the target is not to blame.
        FailureKind::Path | FailureKind::ClientBody => (Outcome::Rejected, Spent::Nothing),
        FailureKind::Dns | FailureKind::Connect | FailureKind::Tls => (Outcome::Unreachable, Spent::Nothing),
        FailureKind::Local => (Outcome::Unsent, Spent::Nothing),
        FailureKind::Reset | FailureKind::Protocol => (Outcome::Unreachable, Spent::Unknown),
    };
    Failed { outcome, spent, answer: None }
}

/// Tells an answer that has begun from one that is a failure, be it by its status or by its first event.
async fn judged(gateway: &Gateway, call: &Call, reply: Reply, sent: Moment) -> Result<Begun, Failed> {
    if !reply.status.is_success() {
        return Err(refused(gateway, reply).await);
    }
    // Encoded, against what was asked for, it cannot be read: then it passes through as it is.
    let events = call.stream && is_event_stream(&reply.headers) && !is_encoded(&reply.headers);
    if !events {
        let Reply { status, headers, body } = reply;
        return Ok(Begun { sent, status, headers: for_client(&headers), body, kind: BegunKind::Plain });
    }
    first_event(call.dialect, reply, sent).await
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Reads an error body, bounded, and judges it.
async fn refused(gateway: &Gateway, reply: Reply) -> Failed {
    let Reply { status, headers, mut body } = reply;
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        let room = ERROR_BODY_MAX - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == ERROR_BODY_MAX {
            break;
        }
    }
    let error = ProviderError::read(&bytes);
    let wait = retry_after(&headers, &String::from_utf8_lossy(&bytes), gateway.clock.wall());
    let outcome = judge(status, &facts(&error), error.retry_delay.or(wait));
    let answer = GivenBack { status, headers: for_client(&headers), body: bytes.into() };
    Failed { outcome, spent: Spent::Request, answer: Some(answer) }
}

fn facts(error: &ProviderError) -> ErrorFacts<'_> {
    ErrorFacts {
        message: &error.message,
        kind: error.kind.as_deref(),
        code: error.code.as_deref(),
        daily: error.daily,
    }
}

/// Waits for the first event that says something. Until then the client has seen nothing, so that a
/// stream that fails at once can still be served by somebody else. Noise without end is not waited out.
async fn first_event(dialect: Dialect, reply: Reply, sent: Moment) -> Result<Begun, Failed> {
    let Reply { status, headers, mut body } = reply;
    let (mut decoder, mut tally) = (SseDecoder::new(EVENT_MAX), Tally::new(dialect));
    let (mut read, mut held) = (Vec::new(), 0);
    loop {
        while let Some(frame) = decoder.next() {
            held += frame.raw().len();
            let seen = see(&mut tally, &frame);
            if seen == Seen::Error {
                return Err(failed_in_stream(&frame));
            }
            let says_something = has_data(&frame);
            read.push((frame, seen));
            if says_something || held > NOISE_MAX {
                // The frames that the same chunk still holds are read by the relay.
                let kind = BegunKind::Events { decoder, tally, read };
                return Ok(Begun { sent, status, headers: for_client(&headers), body, kind });
            }
        }
        match body.next().await {
            Some(Ok(chunk)) => decoder.push(chunk),
            Some(Err(failure)) => return Err(failed(&failure)),
            None => {
                let outcome = Outcome::ServerError { retry_after: None };
                return Err(Failed { outcome, spent: Spent::Request, answer: None });
            }
        }
    }
}

/// Counts a frame.
pub(super) fn see(tally: &mut Tally, frame: &Frame) -> Seen {
    frame_data(frame).map_or(Seen::Other, |data| tally.on_event(data))
}

fn frame_data(frame: &Frame) -> Option<&Bytes> {
    match frame {
        Frame::Event(event) => event.data.as_ref(),
        Frame::Oversized(_) => None,
    }
}

/// Comments and blank lines are no events; a piece of an oversized event is a part of one.
fn has_data(frame: &Frame) -> bool {
    matches!(frame, Frame::Oversized(_)) || frame_data(frame).is_some()
}

fn failed_in_stream(frame: &Frame) -> Failed {
    let error = frame_data(frame).map(|data| ProviderError::read(data)).unwrap_or_default();
    // The status was already 200, so the words alone tell; without known words it is a server's error.
    let status = if error.kind.as_deref() == Some("rate_limit_exceeded")
        || error.code.as_deref() == Some("rate_limit_exceeded")
        || error.code.as_deref() == Some("429")
    {
        StatusCode::TOO_MANY_REQUESTS
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let wait =
        error.retry_delay.or_else(|| retry_after(&HeaderMap::new(), &error.message, Default::default()));
    Failed { outcome: judge(status, &facts(&error), wait), spent: Spent::Request, answer: None }
}
