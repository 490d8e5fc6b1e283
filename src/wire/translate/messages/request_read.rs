//! Reads a request.
//!
//! Refuses to know what a model can do; that is for whoever writes. Invariant: every key that was given is either
//! in the hub, or named as lost, or the request is refused.

use super::super::hub::{Format, Part, Reasoning, Request, Role, Tool, ToolChoice, Turn};
use super::super::{Losses, Unfit, inputs, tree};
use super::content_read::{read_block, read_content};
use serde_json::Value;

/// Begins the block by which Claude Code tells Anthropic who pays. It changes with every call, so that another
/// provider's cache of the prompt would never be hit.
const BILLING_MARK: &str = "x-anthropic-billing-header:";
/// Why a request is refused that wants Anthropic to hold the conversation.
pub const THREAD: &str = "thread";

/// A tool that Claude Code lists so that Anthropic goes on deferring tools, and that nobody is to call: to a model that
/// knows no deferred tools it would be one that can be called, and does not exist.
const PLACEHOLDER: &str = "DeferredToolPlaceholder";

/// Reads a request.
///
/// # Errors
/// It is none, or refers to what only Anthropic has.
pub(in super::super) fn read_request(body: &[u8], losses: &mut Losses) -> Result<Request, Unfit> {
    let object = inputs::object(body)?;
    let mut request = Request::default();
    for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        read_key(key, value, &mut request, losses)?;
    }
    // The mark of the whole request is on the last block that can have one.
    if object.get("cache_control").is_some_and(Value::is_object)
        && let Some(turn) = request.turns.last_mut().filter(|turn| !turn.parts.is_empty())
        && turn.parts.last() != Some(&Part::CacheMark)
    {
        turn.parts.push(Part::CacheMark);
    }
    let thinking = object.get("thinking").unwrap_or(&Value::Null);
    let effort = object.get("output_config").map(|config| &config["effort"]).and_then(Value::as_str);
    request.reasoning = read_reasoning(thinking, effort, losses);
    Ok(request)
}

fn read_key(key: &str, value: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    match key {
        // The model is the plan's; `anthropic_version` is for clouds; the others are read with their kin.
        "model" | "anthropic_version" | "thinking" | "cache_control" => {}
        "system" => request.system = read_system(value, losses)?,
        "messages" => request.turns = read_turns(value, losses)?,
        "tools" => read_tools(value, request, losses)?,
        "tool_choice" => read_choice(value, request)?,
        "max_tokens" => request.output_cap = Some(value.as_u64().ok_or_else(|| odd(key))?),
        "top_k" => request.top_k = Some(value.as_u64().ok_or_else(|| odd(key))?),
        "temperature" => request.temperature = Some(value.as_f64().ok_or_else(|| odd(key))?),
        "top_p" => request.top_p = Some(value.as_f64().ok_or_else(|| odd(key))?),
        "stream" => request.stream = value.as_bool().ok_or_else(|| odd(key))?,
        "stop_sequences" => {
            let texts = value.as_array().ok_or_else(|| odd(key))?.iter();
            request.stop = texts.filter_map(Value::as_str).map(str::to_owned).collect();
        }
        "metadata" => {
            request.user = value["user_id"].as_str().map(str::to_owned);
            lose_others(value, &["user_id"], "metadata", losses);
        }
        "output_config" => {
            if !value["format"].is_null() {
                request.format = read_format(&value["format"], losses);
            }
            lose_others(value, &["effort", "format"], "output_config", losses);
        }
        "output_format" => request.format = read_format(value, losses),
        // It names files and a state that only Anthropic has; an answer without them is about something else. Not
        // so `mcp_servers`: like other tools that run at Anthropic, they are tools that the model then has not.
        "container" => return Err(Unfit::new("container")),
        // The conversation so far, which Anthropic holds: what the client sends is only what is new.
        "thread" if !tree::is_off(value) => return Err(Unfit::new(THREAD)),
        other if !tree::is_off(value) => losses.add(other),
        _ => {}
    }
    Ok(())
}

