//! A responses request, written.
//!
//! Invariant: nothing is asked to be kept by the provider; what the model must see again comes back with the next
//! turn, encrypted where the provider wants it so. What is not written is named.

use super::super::hub::{Format, Media, Part, Reasoning, Request, Role, Tool, ToolChoice, Turn};
use super::super::openai::{effort, joined, schema_keys, thinks, url, user};
use super::super::tree::bytes;
use super::super::{Losses, Unfit};
use crate::dialect::Dialect;
use serde_json::{Map, Value, json};

/// The smallest cap that OpenAI takes.
const CAP_MIN: u64 = 16;

/// Writes a request for a model.
pub(in super::super) fn write_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, Unfit> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        body.extend(value.map(|value| (key.to_owned(), value)));
    };
    put("model", Some(json!(model)));
    let instructions = joined(&request.system, "\n\n");
    put("instructions", (!instructions.is_empty()).then(|| json!(instructions)));
    if request.system.iter().any(|part| !matches!(part, Part::Text(_) | Part::CacheMark)) {
        losses.add("system.media");
    }
    put("input", Some(Value::Array(input(&request.turns, losses)?)));
    if !request.tools.is_empty() {
        put("tools", Some(request.tools.iter().map(tool).collect()));
        put("tool_choice", request.tool_choice.as_ref().map(|choice| tool_choice(choice, &request.tools)));
        put("parallel_tool_calls", request.parallel_tools.map(Value::from));
    }
    put("max_output_tokens", request.output_cap.map(|cap| json!(cap.max(CAP_MIN))));
    put("temperature", request.temperature.map(Value::from));
    put("top_p", request.top_p.map(Value::from));
    put("text", format(&request.format).map(|format| json!({ "format": format })));
    let reasoning = request.reasoning.as_ref().and_then(|wanted| reasoning(wanted, model, losses));
    let thinking = reasoning.is_some() || thinks(model);
    put("reasoning", reasoning);
    put("store", Some(json!(false)));
    // Others refuse to be asked for it.
    put("include", thinking.then(|| json!(["reasoning.encrypted_content"])));
    put("user", user(request.user.as_deref(), losses));
    put("stream", request.stream.then(|| json!(true)));
    unsaid(request, losses);
    Ok(bytes(&Value::Object(body)))
}

