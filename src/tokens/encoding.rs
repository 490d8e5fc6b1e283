//! How a model's text is counted: a vocabulary and a factor.
//!
//! Refuses to know messages, tools and pictures. A count is exact for models whose vocabulary is
//! public and a corrected one for the rest; it never panics and takes time in proportion to the text,
//! whatever the text is.

use super::family::Family;
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

    /// Applies the factor, rounding up.
    pub(super) fn corrected(self, count: u64) -> Tokens {
        Tokens(count.saturating_mul(self.permille).div_ceil(1000))
    }
}

#[cfg(test)]
mod tests;
