//! Writes parts as blocks.
//!
//! Refuses to know settings and tools. Invariant: no block is written that Anthropic refuses for its emptiness or its
//! kind: what cannot be said is named, or refuses the request.

use super::super::hub::{Media, Part, Seal, Thought, ToolCall};
use super::super::{Losses, Unfit, inputs};
use crate::dialect::Dialect;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The pictures that Anthropic takes.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// The longest id that is kept as it is, in bytes. Providers' ids have up to 64.
const ID_MAX: usize = 128;

/// Ids of calls that Anthropic takes (`^[a-zA-Z0-9_-]+$`), the same one for a call and its result.
#[derive(Debug, Default)]
pub(super) struct Ids {
    given: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Ids {
    fn of(&mut self, id: &str) -> String {
        if let Some(given) = self.given.get(id) {
            return given.clone();
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let mut clean: String = id.chars().take(ID_MAX).map(|c| if allowed(c) { c } else { '_' }).collect();
        if clean.is_empty() {
            clean.push_str("call");
        }
        let mut number = self.given.len();
        let mut free = clean.clone();
        while self.taken.contains(&free) {
            number += 1;
            free = format!("{clean}_{number}");
        }
        self.given.insert(id.to_owned(), free.clone());
        self.taken.insert(free.clone());
        free
    }
}

/// Writes the parts of a turn.
///
/// # Errors
/// One of them is nothing that a Claude can take.
pub(super) fn write_turn<'a>(
    parts: impl Iterator<Item = &'a Part>,
    assistant: bool,
    ids: &mut Ids,
    losses: &mut Losses,
) -> Result<Vec<Value>, Unfit> {
    let mut blocks = Vec::new();
    for part in parts {
        match part {
            Part::Thought(thought) if assistant => write_thought(thought, &mut blocks, losses),
            Part::Thought(_) => losses.add("thinking"),
            Part::ToolCall(call) => blocks.push(write_call(call, ids)),
            Part::ToolResult { id, parts, is_error, .. } => {
                blocks.push(write_result(&ids.of(id), parts, *is_error, losses)?);
            }
            Part::CacheMark => mark(&mut blocks),
            // A Claude does not draw, and takes no picture as its own words.
            Part::Image(_) if assistant => losses.add("assistant.image"),
            other => blocks.extend(write_part(other)?),
        }
    }
    Ok(blocks)
}

/// Writes the system's words. A Claude's system holds text alone.
pub(super) fn write_system<'a>(parts: impl Iterator<Item = &'a Part>, losses: &mut Losses) -> Vec<Value> {
    let mut blocks = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => blocks.extend(write_text(text)),
            Part::CacheMark => mark(&mut blocks),
            _ => losses.add("system.media"),
        }
    }
    blocks
}

/// Text; `None` if it says nothing, which Anthropic refuses.
fn write_text(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
}

fn write_part(part: &Part) -> Result<Option<Value>, Unfit> {
    Ok(match part {
        Part::Text(text) | Part::Refusal(text) => write_text(text),
        Part::Image(media) => Some(json!({"type": "image", "source": write_picture(media)?})),
        Part::File { media, name } => Some(write_document(media, name.as_deref())?),
        Part::Audio(_) => return Err(Unfit::new("audio input")),
        _ => None,
    })
}

fn write_picture(media: &Media) -> Result<Value, Unfit> {
    match media {
        // What some clients call it.
        Media::Inline { kind, data } if kind == "image/jpg" => {
            Ok(json!({"type": "base64", "media_type": "image/jpeg", "data": data}))
        }
        Media::Inline { kind, data } if PICTURES.contains(&kind.as_str()) => {
            Ok(json!({"type": "base64", "media_type": kind, "data": data}))
        }
        Media::Inline { .. } => Err(Unfit::new("a picture that is no JPEG, PNG, GIF or WebP")),
        Media::Url(url) if url.starts_with("https://") => Ok(json!({"type": "url", "url": url})),
        Media::Url(_) => Err(Unfit::new("a picture that is not at an https address")),
    }
}

fn write_document(media: &Media, name: Option<&str>) -> Result<Value, Unfit> {
    let source = match media {
        Media::Url(url) => json!({"type": "url", "url": url}),
        Media::Inline { kind, data } if kind == "application/pdf" => {
            json!({"type": "base64", "media_type": kind, "data": data})
        }
        Media::Inline { kind, data } if kind.starts_with("text/") => {
            let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| Unfit::new("a text file that is no text"))?;
            json!({"type": "text", "media_type": "text/plain", "data": text})
        }
        Media::Inline { .. } => return Err(Unfit::new("a file that is neither PDF nor text")),
    };
    let mut block = json!({"type": "document", "source": source});
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        block["title"] = name.into();
    }
    Ok(block)
}

/// Only what Anthropic has signed is a thought to it.
fn write_thought(thought: &Thought, blocks: &mut Vec<Value>, losses: &mut Losses) {
    match &thought.seal {
        Some(Seal { by: Dialect::Messages, data, redacted: true }) => {
            blocks.push(json!({"type": "redacted_thinking", "data": data}));
        }
        Some(Seal { by: Dialect::Messages, data, redacted: false }) => {
            blocks.push(json!({"type": "thinking", "thinking": thought.text, "signature": data}));
        }
        _ => losses.add("thinking"),
    }
}

fn write_call(call: &ToolCall, ids: &mut Ids) -> Value {
    let input = inputs::input_object(&call.input, call.free_text);
    json!({"type": "tool_use", "id": ids.of(&call.id), "name": call.name, "input": input})
}

fn write_result(id: &str, parts: &[Part], is_error: bool, losses: &mut Losses) -> Result<Value, Unfit> {
    let mut blocks = Vec::new();
    for part in parts {
        match part {
            Part::CacheMark => mark(&mut blocks),
            Part::Thought(_) | Part::ToolCall(_) | Part::ToolResult { .. } => losses.add("tool_result"),
            other => blocks.extend(write_part(other)?),
        }
    }
    let mut block = json!({"type": "tool_result", "tool_use_id": id});
    let alone = blocks.len() == 1 && blocks[0]["type"] == "text" && blocks[0]["cache_control"].is_null();
    if alone {
        block["content"] = blocks[0]["text"].take();
    } else if !blocks.is_empty() {
        block["content"] = Value::Array(blocks);
    } else if is_error {
        // Anthropic refuses a failure without words.
        block["content"] = "error".into();
    }
    if is_error {
        block["is_error"] = true.into();
    }
    Ok(block)
}

/// Marks the last block that can bear it; thoughts cannot.
fn mark(blocks: &mut [Value]) {
    let mut backwards = blocks.iter_mut().rev();
    let block = backwards.find(|block| block["type"] != "thinking" && block["type"] != "redacted_thinking");
    if let Some(block) = block {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
}
