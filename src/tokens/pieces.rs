//! Cuts a long text into pieces of bounded size, so that the time to count it grows with its length.
//!
//! Knows the splitting rules of the vocabularies only as far as to name cuts that no token can span:
//! counting the pieces of ordinary text gives exactly what counting the whole would. The pieces joined
//! are the text.

/// The largest piece. Within one, an unbroken run costs n log n; measured on such runs, counting
/// loses a third of its pace between 4 KiB and 16 KiB and half by 1 MiB. Smaller pieces would gain
/// little and cut unbroken runs, where a cut may cost tokens, more often.
pub(super) const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Pieces of a text, in order, none larger than [`PIECE_BYTES_MAX`] and none but the last smaller
/// than half of it.
pub(super) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(text: &'a str) -> Pieces<'a> {
        Pieces { rest: text }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at(cut(self.rest));
        self.rest = rest;
        Some(piece)
    }
}

/// Where the first piece of `text` ends: at the last harmless place in its second half, else as far
/// as it may go.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE_BYTES_MAX {
        return text.len();
    }
    let limit = text.floor_char_boundary(PIECE_BYTES_MAX);
    let mut after = text[limit..].chars().next().unwrap_or(' ');
    for (at, before) in text[..limit].char_indices().rev() {
        let end = at + before.len_utf8();
        if end <= PIECE_BYTES_MAX / 2 {
            break;
        }
        if is_harmless(before, after) {
            return end;
        }
        after = before;
    }
    limit
}

/// Whether no rule of any vocabulary joins these two neighbours, nor looks over the place between.
///
/// A letter or digit ends its run before white space, before a mark that is not the apostrophe of a
/// contraction, and where letters and digits meet: those characters can only begin the next run.
/// White space may not stand before the cut, because there the rules look one character ahead.
pub(super) fn is_harmless(before: char, after: char) -> bool {
    let letter = before.is_ascii_alphabetic() || is_uncased_letter(before);
    let digit = before.is_ascii_digit();
    match after {
        '\'' => false,
        '0'..='9' => letter,
        'a'..='z' | 'A'..='Z' => digit,
        '、' | '。' | '「' | '」' | '！' | '（' | '）' | '，' | '：' | '；' | '？' => {
            letter || digit
        }
        _ => (letter || digit) && (after.is_ascii_punctuation() || after.is_ascii_whitespace()),
    }
}

/// The common Chinese, Japanese and Korean letters, all of Unicode's class `Lo`.
fn is_uncased_letter(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fa5}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::vocabulary::Vocabulary;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn check(text: &str) -> usize {
        let pieces: Vec<&str> = Pieces::of(text).collect();
        assert_eq!(pieces.concat(), text);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
        let whole = pieces.len().saturating_sub(1);
        assert!(pieces[..whole].iter().all(|piece| piece.len() >= PIECE_BYTES_MAX / 2));
        pieces.len()
    }

    #[test]
    fn a_text_of_any_kind_becomes_a_bounded_number_of_bounded_pieces() {
        const MEGABYTE: usize = 1 << 20;
        for unit in [" ", "a", "\n", "中", "👨‍👩‍👧‍👦", "\u{fffd}", "\u{301}", "\r\n", "a b", "字。", "\u{0}"]
        {
            let pieces = check(&unit.repeat(MEGABYTE / unit.len()));
            assert!(pieces <= 2 * MEGABYTE / PIECE_BYTES_MAX, "{unit:?} became {pieces} pieces");
        }
        assert_eq!(check(""), 0);
        for length in [1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1] {
            assert_eq!(check(&"a".repeat(length)), length.div_ceil(PIECE_BYTES_MAX));
        }
    }

    #[test]
    fn words_are_cut_before_the_space() {
        let text = "word ".repeat(8_000);
        assert!(Pieces::of(&text).skip(1).all(|piece| piece.starts_with(" word")));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 96,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn no_harmless_cut_changes_a_count_in_any_vocabulary(
            text in "([a-cS-T0-9 '\n\t\r.,/_{}\"!-]|it's|  |\\PC|[、。，中文かなカ한글éñß👍\u{301}\u{200d}]){0,40}"
        ) {
            for vocabulary in Vocabulary::ALL {
                let tables = vocabulary.tables();
                let whole = tables.count(&text);
                let mut chars = text.char_indices().peekable();
                while let (Some((_, before)), Some(&(at, after))) = (chars.next(), chars.peek()) {
                    if is_harmless(before, after) {
                        let parts = tables.count(&text[..at]) + tables.count(&text[at..]);
                        prop_assert_eq!(parts, whole, "{:?} at {}", vocabulary, at);
                    }
                }
            }
        }
    }
}
