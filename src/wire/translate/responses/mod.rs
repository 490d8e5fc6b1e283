//! OpenAI's responses, as OpenAI's own clients (Codex among them) speak them.
//!
//! Refuses to know any other dialect, and whatever lives at a provider: conversations, prompts and answers that it
//! keeps. Invariant: every answer and every event has all the keys that OpenAI's own libraries want.

mod answer;
mod items;
mod request_input;
mod request_read;
mod request_write;
mod stream_read;
mod stream_write;

pub(super) use answer::{read_answer, write_answer};
pub(super) use request_read::read_request;
pub(super) use request_write::write_request;
pub(super) use stream_read::StreamReader;
pub(super) use stream_write::StreamWriter;

use super::Scene;
use super::hub::{Part, Spent, Stop};
use super::tree::text;
use serde_json::{Value, json};

/// Why an answer ended.
fn stop_of(response: &Value, calls_tools: bool, refuses: bool) -> Stop {
    let reason = text(&response["incomplete_details"], "reason");
    match (text(response, "status"), reason) {
        ("incomplete", "content_filter") => Stop::Refused,
        ("incomplete", _) => Stop::Length,
        _ if calls_tools => Stop::ToolUse,
        _ if refuses => Stop::Refused,
        _ => Stop::End,
    }
}

/// What makes an answer incomplete. A refusal in words is an answer like any other.
fn incomplete(stop: &Stop, refuses: bool) -> Option<&'static str> {
    match stop {
        Stop::Length => Some("max_output_tokens"),
        Stop::Refused if !refuses => Some("content_filter"),
        Stop::End | Stop::ToolUse | Stop::Sequence(_) | Stop::Refused | Stop::Paused => None,
    }
}

/// The `usage` object.
fn usage(spent: &Spent) -> Value {
    json!({
        "input_tokens": spent.input,
        "input_tokens_details": {"cached_tokens": spent.cached, "cache_write_tokens": spent.cache_written},
        "output_tokens": spent.output,
        "output_tokens_details": {"reasoning_tokens": spent.thought},
        "total_tokens": spent.input.saturating_add(spent.output),
    })
}

/// What is known of an answer besides its items.
#[derive(Clone, Copy, Debug)]
struct Told<'a> {
    id: &'a str,
    model: &'a str,
    status: &'a str,
    incomplete: Option<&'a str>,
    usage: Option<&'a Spent>,
}

/// The whole `response` object. What the client asked for is not known here and stands as its default.
fn response(told: Told<'_>, output: &[Value], scene: &Scene) -> Value {
    let model = if told.model.is_empty() { &scene.model } else { told.model };
    json!({
        "id": answer_id(told.id, &scene.id),
        "object": "response",
        "created_at": scene.created,
        "status": told.status,
        "background": false,
        "error": null,
        "incomplete_details": told.incomplete.map(|reason| json!({ "reason": reason })),
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": told.usage.map(usage),
        "user": null,
    })
}

/// The identifier of an answer, as this dialect writes them.
fn answer_id(id: &str, scene: &str) -> String {
    if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{scene}") }
}

/// A failure's code. Codex waits and comes again for `rate_limit_exceeded`, gives up for some, and comes again at
/// once for all others.
fn error_code(kind: Option<&str>, code: Option<&str>) -> &'static str {
    const TERMINAL: [&str; 5] = [
        "insufficient_quota",
        "context_length_exceeded",
        "usage_not_included",
        "invalid_prompt",
        "server_is_overloaded",
    ];
    let words = [code.unwrap_or_default(), kind.unwrap_or_default()];
    if let Some(terminal) = TERMINAL.into_iter().find(|terminal| words.contains(terminal)) {
        return terminal;
    }
    let limited = |word: &str| {
        let word = word.to_ascii_lowercase();
        word.starts_with("rate_limit")
            || ["429", "resource_exhausted", "too_many_requests"].contains(&word.as_str())
    };
    let overloaded = |word: &str| {
        ["overloaded_error", "503", "529", "UNAVAILABLE", "slow_down", "unavailable_error"].contains(&word)
    };
    match words {
        words if words.into_iter().any(limited) => "rate_limit_exceeded",
        words if words.into_iter().any(overloaded) => "server_is_overloaded",
        _ => "server_error",
    }
}

fn calls_tools(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::ToolCall(_)))
}

fn refuses(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Refusal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_codex_whether_to_come_again() {
        for (kind, code, wanted) in [
            (Some("rate_limit_error"), None, "rate_limit_exceeded"),
            (Some("RESOURCE_EXHAUSTED"), Some("RATE_LIMIT_EXCEEDED"), "rate_limit_exceeded"),
            (Some("tokens"), Some("rate_limit_exceeded"), "rate_limit_exceeded"),
            (None, Some("429"), "rate_limit_exceeded"),
            (Some("overloaded_error"), None, "server_is_overloaded"),
            (Some("invalid_request_error"), Some("context_length_exceeded"), "context_length_exceeded"),
            (Some("insufficient_quota"), None, "insufficient_quota"),
            (Some("api_error"), None, "server_error"),
            (None, None, "server_error"),
        ] {
            assert_eq!(error_code(kind, code), wanted, "{kind:?} {code:?}");
        }
    }
}
