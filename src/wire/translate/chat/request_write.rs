//! A chat request, written.
//!
//! Takes care of what clones insist on: texts as plain strings wherever there is one, results of tools directly
//! behind the turn that called them, and no keys that only OpenAI knows. Invariant: what is not written is named.

use super::super::hub::{Format, Media, Part, Request, Role, Tool, ToolCall, ToolChoice, Turn};
use super::super::openai::{joined, schema_keys, url, word, wrapped_input};
use super::super::openai_rules::{self as rules, effort, thinks};
use super::super::tree::bytes;
use super::super::{Losses, Unfit};
use serde_json::{Map, Value, json};

/// The most texts that end an answer which OpenAI takes.
const STOPS_MAX: usize = 4;
/// The longest identifier of a call that OpenAI takes here.
const ID_MAX: usize = 40;

/// Writes a request for a model.
pub(in super::super) fn write_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, Unfit> {
    if request.tools.iter().any(|tool| !rules::takes_name(&tool.name, model)) {
        return Err(Unfit::new("a tool's name"));
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), Value::Array(messages(request, model, losses)?));
    let mut put = |key: &str, value: Option<Value>| {
        body.extend(value.map(|value| (key.to_owned(), value)));
    };
    if !request.tools.is_empty() {
        put("tools", Some(request.tools.iter().map(tool).collect()));
        put("tool_choice", request.tool_choice.as_ref().map(tool_choice));
        put("parallel_tool_calls", request.parallel_tools.map(Value::from));
    }
    let cap = if thinks(model) { "max_completion_tokens" } else { "max_tokens" };
    put(cap, request.output_cap.map(Value::from));
    for (key, asked) in rules::sampling(request, model, losses) {
        put(key, asked.map(Value::from));
    }
    if request.top_k.is_some() {
        // OpenAI, Groq and Mistral refuse keys that they do not know, and Gemini's agents always send it.
        losses.add("top_k");
    }
    put(if rules::is_mistral(model) { "random_seed" } else { "seed" }, request.seed.map(Value::from));
    let stop = &request.stop[..request.stop.len().min(if thinks(model) { 0 } else { STOPS_MAX })];
    put("stop", (!stop.is_empty()).then(|| json!(stop)));
    if stop.len() < request.stop.len() {
        losses.add("stop");
    }
    put("response_format", format(&request.format));
    let effort = request.reasoning.as_ref().and_then(|reasoning| effort(reasoning, model, losses));
    put("reasoning_effort", effort.map(Value::from));
    match rules::user(request, losses) {
        Some(_) if rules::is_mistral(model) => losses.add("user"),
        user => put("user", user),
    }
    if request.stream {
        put("stream", Some(json!(true)));
        // Whether or not the client wants to know: what a call cost is what the budgets live on.
        put("stream_options", Some(json!({"include_usage": true})));
    }
    Ok(bytes(&Value::Object(body)))
}

fn messages(request: &Request, model: &str, losses: &mut Losses) -> Result<Vec<Value>, Unfit> {
    let mut messages = Vec::new();
    let said = request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.parts));
    let mut system = words(&request.system, "\n\n", losses);
    if let Some(more) = rules::unsaid_json(request, said) {
        system = if system.is_empty() { more.to_owned() } else { format!("{system}\n\n{more}") };
    }
    if !(system.is_empty() && request.system.is_empty()) {
        messages.push(json!({"role": "system", "content": system}));
    }
    // Nothing may stand between calls and their results.
    let (mut called, mut late) = (false, Vec::new());
    // Turns that follow one another are taken together: all results come before what else a person says, and
    // calls that were read as several turns are one message, or their results would not follow them directly.
    let mut turns = &request.turns[..];
    while let Some(first) = turns.first() {
        let calls = |turn: &Turn| turn.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let alike = turns.iter().take_while(|turn| turn.role == first.role);
        let run = match first.role {
            Role::User => alike.count(),
            Role::Assistant => alike.take_while(|turn| calls(turn)).count().max(1),
            Role::System => 1,
        };
        let (now, later) = turns.split_at(run);
        turns = later;
        match first.role {
            Role::User => {
                said_to(now, model, &mut messages, losses)?;
                messages.append(&mut late);
                called = false;
            }
            Role::Assistant => {
                messages.append(&mut late);
                messages.extend(said_by(now, model, messages.len(), losses));
                called = now.iter().any(calls);
            }
            Role::System => {
                let message = json!({"role": "system", "content": words(&first.parts, "\n\n", losses)});
                if called { late.push(message) } else { messages.push(message) }
            }
        }
    }
    messages.append(&mut late);
    Ok(messages)
}

/// The texts of parts that may be nothing else.
fn words(parts: &[Part], between: &str, losses: &mut Losses) -> String {
    if parts.iter().any(|part| !matches!(part, Part::Text(_) | Part::Refusal(_) | Part::CacheMark)) {
        losses.add("system.media");
    }
    joined(parts, between)
}

