//! The events of OpenAI's responses.
//!
//! Knows the types that begin, end and carry text; what has another type says nothing. Keeps in a [`Mark`] what
//! is needed to end a stream that its provider has not.

use super::super::json;
use super::super::read::given;
use super::super::usage::Usage;
use super::{Mark, Told, length, tokens};
use crate::dialect::Dialect;

/// The longest id of a response that is kept. OpenAI's have 53 to 67 bytes.
const ID_MAX: usize = 128;

/// What an event says; notes its number, and the response's id, in `mark`.
pub(super) fn told(text: &str, mark: &mut Mark) -> Told {
    let [kind, delta, response, item, number, error] =
        json::pick_any(text, ["type", "delta", "response", "item", "sequence_number", "error"]);
    if let Some(number) = number.and_then(|number| number.parse().ok()) {
        mark.sequence = number;
    }
    if mark.response.is_none() {
        mark.response = response.and_then(plain_id);
    }
    let kind = kind.and_then(json::text).unwrap_or_default();
    match &*kind {
        "response.completed" | "response.incomplete" | "response.cancelled" => {
            Told { usage: usage(response), finished: true, done: true, ..Told::default() }
        }
        "response.failed" => Told { usage: usage(response), failed: true, ..Told::default() },
        "error" => Told { failed: true, ..Told::default() },
        // The name of a tool stands here and in no delta.
        "response.output_item.added" => {
            let name = item.and_then(|item| json::pick_any(item, ["name"])[0]);
            Told { output: tokens(length(name)), ..Told::default() }
        }
        // Sound is base64; its words come as a transcript.
        "response.audio.delta" | "response.output_audio.delta" => Told::default(),
        kind if kind.starts_with("response.") && kind.ends_with(".delta") => {
            Told { output: tokens(length(delta)), ..Told::default() }
        }
        _ => Told { failed: error.is_some_and(json::truthy), ..Told::default() },
    }
}

fn usage(response: Option<&str>) -> Option<Usage> {
    let [usage] = json::pick_any(response?, ["usage"]);
    Usage::read(Dialect::Responses, given(usage)?.as_bytes())
}

fn plain_id(response: &str) -> Option<String> {
    let [id] = json::pick_any(response, ["id"]);
    let id = json::text(id?)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    ((1..=ID_MAX).contains(&id.len()) && id.bytes().all(plain)).then(|| id.into_owned())
}
