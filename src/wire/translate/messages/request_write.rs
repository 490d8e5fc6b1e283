//! Writes a request.
//!
//! Refuses to know how a part is spelled. Invariant: turns alternate and begin with the user's, no turn is empty, and
//! at most four blocks bear a cache mark.

use super::super::hub::{Format, Part, Request, Tool, ToolChoice};
use super::super::turns::{self, Conversation};
use super::super::{Losses, Unfit, inputs};
use super::content_write::{self, Ids};
use super::knobs;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::slice;

/// The most cache marks that Anthropic takes.
const MARKS_MAX: usize = 4;
/// The longest name of a tool.
const NAME_MAX: usize = 128;
/// The longest name of a user that Anthropic takes, in characters.
const USER_MAX: usize = 256;
/// What the user says where the conversation begins with the model, or is empty: Anthropic demands a user's turn, and
/// in it something that is no blank. A full stop means the least. From 4.6 on it must end with the user, too.
const NOTHING_SAID: &str = ".";
/// What of a schema Anthropic's enforcement refuses: bounds, which it leaves to the client.
const UNENFORCED: [&str; 10] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// Writes a request for a model.
///
/// # Errors
/// It holds what no Claude takes, such as sound.
pub(in super::super) fn write_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, Unfit> {
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("max_tokens".to_owned(), knobs::output_cap(request, model).into());
    let said = turns::conversation(request);
    let mut messages = write_messages(&said, model, losses)?;
    let mut system = content_write::write_system(said.system.into_iter(), losses);
    system.extend(asked_format(request, model, losses));
    drop_marks(&mut system, &mut messages);
    let ready = can_think(&messages);
    knobs::write_knobs(request, model, ready, &mut body, losses);
    write_format(request, model, &mut body, losses);
    if !system.is_empty() {
        body.insert("system".to_owned(), one_text(system));
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    write_tools(request, &mut body, losses)?;
    if request.tools.is_empty() {
        declare_called(request, &mut body);
    }
    let stop: Vec<&String> = request.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if stop.len() < request.stop.len() {
        // Anthropic refuses blanks.
        losses.add("stop");
    }
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    match &request.user {
        // Anthropic refuses what looks like the address of a person.
        Some(user) if user.chars().count() <= USER_MAX && !user.contains('@') => {
            body.insert("metadata".to_owned(), json!({ "user_id": user }));
        }
        Some(_) => losses.add("user"),
        None => {}
    }
    for (name, given) in [
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("seed", request.seed.is_some()),
    ] {
        if given {
            losses.add(name);
        }
    }
    if request.stream {
        body.insert("stream".to_owned(), true.into());
    }
    Ok(Value::Object(body).to_string().into_bytes())
}

fn write_messages(said: &Conversation<'_>, model: &str, losses: &mut Losses) -> Result<Vec<Value>, Unfit> {
    let mut ids = Ids::default();
    let mut turns: Vec<(bool, Vec<Value>)> = Vec::new();
    for turn in &said.turns {
        let parts = turn.parts.iter().map(AsRef::as_ref);
        let mut blocks = content_write::write_turn(parts, turn.assistant, &mut ids, losses)?;
        // A turn of which nothing was left may have stood between two of one role.
        match turns.last_mut().filter(|(assistant, _)| *assistant == turn.assistant) {
            Some((_, last)) => last.append(&mut blocks),
            None if blocks.is_empty() => {}
            None => turns.push((turn.assistant, blocks)),
        }
    }
    if turns.first().is_none_or(|(assistant, _)| *assistant) {
        turns.insert(0, (false, vec![json!({"type": "text", "text": NOTHING_SAID})]));
    }
    // The model goes on with its own last words, and Anthropic refuses blanks at their end.
    if let Some((true, blocks)) = turns.last_mut()
        && let Some(text) = blocks.last_mut().and_then(|block| block.get_mut("text"))
        && let Some(words) = text.as_str()
    {
        *text = words.trim_end().into();
    }
    if knobs::version(model) >= Some((4, 6)) && turns.last().is_some_and(|(assistant, _)| *assistant) {
        turns.push((false, vec![json!({"type": "text", "text": NOTHING_SAID})]));
    }
    let messages = turns.into_iter().map(|(assistant, blocks)| {
        json!({"role": if assistant { "assistant" } else { "user" }, "content": one_text(blocks)})
    });
    Ok(messages.collect())
}

/// Blocks; a lone text as the text that it is.
fn one_text(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [block] if block["type"] == "text" && block["cache_control"].is_null() => block["text"].take(),
        _ => Value::Array(blocks),
    }
}

/// Keeps the last marks: each stands for all before it, so that the longest prefixes are kept.
fn drop_marks(system: &mut [Value], messages: &mut [Value]) {
    let contents = messages.iter_mut().filter_map(|message| message["content"].as_array_mut());
    let blocks = system.iter_mut().chain(contents.flatten());
    let mut marked: Vec<&mut Value> = blocks.filter(|block| !block["cache_control"].is_null()).collect();
    let surplus = marked.len().saturating_sub(MARKS_MAX);
    for block in &mut marked[..surplus] {
        if let Some(keys) = block.as_object_mut() {
            keys.shift_remove("cache_control");
        }
    }
}