/// Turns of a person or of tools. Only texts fit into the message of a tool, so its pictures follow in one of
/// the user.
fn said_to(turns: &[Turn], model: &str, messages: &mut Vec<Value>, losses: &mut Losses) -> Result<(), Unfit> {
    let mut shown = Vec::new();
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        let Part::ToolResult { id, parts, is_error, .. } = part else { continue };
        let mut said = joined(parts, "\n\n");
        if *is_error {
            said.insert_str(0, "Error: ");
        }
        for picture in parts {
            if !matches!(picture, Part::Text(_) | Part::Refusal(_) | Part::CacheMark) {
                shown.extend(content_part(picture, losses)?);
                let note = if said.is_empty() { "It follows below." } else { "\n\nMore follows below." };
                if !said.ends_with(note) {
                    said.push_str(note);
                }
            }
        }
        let id = rules::call_id(id, ID_MAX, model);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": said}));
    }
    for turn in turns {
        let mut content = Vec::new();
        if turn.parts.iter().any(|part| matches!(part, Part::ToolResult { .. })) {
            content.append(&mut shown);
        }
        for part in turn.parts.iter().filter(|part| !matches!(part, Part::ToolResult { .. })) {
            content.extend(content_part(part, losses)?);
        }
        match &content[..] {
            [] => {}
            [only] if only["type"] == "text" => {
                messages.push(json!({"role": "user", "content": only["text"]}));
            }
            _ => messages.push(json!({"role": "user", "content": content})),
        }
    }
    Ok(())
}

fn content_part(part: &Part, losses: &mut Losses) -> Result<Option<Value>, Unfit> {
    Ok(Some(match part {
        Part::Text(text) | Part::Refusal(text) => json!({"type": "text", "text": text}),
        Part::Image(media) => json!({"type": "image_url", "image_url": {"url": url(media)}}),
        Part::Audio(Media::Inline { kind, data }) => {
            let format = match kind.strip_prefix("audio/").unwrap_or(kind) {
                "mpeg" | "mpga" => "mp3",
                "x-wav" | "wave" | "vnd.wave" => "wav",
                other => word(other),
            };
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        Part::File { media: media @ Media::Inline { .. }, name } => {
            let name = name.as_deref().unwrap_or("file");
            json!({"type": "file", "file": {"filename": name, "file_data": url(media)}})
        }
        Part::Audio(Media::Url(_)) => return Err(Unfit::new("audio by URL")),
        Part::File { .. } => return Err(Unfit::new("a file by URL")),
        Part::Thought(_) => {
            losses.add("thinking");
            return Ok(None);
        }
        Part::CacheMark | Part::ToolCall(_) | Part::ToolResult { .. } => return Ok(None),
    }))
}

/// Turns of the model as one message, unless it only thought. `place` makes up identifiers of calls that have none.
fn said_by(turns: &[Turn], model: &str, place: usize, losses: &mut Losses) -> Option<Value> {
    let mut calls = Vec::new();
    let mut said = String::new();
    let mut refusal = String::new();
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        match part {
            Part::Text(text) => said.push_str(text),
            Part::Refusal(text) => refusal.push_str(text),
            Part::ToolCall(call) => {
                calls.push(tool_call(call, model, || format!("call_{place}_{}", calls.len())));
            }
            // Those who send them back to most clones are refused, or pay for them without use.
            Part::Thought(_) => losses.add("thinking"),
            Part::CacheMark | Part::ToolResult { .. } => {}
            Part::Image(_) | Part::Audio(_) | Part::File { .. } => losses.add("assistant.media"),
        }
    }
    if calls.is_empty() && said.is_empty() && refusal.is_empty() {
        return None;
    }
    let content = if said.is_empty() { json!(null) } else { json!(said) };
    let mut message = json!({"role": "assistant", "content": content});
    if !refusal.is_empty() {
        message["refusal"] = json!(refusal);
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Some(message)
}

/// A call. Free text goes as the one text of a function, for clones know no other tools.
fn tool_call(call: &ToolCall, model: &str, made_up: impl Fn() -> String) -> Value {
    let id = if call.id.is_empty() { made_up() } else { call.id.clone() };
    let id = rules::call_id(&id, ID_MAX, model);
    let input = match (call.free_text, call.input.trim()) {
        (true, _) => wrapped_input(&call.input),
        (false, "") => "{}".to_owned(),
        (false, _) => call.input.clone(),
    };
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": input}})
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    function["parameters"] = rules::parameters(tool.schema.as_ref());
    if let Some(strict) = tool.strict {
        function["strict"] = json!(strict);
    }
    json!({"type": "function", "function": function})
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Any => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn format(format: &Format) -> Option<Value> {
    match format {
        Format::Text => None,
        Format::Json => Some(json!({"type": "json_object"})),
        Format::Schema { name, schema, strict } => {
            let keys = schema_keys(name.as_deref(), schema, *strict);
            Some(json!({"type": "json_schema", "json_schema": keys}))
        }
    }
}
