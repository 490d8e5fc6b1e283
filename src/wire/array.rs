//! Cuts a streamed JSON array into its elements without losing a byte.
//!
//! Gemini sends its streams so where the client does not ask for events. Knows where elements begin and end and
//! refuses to judge what they hold. Invariant: the raw bytes of all frames and of [`ArrayDecoder::finish`], one
//! after the other, are the bytes that were pushed. Memory holds at most one element of the given limit, and what
//! was pushed but not yet asked for; depth is a number, so no nesting overflows anything.

use super::sse::{Frame, SseEvent};
use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use std::collections::VecDeque;

/// Takes chunks, gives frames: an element with what stands before it (the bracket, a comma, white space), the
/// closing bracket as a frame without data, and everything that belongs to no array as it comes.
#[derive(Debug)]
pub struct ArrayDecoder {
    limit: usize,
    /// Chunks that were pushed while another was being read.
    waiting: VecDeque<Bytes>,
    /// The chunk being read; its beginning, up to here, has been given away.
    chunk: Bytes,
    /// What earlier chunks held of the frame being read.
    head: BytesMut,
    place: Place,
    /// Where the element begins within the frame being read.
    element: usize,
    /// The frame being read has outgrown the limit.
    oversized: bool,
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
        ArrayDecoder {
            limit: limit.max(1),
            waiting: VecDeque::new(),
            chunk: Bytes::new(),
            head: BytesMut::new(),
            place: Place::Before,
            element: 0,
            oversized: false,
        }
    }

    /// Adds bytes. Ask for all frames before the next push, or chunks pile up.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() && self.waiting.is_empty() {
            self.chunk = chunk;
        } else if !chunk.is_empty() {
            self.waiting.push_back(chunk);
        }
    }

    /// The next frame that is complete.
    #[expect(clippy::should_implement_trait, reason = "more may come after None, so it is no iterator")]
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            if self.chunk.is_empty() {
                self.chunk = self.waiting.pop_front()?;
            }
            if let Some((end, has_data)) = self.frame_end() {
                if end == 0 && self.head.is_empty() {
                    // All of an oversized number has gone out; only what follows told that it was all.
                    self.oversized = false;
                    continue;
                }
                let tail = self.chunk.split_to(end);
                return Some(self.complete(tail, has_data));
            }
            let rest = std::mem::take(&mut self.chunk);
            if self.oversized {
                return Some(Frame::Oversized(rest));
            }
            self.head.extend_from_slice(&rest);
            if self.head.len() > self.limit {
                self.oversized = true;
                return Some(Frame::Oversized(self.head.split().freeze()));
            }
        }
    }

    /// What has not become a frame when the stream is over. `None` if nothing is left.
    pub fn finish(mut self) -> Option<Bytes> {
        let mut rest = self.head;
        rest.extend_from_slice(&self.chunk);
        for chunk in self.waiting.drain(..) {
            rest.extend_from_slice(&chunk);
        }
        (!rest.is_empty()).then(|| rest.freeze())
    }

    /// Reads until a frame has ended; gives the place behind it in the chunk, and whether it holds an element.
    /// Otherwise all of the chunk has been read.
    fn frame_end(&mut self) -> Option<(usize, bool)> {
        let mut at = 0;
        while let Some(&byte) = self.chunk.get(at) {
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
                    self.element = self.head.len() + at;
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
                Place::Outside => return Some((self.chunk.len(), false)),
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
        let Some(length) = memchr2(b'"', b'\\', &self.chunk[at..]) else { return self.chunk.len() };
        let end = at + length;
        self.place = match (self.chunk[end], depth) {
            (b'\\', _) => Place::Text { depth, after_backslash: true },
            (_, 0) => Place::Between,
            _ => Place::Nested { depth },
        };
        end + 1
    }

    fn complete(&mut self, tail: Bytes, has_data: bool) -> Frame {
        if std::mem::take(&mut self.oversized) {
            return Frame::Oversized(tail);
        }
        let raw = if self.head.is_empty() {
            tail
        } else {
            self.head.extend_from_slice(&tail);
            self.head.split().freeze()
        };
        // What stands outside is no frame that grows: it goes on as it comes.
        if raw.len() > self.limit && has_data {
            return Frame::Oversized(raw);
        }
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
