//! Puts the few values that tidegate must change into a client's body.
//!
//! Splices bytes: order, spelling and unknown keys survive, because nothing is parsed and written anew.

use super::call::Call;
use super::json;
use crate::dialect::Family;
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Range;

/// What is to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The name that the provider knows the model by.
    pub model: Option<&'a str>,
    /// Whether the provider shall send the usage of a stream, whatever the client said.
    pub include_usage: bool,
}

/// The body with the changes made; the same bytes, not copied, where nothing changes.
///
/// `call` must have been read from this very `body`; its spans are of no use in another.
pub fn patch(body: &Bytes, call: &Call, changes: &Changes<'_>) -> Bytes {
    let mut splices: Vec<(Range<usize>, String)> = Vec::new();
    if let Some(name) = changes.model.filter(|name| *name != call.model.as_str()) {
        splices.extend(call.spans.models.iter().map(|span| (span.clone(), named(body, call, span, name))));
    }
    if changes.include_usage && call.dialect.asks_for_usage() && !call.wants_usage {
        splices.push(ask_for_usage(body, call));
    }
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|(range, _)| range.start);
    let grown: usize = splices.iter().map(|(_, text)| text.len()).sum();
    let mut patched = Vec::with_capacity(body.len() + grown);
    let mut at = 0;
    for (range, text) in splices {
        patched.extend_from_slice(&body[at..range.start]);
        patched.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    patched.extend_from_slice(&body[at..]);
    patched.into()
}

/// The JSON string of the model's new name. Gemini's bodies name a resource, `models/NAME`, and mostly need not.
fn named(body: &[u8], call: &Call, span: &Range<usize>, name: &str) -> String {
    let was = std::str::from_utf8(&body[span.clone()]).ok().and_then(json::text);
    let resource = call.dialect.family() == Family::Gemini
        && was.is_some_and(|was| was.starts_with("models/"))
        && !name.starts_with("models/");
    let name = if resource { Cow::Owned(format!("models/{name}")) } else { Cow::Borrowed(name) };
    serde_json::Value::from(name).to_string()
}

