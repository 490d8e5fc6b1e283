//! The chunks of Gemini's streams, each an answer of its own.
//!
//! Knows their keys; refuses to hold anything. No chunk says that it is the last: the one with a reason is.

use super::super::json;
use super::super::read::given;
use super::super::usage::Usage;
use super::{Told, length, tokens};
use crate::dialect::Dialect;

/// What a chunk says.
pub(super) fn told(text: &str) -> Told {
    let [candidates, usage, feedback, error] =
        json::pick_any(text, ["candidates", "usageMetadata", "promptFeedback", "error"]);
    let blocked = feedback.and_then(|feedback| json::pick_any(feedback, ["blockReason"])[0]);
    let mut told = Told {
        usage: given(usage).and_then(|usage| Usage::read(Dialect::Gemini, usage.as_bytes())),
        finished: given(blocked).is_some(),
        failed: error.is_some_and(json::truthy),
        ..Told::default()
    };
    if let Some(candidates) = candidates {
        json::elements(candidates, |candidate| {
            let [content, reason] = json::pick_any(candidate, ["content", "finishReason"]);
            told.finished |= given(reason).is_some();
            told.output += tokens(content.map_or(0, written));
        });
    }
    told
}

/// Bytes of the texts, thoughts and calls of a candidate.
fn written(content: &str) -> usize {
    let [parts] = json::pick_any(content, ["parts"]);
    let mut bytes = 0;
    if let Some(parts) = parts {
        json::elements(parts, |part| {
            let [text, call, code] = json::pick_any(part, ["text", "functionCall", "executableCode"]);
            let inner = |value: Option<&str>, keys| {
                given(value).map_or(0, |value| json::pick_any(value, keys).into_iter().map(length).sum())
            };
            bytes += length(text) + inner(call, ["name", "args"]) + inner(code, ["code", "language"]);
        });
    }
    bytes
}