/// What the dialect has no key for.
fn unsaid(request: &Request, losses: &mut Losses) {
    for (name, lost) in [
        ("top_k", request.top_k.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("seed", request.seed.is_some()),
        ("stop", !request.stop.is_empty()),
    ] {
        if lost {
            losses.add(name);
        }
    }
}

fn reasoning(wanted: &Reasoning, model: &str, losses: &mut Losses) -> Option<Value> {
    let effort = effort(wanted, model, losses);
    // A model that is not known to think is not asked to show it.
    let shown = wanted.shown && (effort.is_some() || thinks(model));
    let mut reasoning = Map::new();
    reasoning.extend(effort.map(|effort| ("effort".to_owned(), json!(effort))));
    reasoning.extend(shown.then(|| ("summary".to_owned(), json!("auto"))));
    (!reasoning.is_empty()).then_some(Value::Object(reasoning))
}

fn input(turns: &[Turn], losses: &mut Losses) -> Result<Vec<Value>, Unfit> {
    let mut items = Vec::new();
    for turn in turns {
        // What is said in one piece is one message; calls, results and thoughts are items of their own.
        let mut content = Vec::new();
        for part in &turn.parts {
            match part {
                Part::ToolCall(_) | Part::ToolResult { .. } | Part::Thought(_) => {
                    flush(turn.role, &mut content, &mut items);
                    items.extend(item(part, items.len(), losses)?);
                }
                _ => content.extend(content_part(part, turn.role, losses)?),
            }
        }
        flush(turn.role, &mut content, &mut items);
    }
    Ok(items)
}

/// Adds the message of what was gathered. The model's own words go as plain texts, which every server takes; only
/// its refusals need the whole shape of an answer's item.
fn flush(role: Role, content: &mut Vec<Value>, items: &mut Vec<Value>) {
    let content = std::mem::take(content);
    let role = match role {
        Role::User => "user",
        Role::System => "developer",
        Role::Assistant => {
            for part in content {
                let id = format!("msg_{}", items.len());
                items.push(match part.get("text") {
                    Some(text) => json!({"type": "message", "role": "assistant", "content": text}),
                    None => json!({"type": "message", "id": id, "status": "completed", "role": "assistant",
                        "content": [part]}),
                });
            }
            return;
        }
    };
    if !content.is_empty() {
        items.push(json!({"type": "message", "role": role, "content": content}));
    }
}

/// An item of its own. Identifiers of items are left out, as Codex does: those of another exchange name nothing
/// that this provider has kept.
fn item(part: &Part, place: usize, losses: &mut Losses) -> Result<Option<Value>, Unfit> {
    Ok(match part {
        Part::ToolCall(call) => {
            let id = if call.id.is_empty() { format!("call_{place}") } else { call.id.clone() };
            Some(match (call.free_text, call.input.trim()) {
                (true, _) => {
                    json!({"type": "custom_tool_call", "call_id": id, "name": call.name, "input": call.input})
                }
                (false, input) => {
                    let input = if input.is_empty() { "{}" } else { &call.input };
                    json!({"type": "function_call", "call_id": id, "name": call.name, "arguments": input})
                }
            })
        }
        Part::ToolResult { id, parts, is_error, free_text, .. } => {
            let kind = if *free_text { "custom_tool_call_output" } else { "function_call_output" };
            Some(json!({"type": kind, "call_id": id, "output": output(parts, *is_error, losses)?}))
        }
        Part::Thought(thought) => match &thought.seal {
            Some(seal) if seal.by == Dialect::Responses => {
                let summary =
                    (!thought.text.is_empty()).then(|| json!({"type": "summary_text", "text": thought.text}));
                let summary = Vec::from_iter(summary);
                Some(json!({"type": "reasoning", "summary": summary, "encrypted_content": seal.data}))
            }
            _ => {
                losses.add("thinking");
                None
            }
        },
        _ => None,
    })
}

/// What a tool gave: one text where that is all, which is what most servers know.
fn output(parts: &[Part], is_error: bool, losses: &mut Losses) -> Result<Value, Unfit> {
    let error = if is_error { "Error: " } else { "" };
    let told = |part: &Part| matches!(part, Part::Text(_) | Part::CacheMark);
    if parts.iter().all(told) {
        return Ok(json!(format!("{error}{}", joined(parts, "\n\n"))));
    }
    let mut content = Vec::new();
    if is_error {
        content.push(json!({"type": "input_text", "text": "Error:"}));
    }
    for part in parts {
        content.extend(content_part(part, Role::User, losses)?);
    }
    Ok(Value::Array(content))
}

fn content_part(part: &Part, role: Role, losses: &mut Losses) -> Result<Option<Value>, Unfit> {
    let by_model = role == Role::Assistant;
    Ok(Some(match part {
        Part::Text(text) if by_model => json!({"type": "output_text", "text": text}),
        Part::Refusal(text) if by_model => json!({"type": "refusal", "refusal": text}),
        Part::Text(text) | Part::Refusal(text) => json!({"type": "input_text", "text": text}),
        Part::Image(_) | Part::Audio(_) | Part::File { .. } if by_model => {
            losses.add("assistant.media");
            return Ok(None);
        }
        Part::Image(media) => json!({"type": "input_image", "detail": "auto", "image_url": url(media)}),
        Part::File { media: Media::Url(url), .. } => json!({"type": "input_file", "file_url": url}),
        Part::File { media, name } => {
            let name = name.as_deref().unwrap_or("file");
            json!({"type": "input_file", "filename": name, "file_data": url(media)})
        }
        Part::Audio(_) => return Err(Unfit::new("audio input")),
        Part::CacheMark | Part::ToolCall(_) | Part::ToolResult { .. } | Part::Thought(_) => return Ok(None),
    }))
}

fn tool(tool: &Tool) -> Value {
    let kind = if tool.schema.is_some() { "function" } else { "custom" };
    let mut written = json!({"type": kind, "name": tool.name});
    if let Some(description) = &tool.description {
        written["description"] = json!(description);
    }
    if let Some(schema) = &tool.schema {
        written["parameters"] = schema.clone();
        // Left out it means true here, and most schemas are not fit for that.
        written["strict"] = json!(tool.strict.unwrap_or_default());
    }
    written
}

fn tool_choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Any => json!("required"),
        ToolChoice::Named(name) => {
            let free_text = tools.iter().any(|tool| tool.name == *name && tool.schema.is_none());
            json!({"type": if free_text { "custom" } else { "function" }, "name": name})
        }
    }
}

fn format(format: &Format) -> Option<Value> {
    match format {
        Format::Text => None,
        Format::Json => Some(json!({"type": "json_object"})),
        Format::Schema { name, schema, strict } => {
            let mut keys = Map::new();
            keys.insert("type".to_owned(), json!("json_schema"));
            keys.extend(schema_keys(name.as_deref(), schema, *strict));
            Some(Value::Object(keys))
        }
    }
}
