//! How a model's text is counted: a vocabulary and a factor.
//!
//! Refuses to know messages, tools and pictures. A count is exact for models whose vocabulary is
//! public and a corrected one for the rest; it never panics and takes time in proportion to the text,
//! whatever the text is.

use super::family::Family;
use super::memo::{Memo, Way, Work};
use super::pieces::Pieces;
use super::vocabulary::Vocabulary;
use crate::units::Tokens;

/// How the text of one model is counted. Small and free to copy; the tables behind it are loaded once
/// a process, on first use: some 70 ms of computing, a few MB of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub(super) vocabulary: Vocabulary,
    /// What a count in the vocabulary is multiplied by, in thousandths.
    pub(super) permille: u64,
}

impl Encoding {
    /// The encoding of a model, by its name as clients write it: with or without a `provider/`, an
    /// `ft:` and a date. A name that nothing is known of is counted as OpenAI's newest, and a tenth more.
    pub fn of_model(model: &str) -> Encoding {
        Family::of_model(model).encoding
    }

    /// How many tokens the model reads in `text`. Special tokens are ordinary text here, as they are
    /// to the providers. Loads the vocabulary if it is not loaded.
    pub fn count(self, text: &str) -> Tokens {
        self.corrected(self.count_uncorrected(text))
    }

    /// Whether counting can begin at once.
    pub fn is_loaded(self) -> bool {
        self.vocabulary.is_loaded()
    }

    /// A count in the vocabulary alone, for sums that are corrected once.
    pub(super) fn count_uncorrected(self, text: &str) -> u64 {
        let tables = self.vocabulary.tables();
        Pieces::of(text).map(|piece| tables.count(piece) as u64).sum()
    }

    /// Tokens of a text of `other` as this encoding would count them, as near as the factors tell.
    pub fn instead_of(self, other: Encoding, tokens: Tokens) -> Tokens {
        if self.permille == other.permille {
            return tokens;
        }
        Tokens(tokens.0.saturating_mul(self.permille).div_ceil(other.permille.max(1)))
    }

    /// Applies the factor, rounding up.
    pub(super) fn corrected(self, count: u64) -> Tokens {
        Tokens(count.saturating_mul(self.permille).div_ceil(1000))
    }
}

/// Counts for one estimate, through the memo if there is one, and notes what work that was.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    pub(super) encoding: Encoding,
    memo: Option<&'a Memo>,
    pub(super) work: Work,
}

impl<'a> Counter<'a> {
    pub(super) fn new(encoding: Encoding, memo: Option<&'a Memo>) -> Counter<'a> {
        Counter { encoding, memo, work: Work::default() }
    }

    /// A count of the vocabulary alone. Piece by piece, so that a long text that has grown at its end is known but
    /// for that.
    pub(super) fn text(&mut self, text: &str) -> u64 {
        let tables = self.encoding.vocabulary.tables();
        Pieces::of(text).map(|piece| self.once(Way::Text, piece, || tables.count(piece) as u64)).sum()
    }

    /// A count of the vocabulary alone, made by `count` unless it is known.
    pub(super) fn once(&mut self, way: Way, text: &str, count: impl FnOnce() -> u64) -> u64 {
        match self.memo {
            Some(memo) => memo.count(self.encoding.vocabulary, way, text, &mut self.work, count),
            None => {
                self.work.counted += text.len();
                count()
            }
        }
    }
}

#[cfg(test)]
mod tests;
