//! The prefixes of prompts that the simulated provider has cached, as hashes; the oldest are forgotten.

use std::collections::VecDeque;

/// The most prefixes that are remembered.
const PREFIXES_MAX: usize = 1_024;

/// What was cached.
#[derive(Debug, Default)]
pub(super) struct Seen {
    prefixes: VecDeque<u64>,
}

impl Seen {
    /// Whether this prefix was seen before.
    pub(super) fn has(&self, prefix: u64) -> bool {
        self.prefixes.contains(&prefix)
    }

    /// Remembers a prefix.
    pub(super) fn add(&mut self, prefix: u64) {
        if self.has(prefix) {
            return;
        }
        if self.prefixes.len() == PREFIXES_MAX {
            self.prefixes.pop_front();
        }
        self.prefixes.push_back(prefix);
    }
}
