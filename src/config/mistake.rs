//! What is wrong with a configuration, and what to write instead.
//!
//! Invariant: neither a mistake nor the text kept beside it holds a secret. Messages never quote a value,
//! because a value may come out of the environment; the caret under the masked source shows it.

use super::mask;
use std::fmt;
use std::ops::Range;

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes of the file that are wrong.
    pub span: Range<usize>,
    /// The key, with its sections: `provider.openai.limits.burst_tokens`. Empty where no key is known.
    pub key: String,
    /// What is wrong: lower case, no full stop.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

/// Every mistake of one file, in the order of the file; at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Mistakes {
    file: String,
    masked: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    /// Keeps the mistakes of `text`, which is masked before it is kept.
    pub(super) fn new(file: &str, text: &str, mut list: Vec<Mistake>) -> Mistakes {
        list.sort_by_key(|mistake| (mistake.span.start, mistake.span.end));
        list.dedup();
        for mistake in &mut list {
            mistake.span = within(text, &mistake.span);
        }
        Mistakes { file: file.to_owned(), masked: mask::mask(text), list }
    }

    /// The mistakes, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The file that they are in, as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of the file, of the same length, with everything that may be secret masked.
    pub(super) fn masked(&self) -> &str {
        &self.masked
    }
}

impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mistakes").field("file", &self.file).field("list", &self.list).finish_non_exhaustive()
    }
}

/// One line, for a log; [`Mistakes::render`] is for people.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, how_many(self.list.len()))?;
        for mistake in self.list.iter().take(3) {
            write!(f, "; {}", mistake.wrong)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// `1 mistake`, `2 mistakes`.
pub(super) fn how_many(count: usize) -> String {
    format!("{count} mistake{}", if count == 1 { "" } else { "s" })
}

/// The known word that is nearest to a mistyped one, if any is near: one edit in three letters.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of the lengths; nothing that we know is longer.
    if typed.chars().count() > 64 {
        return None;
    }
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&typed, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// A name out of the file, made fit for a message: no control characters, no endless length.
pub(super) fn named(name: &str) -> String {
    let shown: String = name.chars().take(48).flat_map(char::escape_debug).collect();
    if name.chars().nth(48).is_some() { format!("{shown}...") } else { shown }
}

/// The span, moved onto the text and its character boundaries.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = boundary(span.start);
    start..boundary(span.end.max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_offered_and_a_far_one_is_not() {
        let known = ["max_wait", "max_depth", "patience"];
        assert_eq!(nearest("max_wiat", known), Some("max_wait"));
        assert_eq!(nearest("Patience", known), Some("patience"));
        assert_eq!(nearest("timeout", known), None);
        assert_eq!(nearest(&"m".repeat(10_000), known), None);
    }

    #[test]
    fn a_span_beside_the_text_is_moved_onto_it() {
        assert_eq!(within("aé", &(2..9)), 1..3);
        assert_eq!(within("", &(5..7)), 0..0);
    }
}
