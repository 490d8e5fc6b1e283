//! The input of a responses request, read.
//!
//! Items are finer than turns: what the model thought, said and called is one turn each time it spoke, and so are
//! the results that follow. Invariant: an item that cannot be held is named, and one that the conversation cannot
//! do without refuses the translation.

use super::super::hub::{Part, Request, Role, Turn};
use super::super::openai::{audio, file, image, odd, word};
use super::super::tree::{list, text};
use super::super::{Losses, Unfit};
use super::items;
use super::request_read::tools;
use serde_json::Value;

/// Reads the input into a request.
pub(super) fn input(value: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    match value {
        Value::String(text) => {
            request.turns.push(Turn { role: Role::User, parts: vec![Part::Text(text.clone())] });
        }
        Value::Array(items) => {
            for each in items {
                item(each, request, losses)?;
            }
        }
        _ => return Err(odd("input")),
    }
    Ok(())
}

fn item(item: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    match text(item, "type") {
        "message" => message(item, request, losses),
        "" if item.get("role").is_some() => message(item, request, losses),
        "function_call" | "custom_tool_call" => {
            let call = items::call_of(item);
            said(request, Part::ToolCall(call));
            Ok(())
        }
        "reasoning" => {
            if let Some(thought) = items::thought_of(item) {
                said(request, Part::Thought(thought));
            }
            Ok(())
        }
        kind @ ("function_call_output" | "custom_tool_call_output") => {
            let result = Part::ToolResult {
                id: text(item, "call_id").to_owned(),
                name: None,
                parts: output(&item["output"], losses)?,
                is_error: false,
                free_text: kind == "custom_tool_call_output",
            };
            results(request, result);
            Ok(())
        }
        // Codex gives its tools here, not under their key, for models that it knows.
        "additional_tools" => {
            request.tools.extend(tools(&item["tools"], losses)?);
            Ok(())
        }
        // What they stand for is at a provider, or only it can read it.
        kind @ ("item_reference" | "compaction" | "compaction_summary") => {
            Err(Unfit::new(format!("an item of type {kind}")))
        }
        // The traces of tools that OpenAI ran.
        other => {
            losses.add(&format!("input.{}", word(other)));
            Ok(())
        }
    }
}

fn message(item: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    let parts = contents(&item["content"], losses)?;
    match text(item, "role") {
        "system" | "developer" if request.turns.is_empty() => request.system.extend(parts),
        "system" | "developer" => request.turns.push(Turn { role: Role::System, parts }),
        "user" => request.turns.push(Turn { role: Role::User, parts }),
        "assistant" => parts.into_iter().for_each(|part| said(request, part)),
        other => return Err(Unfit::new(format!("a message by {}", word(other)))),
    }
    Ok(())
}

/// Adds to the turn of the model.
fn said(request: &mut Request, part: Part) {
    match request.turns.last_mut() {
        Some(turn) if turn.role == Role::Assistant => items::push(&mut turn.parts, part),
        _ => request.turns.push(Turn { role: Role::Assistant, parts: vec![part] }),
    }
}

/// Adds to the turn with the results of a turn's calls.
fn results(request: &mut Request, result: Part) {
    match request.turns.last_mut() {
        Some(turn)
            if turn.role == Role::User && matches!(turn.parts.last(), Some(Part::ToolResult { .. })) =>
        {
            turn.parts.push(result);
        }
        _ => request.turns.push(Turn { role: Role::User, parts: vec![result] }),
    }
}

/// What a tool gave. Older Codex wraps it with whether it worked.
fn output(value: &Value, losses: &mut Losses) -> Result<Vec<Part>, Unfit> {
    match value {
        Value::Object(wrapped) => contents(wrapped.get("content").unwrap_or(&Value::Null), losses),
        value => contents(value, losses),
    }
}

fn contents(value: &Value, losses: &mut Losses) -> Result<Vec<Part>, Unfit> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::Text(text.clone())]),
        Value::Array(_) => list(value).iter().map(|each| content(each, losses)).collect(),
        _ => Err(odd("content")),
    }
}

fn content(part: &Value, losses: &mut Losses) -> Result<Part, Unfit> {
    match text(part, "type") {
        "input_text" | "output_text" | "text" => Ok(Part::Text(text(part, "text").to_owned())),
        "refusal" => Ok(Part::Refusal(text(part, "refusal").to_owned())),
        "input_image" => match text(part, "image_url") {
            "" => Err(Unfit::new("file_id")),
            url => Ok(image(url, &part["detail"], losses)),
        },
        "input_file" => file(part),
        "input_audio" => audio(part.get("input_audio").unwrap_or(part)),
        other => Err(Unfit::new(format!("a part of type {}", word(other)))),
    }
}
