//! What the simulated model says: a sentence a newcomer can read, then words that are the same every time.

use super::hash::{fnv, mix};

/// Words that follow each other without meaning, yet can be read.
const WORDS: [&str; 32] = [
    "and", "the", "tide", "comes", "in", "slowly", "while", "boats", "wait", "at", "gate", "for", "water",
    "to", "rise", "again", "over", "sand", "stones", "every", "wave", "has", "its", "turn", "no", "one",
    "is", "lost", "before", "morning", "light", "returns",
];

/// The most words that an answer has, whatever is asked.
pub(super) const WORDS_MAX: u32 = 20_000;

/// Exactly `length` words in answer to `question`; another `choice` ends differently.
pub(super) fn answer(question: &str, length: u32, choice: u32, seed: u64) -> String {
    let said = question.split_whitespace();
    let opening = "This is tidegate's simulated provider. You said:".split_whitespace().chain(said);
    let mut state = fnv(question.as_bytes()) ^ seed ^ (u64::from(choice) << 48);
    let filling = std::iter::repeat_with(|| {
        let at = usize::try_from(mix(&mut state) % 32).expect("less than 32");
        WORDS[at]
    });
    let mut text = String::new();
    let length = usize::try_from(length.min(WORDS_MAX)).unwrap_or(usize::MAX);
    for word in opening.chain(filling).take(length) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// What the model thinks before it answers, the same for the same question.
pub(super) fn thought(question: &str) -> String {
    let words = question.split_whitespace().count();
    format!("The user said {words} words to a simulated provider; it will answer them kindly.")
}

/// How many words the question asks for, as in "write 300 words about the sea".
pub(super) fn asked_length(question: &str) -> Option<u32> {
    let mut before = "";
    for word in question.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("words")
            && let Ok(length) = before.parse::<u32>()
        {
            return Some(length.clamp(1, WORDS_MAX));
        }
        before = word;
    }
    None
}

/// The text in pieces of one token: a word with the space before it.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let lead = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let end = rest[lead..].find(char::is_whitespace).map_or(rest.len(), |at| lead + at);
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

/// The text in pieces of at most four bytes, never splitting a character.
pub(super) fn quads(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.len_utf8();
        let end = (first..=rest.len().min(4)).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(first);
        let (quad, after) = rest.split_at(end);
        rest = after;
        Some(quad)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_the_question_and_has_the_length_asked_for() {
        let text = answer("hello", 40, 0, 1);
        assert!(text.starts_with("This is tidegate's simulated provider. You said: hello "), "{text}");
        assert_eq!(words(&text).count(), 40);
        assert_eq!(text, answer("hello", 40, 0, 1));
        assert_ne!(text, answer("hello", 40, 1, 1));
        assert_eq!(answer("hello", 3, 0, 1), "This is tidegate's");
    }

    #[test]
    fn a_number_before_the_word_words_is_a_length() {
        for (question, length) in [
            ("write 300 words about the sea", Some(300)),
            ("Words, please: 12 words.", Some(12)),
            ("99999999 words", Some(WORDS_MAX)),
            ("0 words", Some(1)),
            ("many words", None),
            ("300 lines", None),
            ("", None),
        ] {
            assert_eq!(asked_length(question), length, "{question}");
        }
    }

    #[test]
    fn pieces_put_together_are_the_text() {
        for text in ["", " ", "a", " a  b ", "één 漢字 🎈🎈 x", "\n\n{\"k\": [1, 2]}\n"] {
            assert_eq!(words(text).collect::<String>(), text);
            assert_eq!(quads(text).collect::<String>(), text);
            assert!(quads(text).all(|quad| !quad.is_empty() && quad.len() <= 4));
        }
    }
}
