//! Streaming an answer back while counting it.
//!
//! Bytes go on as they come, whole events at a time; nothing is held beyond one event. Invariant: a
//! stream that breaks off ends in an error event, a plain body that breaks off breaks the connection:
//! neither ever looks complete. When the relay is dropped its bill is closed, however it ended.

use super::beginning::{Begun, BegunKind, EVENT_MAX, see};
use super::bill::{Bill, Ending};
use super::interpreter::Interpreter;
use crate::admission::Cost;
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::units::Tokens;
use crate::upstream::{Failure, ReplyBody};
use crate::wire::{ErrorBody, EventDecoder, Frame, Framing, Seen, Tally, UsageScan, strip_null_usage};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const BROKEN: &str = "The provider's answer broke off before its end. What came before is incomplete.";

const TOO_LONG: &str =
    "A part of the provider's answer is too long to be translated. What came before is incomplete.";

/// The longest answer in one piece that is held back until it is whole, so that its head can tell what it took. A
/// client can use no half of it; a longer one is passed on as it comes, for the sake of memory.
const GATHERED_BYTES_MAX: usize = 256 * 1024;

/// The most answers that are held back at a time: 64 MiB in all. Others are passed on as they come.
pub(super) const GATHERED_MAX: usize = 256;

/// How long an answer is held back. A provider that sends blanks to keep the connection alive must be heard.
const GATHERED_FOR: Duration = Duration::from_secs(1);

/// An answer on its way.
#[derive(Debug)]
pub struct Relay {
    body: ReplyBody,
    shape: Shape,
    bill: Bill,
    ready: VecDeque<Bytes>,
    over: bool,
    /// What is told behind what is ready, once that has gone out.
    failure: Option<(Failure, Sent)>,
    /// Held while the answer is held back, and until it has gone out.
    gathered: Option<OwnedSemaphorePermit>,
    /// Whether the end of the body tells what it took.
    tells_at_end: bool,
}

/// Whether there was time to send what stands before a failure.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Not,
    Tried,
}

#[derive(Debug)]
enum Shape {
    Events(Events),
    Plain {
        scan: UsageScan,
        /// Bytes that are still to come, where the provider has said how many.
        expected: Option<u64>,
    },
    /// All of it was there from the start.
    Whole,
}

/// How the events of a stream become the client's.
#[derive(Debug)]
struct Events {
    decoder: Option<EventDecoder>,
    framing: Framing,
    tally: Tally,
    /// Where the client speaks another dialect than the provider.
    interpreter: Option<Box<Interpreter>>,
    dialect: Dialect,
    /// Whether the client did not ask for the usage that we asked for.
    hide_usage: bool,
    /// Whether a part of an event has gone out, whose rest has not.
    mid_event: bool,
}

impl Relay {
    /// Relays what has begun.
    pub(super) fn new(begun: Begun, mut bill: Bill, hide_usage: bool, framing: Framing) -> Relay {
        let mut ready = VecDeque::new();
        let shape = match begun.kind {
            BegunKind::Translated { bytes, usage } => {
                bill.first_byte();
                bill.close(Ending::Complete, usage);
                ready.push_back(bytes);
                Shape::Whole
            }
            BegunKind::Plain(dialect) => {
                let expected = content_length(&begun.headers);
                if expected == Some(0) || begun.status == StatusCode::NO_CONTENT {
                    // Nobody will ask for a body that is known to be empty.
                    bill.close(Ending::Complete, None);
                }
                Shape::Plain { scan: UsageScan::new(dialect), expected }
            }
            BegunKind::Events { decoder, tally, read, interpreter } => {
                // The first event has come already, or the answer would not have begun.
                bill.first_byte();
                // What is translated comes as events, however the client's are told apart.
                let framing = if interpreter.is_some() { Framing::Sse } else { framing };
                let mut events = Events {
                    decoder: Some(decoder),
                    framing,
                    tally,
                    interpreter,
                    dialect: bill.dialect,
                    hide_usage,
                    mid_event: false,
                };
                ready.extend(read.iter().filter_map(|(frame, seen)| events.shown(frame, *seen)));
                Shape::Events(events)
            }
        };
        let over = matches!(shape, Shape::Whole);
        let mut relay = Relay {
            body: begun.body,
            shape,
            bill,
            ready,
            over,
            failure: None,
            gathered: None,
            tells_at_end: false,
        };
        relay.drain_decoder();
        relay
    }

