//! Finds the usage in a JSON answer of any length while it flows by.
//!
//! Knows the outline of one JSON object: where its keys are and where their values end. Refuses to hold the
//! answer: memory is bounded by [`KEPT_MAX`] whatever comes, and what does not fit is not looked at.
//! Invariant: only a key of the outermost object counts, never the same word in a text or deeper.

use super::json;
use super::usage::Usage;
use crate::dialect::{Dialect, Family};
use memchr::memchr2;

/// Bytes of a value that are kept. The largest usage objects in use, with all details, have about 1 KiB.
const KEPT_MAX: usize = 4 << 10;
/// Bytes of a key that are kept: `usageMetadata`, the longest wanted, with every letter written as an escape.
const KEY_MAX: usize = 80;

/// Reads an answer piece by piece.
#[derive(Clone, Debug)]
pub struct UsageScan {
    dialect: Dialect,
    place: Place,
    in_string: bool,
    after_backslash: bool,
    /// Objects and arrays that are open within the current value.
    depth: u64,
    /// The current key or value, if it is looked at; without its end once it has outgrown its limit.
    kept: Vec<u8>,
    too_long: bool,
    usage: Option<Usage>,
    errored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the outermost object. Blank lines here keep a connection alive.
    Before,
    BeforeKey,
    InKey,
    BeforeColon(Wanted),
    InValue(Wanted),
    /// Behind the outermost object, or lost in something that is none.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Usage,
    Error,
    Nothing,
}

impl UsageScan {
    /// A scan that has seen nothing.
    pub fn new(dialect: Dialect) -> Self {
        UsageScan {
            dialect,
            place: Place::Before,
            in_string: false,
            after_backslash: false,
            depth: 0,
            kept: Vec::new(),
            too_long: false,
            usage: None,
            errored: false,
        }
    }

