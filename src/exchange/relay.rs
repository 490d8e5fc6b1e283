//! Streaming an answer back while counting it.
//!
//! Bytes go on as they come, whole events at a time; nothing is held beyond one event. Invariant: a
//! stream that breaks off ends in an error event, a plain body that breaks off breaks the connection:
//! neither ever looks complete. When the relay is dropped its account is closed, however it ended.

use super::account::{Account, Ending};
use super::attempt::{Begun, BegunKind, EVENT_MAX, see};
use crate::upstream::{Failure, ReplyBody};
use crate::wire::{ErrorBody, Frame, Seen, SseDecoder, Tally, UsageScan, strip_null_usage};
use bytes::Bytes;
use futures_util::Stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An answer on its way.
#[derive(Debug)]
pub struct Relay {
    body: ReplyBody,
    shape: Shape,
    account: Account,
    ready: VecDeque<Bytes>,
    over: bool,
}

#[derive(Debug)]
enum Shape {
    Events {
        decoder: Option<SseDecoder>,
        tally: Tally,
        /// Whether the client did not ask for the usage that we asked for.
        hide_usage: bool,
        /// Whether a part of an event has gone out, whose rest has not.
        mid_event: bool,
    },
    Plain {
        scan: UsageScan,
        /// Bytes that are still to come, where the provider has said how many.
        expected: Option<u64>,
    },
}

impl Relay {
    /// Relays what has begun.
    pub(super) fn new(begun: Begun, mut account: Account, hide_usage: bool) -> Relay {
        let mut ready = VecDeque::new();
        let shape = match begun.kind {
            BegunKind::Plain => {
                let expected = content_length(&begun.headers);
                if expected == Some(0) || begun.status == StatusCode::NO_CONTENT {
                    // Nobody will ask for a body that is known to be empty.
                    account.close(Ending::Complete, None);
                }
                Shape::Plain { scan: UsageScan::new(account.dialect), expected }
            }
            BegunKind::Events { decoder, tally, read } => {
                // The first event has come already, or the answer would not have begun.
                account.first_byte();
                ready.extend(read.iter().filter_map(|(frame, seen)| shown(frame, *seen, hide_usage)));
                Shape::Events { decoder: Some(decoder), tally, hide_usage, mid_event: false }
            }
        };
        let mut relay = Relay { body: begun.body, shape, account, ready, over: false };
        relay.drain_decoder();
        relay
    }

    /// Takes what has arrived.
    fn arrive(&mut self, chunk: Bytes) {
        self.account.first_byte();
        match &mut self.shape {
            Shape::Plain { scan, expected } => {
                scan.feed(&chunk);
                if let Some(expected) = expected {
                    *expected = expected.saturating_sub(chunk.len() as u64);
                    if *expected == 0 {
                        // Nobody asks for more once the announced length has gone out.
                        self.account.close(Ending::Complete, scan.usage());
                    }
                }
                self.ready.push_back(chunk);
            }
            Shape::Events { decoder, .. } => {
                if let Some(decoder) = decoder {
                    decoder.push(chunk);
                }
                self.drain_decoder();
            }
        }
    }

    /// Makes every complete event ready, and notes what has been counted.
    fn drain_decoder(&mut self) {
        let Shape::Events { decoder: Some(decoder), tally, hide_usage, mid_event } = &mut self.shape else {
            return;
        };
        while let Some(frame) = decoder.next() {
            let seen = see(tally, &frame);
            *mid_event = matches!(frame, Frame::Oversized(_));
            self.ready.extend(shown(&frame, seen, *hide_usage));
        }
        self.account.counted(tally.output());
        if tally.done() {
            // Many clients hang up here and never ask for the end of the body.
            self.account.close(ending(tally), tally.usage());
        }
    }

    /// The upstream has ended, well or not.
    fn end(&mut self, failure: Option<Failure>) -> Option<Failure> {
        self.over = true;
        match &mut self.shape {
            Shape::Plain { scan, .. } => match failure {
                None => {
                    self.account.close(Ending::Complete, scan.usage());
                    None
                }
                Some(failure) => {
                    self.account.close(Ending::BrokeOff, scan.usage());
                    Some(failure)
                }
            },
            Shape::Events { decoder, tally, mid_event, hide_usage } => {
                let rest = decoder.take().and_then(SseDecoder::finish);
                let last = rest.filter(|_| failure.is_none() && !*mid_event).map(closed_events);
                let last = last.unwrap_or_default().into_iter().map(|frame| (see(tally, &frame), frame));
                let last: Vec<_> = last.collect();
                let complete = failure.is_none() && (tally.finished() || tally.errored());
                if complete {
                    let last = last.iter().filter_map(|(seen, frame)| shown(frame, *seen, *hide_usage));
                    self.ready.extend(last);
                    self.account.close(ending(tally), tally.usage());
                } else {
                    self.ready.push_back(broken_stream(*mid_event));
                    self.account.close(Ending::BrokeOff, tally.usage());
                }
                None
            }
        }
    }
}

/// How a stream ended that the provider has ended.
fn ending(tally: &Tally) -> Ending {
    if tally.errored() { Ending::BrokeOff } else { Ending::Complete }
}

/// The end of a stream from a server that leaves the blank line behind its last event out, with that line.
fn closed_events(rest: Bytes) -> Vec<Frame> {
    let mut decoder = SseDecoder::new(EVENT_MAX);
    decoder.push(rest);
    decoder.push(Bytes::from_static(b"\n\n"));
    std::iter::from_fn(|| decoder.next()).collect()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The bytes of a frame that the client gets to see.
fn shown(frame: &Frame, seen: Seen, hide_usage: bool) -> Option<Bytes> {
    match (hide_usage, seen) {
        (false, _) | (true, Seen::Done | Seen::Error) => Some(frame.raw().clone()),
        (true, Seen::UsageOnly) => None,
        (true, Seen::Content | Seen::Other) => Some(match frame {
            Frame::Event(event) => strip_null_usage(event),
            Frame::Oversized(raw) => raw.clone(),
        }),
    }
}

/// What a client sees in the place of the end that never came. An event of which a part has gone out
/// already is closed first.
fn broken_stream(mid_event: bool) -> Bytes {
    let error = ErrorBody {
        message: "The provider's answer broke off before its end. What came before is incomplete.",
        kind: "api_error",
        param: None,
        code: Some("stream_broken"),
    };
    let event = error.to_event();
    if mid_event { [b"\n\n", event.as_ref()].concat().into() } else { event }
}

impl Stream for Relay {
    type Item = Result<Bytes, Failure>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let relay = self.get_mut();
        loop {
            if let Some(bytes) = relay.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if relay.over {
                return Poll::Ready(None);
            }
            let failure = match ready!(Pin::new(&mut relay.body).poll_next(context)) {
                Some(Ok(chunk)) => {
                    relay.arrive(chunk);
                    continue;
                }
                Some(Err(failure)) => relay.end(Some(failure)),
                None => relay.end(None),
            };
            if let Some(failure) = failure {
                return Poll::Ready(Some(Err(failure)));
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let usage = match &self.shape {
            Shape::Plain { scan, .. } => scan.usage(),
            Shape::Events { tally, .. } => tally.usage(),
        };
        self.account.close(Ending::ClientLeft, usage);
    }
}
