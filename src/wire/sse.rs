//! Cuts a stream of bytes into server-sent events without losing one of them.
//!
//! Follows the event stream grammar of the HTML standard (section 9.2) and refuses to know what events mean.
//! Invariant: the raw bytes of all frames and of [`SseDecoder::finish`], one after the other, are the bytes
//! that were pushed. An event that lies within one pushed chunk is not copied; memory holds at most one
//! event of the given limit, and what was pushed but not yet asked for.

use super::pieces::{Cut, Pieces};
use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A part of the stream that can be handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole event, or comments and blank lines between events.
    Event(SseEvent),
    /// A piece of an event that is longer than the limit. Its last piece ends with the blank line.
    Oversized(Bytes),
}

impl Frame {
    /// The exact bytes.
    pub fn raw(&self) -> &Bytes {
        match self {
            Frame::Event(event) => &event.raw,
            Frame::Oversized(raw) => raw,
        }
    }
}

/// An event and the bytes that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The bytes of the event with its comments, its blank line, and any rest of the line ending before it.
    pub raw: Bytes,
    /// The event's name, if it has one that is not empty.
    pub name: Option<Bytes>,
    /// The event's data with its lines joined by a line feed; `None` where there was no `data` field, which
    /// means that clients see no event. A single line of data is a slice of `raw`.
    pub data: Option<Bytes>,
}

/// Takes chunks, gives frames.
///
/// An event that ends in a carriage return is given at once. If a line feed turns out to follow, it
/// belongs to the same line ending, and comes at the front of the next frame's bytes, where it means nothing.
#[derive(Debug)]
pub struct SseDecoder {
    pieces: Pieces,
    /// Bytes of the current line that were read in earlier chunks.
    line: usize,
    /// No line has ended yet, so the current one may begin with a byte order mark.
    first_line: bool,
    /// No event has ended yet, likewise.
    first_event: bool,
    /// The last byte read was a carriage return that ended a line.
    after_cr: bool,
}

impl SseDecoder {
    /// A decoder for one stream, whose events may have `limit` bytes (at least four).
    pub fn new(limit: usize) -> Self {
        SseDecoder {
            pieces: Pieces::new(limit.max(BOM.len() + 1)),
            line: 0,
            first_line: true,
            first_event: true,
            after_cr: false,
        }
    }

    /// Adds bytes. Ask for all frames before the next push, or chunks pile up.
    pub fn push(&mut self, chunk: Bytes) {
        self.pieces.push(chunk);
    }

    /// The next frame that is complete.
    #[expect(clippy::should_implement_trait, reason = "more may come after None, so it is no iterator")]
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            self.pieces.take_up()?;
            if let Some(end) = self.event_end() {
                return Some(self.complete(end));
            }
            if let Some(piece) = self.pieces.keep() {
                return Some(Frame::Oversized(piece));
            }
        }
    }

    /// What has not become a frame when the stream is over: an event without its blank line, or the line
    /// feed of the last one. `None` if nothing is left.
    pub fn finish(self) -> Option<Bytes> {
        self.pieces.finish()
    }

    /// Reads lines until a blank one has ended; gives the place behind it in the chunk. Otherwise all of the
    /// chunk has been read, and what must be known of it is kept.
    fn event_end(&mut self) -> Option<usize> {
        let mut at =
            usize::from(std::mem::take(&mut self.after_cr) && self.pieces.chunk.first() == Some(&b'\n'));
        while let Some(length) = memchr2(b'\n', b'\r', &self.pieces.chunk[at..]) {
            let end = at + length;
            let line = std::mem::take(&mut self.line) + length;
            let blank = line == 0 || (self.first_line && line == BOM.len() && self.begins_with_bom());
            self.first_line = false;
            at = end + 1;
            if self.pieces.chunk[end] == b'\r' {
                match self.pieces.chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if blank {
                return Some(at);
            }
        }
        self.line += self.pieces.chunk.len() - at;
        None
    }

    fn begins_with_bom(&self) -> bool {
        self.pieces.head.iter().chain(self.pieces.chunk.iter()).take(BOM.len()).eq(BOM)
    }

    fn complete(&mut self, end: usize) -> Frame {
        let first = std::mem::take(&mut self.first_event);
        let raw = match self.pieces.cut(end) {
            Cut::Whole(raw) if raw.len() <= self.pieces.limit => raw,
            Cut::Whole(raw) | Cut::Rest(raw) => return Frame::Oversized(raw),
        };
        let mark = if first && raw.starts_with(BOM) { BOM.len() } else { 0 };
        Frame::Event(SseEvent::read(raw, mark))
    }
}

impl SseEvent {
    /// Reads the fields of an event's bytes. Those that tidegate has no use for (`id`, `retry`) are left in
    /// the bytes, like comments. The fields begin at `at`.
    fn read(raw: Bytes, mut at: usize) -> Self {
        let mut name = None;
        let mut data = None;
        while at < raw.len() {
            let end = memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |length| at + length);
            let line = &raw[at..end];
            let colon = memchr(b':', line).unwrap_or(line.len());
            let space = usize::from(line.get(colon + 1) == Some(&b' '));
            let value = || raw.slice((at + colon + 1 + space).min(end)..end);
            match &line[..colon] {
                b"data" => data = Some(joined(data, value())),
                b"event" => name = Some(value()).filter(|name| !name.is_empty()),
                _ => {}
            }
            at = end + 1;
        }
        let data = data.map(Data::into_bytes);
        SseEvent { raw, name, data }
    }
}

/// Data stays a slice until a second line of it appears.
enum Data {
    One(Bytes),
    Many(BytesMut),
}

impl Data {
    fn into_bytes(self) -> Bytes {
        match self {
            Data::One(line) => line,
            Data::Many(lines) => lines.freeze(),
        }
    }
}

fn joined(before: Option<Data>, line: Bytes) -> Data {
    let mut lines = match before {
        None => return Data::One(line),
        Some(Data::One(first)) => BytesMut::from(&first[..]),
        Some(Data::Many(lines)) => lines,
    };
    lines.extend_from_slice(b"\n");
    lines.extend_from_slice(&line);
    Data::Many(lines)
}

#[cfg(test)]
mod tests;
