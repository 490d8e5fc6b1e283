//! The items of a response, read into parts and written from them.
//!
//! Refuses to know where they stand. Invariant: an item that was written is read as the same parts.

use super::super::Scene;
use super::super::hub::{Media, Part, Seal, Thought, ToolCall};
use super::super::openai::{Input, texts, url};
use super::super::seal::{unwrapped, wrapped};
use super::super::tree::{list, text};
use crate::dialect::Dialect;
use serde_json::{Value, json};

/// Stands between a namespace and a name. No dialect but this one has namespaces, so what lies in one has both in
/// its name elsewhere; all letters of this are allowed in names everywhere.
const NAMESPACE_END: &str = "__ns__";

/// What an item of an output says; nothing, if only OpenAI's own tools did something.
pub(super) fn parts_of(item: &Value) -> Vec<Part> {
    match text(item, "type") {
        "message" => list(&item["content"]).iter().filter_map(content_part).collect(),
        "reasoning" => thought_of(item).map(Part::Thought).into_iter().collect(),
        "function_call" | "custom_tool_call" => vec![Part::ToolCall(call_of(item))],
        "image_generation_call" if !text(item, "result").is_empty() => {
            let format = text(item, "output_format");
            let kind = format!("image/{}", if format.is_empty() { "png" } else { format });
            vec![Part::Image(Media::Inline { kind, data: text(item, "result").to_owned() })]
        }
        _ => Vec::new(),
    }
}

fn content_part(part: &Value) -> Option<Part> {
    match text(part, "type") {
        "output_text" => Some(Part::Text(text(part, "text").to_owned())),
        "refusal" => Some(Part::Refusal(text(part, "refusal").to_owned())),
        _ => None,
    }
}

/// A thought; `None` if there is nothing of it. Open models give the thought itself as `content`.
pub(super) fn thought_of(item: &Value) -> Option<Thought> {
    let mut words = texts(item.get("summary"));
    if words.is_empty() {
        words = texts(item.get("content"));
    }
    let thought = Thought { text: words.join("\n\n"), seal: seal_of(item) };
    (thought.seal.is_some() || !thought.text.is_empty()).then_some(thought)
}

/// The seal of a reasoning item.
pub(super) fn seal_of(item: &Value) -> Option<Seal> {
    let data = Some(text(item, "encrypted_content")).filter(|data| !data.is_empty())?;
    Some(unwrapped(Dialect::Responses, data))
}

/// A call.
pub(super) fn call_of(item: &Value) -> ToolCall {
    let free_text = text(item, "type") == "custom_tool_call";
    let input = match item.get(if free_text { "input" } else { "arguments" }) {
        Some(Value::String(input)) => input.clone(),
        Some(object @ Value::Object(_)) => object.to_string(),
        _ => String::new(),
    };
    let (id, name) =
        (text(item, "call_id").to_owned(), full_name(text(item, "namespace"), text(item, "name")));
    ToolCall { id, name, input, free_text, seal: None }
}

/// The name of a tool with its namespace. Codex puts the tools of each of its servers into one, and those of none
/// into `functions`, which calls of theirs need not name.
pub(super) fn full_name(namespace: &str, name: &str) -> String {
    match namespace {
        "" | "functions" => name.to_owned(),
        namespace => format!("{namespace}{NAMESPACE_END}{name}"),
    }
}

/// Puts a part behind others. A signature over a call stands in an item of its own before it.
pub(super) fn push(parts: &mut Vec<Part>, mut part: Part) {
    if let Part::ToolCall(call) = &mut part
        && let Some(Part::Thought(Thought { text, seal: Some(seal) })) = parts.last()
        && text.is_empty()
        && seal.by == Dialect::Gemini
        && call.seal.is_none()
    {
        call.seal = Some(seal.clone());
        parts.pop();
    }
    parts.push(part);
}

/// The item that holds a signature over a call, which items of calls have no place for.
pub(super) fn sealing(call: &ToolCall) -> Option<Part> {
    let seal = call.seal.clone()?;
    Some(Part::Thought(Thought { text: String::new(), seal: Some(seal) }))
}

/// The identifier of the item at a place of an output.
pub(super) fn id(part: &Part, place: usize, scene: &Scene) -> String {
    let kind = match part {
        Part::Thought(_) => "rs",
        Part::ToolCall(call) if Input::of(call, scene) == Input::Json => "fc",
        Part::ToolCall(_) => "ctc",
        Part::Image(Media::Inline { .. }) => "ig",
        _ => "msg",
    };
    format!("{kind}_{}{place}", scene.id)
}

/// The item of a part at a place of an output; `None` if the dialect has none.
pub(super) fn item(part: &Part, place: usize, scene: &Scene) -> Option<Value> {
    let id = id(part, place, scene);
    Some(match part {
        Part::Text(text) => message(&id, "completed", &[output_text(text)]),
        Part::Refusal(text) => message(&id, "completed", &[refusal(text)]),
        Part::Thought(thought) => {
            let summary = (!thought.text.is_empty()).then(|| summary_text(&thought.text));
            let mut item = json!({"id": id, "type": "reasoning", "summary": Vec::from_iter(summary)});
            if let Some(seal) = &thought.seal {
                item["encrypted_content"] = json!(wrapped(seal, Dialect::Responses));
            }
            item
        }
        Part::ToolCall(call) => {
            let input = Input::of(call, scene);
            call_item(&id, "completed", call, input, &input.shown(&call.input))
        }
        Part::Image(Media::Inline { kind, data }) => {
            let format = kind.strip_prefix("image/").unwrap_or("png");
            json!({"id": id, "type": "image_generation_call", "status": "completed", "output_format": format,
                "result": data})
        }
        // OpenAI's own pictures come in the answer, so clients look for none elsewhere.
        Part::Image(media) => message(&id, "completed", &[output_text(&format!("![]({})", url(media)))]),
        Part::Audio(_) | Part::File { .. } | Part::ToolResult { .. } | Part::CacheMark => return None,
    })
}

pub(super) fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

pub(super) fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

pub(super) fn refusal(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

pub(super) fn summary_text(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

pub(super) fn call_item(id: &str, status: &str, call: &ToolCall, input: Input, shown: &str) -> Value {
    let (kind, key) = match input {
        Input::Json => ("function_call", "arguments"),
        Input::Text | Input::Wrapped => ("custom_tool_call", "input"),
    };
    let mut item =
        json!({"id": id, "type": kind, "status": status, "call_id": call.id, "name": call.name, key: shown});
    if let Some((namespace, name)) = call.name.split_once(NAMESPACE_END)
        && !namespace.is_empty()
        && !name.is_empty()
    {
        item["name"] = json!(name);
        item["namespace"] = json!(namespace);
    }
    item
}
