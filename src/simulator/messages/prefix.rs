//! What of a prompt was cached: the prefixes that `cache_control` marks, known by their hash and counted in tokens.
//!
//! A marked prefix that was seen before is read from the cache, and what reaches beyond it to the last mark is put there.
//! Unlike at Anthropic no prefix is too short and none expires, so that a test can foretell every number.

use crate::simulator::hash::Fnv;
use crate::simulator::seen::Seen;

/// The end of a prefix that shall be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) hash: u64,
    /// The tokens up to here.
    pub(super) tokens: u64,
}

/// Reads a prompt from its start.
pub(super) struct Prefix {
    hash: Fnv,
    tokens: u64,
    marks: Vec<Mark>,
}

impl Prefix {
    pub(super) fn new() -> Prefix {
        Prefix { hash: Fnv::new(), tokens: 0, marks: Vec::new() }
    }

    /// What comes next.
    pub(super) fn add(&mut self, text: &str, tokens: u64) {
        self.hash.feed(text.as_bytes());
        // No text has this byte, so that two texts never read as one.
        self.hash.feed(&[0xff]);
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// The prefix so far shall be cached.
    pub(super) fn mark(&mut self) {
        self.marks.push(Mark { hash: self.hash.finish(), tokens: self.tokens });
    }

    /// All tokens, and the marks from short to long.
    pub(super) fn end(self) -> (u64, Vec<Mark>) {
        (self.tokens, self.marks)
    }
}

/// The tokens that are read from the cache, and those that are put there.
pub(super) fn cached(marks: &[Mark], seen: &Seen) -> (u64, u64) {
    let known = marks.iter().rev().find(|mark| seen.has(mark.hash)).map_or(0, |mark| mark.tokens);
    let wanted = marks.last().map_or(0, |mark| mark.tokens);
    (known, wanted - known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_prefix_is_read_and_the_rest_is_written() {
        let marks = |texts: &[&str]| {
            let mut prefix = Prefix::new();
            for text in texts {
                prefix.add(text, 10);
                prefix.mark();
            }
            prefix.end().1
        };
        let mut seen = Seen::default();
        assert_eq!(cached(&[], &seen), (0, 0));
        assert_eq!(cached(&marks(&["a", "b"]), &seen), (0, 20));
        marks(&["a"]).iter().for_each(|mark| seen.add(mark.hash));
        assert_eq!(cached(&marks(&["a", "b"]), &seen), (10, 10));
        assert_eq!(cached(&marks(&["ab"]), &seen), (0, 10));
        assert_eq!(cached(&marks(&["a"]), &seen), (10, 0));
    }
}
