//! Whole answers, why they end and what they cost.
//!
//! Refuses to know streams, which take their words for ends and costs from here. Invariant: an answer that is written
//! has every key that Anthropic's libraries demand, and inputs of tools that are objects.

use super::super::hub::{Answer, Part, Spent, Stop, Thought, ToolCall};
use super::super::{Losses, Scene, Unreadable, inputs, seal, tree};
use super::content_read::read_block;
use crate::dialect::Dialect;
use serde_json::{Value, json};

/// The most characters of a provider's id that are kept.
const ID_MAX: usize = 100;

/// Reads a whole answer.
///
/// # Errors
/// It is none.
pub(in super::super) fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    let body = tree::tree(body).ok_or(Unreadable)?;
    let blocks = body["content"].as_array().ok_or(Unreadable)?;
    let mut parts = Vec::new();
    for block in blocks {
        // What a tool that ran at Anthropic gave has no place in the hub.
        read_block(block, &mut parts, &mut Losses::default()).map_err(|_| Unreadable)?;
    }
    Ok(Answer {
        id: tree::text(&body, "id").to_owned(),
        model: tree::text(&body, "model").to_owned(),
        parts,
        stop: read_stop(&body).unwrap_or_default(),
        usage: Counts::default().with(&body["usage"]).spent(),
    })
}

/// Why an answer ended, from where `stop_reason` stands; `None` while it has not.
pub(super) fn read_stop(value: &Value) -> Option<Stop> {
    Some(match value["stop_reason"].as_str()? {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::ToolUse,
        "stop_sequence" => Stop::Sequence(value["stop_sequence"].as_str().map(str::to_owned)),
        "refusal" => Stop::Refused,
        "pause_turn" => Stop::Paused,
        _ => Stop::End,
    })
}

/// The same as `stop_reason` and `stop_sequence`.
pub(super) fn write_stop(stop: &Stop) -> (&'static str, Value) {
    match stop {
        Stop::End => ("end_turn", Value::Null),
        Stop::Length => ("max_tokens", Value::Null),
        Stop::ToolUse => ("tool_use", Value::Null),
        Stop::Sequence(text) => ("stop_sequence", json!(text)),
        Stop::Refused => ("refusal", Value::Null),
        Stop::Paused => ("pause_turn", Value::Null),
    }
}

/// Anthropic's counts, which a stream tells several times: the largest of each counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    input: u64,
    cache_read: u64,
    cache_written: u64,
    output: u64,
    thought: u64,
}

impl Counts {
    /// With what another `usage` says.
    pub(super) fn with(self, usage: &Value) -> Counts {
        let of = |key: &str| tree::count(&usage[key]).unwrap_or_default();
        let of_thought = tree::count(&usage["output_tokens_details"]["thinking_tokens"]).unwrap_or_default();
        Counts {
            input: self.input.max(of("input_tokens")),
            cache_read: self.cache_read.max(of("cache_read_input_tokens")),
            cache_written: self.cache_written.max(of("cache_creation_input_tokens")),
            output: self.output.max(of("output_tokens")),
            thought: self.thought.max(of_thought),
        }
    }

    /// In the hub's terms, where the input includes what a cache had; `None` if nothing was used.
    pub(super) fn spent(self) -> Option<Spent> {
        let spent = Spent {
            input: self.input.saturating_add(self.cache_read).saturating_add(self.cache_written),
            cached: self.cache_read,
            cache_written: self.cache_written,
            output: self.output,
            thought: self.thought.min(self.output),
        };
        (spent != Spent::default()).then_some(spent)
    }
}

/// What an answer cost, in Anthropic's terms. Zeros stand for a provider that did not say.
pub(super) fn write_usage(spent: Option<Spent>) -> Value {
    let spent = spent.unwrap_or_default();
    let mut usage = json!({
        "input_tokens": spent.input.saturating_sub(spent.cached).saturating_sub(spent.cache_written),
        "cache_creation_input_tokens": spent.cache_written,
        "cache_read_input_tokens": spent.cached,
        "output_tokens": spent.output,
    });
    if spent.thought > 0 {
        usage["output_tokens_details"] = json!({ "thinking_tokens": spent.thought });
    }
    usage
}

/// An answer's id as Anthropic's are: `msg_` and letters.
pub(super) fn write_id(id: &str, scene: &Scene) -> String {
    let id = if id.is_empty() { &scene.id } else { id };
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let id: String = id.chars().take(ID_MAX).map(plain).collect();
    if id.starts_with("msg_") { id } else { format!("msg_{id}") }
}

/// The model that answered.
pub(super) fn write_model<'a>(model: &'a str, scene: &'a Scene) -> &'a str {
    if model.is_empty() { &scene.model } else { model }
}

/// A call's id; a made-up one where the provider gave none.
pub(super) fn write_call_id(call: &ToolCall, place: usize, scene: &Scene) -> String {
    if call.id.is_empty() { format!("toolu_{}_{place}", scene.id) } else { call.id.clone() }
}

/// A thought as a block; `None` if there is nothing to see or to bring back.
pub(super) fn write_thought(thought: &Thought) -> Option<Value> {
    let sealed = thought.seal.as_ref().map(|seal| seal::wrapped(seal, Dialect::Messages));
    let redacted = thought.seal.as_ref().is_some_and(|seal| seal.redacted);
    match sealed {
        Some(data) if redacted && thought.text.is_empty() => {
            Some(json!({"type": "redacted_thinking", "data": data}))
        }
        None if thought.text.is_empty() => None,
        sealed => Some(json!({
            "type": "thinking",
            "thinking": thought.text,
            "signature": sealed.unwrap_or_default(),
        })),
    }
}

/// Writes a whole answer.
pub(in super::super) fn write_answer(answer: &Answer, scene: &Scene) -> Vec<u8> {
    let mut content = Vec::new();
    let mut parts = answer.parts.as_slice();
    let said = parts.iter().any(|part| matches!(part, Part::Text(_) | Part::Refusal(_)));
    // As in a stream: a seal of others behind a text that nothing follows is dropped.
    while said
        && let [before @ .., Part::Thought(Thought { text, seal: Some(seal) })] = parts
        && text.is_empty()
        && seal.by != Dialect::Messages
    {
        parts = before;
    }
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => content.push(json!({"type": "text", "text": text})),
            Part::Thought(thought) => content.extend(write_thought(thought)),
            Part::ToolCall(call) => {
                // A block of a call has no place for a signature; the thought before it has.
                let seal = call.seal.clone();
                content.extend(write_thought(&Thought { text: String::new(), seal }));
                content.push(json!({
                    "type": "tool_use",
                    "id": write_call_id(call, content.len(), scene),
                    "name": call.name,
                    "input": inputs::input_object(&call.input, call.free_text),
                }));
            }
            // Anthropic's answers hold no pictures or sound.
            _ => {}
        }
    }
    let (reason, sequence) = write_stop(&answer.stop);
    let body = json!({
        "id": write_id(&answer.id, scene),
        "type": "message",
        "role": "assistant",
        "model": write_model(&answer.model, scene),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": write_usage(answer.usage),
    });
    body.to_string().into_bytes()
}