fn ask_for_usage(body: &[u8], call: &Call) -> (Range<usize>, String) {
    let spans = &call.spans;
    if let Some(range) = &spans.include_usage {
        return (range.clone(), "true".to_owned());
    }
    let Some(options) = &spans.stream_options else {
        return (spans.insert..spans.insert, r#""stream_options":{"include_usage":true},"#.to_owned());
    };
    let inside = body[options.clone()].strip_prefix(b"{");
    match inside.map(|inside| inside.trim_ascii_start().starts_with(b"}")) {
        Some(true) => (options.start + 1..options.start + 1, r#""include_usage":true"#.to_owned()),
        Some(false) => (options.start + 1..options.start + 1, r#""include_usage":true,"#.to_owned()),
        None => (options.clone(), r#"{"include_usage":true}"#.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::wire::{Asked, read};

    fn check(body: &str, changes: Changes<'_>, wanted: &str) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let (call, _) = read(&Asked::in_body(Dialect::Chat), &bytes).unwrap();
        let patched = patch(&bytes, &call, &changes);
        assert_eq!(String::from_utf8_lossy(&patched), wanted);
        if body == wanted {
            assert_eq!(patched.as_ptr(), bytes.as_ptr(), "unchanged bytes are not copied");
        }
        let (again, _) = read(&Asked::in_body(Dialect::Chat), &patched).unwrap();
        assert_eq!(again.wants_usage, changes.include_usage || call.wants_usage);
        assert_eq!(again.model.as_str(), changes.model.unwrap_or(call.model.as_str()));
    }

    const USAGE: Changes<'_> = Changes { model: None, include_usage: true };

    #[test]
    fn only_the_model_changes_and_all_else_survives() {
        let changes = Changes { model: Some("b\"x"), include_usage: false };
        check(
            r#" { "x": 1e2, "model" : "a\u0062" ,"messages":[ ],"\ud800":"é" } "#,
            changes,
            r#" { "x": 1e2, "model" : "b\"x" ,"messages":[ ],"\ud800":"é" } "#,
        );
    }

    #[test]
    fn nothing_to_change_copies_nothing() {
        let body = r#"{"model":"a","messages":[],"stream_options":{"include_usage":true}}"#;
        check(body, Changes::default(), body);
        check(body, Changes { model: Some("a"), include_usage: true }, body);
    }

    #[test]
    fn usage_is_asked_for_whatever_was_there() {
        for (before, after) in [
            (
                r#"{"model":"a","messages":[]}"#,
                r#"{"stream_options":{"include_usage":true},"model":"a","messages":[]}"#,
            ),
            (
                r#"{"model":"a","stream_options":null,"messages":[]}"#,
                r#"{"model":"a","stream_options":{"include_usage":true},"messages":[]}"#,
            ),
            (
                r#"{"model":"a","stream_options":{ },"messages":[]}"#,
                r#"{"model":"a","stream_options":{"include_usage":true },"messages":[]}"#,
            ),
            (
                r#"{"model":"a","stream_options":{"x":1},"messages":[]}"#,
                r#"{"model":"a","stream_options":{"include_usage":true,"x":1},"messages":[]}"#,
            ),
            (
                r#"{"model":"a","stream_options":{"include_usage" : false},"messages":[]}"#,
                r#"{"model":"a","stream_options":{"include_usage" : true},"messages":[]}"#,
            ),
            (
                r#"{"model":"a","stream_options":{"include_usage":null},"messages":[]}"#,
                r#"{"model":"a","stream_options":{"include_usage":true},"messages":[]}"#,
            ),
        ] {
            check(before, USAGE, after);
        }
    }

    #[test]
    fn both_changes_fit_in_either_order() {
        let both = Changes { model: Some("long/name"), include_usage: true };
        check(
            r#"{"stream_options":{"include_usage":false},"model":"a","messages":[]}"#,
            both,
            r#"{"stream_options":{"include_usage":true},"model":"long/name","messages":[]}"#,
        );
        check(
            r#"{"model":"a","messages":[],"stream_options":null}"#,
            both,
            r#"{"model":"long/name","messages":[],"stream_options":{"include_usage":true}}"#,
        );
        check(
            "\n\t{ \"model\":\"a\",\"messages\":[]}",
            both,
            "\n\t{\"stream_options\":{\"include_usage\":true}, \"model\":\"long/name\",\"messages\":[]}",
        );
    }

    fn check_gemini(dialect: Dialect, body: &str, name: &str, wanted: &str) {
        let asked = Asked { model: Some("old".into()), ..Asked::in_body(dialect) };
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let (call, _) = read(&asked, &bytes).unwrap();
        let patched = patch(&bytes, &call, &Changes { model: Some(name), include_usage: true });
        assert_eq!(String::from_utf8_lossy(&patched), wanted);
        assert_eq!(patched.as_ptr() == bytes.as_ptr(), body == wanted, "copied only if changed");
    }

    #[test]
    fn geminis_bodies_name_the_model_as_often_as_they_did() {
        let gemini = |body, wanted| check_gemini(Dialect::Gemini, body, "new/\"x", wanted);
        gemini(r#"{"contents":[]}"#, r#"{"contents":[]}"#);
        gemini(
            r#"{"model":"models\/old","contents":[{"model":"deep"}]}"#,
            r#"{"model":"models/new/\"x","contents":[{"model":"deep"}]}"#,
        );
        gemini(r#"{"contents":[],"model":"old"}"#, r#"{"contents":[],"model":"new/\"x"}"#);
        gemini(
            r#"{"generateContentRequest":{"contents":[],"model":"models/old"},"model":"models/old"}"#,
            r#"{"generateContentRequest":{"contents":[],"model":"models/new/\"x"},"model":"models/new/\"x"}"#,
        );
        gemini(r#"{"model":null,"contents":[]}"#, r#"{"model":null,"contents":[]}"#);
        check_gemini(
            Dialect::GeminiEmbed,
            r#"{"model":"models/old","content":{}}"#,
            "models/new",
            r#"{"model":"models/new","content":{}}"#,
        );
        check_gemini(
            Dialect::GeminiBatchEmbed,
            r#"{"requests":[{"model":"models/old","content":{}},{"content":{}},{"content":{},"model":"old"}]}"#,
            "new",
            r#"{"requests":[{"model":"models/new","content":{}},{"content":{}},{"content":{},"model":"new"}]}"#,
        );
        let same = r#"{"model":"models/old","contents":[]}"#;
        check_gemini(Dialect::Gemini, same, "old", same);
    }

    #[test]
    fn only_chat_and_completions_are_asked_for_usage() {
        for (dialect, body) in [
            (
                Dialect::Responses,
                r#"{"model":"a","stream":true,"stream_options":{"include_obfuscation":false}}"#,
            ),
            (Dialect::Messages, r#"{"model":"a","stream":true,"messages":[]}"#),
            (Dialect::Embeddings, r#"{"model":"a","input":"x"}"#),
        ] {
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            let (call, _) = read(&Asked::in_body(dialect), &bytes).unwrap();
            assert_eq!(patch(&bytes, &call, &USAGE), bytes, "{dialect}");
            let renamed = patch(&bytes, &call, &Changes { model: Some("b"), include_usage: true });
            assert_eq!(renamed, body.replace(r#""a""#, r#""b""#), "{dialect}");
        }
    }
}
