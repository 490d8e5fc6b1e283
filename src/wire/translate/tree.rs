//! Bodies as trees of JSON, for readers that must look at nearly all of them.
//!
//! Refuses to know what a body says. Invariant: no body overflows the stack, for JSON deeper than 128 is refused;
//! what is off, empty or null is told from what is asked for in one place.

use serde_json::Value;
use std::borrow::Cow;

/// The tree of a body; `None` if it is no JSON.
///
/// Agents cut texts at any place, and so send escapes that stand for half a character (`"\ud83d"`). Those become
/// the replacement character, or the whole body would be refused.
pub(super) fn tree(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().or_else(|| match mended(body) {
        Cow::Owned(mended) => serde_json::from_slice(&mended).ok(),
        Cow::Borrowed(_) => None,
    })
}

/// The text of a tree.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("the keys of a tree are texts")
}

/// The text under a key; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of an array; none of anything else.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A number of tokens or the like. A fraction, which some servers write behind every number, is dropped.
pub(super) fn count(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the fraction is not wanted")]
    let whole = |number: f64| (0.0..9e15).contains(&number).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(whole))
}

/// Whether a value asks for nothing: `null`, `false`, zero and what is empty. To lose it loses nothing.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(keys) => keys.is_empty(),
    }
}

/// A body whose escapes for half a character stand for the replacement character.
fn mended(body: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(body);
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &body[at..]) {
        let escape = at + found;
        at = escape + 2;
        match half(&body[escape..]) {
            Some(0xd800..=0xdbff)
                if body
                    .get(escape + 6..)
                    .and_then(half)
                    .is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) =>
            {
                at = escape + 12;
            }
            Some(0xd800..=0xdfff) => mended.to_mut()[escape + 2..escape + 6].copy_from_slice(b"fffd"),
            _ => {}
        }
        if at >= body.len() {
            break;
        }
    }
    mended
}

/// The number of a `\u` with its four digits at the beginning.
fn half(escape: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(escape.strip_prefix(b"\\u")?.get(..4)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn half_a_character_costs_only_itself() {
        for (body, wanted) in [
            (r#"["a\ud83d"]"#, "a\u{fffd}"),
            (r#"["\ude00a\ud83d\ude00\ud83d"]"#, "\u{fffd}a😀\u{fffd}"),
            (r#"["\\ud83d\ud83d\ud83d\ude00"]"#, "\\ud83d\u{fffd}😀"),
        ] {
            assert_eq!(tree(body.as_bytes()), Some(json!([wanted])), "{body}");
        }
        for body in [r#"["\ud8"]"#, r#"["\"#, r#"["\ud83d"#, "", "{"] {
            assert_eq!(tree(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn deep_bodies_are_refused() {
        assert_eq!(tree("[".repeat(100_000).as_bytes()), None);
    }

    #[test]
    fn what_is_off_asks_for_nothing() {
        for off in [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({})] {
            assert!(is_off(&off), "{off}");
        }
        for on in [json!(true), json!(1), json!("a"), json!([0]), json!({"a": null})] {
            assert!(!is_off(&on), "{on}");
        }
    }

    #[test]
    fn counts_are_whole_and_not_negative() {
        assert_eq!(count(&json!(7)), Some(7));
        assert_eq!(count(&json!(7.0)), Some(7));
        for odd in [json!(-1), json!(-1.5), json!(1e300), json!("7"), json!(null)] {
            assert_eq!(count(&odd), None, "{odd}");
        }
    }
}
