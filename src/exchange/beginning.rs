//! Tells an answer that has begun from one that is a failure, before the client sees any of it.
//!
//! Knows both dialects of an exchange: the one that is spoken upstream and the client's. Refuses to send and to
//! decide what follows. Invariant: what is called begun has said something that is no error.

use super::Gateway;
use super::appraise::beside;
use super::interpreter::{Interpreter, retold};
use super::shortage::judged;
use crate::admission::{Reading, Said};
use crate::dialect::Dialect;
use crate::routing::{Outcome, retry_after};
use crate::tokens::INLINE_BYTES_MAX;
use crate::units::Moment;
use crate::upstream::{Failure, FailureKind, Reply, ReplyBody, for_client};
use crate::wire::translate::{Losses, Scene};
use crate::wire::{ErrorBody, EventDecoder, Frame, Framing, ProviderError, Seen, Tally, Usage};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

/// The most of an error body that is read: those of all providers have a few KiB.
const ERROR_BODY_MAX: usize = 64 * 1024;

/// The longest event that is read. What is longer passes through unread.
pub(super) const EVENT_MAX: usize = 4 * 1024 * 1024;

/// The most of a stream that is held back while it says nothing. A provider under load says `: keep-alive`
/// every few seconds for ten minutes, which is a few KiB.
const NOISE_MAX: usize = 64 * 1024;

/// The longest answer in one piece that is translated, which needs all of it. A model's longest answer has
/// about 1 MiB; pictures in it are larger.
pub(super) const TRANSLATED_MAX: usize = 64 * 1024 * 1024;

/// What is listened for.
#[derive(Debug)]
pub(super) struct Listener {
    /// The dialect that the target speaks.
    pub(super) spoken: Dialect,
    /// The client's.
    pub(super) client: Dialect,
    pub(super) stream: bool,
    /// How the target's events are told apart.
    pub(super) framing: Framing,
    /// What a translation must know; `None` within one dialect.
    pub(super) scene: Option<Scene>,
    /// What the translation of the request could not carry.
    pub(super) losses: Losses,
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
    /// The dialect that the target speaks, where it is not the client's.
    pub(super) translated_from: Option<Dialect>,
    pub(super) losses: Losses,
}

/// What the body of an answer is.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time, within the box of its answer")]
pub(super) enum BegunKind {
    /// Events, of which some have been read already.
    Events {
        decoder: EventDecoder,
        tally: Tally,
        read: Vec<(Frame, Seen)>,
        interpreter: Option<Box<Interpreter>>,
    },
    /// One piece of JSON, of this dialect.
    Plain(Dialect),
    /// All of it, translated.
    Translated { bytes: Bytes, usage: Option<Usage> },
}

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    pub(super) spent: Spent,
    /// What the provider answered with.
    pub(super) status: Option<StatusCode>,
    /// The provider's own words, to be given back if nobody else serves.
    pub(super) answer: Option<GivenBack>,
    /// What the provider told of its limits, and not yet to the desk.
    pub(super) readings: Vec<Reading>,
    /// The limit that was met, as far as it was named.
    pub(super) said: Said,
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

/// A provider's refusal, whole, in the client's dialect.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Failed {
    /// Nothing was sent.
    pub(super) fn unsent(outcome: Outcome) -> Failed {
        Failed::after(outcome, Spent::Nothing)
    }

    pub(super) fn after(outcome: Outcome, spent: Spent) -> Failed {
        Failed { outcome, spent, status: None, answer: None, readings: Vec::new(), said: Said::default() }
    }
}

pub(super) fn failed(failure: &Failure) -> Failed {
    let (outcome, spent) = match failure.kind {
        FailureKind::TimedOut | FailureKind::Idle => (Outcome::TimedOut, Spent::Unknown),
        // Nothing was sent: the target is not to blame.
        FailureKind::Path | FailureKind::ClientBody => (Outcome::Rejected, Spent::Nothing),
        FailureKind::Dns | FailureKind::Connect | FailureKind::Tls => (Outcome::Unreachable, Spent::Nothing),
        FailureKind::Local => (Outcome::Unsent, Spent::Nothing),
        FailureKind::Reset | FailureKind::Protocol => (Outcome::Unreachable, Spent::Unknown),
    };
    Failed::after(outcome, spent)
}

