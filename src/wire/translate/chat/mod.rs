//! OpenAI's chat completions, as OpenAI and its many clones speak them.
//!
//! Refuses to know any other dialect. Invariant: what is written is what OpenAI's own libraries take; what is
//! read is also what the clones make of it.

mod answer;
mod request_messages;
mod request_read;
mod request_write;
mod stream_read;
mod stream_write;

pub(super) use answer::{read_answer, write_answer};
pub(super) use request_read::read_request;
pub(super) use request_write::write_request;
pub(super) use stream_read::StreamReader;
pub(super) use stream_write::StreamWriter;

use super::hub::{Spent, Stop};
use serde_json::{Value, json};

/// Why an answer ended, from `finish_reason`. Some clones say `stop` where they call tools.
fn stop_of(reason: &str, calls_tools: bool, refuses: bool) -> Stop {
    match reason {
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::ToolUse,
        "content_filter" => Stop::Refused,
        _ if calls_tools => Stop::ToolUse,
        _ if refuses => Stop::Refused,
        _ => Stop::End,
    }
}

/// The `finish_reason`. A refusal in words is an answer like any other.
fn reason_of(stop: &Stop, refuses: bool) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::ToolUse => "tool_calls",
        Stop::Refused if !refuses => "content_filter",
        Stop::End | Stop::Sequence(_) | Stop::Refused | Stop::Paused => "stop",
    }
}

/// The `usage` object.
fn usage(spent: &Spent) -> Value {
    json!({
        "prompt_tokens": spent.input,
        "completion_tokens": spent.output,
        "total_tokens": spent.input.saturating_add(spent.output),
        "prompt_tokens_details": {"cached_tokens": spent.cached, "cache_write_tokens": spent.cache_written},
        "completion_tokens_details": {"reasoning_tokens": spent.thought},
    })
}

/// The identifier of an answer, as this dialect writes them.
fn answer_id(id: &str, scene: &str) -> String {
    if id.starts_with("chatcmpl-") { id.to_owned() } else { format!("chatcmpl-{scene}") }
}
