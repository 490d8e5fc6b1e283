//! Reads a request.
//!
//! Refuses to know its settings (`config_read`). Invariant: every key that was given is either in the hub, or named as
//! lost, or the request is refused.

use super::super::hub::{Part, Request, Role, Tool, ToolChoice, Turn};
use super::super::{Losses, Unfit, inputs, tree};
use super::config_read::read_config;
use super::keys;
use super::parts::{self, Calls};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Reads a request; whether it streams, its path says.
///
/// # Errors
/// It is none, or refers to what only Google has.
pub(in super::super) fn read_request(
    body: &[u8],
    stream: bool,
    losses: &mut Losses,
) -> Result<Request, Unfit> {
    let body = Value::Object(inputs::object(body)?);
    let mut request = Request { stream, ..Request::default() };
    for (key, value) in keys::given(&body) {
        match key.as_str() {
            "model" | "toolConfig" => {}
            "contents" => request.turns = read_contents(value, losses)?,
            "systemInstruction" => request.system = read_system(value, losses)?,
            "tools" => read_tools(value, &mut request, losses),
            "generationConfig" => read_config(value, &mut request, losses)?,
            // What is in the cache is part of the conversation, and only Google has it.
            "cachedContent" if !tree::is_off(value) => return Err(Unfit::new("cached content")),
            other if !tree::is_off(value) => losses.add(other),
            _ => {}
        }
    }
    read_choice(keys::at(&body, "toolConfig"), &mut request, losses);
    Ok(request)
}

fn read_contents(value: &Value, losses: &mut Losses) -> Result<Vec<Turn>, Unfit> {
    let mut calls = Calls::default();
    let mut turns = Vec::new();
    for content in keys::list(value) {
        let role = match keys::text(content, "role") {
            "model" => Role::Assistant,
            "" | "user" | "function" | "tool" => Role::User,
            _ => return Err(Unfit::new("a content of an unknown role")),
        };
        let mut read = Vec::new();
        for part in keys::list(keys::at(content, "parts")) {
            parts::read_part(part, &mut calls, &mut read, losses)?;
        }
        turns.push(Turn { role, parts: read });
    }
    Ok(turns)
}

fn read_system(value: &Value, losses: &mut Losses) -> Result<Vec<Part>, Unfit> {
    if let Some(text) = value.as_str() {
        return Ok(vec![Part::Text(text.to_owned())]);
    }
    let mut read = Vec::new();
    for part in keys::list(keys::at(value, "parts")) {
        parts::read_part(part, &mut Calls::default(), &mut read, losses)?;
    }
    Ok(read)
}

fn read_tools(value: &Value, request: &mut Request, losses: &mut Losses) {
    for (key, value) in keys::list(value).iter().flat_map(keys::given) {
        if key != "functionDeclarations" {
            losses.add(&format!("tools.{key}"));
            continue;
        }
        for declared in keys::list(value) {
            request.tools.push(read_tool(declared, losses));
        }
    }
}

fn read_tool(declared: &Value, losses: &mut Losses) -> Tool {
    let known = ["name", "description", "parameters", "parametersJsonSchema"];
    for (key, value) in keys::given(declared) {
        if !known.contains(&key.as_str()) && !tree::is_off(value) {
            losses.add(&format!("tools.{key}"));
        }
    }
    let schema = match (keys::at(declared, "parametersJsonSchema"), keys::at(declared, "parameters")) {
        (Value::Null, Value::Null) => json!({"type": "object", "properties": {}}),
        (Value::Null, parameters) => keys::read_schema(parameters),
        (schema, _) => schema.clone(),
    };
    Tool {
        name: keys::text(declared, "name").to_owned(),
        description: keys::at(declared, "description").as_str().map(str::to_owned),
        schema: Some(inputs::object_schema(Some(&schema))),
        strict: None,
    }
}

/// Several allowed names are all tools that there are: the hub's choice knows one name or any.
fn read_choice(config: &Value, request: &mut Request, losses: &mut Losses) {
    for (key, value) in keys::given(config) {
        if key != "functionCallingConfig" && !tree::is_off(value) {
            losses.add(&format!("toolConfig.{key}"));
        }
    }
    let calling = keys::at(config, "functionCallingConfig");
    let allowed: BTreeSet<&str> =
        keys::list(keys::at(calling, "allowedFunctionNames")).iter().filter_map(Value::as_str).collect();
    let only = allowed.first().filter(|_| allowed.len() == 1);
    request.tool_choice = match (keys::text(calling, "mode"), only) {
        ("ANY", Some(name)) => Some(ToolChoice::Named((*name).to_owned())),
        ("ANY", _) => Some(ToolChoice::Any),
        ("NONE", _) => Some(ToolChoice::None),
        ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Auto),
        _ => None,
    };
    if allowed.len() > 1 || (allowed.len() == 1 && request.tool_choice == Some(ToolChoice::Auto)) {
        request.tools.retain(|tool| allowed.contains(tool.name.as_str()));
    }
}
