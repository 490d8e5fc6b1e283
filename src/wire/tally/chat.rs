//! The chunks of chat and text completions.
//!
//! Knows their keys; refuses to hold anything.

use super::super::json;
use super::super::read::given;
use super::super::usage::Usage;
use super::{Told, length, tokens};
use crate::dialect::Dialect;

/// What a chunk says.
pub(super) fn told(dialect: Dialect, text: &str) -> Told {
    let mut told = Told::default();
    let [choices, usage, error, groq] = json::pick_any(text, ["choices", "usage", "error", "x_groq"]);
    let usage = given(usage).or_else(|| given(json::pick_any(groq?, ["usage"])[0]));
    told.usage = usage.and_then(|usage| Usage::read(dialect, usage.as_bytes()));
    told.failed = error.is_some_and(json::truthy);

    let mut empty = true;
    let listed = choices.is_some_and(|choices| {
        json::elements(choices, |choice| {
            empty = false;
            let [reason, part] = json::pick_any(choice, ["finish_reason", part_of(dialect)]);
            told.finished |= given(reason).is_some();
            told.output += tokens(match dialect {
                Dialect::Completions => length(part),
                _ => part.map_or(0, written_by_delta),
            });
        })
    });
    told.usage_only = listed && empty && usage.is_some();
    told.finished |= told.usage_only && !told.failed;
    told
}

/// The key under which a choice carries what was written.
fn part_of(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Completions { "text" } else { "delta" }
}

fn written_by_delta(delta: &str) -> usize {
    let [content, reasoning_content, reasoning, refusal, tool_calls, function_call] = json::pick_any(
        delta,
        ["content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"],
    );
    // The two names of reasoning are one text where a server sends both.
    let mut bytes = length(content) + length(refusal) + length(reasoning_content).max(length(reasoning));
    bytes += function_call.map_or(0, written_by_function);
    if let Some(calls) = tool_calls {
        json::elements(calls, |call| {
            let [function, custom] = json::pick_any(call, ["function", "custom"]);
            bytes += function.or(custom).map_or(0, written_by_function);
        });
    }
    bytes
}

fn written_by_function(function: &str) -> usize {
    let [name, arguments, input] = json::pick_any(function, ["name", "arguments", "input"]);
    length(name) + length(arguments) + length(input)
}