    /// Reads the next piece.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while let (Some(first), true) = (piece.first(), self.place != Place::Over) {
            let taken = match self.place {
                _ if self.in_string => self.string(piece),
                Place::InValue(wanted) => self.value(*first, wanted),
                _ => self.outline(*first),
            };
            piece = &piece[taken..];
        }
    }

    /// The usage, as soon as all of it has flowed by. `None` too if it says that nothing was used.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether the answer has an `error` that is more than `null`.
    pub fn errored(&self) -> bool {
        self.errored
    }

    /// Reads what belongs to the outermost object itself; gives the bytes taken.
    fn outline(&mut self, byte: u8) -> usize {
        self.place = match (self.place, byte) {
            (place, b' ' | b'\t' | b'\r' | b'\n') => place,
            (Place::Before, b'{') => Place::BeforeKey,
            (Place::BeforeKey, b',') => Place::BeforeKey,
            (Place::BeforeKey, b'"') => {
                self.in_string = true;
                self.keep(b"\"", KEY_MAX);
                Place::InKey
            }
            (Place::BeforeColon(wanted), b':') => Place::InValue(wanted),
            _ => Place::Over,
        };
        1
    }

    /// Reads a string up to what may end it; gives the bytes taken, at least one.
    fn string(&mut self, piece: &[u8]) -> usize {
        if std::mem::take(&mut self.after_backslash) {
            self.keep_if_wanted(&piece[..1]);
            return 1;
        }
        let Some(end) = memchr2(b'"', b'\\', piece) else {
            self.keep_if_wanted(piece);
            return piece.len();
        };
        self.keep_if_wanted(&piece[..=end]);
        if piece[end] == b'\\' {
            self.after_backslash = true;
        } else {
            self.in_string = false;
            if self.place == Place::InKey {
                self.place = Place::BeforeColon(self.wanted());
            }
        }
        end + 1
    }

    /// Reads a byte of a value that is outside strings; gives the bytes taken, always one.
    fn value(&mut self, byte: u8, wanted: Wanted) -> usize {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => self.depth -= 1,
            b',' | b'}' if self.depth == 0 => {
                self.judge(wanted);
                self.place = if byte == b',' { Place::BeforeKey } else { Place::Over };
                return 1;
            }
            _ => {}
        }
        self.keep_if_wanted(&[byte]);
        1
    }

    /// What the key that has just ended asks for. Makes room for the value.
    fn wanted(&mut self) -> Wanted {
        let (key, too_long) = self.kept();
        let key = std::str::from_utf8(&key).ok().and_then(json::text);
        match key.as_deref() {
            Some(key) if !too_long && key == self.usage_key() => Wanted::Usage,
            Some("error") if !too_long => Wanted::Error,
            _ => Wanted::Nothing,
        }
    }

    fn usage_key(&self) -> &'static str {
        if self.dialect.family() == Family::Gemini { "usageMetadata" } else { "usage" }
    }

    fn judge(&mut self, wanted: Wanted) {
        let (value, too_long) = self.kept();
        match wanted {
            Wanted::Usage if !too_long => self.usage = Usage::read(self.dialect, &value).or(self.usage),
            Wanted::Error => {
                let given = std::str::from_utf8(&value).map_or(true, json::truthy);
                self.errored |= too_long || given;
            }
            _ => {}
        }
    }

    fn kept(&mut self) -> (Vec<u8>, bool) {
        (std::mem::take(&mut self.kept), std::mem::take(&mut self.too_long))
    }

    fn keep_if_wanted(&mut self, bytes: &[u8]) {
        match self.place {
            Place::InKey => self.keep(bytes, KEY_MAX),
            Place::InValue(Wanted::Usage | Wanted::Error) => self.keep(bytes, KEPT_MAX),
            _ => {}
        }
    }

    fn keep(&mut self, bytes: &[u8], limit: usize) {
        let room = limit - self.kept.len();
        self.too_long |= bytes.len() > room;
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Tokens;

    fn scanned<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Option<u64>, bool) {
        let mut scan = UsageScan::new(Dialect::Chat);
        for piece in pieces {
            scan.feed(piece);
            assert!(scan.kept.capacity() <= 2 * KEPT_MAX);
        }
        (scan.usage().map(|usage| usage.total().0), scan.errored())
    }

    fn check(body: &str, total: Option<u64>, errored: bool) {
        let bytes = body.as_bytes();
        assert_eq!(scanned(bytes.chunks(1)), (total, errored), "{body}");
        for split in 0..=bytes.len() {
            let pieces = [&bytes[..split], &bytes[split..]];
            assert_eq!(scanned(pieces), (total, errored), "split at {split} of {body}");
        }
    }

    #[test]
    fn usage_is_found_wherever_it_stands() {
        let usage = r#""usage" : {"prompt_tokens":1,"completion_tokens":2,"x":{"y":["}",{}]}}"#;
        check(&format!("{{{usage}}}"), Some(3), false);
        check(&format!("\n\n {{\"a\":[1,{{}},\"]\"],{usage} , \"b\":null}}\n"), Some(3), false);
        check(&format!(r#"{{"a\"":"\\","b":"\"",{usage}}}"#), Some(3), false);
        check(r#"{"\u0075s\u0061g\u0065":{"total_tokens":7}}"#, Some(7), false);
        check(r#"{"usage":{"total_tokens":7},"usage":null}"#, Some(7), false);
    }

    #[test]
    fn usage_elsewhere_is_not_usage() {
        let usage = r#""usage":{"total_tokens":7}"#;
        check(&format!(r#"{{"a":{{{usage}}},"b":[{{{usage}}}]}}"#), None, false);
        check(r#"{"a":"\"usage\":{\"total_tokens\":7}","usage":null}"#, None, false);
        check(r#"{"a":"usage","total_tokens":7}"#, None, false);
        check(&format!("[{{{usage}}}]"), None, false);
        check(&format!("{{}}{{{usage}}}"), None, false);
        check(&format!("\"{{{usage}}}\""), None, false);
        check(r#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#, None, false);
        check(r#"{"usage":{"total_tokens":7"#, None, false);
        check(r#"{"usage"}:{"total_tokens":7}"#, None, false);
    }

    #[test]
    fn an_error_counts_where_it_says_something() {
        check(r#"{"error":{"message":"no"},"usage":{"total_tokens":7}}"#, Some(7), true);
        check(r#"{"error":"no"}"#, None, true);
        check(r#"{"error":null,"choices":[{"error":"x"}]}"#, None, false);
        check(r#"{"error": {} }"#, None, false);
    }

    #[test]
    fn every_dialect_has_its_own_key_and_shape() {
        let body = r#"{"usage":{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":4},
            "\u0075\u0073\u0061\u0067\u0065\u004d\u0065\u0074\u0061\u0064\u0061\u0074\u0061":{"promptTokenCount":8,
            "thoughtsTokenCount":16}}"#;
        for (dialect, total) in [
            (Dialect::Chat, 5),
            (Dialect::Responses, 5),
            (Dialect::Messages, 7),
            (Dialect::Gemini, 24),
            (Dialect::GeminiBatchEmbed, 24),
        ] {
            let mut scan = UsageScan::new(dialect);
            scan.feed(body.as_bytes());
            assert_eq!(scan.usage().map(Usage::total), Some(Tokens(total)), "{dialect}");
        }
    }

    #[test]
    fn nothing_long_is_kept() {
        let long = "x".repeat(10_000);
        let usage = r#""usage":{"total_tokens":7}"#;
        let body = format!(r#"{{"usage{long}":{{"total_tokens":9}},"a":"{long}","error":"{long}",{usage}}}"#);
        assert_eq!(scanned(body.as_bytes().chunks(100)), (Some(7), true));
        let body = format!(r#"{{"usage":{{"total_tokens":7,"x":"{long}"}}}}"#);
        assert_eq!(scanned([body.as_bytes()]), (None, false));
        let deep = format!(r#"{{"a":{}{},{usage}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(scanned([deep.as_bytes()]), (Some(7), false));
    }

    #[test]
    fn any_bytes_are_survived() {
        let alphabet = b"{}[]\",:\\u \x00\xffe1";
        let mut state: u32 = 7;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                alphabet[usize::try_from(state >> 16).unwrap() % alphabet.len()]
            })
            .take(60)
            .collect();
            let whole = scanned([bytes.as_slice()]);
            assert_eq!(scanned(bytes.chunks(1)), whole);
        }
    }
}
