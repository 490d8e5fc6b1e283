//! Shallow looks into JSON text that is kept as it stands.
//!
//! Values are slices of the body, so that their place in it is known and nothing is copied. Refuses to
//! build trees: a nested value stays text until somebody asks for its parts, hence no depth can overflow
//! the stack and no memory grows with keys that nobody wants. Where a key stands twice the last one counts,
//! which is also what the common servers do.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The values of the wanted keys of one object.
#[derive(Debug)]
pub(super) struct Picked<'a, const N: usize> {
    /// The value of each wanted key, as it stands in the text.
    pub(super) values: [Option<&'a str>; N],
    /// Whether a wanted key stands more than once.
    pub(super) repeated: [bool; N],
}

/// Reads the wanted keys of the object that `text` is.
///
/// # Errors
/// The text is no JSON object. The parser's words name line and column; see [`reason`].
pub(super) fn pick<'a, const N: usize>(
    text: &'a str,
    wanted: [&str; N],
) -> Result<Picked<'a, N>, serde_json::Error> {
    let mut picked = Picked { values: [None; N], repeated: [false; N] };
    fields(text, |key, value| {
        let Some(key) = self::text(key) else { return };
        if let Some(place) = wanted.iter().position(|name| key == *name) {
            picked.repeated[place] = picked.values[place].is_some();
            picked.values[place] = Some(value);
        }
    })?;
    Ok(picked)
}

/// [`pick`] for text that may be anything: no object has no keys.
pub(super) fn pick_any<'a, const N: usize>(text: &'a str, wanted: [&str; N]) -> [Option<&'a str>; N] {
    pick(text, wanted).map_or([None; N], |picked| picked.values)
}

/// Shows every key (quotes included) and value of the object that `text` is.
///
/// # Errors
/// The text is no JSON object; what was shown before that was noticed stays shown.
pub(super) fn fields<'a>(text: &'a str, see: impl FnMut(&'a str, &'a str)) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Fields(see).deserialize(&mut reader)?;
    reader.end()
}

/// Shows every element of the array that `text` is; tells whether it is one.
pub(super) fn elements<'a>(text: &'a str, see: impl FnMut(&'a str)) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    Elements(see).deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// The text that a JSON string stands for; `None` for any other value.
///
/// An escape that stands for half a character (`"\ud800"`) cannot be decoded. Whether that is acceptable
/// is for the provider to say, so such a string is given as it is spelled in the body.
pub(super) fn text(value: &str) -> Option<Cow<'_, str>> {
    let spelled = value.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', spelled.as_bytes()).is_none() {
        return Some(Cow::Borrowed(spelled));
    }
    Some(serde_json::from_str(value).map_or(Cow::Borrowed(spelled), Cow::Owned))
}

/// Where `part` begins within `whole`, of which it must be a slice.
pub(super) fn offset(whole: &[u8], part: &[u8]) -> Option<usize> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (start.checked_add(part.len())? <= whole.len()).then_some(start)
}

/// Whether a value counts as given: anything but `null`, `false`, zero and what is empty, as the official
/// clients judge the `error` key of an event.
pub(super) fn truthy(value: &str) -> bool {
    let inner = value.trim_matches(|c: char| c.is_ascii_whitespace() || "{}[]".contains(c));
    !matches!(inner, "" | "null" | "false" | "0" | "\"\"")
}

/// What is wrong with a text, in words that never quote it. An error about types does, so it is replaced.
pub(super) fn reason(error: &serde_json::Error) -> String {
    if error.is_data() { "it is another kind of value".to_owned() } else { error.to_string() }
}

struct Fields<F>(F);

impl<'de, F: FnMut(&'de str, &'de str)> DeserializeSeed<'de> for Fields<F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&'de str, &'de str)> Visitor<'de> for Fields<F> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            (self.0)(key.get(), value.get());
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de str)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_counts_however_it_is_spelled() {
        let picked = pick(r#" {"a":1, "b" : [2] ,"\u0061": 3 } "#, ["a", "b", "c"]).unwrap();
        assert_eq!(picked.values, [Some("3"), Some("[2]"), None]);
        assert_eq!(picked.repeated, [true, false, false]);
    }

    #[test]
    fn a_key_that_is_no_text_hides_nothing() {
        assert_eq!(pick_any(r#"{"\ud800":1,"a":2}"#, ["a"]), [Some("2")]);
    }

    #[test]
    fn any_depth_is_stepped_over() {
        let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(pick_any(&deep, ["a"]), [Some("1")]);
    }

    #[test]
    fn strings_are_borrowed_where_they_hold_no_escape() {
        assert!(matches!(text("\"plain\""), Some(Cow::Borrowed("plain"))));
        assert_eq!(text(r#""a\nb\ud83d\ude00""#).unwrap(), "a\nb😀");
        assert_eq!(text(r#""half \ud800""#).unwrap(), r"half \ud800");
        assert_eq!(text("12"), None);
        assert_eq!(text("\""), None);
    }

    #[test]
    fn the_reason_never_quotes_the_text() {
        for wrong in ["\"secret\"", "{\"secret\"", "{\"a\":secret}", "[\"secret\"]", "{} secret"] {
            let error = pick(wrong, ["a"]).unwrap_err();
            assert!(!reason(&error).contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_slice_of_something_else_has_no_offset() {
        let whole = b"abcdef";
        assert_eq!(offset(whole, &whole[2..4]), Some(2));
        assert_eq!(offset(&whole[..3], &whole[2..4]), None);
        assert_eq!(offset(&whole[3..], &whole[..1]), None);
    }

    #[test]
    fn empty_values_do_not_count_as_given() {
        for empty in ["null", "false", "0", "\"\"", "{}", "[]", "{ }"] {
            assert!(!truthy(empty), "{empty}");
        }
        for given in ["true", "1", "\"x\"", "{\"a\":null}", "[1]"] {
            assert!(truthy(given), "{given}");
        }
    }
}
