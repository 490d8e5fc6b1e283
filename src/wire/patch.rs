//! Puts the few values that tidegate must change into a client's body.
//!
//! Splices bytes: order, spelling and unknown keys survive, because nothing is parsed and written anew.

use super::call::Call;
use bytes::Bytes;
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
    let model = changes.model.filter(|name| *name != call.model.as_str()).map(|name| {
        let spelled = serde_json::Value::from(name).to_string();
        (call.spans.model.clone(), spelled)
    });
    let usage = (changes.include_usage && !call.wants_usage).then(|| ask_for_usage(body, call));
    let mut splices: Vec<_> = model.into_iter().chain(usage).collect();
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
}
