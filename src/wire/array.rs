//! Cuts a streamed JSON array into its elements without losing a byte.
//!
//! Gemini sends its streams so where the client does not ask for events. Knows where elements begin and end and
//! refuses to judge what they hold. Invariant: the raw bytes of all frames and of [`ArrayDecoder::finish`], one
//! after the other, are the bytes that were pushed. Memory holds at most one element of the given limit, and what
//! was pushed but not yet asked for; depth is a number, so no nesting overflows anything.

use super::pieces::{Cut, Pieces};
use super::sse::{Frame, SseEvent};
use bytes::Bytes;
use memchr::memchr2;

/// Takes chunks, gives frames: an element with what stands before it (the bracket, a comma, white space), the
/// closing bracket as a frame without data, and everything that belongs to no array as it comes.
#[derive(Debug)]
pub struct ArrayDecoder {
    pieces: Pieces,
    place: Place,
    /// Where the element begins within the frame being read.
    element: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the opening bracket.
    Before,
    /// Within the array, before an element.
    Between,
    /// Within an element that ends where no bracket of it is open.
    Nested { depth: u64 },
    /// Within a string, of an element of this depth.
    Text { depth: u64, after_backslash: bool },
    /// Within a number or a word, which end where something else begins.
    Bare,
    /// Behind the array, or in something that is none.
    Outside,
}

impl ArrayDecoder {
    /// A decoder for one stream, whose elements, with what stands before them, may have `limit` bytes.
    pub fn new(limit: usize) -> Self {
        ArrayDecoder { pieces: Pieces::new(limit.max(1)), place: Place::Before, element: 0 }
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
            if let Some((end, has_data)) = self.frame_end() {
                if end == 0 && self.pieces.head.is_empty() {
                    // All of an oversized number has gone out; only what follows told that it was all.
                    self.pieces.oversized = false;
                    continue;
                }
                return Some(self.complete(end, has_data));
            }
            if let Some(piece) = self.pieces.keep() {
                return Some(Frame::Oversized(piece));
            }
        }
    }

    /// What has not become a frame when the stream is over. `None` if nothing is left.
    pub fn finish(self) -> Option<Bytes> {
        self.pieces.finish()
    }

    /// Reads until a frame has ended; gives the place behind it in the chunk, and whether it holds an element.
    /// Otherwise all of the chunk has been read.
    fn frame_end(&mut self) -> Option<(usize, bool)> {
        let mut at = 0;
        while let Some(&byte) = self.pieces.chunk.get(at) {
            let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            match self.place {
                Place::Before if byte == b'[' => self.place = Place::Between,
                Place::Before if blank => {}
                Place::Between if blank || byte == b',' => {}
                Place::Between if byte == b']' => {
                    self.place = Place::Outside;
                    return Some((at + 1, false));
                }
                Place::Between if byte != b'}' && byte != b':' => {
                    self.element = self.pieces.head.len() + at;
                    self.place = begun(byte);
                }
                Place::Before | Place::Between => self.place = Place::Outside,
                Place::Nested { depth } => {
                    self.place = nested(byte, depth);
                    if self.place == Place::Between {
                        return Some((at + 1, true));
                    }
                }
                Place::Text { depth, after_backslash } => {
                    at = self.text(at, depth, after_backslash);
                    if self.place == Place::Between {
                        return Some((at, true));
                    }
                    continue;
                }
                Place::Bare if blank || matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'"' | b':') => {
                    self.place = Place::Between;
                    return Some((at, true));
                }
                Place::Bare => {}
                Place::Outside => return Some((self.pieces.chunk.len(), false)),
            }
            at += 1;
        }
        (self.place == Place::Outside).then_some((at, false))
    }

    /// Reads a string up to its end, an escape, or the end of the chunk; gives the place behind that.
    fn text(&mut self, at: usize, depth: u64, after_backslash: bool) -> usize {
        if after_backslash {
            self.place = Place::Text { depth, after_backslash: false };
            return at + 1;
        }
        let Some(length) = memchr2(b'"', b'\\', &self.pieces.chunk[at..]) else {
            return self.pieces.chunk.len();
        };
        let end = at + length;
        self.place = match (self.pieces.chunk[end], depth) {
            (b'\\', _) => Place::Text { depth, after_backslash: true },
            (_, 0) => Place::Between,
            _ => Place::Nested { depth },
        };
        end + 1
    }

    fn complete(&mut self, end: usize, has_data: bool) -> Frame {
        // What stands outside is no frame that grows: it goes on as it comes.
        let raw = match self.pieces.cut(end) {
            Cut::Whole(raw) if raw.len() <= self.pieces.limit || !has_data => raw,
            Cut::Whole(raw) | Cut::Rest(raw) => return Frame::Oversized(raw),
        };
        let data = has_data.then(|| raw.slice(self.element..));
        Frame::Event(SseEvent { raw, name: None, data })
    }
}

/// Where an element's first byte leads.
fn begun(byte: u8) -> Place {
    match byte {
        b'{' | b'[' => Place::Nested { depth: 1 },
        b'"' => Place::Text { depth: 0, after_backslash: false },
        _ => Place::Bare,
    }
}

/// Where a byte within brackets leads; behind the element when the last one closes. Which bracket closes which
/// is for whoever reads the element.
fn nested(byte: u8, depth: u64) -> Place {
    match byte {
        b'"' => Place::Text { depth, after_backslash: false },
        b'{' | b'[' => Place::Nested { depth: depth + 1 },
        b'}' | b']' if depth == 1 => Place::Between,
        b'}' | b']' => Place::Nested { depth: depth - 1 },
        _ => Place::Nested { depth },
    }
}

#[cfg(test)]
mod tests;