/// Whether a budget of thinking can be given: Anthropic refuses one where the model's last turn called a tool without
/// having thought (clients of other dialects do not bring thoughts back), or where the model is to go on with its
/// own words.
fn can_think(messages: &[Value]) -> bool {
    let is_assistant = |message: &&Value| message["role"] == "assistant";
    if messages.last().as_ref().is_some_and(is_assistant) {
        return false;
    }
    let last = messages.iter().rev().find(is_assistant);
    let blocks = last.and_then(|message| message["content"].as_array()).map_or(&[][..], Vec::as_slice);
    let calls = blocks.iter().any(|block| block["type"] == "tool_use");
    let thought = ["thinking", "redacted_thinking"]
        .into_iter()
        .any(|kind| blocks.first().is_some_and(|block| block["type"] == kind));
    !calls || thought
}

fn write_tools(request: &Request, body: &mut Map<String, Value>, losses: &mut Losses) -> Result<(), Unfit> {
    if request.tools.is_empty() {
        return Ok(());
    }
    let tools = request.tools.iter().map(|tool| write_tool(tool, losses)).collect::<Result<Vec<_>, _>>()?;
    body.insert("tools".to_owned(), Value::Array(tools));
    let mut choice = match &request.tool_choice {
        None if request.parallel_tools == Some(false) => json!({"type": "auto"}),
        None => return Ok(()),
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Any) => json!({"type": "any"}),
        Some(ToolChoice::None) => json!({"type": "none"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if request.parallel_tools == Some(false) && choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = true.into();
    }
    body.insert("tool_choice".to_owned(), choice);
    Ok(())
}

/// Anthropic refuses calls and results in a conversation that declares no tools, which others do not mind. So those
/// that were called are declared, and may not be called again: the client has taken them away.
fn declare_called(request: &Request, body: &mut Map<String, Value>) {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let called: BTreeSet<&str> = parts
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.name.as_str()),
            _ => None,
        })
        .collect();
    if called.is_empty() {
        return;
    }
    let tools = called.into_iter().map(|name| json!({"name": name, "input_schema": {"type": "object"}}));
    body.insert("tools".to_owned(), tools.collect());
    body.insert("tool_choice".to_owned(), json!({"type": "none"}));
}

/// A tool's name is not written anew, because the model's call of it would have to be translated back. Strictness is
/// lost: only the newest models know it, and they refuse schemas with bounds and more than twenty strict tools.
fn write_tool(tool: &Tool, losses: &mut Losses) -> Result<Value, Unfit> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=NAME_MAX).contains(&tool.name.len()) || !tool.name.bytes().all(allowed) {
        return Err(Unfit::new("a tool's name"));
    }
    if tool.strict == Some(true) {
        losses.add("tools.strict");
    }
    let mut written = json!({ "name": tool.name });
    if let Some(description) = &tool.description {
        written["description"] = description.as_str().into();
    }
    written["input_schema"] = inputs::object_schema(tool.schema.as_ref());
    Ok(written)
}

/// Whether a model can be held to a schema: those since 4.5, and whoever else offers this dialect.
fn enforces(model: &str) -> bool {
    knobs::version(model).is_none_or(|version| version >= (4, 5))
}

/// The format in words, where it cannot be enforced. That "any object" cannot: a schema for Anthropic names every key.
fn asked_format(request: &Request, model: &str, losses: &mut Losses) -> Option<Value> {
    let words = match &request.format {
        Format::Json => {
            "Answer with one JSON object and nothing else: no other text, no code fence.".to_owned()
        }
        Format::Schema { schema, .. } if !enforces(model) => format!(
            "Answer with one JSON value and nothing else: no other text, no code fence. It keeps to this JSON \
             schema:\n{schema}"
        ),
        _ => return None,
    };
    losses.add("response_format");
    Some(json!({"type": "text", "text": words}))
}

fn write_format(request: &Request, model: &str, body: &mut Map<String, Value>, losses: &mut Losses) {
    if let Format::Schema { schema, .. } = &request.format
        && enforces(model)
    {
        let mut schema = schema.clone();
        close(&mut schema, losses);
        let config = body.entry("output_config").or_insert_with(|| json!({}));
        config["format"] = json!({"type": "json_schema", "schema": schema});
    }
}

/// Makes a schema one that Anthropic enforces: every object is closed, and bounds are left out.
fn close(schema: &mut Value, losses: &mut Losses) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|schema| close(schema, losses)),
        Value::Object(keys) => {
            for name in UNENFORCED {
                // A property may have such a name; it then holds a schema.
                if keys.get(name).is_some_and(|bound| !bound.is_object()) {
                    keys.shift_remove(name);
                    losses.add(&format!("response_format.{name}"));
                }
            }
            let kinds = keys
                .get("type")
                .map_or(&[][..], |kind| kind.as_array().map_or(slice::from_ref(kind), |list| list));
            if kinds.iter().any(|kind| kind == "object") {
                keys.insert("additionalProperties".to_owned(), false.into());
            }
            for (key, value) in keys.iter_mut() {
                if !["enum", "const", "default", "examples", "required"].contains(&key.as_str()) {
                    close(value, losses);
                }
            }
        }
        _ => {}
    }
}
