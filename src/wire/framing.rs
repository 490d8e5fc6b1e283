//! How the events of a stream are told apart: server-sent events, or the elements of one JSON array.

use super::array::ArrayDecoder;
use super::sse::{Frame, SseDecoder};
use bytes::Bytes;

/// The framing of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// One JSON array whose elements come one after the other (Gemini without `alt=sse`).
    JsonArray,
}

/// Takes chunks, gives frames, whatever the framing.
#[derive(Debug)]
pub enum EventDecoder {
    /// Of server-sent events.
    Sse(SseDecoder),
    /// Of the elements of one JSON array.
    JsonArray(ArrayDecoder),
}

impl EventDecoder {
    /// A decoder for one stream, whose events may have `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> EventDecoder {
        match framing {
            Framing::Sse => EventDecoder::Sse(SseDecoder::new(limit)),
            Framing::JsonArray => EventDecoder::JsonArray(ArrayDecoder::new(limit)),
        }
    }

    /// Adds bytes. Ask for all frames before the next push, or chunks pile up.
    pub fn push(&mut self, chunk: Bytes) {
        match self {
            EventDecoder::Sse(decoder) => decoder.push(chunk),
            EventDecoder::JsonArray(decoder) => decoder.push(chunk),
        }
    }

    /// The next frame that is complete.
    #[expect(clippy::should_implement_trait, reason = "more may come after None, so it is no iterator")]
    pub fn next(&mut self) -> Option<Frame> {
        match self {
            EventDecoder::Sse(decoder) => decoder.next(),
            EventDecoder::JsonArray(decoder) => decoder.next(),
        }
    }

    /// What has not become a frame when the stream is over; `None` if nothing is left.
    pub fn finish(self) -> Option<Bytes> {
        match self {
            EventDecoder::Sse(decoder) => decoder.finish(),
            EventDecoder::JsonArray(decoder) => decoder.finish(),
        }
    }
}