    /// What it took, once that is known.
    pub(super) fn used(&self) -> Option<Tokens> {
        self.bill.used.map(Cost::total)
    }

    /// Tells at the end of a stream what it took. `false` if this is no stream.
    pub(super) fn tell_at_end(&mut self) -> bool {
        self.tells_at_end = matches!(self.shape, Shape::Events(_));
        self.tells_at_end
    }

    /// What is told at the end, once.
    pub(super) fn take_end(&mut self) -> Option<Tokens> {
        std::mem::take(&mut self.tells_at_end).then(|| self.used()).flatten()
    }

    /// Holds a short answer in one piece back until it is whole. Nothing of it is lost if it does not become so.
    pub(super) async fn gather(&mut self, clock: Clock, room: &Arc<Semaphore>) {
        let Shape::Plain { expected, .. } = &self.shape else { return };
        let is_short = expected.is_none_or(|bytes| bytes <= GATHERED_BYTES_MAX as u64);
        if !is_short || self.bill.used.is_some() {
            return;
        }
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else { return };
        self.gathered = Some(permit);
        let until = clock.now() + GATHERED_FOR;
        let mut bytes = 0;
        while !self.over && self.bill.used.is_none() && bytes <= GATHERED_BYTES_MAX {
            let came = tokio::select! {
                biased;
                came = self.body.next() => came,
                () = clock.sleep_until(until) => return,
            };
            match came {
                Some(Ok(chunk)) => {
                    bytes += chunk.len();
                    self.arrive(chunk);
                }
                Some(Err(failure)) => {
                    self.failure = self.end(Some(failure)).map(|failure| (failure, Sent::Not));
                }
                None => drop(self.end(None)),
            }
        }
    }

    /// Takes what has arrived.
    fn arrive(&mut self, chunk: Bytes) {
        self.bill.first_byte();
        match &mut self.shape {
            Shape::Plain { scan, expected } => {
                scan.feed(&chunk);
                if let Some(expected) = expected {
                    *expected = expected.saturating_sub(chunk.len() as u64);
                    if *expected == 0 {
                        // Nobody asks for more once the announced length has gone out.
                        self.bill.close(Ending::Complete, scan.usage());
                    }
                }
                self.ready.push_back(chunk);
            }
            Shape::Events(events) => {
                if let Some(decoder) = &mut events.decoder {
                    decoder.push(chunk);
                }
                self.drain_decoder();
            }
            Shape::Whole => {}
        }
    }

    /// Makes every complete event ready, and notes what has been counted.
    fn drain_decoder(&mut self) {
        let Shape::Events(events) = &mut self.shape else { return };
        let Some(mut decoder) = events.decoder.take() else { return };
        while let Some(frame) = decoder.next() {
            let seen = see(&mut events.tally, &frame);
            events.mid_event = matches!(frame, Frame::Oversized(_));
            self.ready.extend(events.shown(&frame, seen));
        }
        events.decoder = Some(decoder);
        self.bill.counted(events.tally.output());
        if events.tally.done() {
            // Many clients hang up here and never ask for the end of the body.
            self.bill.close(events.ending(), events.tally.usage());
        }
    }

    /// The upstream has ended, well or not.
    fn end(&mut self, failure: Option<Failure>) -> Option<Failure> {
        self.over = true;
        match &mut self.shape {
            Shape::Plain { scan, .. } => {
                let ending = if failure.is_none() { Ending::Complete } else { Ending::BrokeOff };
                self.bill.close(ending, scan.usage());
                failure
            }
            Shape::Events(events) => {
                let (last, ending) = events.end(failure.is_none());
                self.ready.extend(last);
                self.bill.close(ending, events.tally.usage());
                None
            }
            Shape::Whole => None,
        }
    }
}