fn odd(key: &str) -> Unfit {
    Unfit::new(format!("{key} of an unknown kind"))
}

fn lose_others(value: &Value, known: &[&str], within: &str, losses: &mut Losses) {
    for (key, value) in value.as_object().into_iter().flatten() {
        if !known.contains(&key.as_str()) && !tree::is_off(value) {
            losses.add(&format!("{within}.{key}"));
        }
    }
}

fn read_system(value: &Value, losses: &mut Losses) -> Result<Vec<Part>, Unfit> {
    let mut parts = Vec::new();
    match value {
        Value::Array(blocks) => {
            for block in blocks {
                if tree::text(block, "text").starts_with(BILLING_MARK) {
                    losses.add("system.billing_header");
                } else {
                    read_block(block, &mut parts, losses)?;
                }
            }
        }
        text => parts = read_content(text, losses)?,
    }
    Ok(parts)
}

fn read_turns(value: &Value, losses: &mut Losses) -> Result<Vec<Turn>, Unfit> {
    let messages = value.as_array().ok_or_else(|| odd("messages"))?.iter();
    let turns = messages.map(|message| {
        let role = match tree::text(message, "role") {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(Unfit::new("a message of an unknown role")),
        };
        Ok(Turn { role, parts: read_content(&message["content"], losses)? })
    });
    turns.collect()
}

fn read_tools(value: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    const KNOWN: [&str; 5] = ["type", "name", "description", "input_schema", "strict"];
    for tool in value.as_array().ok_or_else(|| odd("tools"))? {
        match tool["type"].as_str() {
            None | Some("custom") if tool["name"] == PLACEHOLDER && tool["defer_loading"] == true => {}
            None | Some("custom") => {
                lose_others(tool, &KNOWN, "tools", losses);
                request.tools.push(Tool {
                    name: tree::text(tool, "name").to_owned(),
                    description: tool["description"].as_str().map(str::to_owned),
                    schema: Some(inputs::object_schema(Some(&tool["input_schema"]))),
                    strict: tool["strict"].as_bool(),
                });
            }
            Some(other) => losses.add(&format!("tools.{other}")),
        }
    }
    Ok(())
}

fn read_choice(value: &Value, request: &mut Request) -> Result<(), Unfit> {
    request.tool_choice = Some(match tree::text(value, "type") {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Any,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(tree::text(value, "name").to_owned()),
        _ => return Err(odd("tool_choice")),
    });
    request.parallel_tools = value["disable_parallel_tool_use"].as_bool().map(|disabled| !disabled);
    Ok(())
}

/// Anthropic always enforces a schema, yet `strict` is left open: OpenAI's strictness refuses schemas with optional
/// keys, which Anthropic's takes.
fn read_format(value: &Value, losses: &mut Losses) -> Format {
    match tree::text(value, "type") {
        "json_schema" => Format::Schema { name: None, schema: value["schema"].clone(), strict: None },
        "text" => Format::Text,
        _ => {
            losses.add("output_format");
            Format::Text
        }
    }
}

/// How much to think. Effort alone says it too: the providers that it is translated for know no other effort.
fn read_reasoning(thinking: &Value, effort: Option<&str>, losses: &mut Losses) -> Option<Reasoning> {
    let effort = effort.map(str::to_owned);
    let shown = thinking["display"] != "omitted";
    match tree::text(thinking, "type") {
        "enabled" => Some(Reasoning { effort, budget: thinking["budget_tokens"].as_u64(), shown }),
        "adaptive" => Some(Reasoning { effort, budget: None, shown }),
        "disabled" => {
            if effort.is_some() {
                losses.add("output_config.effort");
            }
            Some(Reasoning { effort: Some("none".to_owned()), budget: None, shown: false })
        }
        other => {
            if !other.is_empty() {
                losses.add("thinking");
            }
            effort.map(|effort| Reasoning { effort: Some(effort), budget: None, shown: false })
        }
    }
}
