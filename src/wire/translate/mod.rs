//! From one dialect into another, by way of the hub: requests, answers, streams and errors.
//!
//! Used only where a plan crosses dialects; within one dialect bytes are passed on as they are. Everything here
//! is pure. A request that a dialect cannot express is refused ([`Unfit`]), so that its target is skipped;
//! what merely gets lost is named ([`Losses`]), so that the client is told.

mod chat;
mod gemini;
mod homecoming;
mod hub;
mod inputs;
mod losses;
mod messages;
#[cfg(test)]
mod native_tests;
mod openai;
mod openai_rules;
mod responses;
mod seal;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod turns;

pub use homecoming::{may_hold_foreign_seals, without_foreign_seals};
pub use hub::{
    Answer, Event, Format, Media, Opened, Part, Reasoning, Request, Role, Seal, Spent, Stop, Thought, Tool,
    ToolCall, ToolChoice, Turn,
};
pub use losses::Losses;
pub use messages::THREAD;
pub use stream::{StreamReader, StreamWriter, events_of};

use crate::dialect::Dialect;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Why a request cannot be translated: what it has that the hub or the target's dialect has not. Short words
/// for a header and an error, such as "audio input" or "n = 3"; never text of the request but a key's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unfit {
    /// What.
    pub what: Cow<'static, str>,
}

impl Unfit {
    /// It has this.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Unfit {
        Unfit { what: what.into() }
    }
}

/// Why an answer cannot be translated: it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer is not of the shape that it should have")]
pub struct Unreadable;

/// What a writer of answers must know of the exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Stands for the provider's id of the answer where that has none, and makes up ids of parts: letters and
    /// digits alone.
    pub id: String,
    /// Seconds since 1970, for dialects that tell when an answer was made.
    pub created: u64,
    /// The model that the client asked for, where the provider names none.
    pub model: String,
    /// The tools whose input is free text: their calls are written as such.
    pub free_text_tools: BTreeSet<String>,
    /// Whether a chat client asked for the chunk with the usage.
    pub wants_usage: bool,
    /// Whether a Gemini client takes its stream as one JSON array (no `alt=sse`), not as events.
    pub json_array: bool,
}

/// Reads a request of a conversation's dialect. `stream` is what the path says, for dialects that say it there.
///
/// # Errors
/// The hub cannot hold it, or it is not of the dialect's shape.
pub fn read_request(from: Dialect, body: &[u8], stream: bool, losses: &mut Losses) -> Result<Request, Unfit> {
    match from {
        Dialect::Chat => chat::read_request(body, losses),
        Dialect::Responses => responses::read_request(body, losses),
        Dialect::Messages => messages::read_request(body, losses),
        Dialect::Gemini => gemini::read_request(body, stream, losses),
        _ => Err(Unfit::new("no conversation")),
    }
}

/// Writes a request for a target's model.
///
/// # Errors
/// The dialect cannot express it.
pub fn write_request(
    request: &Request,
    to: Dialect,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, Unfit> {
    match to {
        Dialect::Chat => chat::write_request(request, model, losses),
        Dialect::Responses => responses::write_request(request, model, losses),
        Dialect::Messages => messages::write_request(request, model, losses),
        Dialect::Gemini => gemini::write_request(request, model, losses),
        _ => Err(Unfit::new("no conversation")),
    }
}

/// Reads a whole answer.
///
/// # Errors
/// It is not of the dialect's shape.
pub fn read_answer(from: Dialect, body: &[u8]) -> Result<Answer, Unreadable> {
    match from {
        Dialect::Chat => chat::read_answer(body),
        Dialect::Responses => responses::read_answer(body),
        Dialect::Messages => messages::read_answer(body),
        Dialect::Gemini => gemini::read_answer(body),
        _ => Err(Unreadable),
    }
}

/// Writes a whole answer. A dialect that is no conversation's gets an empty body.
pub fn write_answer(answer: &Answer, to: Dialect, scene: &Scene) -> Vec<u8> {
    match to {
        Dialect::Chat => chat::write_answer(answer, scene),
        Dialect::Responses => responses::write_answer(answer, scene),
        Dialect::Messages => messages::write_answer(answer, scene),
        Dialect::Gemini => gemini::write_answer(answer, scene),
        _ => Vec::new(),
    }
}
