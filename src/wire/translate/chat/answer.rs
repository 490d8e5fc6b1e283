//! A whole chat completion, read and written.
//!
//! Invariant: of several choices the first counts; nobody asks for more through the hub.

use super::super::hub::{Answer, Media, Part, Thought, ToolCall};
use super::super::openai::{Input, call_id, joined, media, spent, url};
use super::super::tree::{bytes, is_off, list, text, tree};
use super::super::{Scene, Unreadable};
use super::request_messages::tool_call;
use super::{answer_id, reason_of, stop_of, usage};
use serde_json::{Value, json};

/// Reads an answer.
pub(in super::super) fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    let body = tree(body).ok_or(Unreadable)?;
    let choice = body.get("choices").and_then(|choices| choices.get(0)).ok_or(Unreadable)?;
    let message = choice.get("message").filter(|message| message.is_object()).ok_or(Unreadable)?;
    if body.get("error").is_some_and(|error| !is_off(error)) {
        return Err(Unreadable);
    }
    let id = text(&body, "id").to_owned();
    let mut parts = Vec::new();
    let thought = ["reasoning_content", "reasoning"].map(|key| text(message, key));
    if let Some(thought) = thought.into_iter().find(|thought| !thought.is_empty()) {
        parts.push(Part::Thought(Thought { text: thought.to_owned(), seal: None }));
    }
    parts.extend(content(&message["content"]));
    if !text(message, "refusal").is_empty() {
        parts.push(Part::Refusal(text(message, "refusal").to_owned()));
    }
    parts.extend(pictures(message));
    parts.extend(calls(message, &id)?);
    let refuses = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let stop = stop_of(text(choice, "finish_reason"), calls_tools, refuses);
    Ok(Answer { id, model: text(&body, "model").to_owned(), parts, stop, usage: spent(&body["usage"]) })
}

/// What is said: a text, or a list of parts as some clones give it (Mistral's with thoughts among them).
pub(super) fn content(content: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    match content {
        Value::String(text) if !text.is_empty() => parts.push(Part::Text(text.clone())),
        Value::Array(list) => {
            for each in list {
                match text(each, "type") {
                    "thinking" => {
                        let text = thinking(&each["thinking"]);
                        parts.push(Part::Thought(Thought { text, seal: None }));
                    }
                    "refusal" => parts.push(Part::Refusal(text(each, "refusal").to_owned())),
                    _ if !text(each, "text").is_empty() => {
                        parts.push(Part::Text(text(each, "text").to_owned()));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    parts
}

fn thinking(value: &Value) -> String {
    value.as_str().map_or_else(|| list(value).iter().map(|part| text(part, "text")).collect(), str::to_owned)
}

/// Pictures that a model made, as OpenRouter gives them.
pub(super) fn pictures(message: &Value) -> Vec<Part> {
    let pictures = message.get("images").map_or(&[][..], list).iter();
    let urls = pictures.map(|picture| text(&picture["image_url"], "url")).filter(|url| !url.is_empty());
    urls.map(|url| Part::Image(media(url))).collect()
}

fn calls(message: &Value, id: &str) -> Result<Vec<Part>, Unreadable> {
    let mut calls = Vec::new();
    for call in message.get("tool_calls").map_or(&[][..], list) {
        calls.push(tool_call(call).map_err(|_| Unreadable)?);
    }
    if let Some(function) = message.get("function_call").filter(|call| call.is_object()) {
        let (name, input) = (text(function, "name").to_owned(), text(function, "arguments").to_owned());
        calls.push(ToolCall { name, input, ..ToolCall::default() });
    }
    for (place, call) in calls.iter_mut().enumerate().filter(|(_, call)| call.id.is_empty()) {
        call.id = call_id(id, place);
    }
    Ok(calls.into_iter().map(Part::ToolCall).collect())
}

/// Writes an answer.
pub(in super::super) fn write_answer(answer: &Answer, scene: &Scene) -> Vec<u8> {
    let of = |wanted: fn(&Part) -> bool| -> Vec<Part> {
        answer.parts.iter().filter(|part| wanted(part)).cloned().collect()
    };
    let said = joined(&of(|part| matches!(part, Part::Text(_))), "");
    let refusal = joined(&of(|part| matches!(part, Part::Refusal(_))), "");
    let mut thoughts = Vec::new();
    let (mut calls, mut pictures) = (Vec::new(), Vec::new());
    for part in &answer.parts {
        match part {
            Part::Thought(thought) if !thought.text.is_empty() => thoughts.push(thought.text.as_str()),
            Part::ToolCall(call) => calls.push(written_call(call, scene)),
            Part::Image(media) => pictures.push(picture(media, pictures.len())),
            _ => {}
        }
    }
    let nothing = said.is_empty() && !(calls.is_empty() && refusal.is_empty());
    let mut message = json!({
        "role": "assistant",
        "content": if nothing { Value::Null } else { json!(said) },
        "refusal": if refusal.is_empty() { Value::Null } else { json!(refusal) },
    });
    if !thoughts.is_empty() {
        message["reasoning_content"] = json!(thoughts.join("\n\n"));
    }
    for (key, list) in [("tool_calls", calls), ("images", pictures)] {
        if !list.is_empty() {
            message[key] = Value::Array(list);
        }
    }
    let reason = reason_of(&answer.stop, !refusal.is_empty());
    let mut body = json!({
        "id": answer_id(&answer.id, &scene.id),
        "object": "chat.completion",
        "created": scene.created,
        "model": if answer.model.is_empty() { &scene.model } else { &answer.model },
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
    });
    if let Some(spent) = &answer.usage {
        body["usage"] = usage(spent);
    }
    bytes(&body)
}

/// A call as the client has declared its tool.
fn written_call(call: &ToolCall, scene: &Scene) -> Value {
    let input = Input::of(call, scene);
    let shown = input.shown(&call.input);
    match input {
        Input::Json => {
            json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": shown}})
        }
        Input::Text | Input::Wrapped => {
            json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": shown}})
        }
    }
}

/// A picture that a model made; OpenAI's own answers have none, OpenRouter's do.
pub(super) fn picture(media: &Media, index: usize) -> Value {
    json!({"index": index, "type": "image_url", "image_url": {"url": url(media)}})
}
