//! A responses request, read: every key but the input.
//!
//! Invariant: a key is held, or silently dropped because no answer depends on it, or named as lost; one that
//! names what lives at a provider refuses the translation, for another provider does not have it.

use super::super::hub::{Part, Reasoning, Request, Tool};
use super::super::openai::{custom, format, function, number, odd, switch, tool_choice, whole, word};
use super::super::tree::{is_off, list, text};
use super::super::{Losses, Unfit, inputs};
use super::items;
use super::request_input::input;
use serde_json::Value;

/// The longest name of a namespace, in bytes. Codex's have a few dozen.
const NAMESPACE_MAX: usize = 128;
/// What lives at a provider.
const ELSEWHERE: [&str; 4] = ["previous_response_id", "conversation", "background", "prompt"];

/// Reads the body of a request.
pub(in super::super) fn read_request(body: &[u8], losses: &mut Losses) -> Result<Request, Unfit> {
    let keys = inputs::object(body)?;
    if let Some(key) = ELSEWHERE.into_iter().find(|key| keys.get(*key).is_some_and(|value| !is_off(value))) {
        return Err(Unfit::new(key));
    }
    let mut request = Request::default();
    // They come first, wherever they stand.
    match keys.get("instructions") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => request.system.push(Part::Text(text.clone())),
        Some(_) => return Err(odd("instructions")),
    }
    for (key, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
        if !held(&mut request, key, value, losses)? {
            dropped(key, value, losses);
        }
    }
    Ok(request)
}

/// Reads a key; tells whether it has a place.
fn held(request: &mut Request, key: &str, value: &Value, losses: &mut Losses) -> Result<bool, Unfit> {
    match key {
        "input" => input(value, request, losses)?,
        "tools" => request.tools.extend(tools(value, losses)?),
        "tool_choice" => {
            request.tool_choice = tool_choice(value, |value, _| value.get("name")?.as_str(), losses);
        }
        "parallel_tool_calls" => request.parallel_tools = Some(switch(key, value)?),
        "max_output_tokens" => request.output_cap = Some(whole(key, value)?),
        "temperature" => request.temperature = number(key, value)?,
        "top_p" => request.top_p = number(key, value)?,
        "stream" => request.stream = switch(key, value)?,
        "user" => request.user = value.as_str().map(str::to_owned),
        "safety_identifier" => {
            request.user = request.user.take().or_else(|| value.as_str().map(str::to_owned));
        }
        "reasoning" => request.reasoning = reasoning(value),
        "text" => {
            if let Some(shape) = value.get("format").filter(|shape| !shape.is_null()) {
                request.format = format(shape, shape, losses)?;
            }
            if value.get("verbosity").is_some_and(|words| !is_off(words)) {
                losses.add("text.verbosity");
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What neither the hub nor another dialect has. Of what a provider keeps, how it bills, how it finds its caches
/// and what else it shows of its own tools no answer depends; that goes silently. What is off loses nothing.
fn dropped(key: &str, value: &Value, losses: &mut Losses) {
    match key {
        "model"
        | "instructions"
        | "store"
        | "metadata"
        | "client_metadata"
        | "include"
        | "stream_options"
        | "prompt_cache_key"
        | "prompt_cache_retention"
        | "prompt_cache_options" => {}
        "service_tier" if matches!(value.as_str(), Some("auto" | "default")) => {}
        "truncation" if value.as_str() == Some("disabled") => {}
        _ if is_off(value) => {}
        _ => losses.add(key),
    }
}

/// Reads tools.
pub(super) fn tools(value: &Value, losses: &mut Losses) -> Result<Vec<Tool>, Unfit> {
    let mut tools = Vec::new();
    for each in list(value) {
        if text(each, "type") == "namespace" {
            let namespace = text(each, "name");
            // Every tool in it repeats its name.
            if namespace.len() > NAMESPACE_MAX {
                return Err(Unfit::new("a namespace's name"));
            }
            for inner in list(&each["tools"]) {
                let name = |tool: &Tool| items::full_name(namespace, &tool.name);
                tools.extend(tool(inner, losses)?.map(|tool| Tool { name: name(&tool), ..tool }));
            }
        } else {
            tools.extend(tool(each, losses)?);
        }
    }
    Ok(tools)
}

/// A tool that the client runs. OpenAI runs the others itself; no namespace is known that lies in another.
fn tool(each: &Value, losses: &mut Losses) -> Result<Option<Tool>, Unfit> {
    Ok(match text(each, "type") {
        "function" => Some(function(each)?),
        "custom" => Some(custom(each, losses)?),
        other => {
            losses.add(&format!("tools.{}", word(other)));
            None
        }
    })
}

fn reasoning(value: &Value) -> Option<Reasoning> {
    let effort = value.get("effort").and_then(Value::as_str).map(str::to_owned);
    let shown = ["summary", "generate_summary"].iter().any(|key| !text(value, key).is_empty());
    (effort.is_some() || shown).then_some(Reasoning { effort, budget: None, shown })
}
