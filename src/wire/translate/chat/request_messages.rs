//! The messages of a chat request, read.
//!
//! Invariant: messages before the conversation are the system's words, whatever follows is a turn; nothing that
//! was said is left out silently.

use super::super::hub::{Part, Request, Role, Thought, ToolCall, Turn};
use super::super::openai::{audio, call_id, file, image, media, odd, word};
use super::super::tree::{is_off, list, text};
use super::super::{Losses, Unfit};
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads the messages into a request.
pub(super) fn messages(value: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    let messages = value.as_array().ok_or_else(|| odd("messages"))?;
    let mut calls = Calls::default();
    for message in messages {
        unheld(message, losses);
        let content = message.get("content").unwrap_or(&Value::Null);
        let turn = match text(message, "role") {
            "system" | "developer" if request.turns.is_empty() => {
                request.system.extend(parts(content, losses)?);
                continue;
            }
            "system" | "developer" => Turn { role: Role::System, parts: parts(content, losses)? },
            "user" => Turn { role: Role::User, parts: parts(content, losses)? },
            "assistant" => Turn { role: Role::Assistant, parts: said(message, content, &mut calls, losses)? },
            "tool" => {
                let id = text(message, "tool_call_id").to_owned();
                let free_text = calls.free_text.contains(&id);
                result(id, None, free_text, parts(content, losses)?)
            }
            "function" => {
                let name = text(message, "name").to_owned();
                result(calls.legacy.clone(), Some(name), false, parts(content, losses)?)
            }
            other => return Err(Unfit::new(format!("a message by {}", word(other)))),
        };
        push(request, turn);
    }
    Ok(())
}

/// What later messages refer to.
#[derive(Default)]
struct Calls {
    /// Identifiers of calls whose input is free text.
    free_text: BTreeSet<String>,
    /// The last call of the form without identifiers.
    legacy: String,
    made: usize,
}

fn result(id: String, name: Option<String>, free_text: bool, parts: Vec<Part>) -> Turn {
    let parts = vec![Part::ToolResult { id, name, parts, is_error: false, free_text }];
    Turn { role: Role::User, parts }
}

/// The results of one turn's calls come in a message each; they are one turn.
fn push(request: &mut Request, turn: Turn) {
    let are_results = |turn: &Turn| turn.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }));
    match request.turns.last_mut() {
        Some(last) if last.role == Role::User && are_results(last) && are_results(&turn) => {
            last.parts.extend(turn.parts);
        }
        _ => request.turns.push(turn),
    }
}

/// Keys of messages that have no place. What an assistant's answer carries for the client alone is not missed.
fn unheld(message: &Value, losses: &mut Losses) {
    let known = [
        "role",
        "content",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "refusal",
        "reasoning_content",
        "reasoning",
        "annotations",
        "reasoning_details",
        "index",
        "images",
    ];
    for (key, value) in message.as_object().into_iter().flatten() {
        let of_function = key == "name" && matches!(text(message, "role"), "function" | "tool");
        if !known.contains(&key.as_str()) && !of_function && !is_off(value) {
            losses.add(&format!("messages.{key}"));
        }
    }
}

/// What the assistant said: thoughts, then text, then calls.
fn said(
    message: &Value,
    content: &Value,
    calls: &mut Calls,
    losses: &mut Losses,
) -> Result<Vec<Part>, Unfit> {
    let mut said = Vec::new();
    let thought = ["reasoning_content", "reasoning"].map(|key| text(message, key));
    if let Some(thought) = thought.into_iter().find(|thought| !thought.is_empty()) {
        said.push(Part::Thought(Thought { text: thought.to_owned(), seal: None }));
    }
    said.extend(parts(content, losses)?.into_iter().filter(|part| *part != Part::Text(String::new())));
    match text(message, "refusal") {
        "" => {}
        refusal => said.push(Part::Refusal(refusal.to_owned())),
    }
    for picture in message.get("images").map_or(&[][..], list) {
        said.push(Part::Image(media(text(&picture["image_url"], "url"))));
    }
    for call in message.get("tool_calls").map_or(&[][..], list) {
        let call = tool_call(call)?;
        if call.free_text {
            calls.free_text.insert(call.id.clone());
        }
        said.push(Part::ToolCall(call));
    }
    if let Some(function) = message.get("function_call").filter(|call| call.is_object()) {
        calls.legacy = call_id("", calls.made);
        calls.made += 1;
        let id = calls.legacy.clone();
        let (name, input) = (text(function, "name").to_owned(), text(function, "arguments").to_owned());
        said.push(Part::ToolCall(ToolCall { id, name, input, ..ToolCall::default() }));
    }
    Ok(said)
}

/// A call, of a function or of a tool that takes free text.
pub(super) fn tool_call(call: &Value) -> Result<ToolCall, Unfit> {
    let free_text = call.get("custom").is_some_and(Value::is_object);
    let (outer, key) = if free_text { ("custom", "input") } else { ("function", "arguments") };
    let inner = call.get(outer).ok_or_else(|| odd("tool_calls"))?;
    let input = match inner.get(key) {
        Some(Value::String(input)) => input.clone(),
        // Some clones give the object itself.
        Some(object @ Value::Object(_)) => object.to_string(),
        _ => String::new(),
    };
    let (id, name) = (text(call, "id").to_owned(), text(inner, "name").to_owned());
    Ok(ToolCall { id, name, input, free_text, seal: None })
}

/// The parts of a message, which may be one text.
fn parts(content: &Value, losses: &mut Losses) -> Result<Vec<Part>, Unfit> {
    let mut parts = Vec::new();
    match content {
        Value::Null => {}
        Value::String(text) => parts.push(Part::Text(text.clone())),
        Value::Array(list) => {
            for each in list {
                parts.push(part(each, losses)?);
                // OpenRouter's and LiteLLM's way to reach Anthropic's caches.
                if each.get("cache_control").is_some_and(|mark| !is_off(mark)) {
                    parts.push(Part::CacheMark);
                }
            }
        }
        _ => return Err(odd("content")),
    }
    Ok(parts)
}

fn part(part: &Value, losses: &mut Losses) -> Result<Part, Unfit> {
    let inner = |key: &str| part.get(key).ok_or_else(|| odd(key));
    match text(part, "type") {
        "text" => Ok(Part::Text(text(part, "text").to_owned())),
        "refusal" => Ok(Part::Refusal(text(part, "refusal").to_owned())),
        "image_url" => match inner("image_url")? {
            Value::String(url) => Ok(Part::Image(media(url))),
            object => Ok(image(text(object, "url"), &object["detail"], losses)),
        },
        "input_audio" => audio(inner("input_audio")?),
        "file" => file(inner("file")?),
        other => Err(Unfit::new(format!("a part of type {}", word(other)))),
    }
}
