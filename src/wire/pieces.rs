//! The bytes of a stream from which one frame after the other is cut off, whatever tells where one ends.
//!
//! Refuses to know what a frame is. Invariants: no byte is lost or comes twice; a frame that lies within one pushed
//! chunk is not copied; memory holds at most one frame of the limit, and what was pushed but not yet read.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Chunks as they came, and the beginning of a frame that has not ended yet.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) limit: usize,
    /// Chunks that were pushed while another was being read.
    waiting: VecDeque<Bytes>,
    /// The chunk being read; its beginning, up to here, has been given away.
    pub(super) chunk: Bytes,
    /// What earlier chunks held of the frame being read.
    pub(super) head: BytesMut,
    /// The frame being read has outgrown the limit.
    pub(super) oversized: bool,
}

/// A frame that has ended.
pub(super) enum Cut {
    /// All of it.
    Whole(Bytes),
    /// The end of one whose beginning has been given away.
    Rest(Bytes),
}

impl Pieces {
    pub(super) fn new(limit: usize) -> Pieces {
        Pieces {
            limit,
            waiting: VecDeque::new(),
            chunk: Bytes::new(),
            head: BytesMut::new(),
            oversized: false,
        }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() && self.waiting.is_empty() {
            self.chunk = chunk;
        } else if !chunk.is_empty() {
            self.waiting.push_back(chunk);
        }
    }

    /// Takes up the next chunk if the present one has been read; `None` if there is no more.
    pub(super) fn take_up(&mut self) -> Option<()> {
        if self.chunk.is_empty() {
            self.chunk = self.waiting.pop_front()?;
        }
        Some(())
    }

    /// The frame ends at this place in the chunk.
    pub(super) fn cut(&mut self, end: usize) -> Cut {
        let tail = self.chunk.split_to(end);
        if std::mem::take(&mut self.oversized) {
            return Cut::Rest(tail);
        }
        if self.head.is_empty() {
            return Cut::Whole(tail);
        }
        self.head.extend_from_slice(&tail);
        Cut::Whole(self.head.split().freeze())
    }

    /// The frame does not end in the chunk: keeps it, or gives away what is more than may be kept.
    pub(super) fn keep(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.chunk);
        if self.oversized {
            return Some(rest);
        }
        self.head.extend_from_slice(&rest);
        self.oversized = self.head.len() > self.limit;
        self.oversized.then(|| self.head.split().freeze())
    }

    /// What has not become a frame when the stream is over.
    pub(super) fn finish(mut self) -> Option<Bytes> {
        let mut rest = self.head;
        rest.extend_from_slice(&self.chunk);
        for chunk in self.waiting.drain(..) {
            rest.extend_from_slice(&chunk);
        }
        (!rest.is_empty()).then(|| rest.freeze())
    }
}
