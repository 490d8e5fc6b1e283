//! A streamed answer on its way: one event at a time, each flushed, with the delays and faults that were asked for.
//!
//! When the client goes away the body is dropped, and the visit with it, which counts it as cancelled. The ending is
//! counted before the last bytes are handed over, so that who has read the end finds it counted.

use super::faults::Faults;
use super::hold::Hold;
use super::speech::{Breakage, Speech};
use super::visit::{Ending, Visit};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use std::fmt;
use std::sync::Arc;

/// A stream of events.
pub(super) struct Flow<S: Speech> {
    visit: Arc<Visit>,
    faults: Arc<Faults>,
    jitter: fastrand::Rng,
    speech: S,
    events: std::vec::IntoIter<S::Event>,
    sent: u32,
    passed: Passed,
}

/// The faults at the present event that have happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Passed {
    None,
    Stall,
    Garbage,
    Over,
}

impl<S: Speech> Flow<S> {
    pub(super) fn new(visit: Arc<Visit>, faults: Arc<Faults>, jitter: fastrand::Rng, speech: S) -> Flow<S> {
        let events = speech.events(!faults.no_done).into_iter();
        Flow { visit, faults, jitter, speech, events, sent: 0, passed: Passed::None }
    }

    /// The body of the response.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut flow| {
            let next = flow.next().await?;
            Some((next, flow))
        }))
    }

    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        if self.passed == Passed::Over {
            return None;
        }
        let here = Some(self.sent);
        if self.passed < Passed::Stall && self.faults.stall_after_chunks == here {
            self.passed = Passed::Stall;
            self.visit.shared.hold(Hold::Stall).await;
        }
        if self.passed < Passed::Garbage && self.faults.garbage_after_chunks == here {
            self.passed = Passed::Garbage;
            flush().await;
            return Some(Ok(Bytes::from_static(self.speech.garbage())));
        }
        if self.faults.error_event_after_chunks == here {
            self.over(Ending::Failed);
            flush().await;
            return Some(Ok(self.speech.error(&Breakage::of(&self.faults), self.sent)));
        }
        if self.faults.end_after_chunks == here {
            self.over(Ending::Failed);
            return None;
        }
        if self.faults.cut_after_chunks == here {
            // What was sent before the cut has to arrive.
            flush().await;
            self.over(Ending::Cut);
            return Some(Err(Cut));
        }
        let Some(event) = self.events.next() else {
            self.over(Ending::Served);
            return None;
        };
        if S::is_token(event) && !self.faults.token_delay.is_zero() {
            tokio::time::sleep(self.faults.token_delay(&mut self.jitter)).await;
        } else {
            flush().await;
        }
        Some(Ok(self.send(event)))
    }

    fn send(&mut self, event: S::Event) -> Bytes {
        let bytes = self.speech.write(event, self.sent);
        self.sent += 1;
        self.passed = Passed::None;
        self.visit.shared.count(|stats| stats.events_sent += 1);
        if S::is_token(event) {
            self.visit.wrote(1);
        }
        if self.events.len() == 0 && !self.ends_badly() {
            self.visit.end(Ending::Served);
        }
        if self.faults.noise { Bytes::from([self.speech.noise(), &bytes].concat()) } else { bytes }
    }

    /// Whether a fault waits behind the last event.
    fn ends_badly(&self) -> bool {
        let faults = &self.faults;
        [
            faults.stall_after_chunks,
            faults.garbage_after_chunks,
            faults.error_event_after_chunks,
            faults.end_after_chunks,
            faults.cut_after_chunks,
        ]
        .contains(&Some(self.sent))
    }

    fn over(&mut self, ending: Ending) {
        self.passed = Passed::Over;
        self.visit.end(ending);
    }
}

/// Steps back once, so that the server writes out what it has before it asks for more.
async fn flush() {
    tokio::task::yield_now().await;
}

/// Ends a body without its proper end, which makes the server close the connection.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulator cuts this stream")
    }
}

impl std::error::Error for Cut {}