impl Listener {
    /// Tells an answer that has begun from one that is a failure, be it by its status or by its first event.
    /// `heard` is what its headers told of limits.
    pub(super) async fn judged(
        self,
        gateway: &Gateway,
        reply: Reply,
        heard: Vec<Reading>,
        sent: Moment,
    ) -> Result<Begun, Failed> {
        if !reply.status.is_success() {
            return Err(self.refused(gateway, reply, heard).await);
        }
        // Encoded, against what was asked for, it cannot be read: then it passes through as it is.
        let readable = !is_encoded(&reply.headers);
        if self.stream && readable && self.is_stream(&reply.headers) {
            return self.first_event(reply, sent).await;
        }
        if self.scene.is_some() {
            return self.whole(reply, sent).await;
        }
        let Reply { status, headers, body } = reply;
        let kind = BegunKind::Plain(self.spoken);
        Ok(self.begun(sent, status, for_client(&headers), body, kind))
    }

    fn begun(
        self,
        sent: Moment,
        status: StatusCode,
        headers: HeaderMap,
        body: ReplyBody,
        kind: BegunKind,
    ) -> Begun {
        let translated_from = (self.spoken != self.client).then_some(self.spoken);
        Begun { sent, status, headers, body, kind, translated_from, losses: self.losses }
    }

    fn is_stream(&self, headers: &HeaderMap) -> bool {
        match self.framing {
            Framing::Sse => is_kind(headers, "text/event-stream"),
            Framing::JsonArray => is_kind(headers, "application/json"),
        }
    }

    /// Reads an error body, bounded, and judges it.
    async fn refused(&self, gateway: &Gateway, reply: Reply, heard: Vec<Reading>) -> Failed {
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
        let wait = error.retry_delay.or(wait);
        let failed = judged(status, &headers, &error, wait, heard);
        let answer = if self.scene.is_some() {
            self.translated_refusal(status, &headers, &error, wait)
        } else {
            GivenBack { status, headers: for_client(&headers), body: bytes.into() }
        };
        Failed { answer: Some(answer), ..failed }
    }

