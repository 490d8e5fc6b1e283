//! Counts that were made before, by a hash of what was counted.
//!
//! An agent sends its whole history again with each turn; with this only the new turn is counted. Keeps hashes and
//! counts, never a text. The hash is XXH3 of 128 bits with a seed of this process: that two texts are taken for each
//! other by chance takes 2^64 of them, and who made it happen on purpose would have a wrong estimate, which the
//! provider's count settles. SipHash, which is in the standard library, is five times slower, and then hashing a
//! conversation costs as much as a tenth of counting it. Invariant: never more entries than it was made for.

use super::generations::Generations;
use super::vocabulary::Vocabulary;
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher, RandomState};
use twox_hash::XxHash3_128;

/// Texts below this are counted each time. Measured, a look costs some 100 ns and counting this much some 500.
pub(super) const REMEMBERED_BYTES_MIN: usize = 64;

/// Locks, each for its part of the entries, so that exchanges seldom meet at one.
const SHARDS: usize = 16;

/// What an entry takes, with its share of the table that holds it: for whoever sets the bound.
#[cfg(test)]
const ENTRY_BYTES: usize = 64;

/// Counts by what was counted. Shared by all exchanges.
#[derive(Debug)]
pub struct Memo {
    seed: u64,
    /// Each guards its part of the counts, for one look or one write.
    shards: [Mutex<Generations<Key, u64>>; SHARDS],
}

/// How something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// As the text that it is.
    Text,
    /// As JSON without its white space.
    Json,
    /// As a function definition, by the formula for flat ones where it is flat.
    Function,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    hash: [u64; 2],
    vocabulary: Vocabulary,
    way: Way,
}

/// How many bytes were counted, and how many only looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Went through a vocabulary.
    pub counted: usize,
    /// Had been counted before.
    pub remembered: usize,
}

impl Memo {
    /// An empty memo for so many counts, of some 64 bytes each; for none, everything is counted each time.
    pub fn new(entries_max: usize) -> Memo {
        let shards = std::array::from_fn(|_| Mutex::new(Generations::new(entries_max / SHARDS)));
        Memo { seed: RandomState::new().build_hasher().finish(), shards }
    }

    /// Changes how many counts are kept.
    pub fn resize(&self, entries_max: usize) {
        self.shards.iter().for_each(|shard| shard.lock().resize(entries_max / SHARDS));
    }

    /// How many counts are kept.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The count of `text`, made by `count` unless it is known.
    pub(super) fn count(
        &self,
        vocabulary: Vocabulary,
        way: Way,
        text: &str,
        work: &mut Work,
        count: impl FnOnce() -> u64,
    ) -> u64 {
        if text.len() < REMEMBERED_BYTES_MIN {
            work.counted += text.len();
            return count();
        }
        let hash = XxHash3_128::oneshot_with_seed(self.seed, text.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "the halves of the hash")]
        let hash = [(hash >> 64) as u64, hash as u64];
        let key = Key { hash, vocabulary, way };
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let shard = &self.shards[hash[0] as usize % SHARDS];
        if let Some(known) = shard.lock().get(key) {
            work.remembered += text.len();
            return *known;
        }
        // Outside of the lock: two who count the same at a time lose less than all who wait for one.
        let counted = count();
        work.counted += text.len();
        shard.lock().insert(key, counted);
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(memo: &Memo, vocabulary: Vocabulary, way: Way, text: &str, truth: u64) -> Work {
        let mut work = Work::default();
        assert_eq!(memo.count(vocabulary, way, text, &mut work, || truth), truth);
        work
    }

    #[test]
    fn a_text_is_counted_once_a_vocabulary_and_way() {
        let memo = Memo::new(1_000);
        let text = "x".repeat(REMEMBERED_BYTES_MIN);
        let (counted, remembered) =
            (Work { counted: text.len(), remembered: 0 }, Work { counted: 0, remembered: text.len() });
        let mut truth = 0;
        for vocabulary in [Vocabulary::O200k, Vocabulary::Llama3] {
            for way in [Way::Text, Way::Json, Way::Function] {
                truth += 1;
                assert_eq!(check(&memo, vocabulary, way, &text, truth), counted);
                assert_eq!(check(&memo, vocabulary, way, &text, truth), remembered);
            }
        }
        assert_eq!(memo.len(), 6);
        let longer = format!("{text}x");
        assert_eq!(check(&memo, Vocabulary::O200k, Way::Text, &longer, 99).counted, longer.len());
    }

    #[test]
    fn short_texts_are_not_kept() {
        let memo = Memo::new(1_000);
        let text = "x".repeat(REMEMBERED_BYTES_MIN - 1);
        for truth in [1, 2] {
            assert_eq!(check(&memo, Vocabulary::O200k, Way::Text, &text, truth).remembered, 0);
        }
        assert!(memo.is_empty());
    }

    #[test]
    fn a_flood_of_texts_stays_within_the_bound() {
        for bound in [0, 1, 64, 1_000] {
            let memo = Memo::new(bound);
            for number in 0..5_000_u64 {
                let text = format!("{number:0>REMEMBERED_BYTES_MIN$}");
                check(&memo, Vocabulary::O200k, Way::Text, &text, number);
                assert!(memo.len() <= bound);
            }
            assert!(bound < 64 || memo.len() > bound / 4, "{} of {bound}", memo.len());
        }
    }

    #[test]
    fn an_entry_is_as_small_as_is_said() {
        // A table is at least 7/16 full, and a byte of control comes with each place.
        assert!((size_of::<(Key, u64)>() + 1) * 16 / 7 <= ENTRY_BYTES * 2);
        assert!(size_of::<(Key, u64)>() <= ENTRY_BYTES);
    }
}
