//! A chat request, read: every key but the messages.
//!
//! Invariant: a key is held, or silently dropped because no answer depends on it, or named as lost; one that the
//! answer would be wrong without refuses the translation.

use super::super::hub::{Reasoning, Request, Tool, ToolChoice};
use super::super::openai::{custom, format, function, number, odd, switch, tool_choice, whole, word};
use super::super::tree::{is_off, list, text};
use super::super::{Losses, Unfit, inputs};
use super::request_messages::messages;
use serde_json::Value;

/// Reads the body of a request.
pub(in super::super) fn read_request(body: &[u8], losses: &mut Losses) -> Result<Request, Unfit> {
    let keys = inputs::object(body)?;
    let mut request = Request::default();
    for (key, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
        if !held(&mut request, key, value, losses)? && !sampling(&mut request, key, value)? {
            dropped(key, value, losses);
        }
    }
    Ok(request)
}

/// Reads what is said, and what may be called; tells whether the key was one of these.
fn held(request: &mut Request, key: &str, value: &Value, losses: &mut Losses) -> Result<bool, Unfit> {
    match key {
        "messages" => messages(value, request, losses)?,
        "tools" => request.tools.extend(tools(value, losses)?),
        // The form that tools had before.
        "functions" => {
            for each in list(value) {
                request.tools.push(function(each)?);
            }
        }
        "tool_choice" => {
            request.tool_choice = tool_choice(value, inner_name, losses);
        }
        "function_call" => request.tool_choice = request.tool_choice.take().or_else(|| legacy_choice(value)),
        "parallel_tool_calls" => request.parallel_tools = Some(switch(key, value)?),
        "response_format" => {
            let inner = value.get("json_schema").unwrap_or(&Value::Null);
            request.format = format(value, inner, losses)?;
        }
        "stream" => request.stream = switch(key, value)?,
        "stream_options" => {
            request.wants_usage = value.get("include_usage").and_then(Value::as_bool).unwrap_or_default();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads how the answer is to be made; tells whether the key was one of these.
fn sampling(request: &mut Request, key: &str, value: &Value) -> Result<bool, Unfit> {
    match key {
        // Whoever sends both means one of them for models that do not know the other.
        "max_tokens" | "max_completion_tokens" => {
            request.output_cap = request.output_cap.max(Some(whole(key, value)?));
        }
        "temperature" => request.temperature = number(key, value)?,
        "top_p" => request.top_p = number(key, value)?,
        "top_k" => request.top_k = Some(whole(key, value)?),
        "frequency_penalty" => request.frequency_penalty = number(key, value)?,
        "presence_penalty" => request.presence_penalty = number(key, value)?,
        "seed" => request.seed = Some(value.as_i64().ok_or_else(|| odd(key))?),
        "stop" => request.stop = stop(value)?,
        "reasoning_effort" => {
            let effort = value.as_str().ok_or_else(|| odd(key))?;
            request.reasoning.get_or_insert_default().effort = Some(effort.to_owned());
        }
        // OpenRouter's form.
        "reasoning" => reasoning(request.reasoning.get_or_insert_default(), value),
        "user" => request.user = value.as_str().map(str::to_owned),
        "safety_identifier" => {
            request.user = request.user.take().or_else(|| value.as_str().map(str::to_owned));
        }
        "n" if value.as_u64() != Some(1) => {
            let choices = value.as_u64().ok_or_else(|| odd(key))?;
            return Err(Unfit::new(format!("n = {choices}")));
        }
        "modalities" => {
            if let Some(other) = list(value).iter().find(|each| each.as_str() != Some("text")) {
                return Err(Unfit::new(format!("{} output", word(other.as_str().unwrap_or_default()))));
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What neither the hub nor another dialect has. Of what a provider keeps, how it bills, and how it finds its
/// caches no answer depends; that goes silently. What is off loses nothing either.
fn dropped(key: &str, value: &Value, losses: &mut Losses) {
    match key {
        "model"
        | "store"
        | "metadata"
        | "n"
        | "prompt_cache_key"
        | "prompt_cache_retention"
        | "prompt_cache_options" => {}
        "service_tier" if matches!(value.as_str(), Some("auto" | "default")) => {}
        _ if is_off(value) => {}
        _ => losses.add(key),
    }
}

fn tools(value: &Value, losses: &mut Losses) -> Result<Vec<Tool>, Unfit> {
    let mut tools = Vec::new();
    for each in list(value) {
        let inner = |kind: &str| each.get(kind).ok_or_else(|| odd("tools"));
        match text(each, "type") {
            "function" => tools.push(function(inner("function")?)?),
            "custom" => tools.push(custom(inner("custom")?, losses)?),
            other => losses.add(&format!("tools.{}", word(other))),
        }
    }
    Ok(tools)
}

fn inner_name<'a>(value: &'a Value, kind: &str) -> Option<&'a str> {
    value.get(kind)?.get("name")?.as_str()
}

fn legacy_choice(value: &Value) -> Option<ToolChoice> {
    match value.as_str() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        _ => value.get("name")?.as_str().map(|name| ToolChoice::Named(name.to_owned())),
    }
}

fn stop(value: &Value) -> Result<Vec<String>, Unfit> {
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| odd("stop"));
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn reasoning(reasoning: &mut Reasoning, value: &Value) {
    reasoning.effort =
        value.get("effort").and_then(Value::as_str).map(str::to_owned).or(reasoning.effort.take());
    reasoning.budget = value.get("max_tokens").and_then(Value::as_u64);
    reasoning.shown = value.get("exclude").and_then(Value::as_bool) == Some(false);
}