    /// A refusal in the words of the provider and the shape of the client's dialect.
    fn translated_refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        error: &ProviderError,
        wait: Option<std::time::Duration>,
    ) -> GivenBack {
        let family = self.client.family();
        let message = if error.message.is_empty() { "The provider gave no reason." } else { &error.message };
        let kind = error.kind.as_deref().unwrap_or(match status.as_u16() {
            400..=499 => "invalid_request_error",
            _ => "api_error",
        });
        let body = ErrorBody { status, message, kind, param: None, code: error.code.as_deref(), wait };
        let mut kept = kept_headers(headers);
        for name in [RETRY_AFTER, HeaderName::from_static("retry-after-ms"), super::fault::SHOULD_RETRY] {
            if let Some(value) = headers.get(&name) {
                kept.insert(name, value.clone());
            }
        }
        if let Some(wait) = wait {
            // Where the provider said it in words alone.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            kept.entry(RETRY_AFTER).or_insert(seconds.into());
        }
        kept.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        GivenBack { status: body.status_in(family), headers: kept, body: body.to_json(family).into() }
    }

    /// Waits for the first event that says something. Until then the client has seen nothing, so that a
    /// stream that fails at once can still be served by somebody else. Noise without end is not waited out.
    async fn first_event(mut self, reply: Reply, sent: Moment) -> Result<Begun, Failed> {
        let Reply { status, headers, mut body } = reply;
        let (mut decoder, mut tally) = (EventDecoder::new(self.framing, EVENT_MAX), Tally::new(self.spoken));
        let (mut read, mut held) = (Vec::new(), 0);
        loop {
            while let Some(frame) = decoder.next() {
                held += frame.raw().len();
                let seen = see(&mut tally, &frame);
                if seen == Seen::Error {
                    return Err(self.failed_in_stream(&frame));
                }
                if self.scene.is_some() && matches!(frame, Frame::Oversized(_)) {
                    return Err(unreadable());
                }
                let says_something = has_data(&frame);
                read.push((frame, seen));
                if says_something || held > NOISE_MAX {
                    // The frames that the same chunk still holds are read by the relay.
                    let headers = self.stream_headers(&headers);
                    let scene = self.scene.take();
                    let interpreter = scene
                        .and_then(|scene| Interpreter::new(self.spoken, self.client, scene))
                        .map(Box::new);
                    let kind = BegunKind::Events { decoder, tally, read, interpreter };
                    return Ok(self.begun(sent, status, headers, body, kind));
                }
            }
            match body.next().await {
                Some(Ok(chunk)) => decoder.push(chunk),
                Some(Err(failure)) => return Err(failed(&failure)),
                None => {
                    let outcome = Outcome::ServerError { retry_after: None };
                    return Err(Failed::after(outcome, Spent::Request));
                }
            }
        }
    }

    /// The status was already 200, so the words alone tell; without known words it is a server's error. They are
    /// what the client gets if nobody else serves: agents act on their wording.
    fn failed_in_stream(&self, frame: &Frame) -> Failed {
        let data = frame_data(frame);
        let error = data.map(|data| ProviderError::read(data)).unwrap_or_default();
        let says = |words: &[&str]| {
            let is = |word: &Option<String>| word.as_deref().is_some_and(|word| words.contains(&word));
            is(&error.kind) || is(&error.code)
        };
        let status =
            if says(&["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "slow_down", "429"]) {
                StatusCode::TOO_MANY_REQUESTS
            } else if says(&["overloaded_error", "server_is_overloaded", "UNAVAILABLE", "503"]) {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            };
        let wait =
            error.retry_delay.or_else(|| retry_after(&HeaderMap::new(), &error.message, Default::default()));
        let mut answer = self.translated_refusal(status, &HeaderMap::new(), &error, wait);
        // The data of an error event is what the body of an error would be, but for responses.
        if let Some(data) = data
            && self.scene.is_none()
            && self.client != Dialect::Responses
        {
            answer.body = data.clone();
        }
        let failed = judged(status, &HeaderMap::new(), &error, wait, Vec::new());
        Failed { answer: Some(answer), ..failed }
    }

    /// The provider's headers within one dialect; across, those that mean the same everywhere.
    fn stream_headers(&self, headers: &HeaderMap) -> HeaderMap {
        let Some(scene) = &self.scene else { return for_client(headers) };
        let mut kept = kept_headers(headers);
        let array = scene.json_array && self.client == Dialect::Gemini;
        let kind = if array { "application/json" } else { "text/event-stream" };
        kept.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        kept
    }

    /// Reads all of an answer, and translates it: as a stream where the client asked for one and the provider
    /// did not give one.
    async fn whole(mut self, reply: Reply, sent: Moment) -> Result<Begun, Failed> {
        let Reply { status, headers, mut body } = reply;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|failure| Failed { spent: Spent::Unknown, ..failed(&failure) })?;
            if bytes.len() + chunk.len() > TRANSLATED_MAX {
                return Err(unreadable());
            }
            bytes.extend_from_slice(&chunk);
        }
        let scene = self.scene.take().unwrap_or_default();
        let mut kept = kept_headers(&headers);
        let array = scene.json_array && self.client == Dialect::Gemini;
        let as_events = self.stream && !array;
        let kind = if as_events { "text/event-stream" } else { "application/json" };
        kept.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let (spoken, client, stream) = (self.spoken, self.client, self.stream);
        let is_long = bytes.len() > INLINE_BYTES_MAX;
        let work = move || retold(spoken, client, stream, scene, &bytes);
        let told = if is_long { beside(work).await.ok().flatten() } else { work() };
        let (bytes, usage) = told.ok_or_else(unreadable)?;
        let kind = BegunKind::Translated { bytes: bytes.into(), usage };
        Ok(self.begun(sent, status, kept, body, kind))
    }
}

/// The provider has answered, with nothing that a client could be told. It has worked for it all the same.
fn unreadable() -> Failed {
    Failed::after(Outcome::ServerError { retry_after: None }, Spent::Unknown)
}

/// What of a provider's headers means the same in every dialect. Its limits do not: a client would read them
/// under the names of another vendor, or mix them with those of the next target.
fn kept_headers(headers: &HeaderMap) -> HeaderMap {
    let names = [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];
    let kept = names.into_iter().filter_map(|name| Some((name.clone(), headers.get(&name)?.clone())));
    kept.collect()
}

/// Whether an answer is one that the client should see: what it asked for, or what is wrong with its request.
pub(super) fn is_success_or_clients_fault(status: StatusCode) -> bool {
    status.is_success() || matches!(status.as_u16(), 400 | 413 | 422)
}

pub(super) fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with(kind))
}

pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Counts a frame.
pub(super) fn see(tally: &mut Tally, frame: &Frame) -> Seen {
    frame_data(frame).map_or(Seen::Other, |data| tally.on_event(data))
}

pub(super) fn frame_data(frame: &Frame) -> Option<&Bytes> {
    match frame {
        Frame::Event(event) => event.data.as_ref(),
        Frame::Oversized(_) => None,
    }
}

/// Comments and blank lines are no events; a piece of an oversized event is a part of one.
fn has_data(frame: &Frame) -> bool {
    matches!(frame, Frame::Oversized(_)) || frame_data(frame).is_some()
}
