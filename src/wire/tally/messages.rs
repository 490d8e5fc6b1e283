//! The events of Anthropic's messages.
//!
//! Knows their types; what has another type says nothing, as Anthropic asks of its clients.

use super::super::json;
use super::super::read::given;
use super::super::usage::Disjoint;
use super::{Told, length, tokens};

/// What an event says. The usage comes in parts, which `disjoint` holds between events.
pub(super) fn told(text: &str, disjoint: &mut Disjoint) -> Told {
    let [kind, delta, usage, message, block, error] =
        json::pick_any(text, ["type", "delta", "usage", "message", "content_block", "error"]);
    match kind {
        Some("\"content_block_delta\"") => Told { output: tokens(written(delta)), ..Told::default() },
        // Some servers put the beginning of the text here; a tool has its name.
        Some("\"content_block_start\"") => Told { output: tokens(written(block)), ..Told::default() },
        Some("\"message_start\"") => {
            let usage = message.and_then(|message| json::pick_any(message, ["usage"])[0]);
            told_usage(usage, disjoint)
        }
        Some("\"message_delta\"") => {
            let reason = delta.and_then(|delta| json::pick_any(delta, ["stop_reason"])[0]);
            Told { finished: given(reason).is_some(), ..told_usage(usage, disjoint) }
        }
        Some("\"message_stop\"") => Told { finished: true, done: true, ..Told::default() },
        Some("\"error\"") => Told { failed: true, ..Told::default() },
        _ => Told { failed: error.is_some_and(json::truthy), ..Told::default() },
    }
}

fn told_usage(usage: Option<&str>, disjoint: &mut Disjoint) -> Told {
    if let Some(usage) = given(usage) {
        *disjoint = disjoint.max(Disjoint::read(usage));
    }
    Told { usage: disjoint.usage(), ..Told::default() }
}

/// Bytes of text, thoughts, a tool's name and its input. Signatures and what is redacted are no text.
fn written(part: Option<&str>) -> usize {
    let Some(part) = part else { return 0 };
    json::pick_any(part, ["text", "thinking", "partial_json", "name"]).into_iter().map(length).sum()
}
