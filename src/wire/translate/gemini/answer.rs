//! Whole answers, why they end and what they cost.
//!
//! Refuses to know streams, which take their words for ends and costs from here. Invariant: thoughts are part of the
//! hub's output and beside Google's; what a cache had is part of the input of both.

use super::super::hub::{Answer, Part, Spent, Stop};
use super::super::{Scene, Unreadable, seal, tree};
use super::request_write::UNSIGNED;
use super::{keys, parts};
use crate::dialect::Dialect;
use serde_json::{Value, json};

/// The most characters of a provider's id that go into a made-up one.
const ID_MAX: usize = 40;

/// Reads a whole answer. A prompt that was blocked has an answer that says nothing.
///
/// # Errors
/// It is none.
pub(in super::super) fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    let body = tree::tree(body).ok_or(Unreadable)?;
    let candidate = keys::list(keys::at(&body, "candidates")).first();
    let blocked = is_blocked(&body);
    if candidate.is_none() && !blocked {
        return Err(Unreadable);
    }
    let candidate = candidate.unwrap_or(&Value::Null);
    let id = keys::text(&body, "responseId").to_owned();
    let mut read: Vec<Part> = Vec::new();
    let mut calls = 0;
    for part in keys::list(keys::at(keys::at(candidate, "content"), "parts")) {
        for mut part in parts::read_said(part) {
            if let Part::ToolCall(call) = &mut part {
                calls += 1;
                if call.id.is_empty() {
                    call.id = made_up_id(&id, &call.name, &call.input, calls);
                }
            }
            join(part, &mut read);
        }
    }
    let reason = if blocked { "SAFETY" } else { keys::text(candidate, "finishReason") };
    Ok(Answer {
        id,
        model: keys::text(&body, "modelVersion").to_owned(),
        parts: read,
        stop: read_stop(reason, calls > 0),
        usage: read_usage(keys::at(&body, "usageMetadata")),
    })
}

/// Adds a part; texts that follow one another are one.
fn join(part: Part, read: &mut Vec<Part>) {
    match (read.last_mut(), part) {
        (Some(Part::Text(before)), Part::Text(more)) => before.push_str(&more),
        (_, Part::Thought(thought)) => parts::push_thought(thought, read),
        (_, part) => read.push(part),
    }
}

/// Whether a prompt was refused before anything was said.
pub(super) fn is_blocked(body: &Value) -> bool {
    let reason = keys::text(keys::at(body, "promptFeedback"), "blockReason");
    !matches!(reason, "" | "BLOCK_REASON_UNSPECIFIED" | "BLOCKED_REASON_UNSPECIFIED")
}

/// An id for a call that has none: other in every answer, or a client's conversation would hold two calls of one id.
/// Where Google names no answer, what is called tells calls apart (FNV-1a).
pub(super) fn made_up_id(answer: &str, name: &str, input: &str, place: usize) -> String {
    let answer: String = answer.chars().filter(char::is_ascii_alphanumeric).take(ID_MAX).collect();
    if !answer.is_empty() {
        return format!("call_{answer}_{place}");
    }
    let told = name.bytes().chain([0]).chain(input.bytes());
    let digest = told.fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("call_{digest:016x}_{place}")
}

/// Why an answer ended. Google stops at calls as it does at ends.
pub(super) fn read_stop(reason: &str, calls: bool) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Stop::Refused,
        _ if calls => Stop::ToolUse,
        _ => Stop::End,
    }
}

/// The same as `finishReason`.
pub(super) fn write_stop(stop: &Stop) -> &'static str {
    match stop {
        Stop::Length => "MAX_TOKENS",
        Stop::Refused => "SAFETY",
        Stop::End | Stop::ToolUse | Stop::Sequence(_) | Stop::Paused => "STOP",
    }
}

/// What an answer cost; `None` if nothing was used.
pub(super) fn read_usage(usage: &Value) -> Option<Spent> {
    let of = |key| {
        keys::whole(keys::at(usage, key)).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
    };
    let input = of("promptTokenCount").saturating_add(of("toolUsePromptTokenCount"));
    let thought = of("thoughtsTokenCount");
    let spent = Spent {
        input,
        cached: of("cachedContentTokenCount").min(input),
        cache_written: 0,
        output: of("candidatesTokenCount").saturating_add(thought),
        thought,
    };
    (spent != Spent::default()).then_some(spent)
}

/// The same as `usageMetadata`. Zeros stand for a provider that did not say.
pub(super) fn write_usage(spent: Option<Spent>) -> Value {
    let spent = spent.unwrap_or_default();
    let mut usage = json!({
        "promptTokenCount": spent.input,
        "candidatesTokenCount": spent.output.saturating_sub(spent.thought),
        "totalTokenCount": spent.input.saturating_add(spent.output),
    });
    if spent.cached > 0 {
        usage["cachedContentTokenCount"] = spent.cached.into();
    }
    if spent.thought > 0 {
        usage["thoughtsTokenCount"] = spent.thought.into();
    }
    usage
}

/// A part of an answer; `None` for what a Gemini's answer cannot hold, and for nothing.
pub(super) fn write_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) | Part::Refusal(text) => (!text.is_empty()).then(|| json!({ "text": text })),
        Part::Thought(thought) => {
            let mut written = json!({"text": thought.text, "thought": true});
            match &thought.seal {
                Some(seal) => written["thoughtSignature"] = seal::wrapped(seal, Dialect::Gemini).into(),
                None if thought.text.is_empty() => return None,
                None => {}
            }
            Some(written)
        }
        Part::ToolCall(call) => {
            let mut written = parts::write_call(&call.id, &call.name, &call.input, call.free_text);
            // Newer Geminis refuse a call without one when the client brings it back.
            let sealed = call.seal.as_ref().map(|seal| seal::wrapped(seal, Dialect::Gemini));
            written["thoughtSignature"] = sealed.as_deref().unwrap_or(UNSIGNED).into();
            Some(written)
        }
        // Bytes always can be written; an address that says nothing of its kind cannot.
        Part::Image(media) => parts::write_media(media, "image").ok(),
        Part::Audio(media) => parts::write_media(media, "audio").ok(),
        _ => None,
    }
}

/// Names the answer and its model, as every answer and every piece of one ends.
pub(super) fn sign(body: &mut Value, id: &str, model: &str, scene: &Scene) {
    body["modelVersion"] = if model.is_empty() { scene.model.as_str() } else { model }.into();
    body["responseId"] = if id.is_empty() { scene.id.as_str() } else { id }.into();
}

/// Writes a whole answer.
pub(in super::super) fn write_answer(answer: &Answer, scene: &Scene) -> Vec<u8> {
    let parts: Vec<Value> = answer.parts.iter().filter_map(write_part).collect();
    let mut body = json!({
        "candidates": [{
            "content": {"parts": parts, "role": "model"},
            "finishReason": write_stop(&answer.stop),
            "index": 0,
        }],
        "usageMetadata": write_usage(answer.usage),
    });
    sign(&mut body, &answer.id, &answer.model, scene);
    body.to_string().into_bytes()
}
