//! A whole response, read and written.
//!
//! Invariant: what is written as a whole has the same items, with the same identifiers, as what is streamed.

use super::super::hub::{Answer, Part};
use super::super::openai::spent;
use super::super::tree::{bytes, text, tree};
use super::super::{Scene, Unreadable};
use super::{Told, calls_tools, incomplete, items, refuses, response, stop_of};
use serde_json::Value;

/// Reads an answer.
pub(in super::super) fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    let body = tree(body).ok_or(Unreadable)?;
    let output = body.get("output").and_then(Value::as_array).ok_or(Unreadable)?;
    if matches!(text(&body, "status"), "failed" | "cancelled") {
        return Err(Unreadable);
    }
    let mut parts = Vec::new();
    output.iter().flat_map(items::parts_of).for_each(|part| items::push(&mut parts, part));
    let stop = stop_of(&body, calls_tools(&parts), refuses(&parts));
    let (id, model) = (text(&body, "id").to_owned(), text(&body, "model").to_owned());
    Ok(Answer { id, model, parts, stop, usage: spent(&body["usage"]) })
}

/// Writes an answer.
pub(in super::super) fn write_answer(answer: &Answer, scene: &Scene) -> Vec<u8> {
    let mut output = Vec::new();
    for part in &answer.parts {
        let sealing = if let Part::ToolCall(call) = part { items::sealing(call) } else { None };
        for part in sealing.iter().chain([part]) {
            output.extend(items::item(part, output.len(), scene));
        }
    }
    let incomplete = incomplete(&answer.stop, refuses(&answer.parts));
    let told = Told {
        id: &answer.id,
        model: &answer.model,
        status: if incomplete.is_some() { "incomplete" } else { "completed" },
        incomplete,
        usage: answer.usage.as_ref(),
    };
    bytes(&response(told, &output, scene))
}