impl Events {
    /// The bytes of a frame that the client gets to see.
    fn shown(&mut self, frame: &Frame, seen: Seen) -> Option<Bytes> {
        if let Some(interpreter) = &mut self.interpreter {
            return match frame {
                Frame::Event(event) => interpreter.hear(event.data.as_ref()?),
                // Its words cannot be read, and left out they would be missed by nobody.
                Frame::Oversized(_) => interpreter.finish(TOO_LONG),
            };
        }
        match (self.hide_usage, seen) {
            (false, _) | (true, Seen::Done | Seen::Error) => Some(frame.raw().clone()),
            (true, Seen::UsageOnly) => None,
            (true, Seen::Content | Seen::Other) => Some(match frame {
                Frame::Event(event) => strip_null_usage(event),
                Frame::Oversized(raw) => raw.clone(),
            }),
        }
    }

    /// The upstream has ended: what the client sees of that, and how it ended.
    fn end(&mut self, cleanly: bool) -> (Vec<Bytes>, Ending) {
        let rest = self.decoder.take().and_then(EventDecoder::finish);
        let rest = rest.filter(|_| cleanly && !self.mid_event);
        let last: Vec<_> = rest.map(|rest| closed_events(self.framing, rest)).unwrap_or_default();
        let last: Vec<_> = last.into_iter().map(|frame| (see(&mut self.tally, &frame), frame)).collect();
        let complete = cleanly && (self.tally.finished() || self.tally.errored());
        let mut bytes = Vec::new();
        if complete || self.interpreter.is_some() {
            bytes.extend(last.iter().filter_map(|(seen, frame)| self.shown(frame, *seen)));
        }
        match &mut self.interpreter {
            // It knows by itself whether what it has read was whole.
            Some(interpreter) => bytes.extend(interpreter.finish(BROKEN)),
            // Behind an end that has been said, nothing is.
            None if !complete && !self.tally.done() => bytes.push(self.broken()),
            None => {}
        }
        (bytes, if complete { self.ending() } else { Ending::BrokeOff })
    }

    /// How a stream ended that the provider has ended.
    fn ending(&self) -> Ending {
        if self.tally.errored() { Ending::BrokeOff } else { Ending::Complete }
    }

    /// What a client sees in the place of the end that never came. An event of which a part has gone out
    /// already is closed first.
    fn broken(&self) -> Bytes {
        let error = ErrorBody {
            status: StatusCode::BAD_GATEWAY,
            message: BROKEN,
            kind: "api_error",
            param: None,
            code: Some("stream_broken"),
            wait: None,
        };
        let event = error.to_event(self.dialect, self.framing, &self.tally.mark());
        let between = self.mid_event && self.framing == Framing::Sse;
        if between { [b"\n\n", event.as_ref()].concat().into() } else { event }
    }
}

/// The end of a stream from a server that leaves the blank line behind its last event out, with that line.
fn closed_events(framing: Framing, rest: Bytes) -> Vec<Frame> {
    if framing == Framing::JsonArray {
        return vec![Frame::Oversized(rest)];
    }
    let mut decoder = EventDecoder::new(framing, EVENT_MAX);
    decoder.push(rest);
    decoder.push(Bytes::from_static(b"\n\n"));
    std::iter::from_fn(|| decoder.next()).collect()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Stream for Relay {
    type Item = Result<Bytes, Failure>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let relay = self.get_mut();
        loop {
            if let Some(bytes) = relay.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            relay.gathered = None;
            match relay.failure.take() {
                Some((failure, Sent::Not)) => {
                    // A server that hears of it together with the head sends not even that.
                    relay.failure = Some((failure, Sent::Tried));
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some((failure, Sent::Tried)) => return Poll::Ready(Some(Err(failure))),
                None => {}
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
            Shape::Events(events) => events.tally.usage(),
            Shape::Whole => None,
        };
        self.bill.close(Ending::ClientLeft, usage);
    }
}
