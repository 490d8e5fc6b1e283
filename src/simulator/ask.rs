//! What a call for text asks for, whatever language it came in; each language has a reader of its own that makes one.
//!
//! Here are only the value and what all readers need. None of them shares a line with the gateway's readers.

use super::refusal::Refusal;
use super::tools::Tool;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::Arc;

/// The most choices of one answer.
pub(super) const CHOICES_MAX: usize = 16;

/// One call for text.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    /// All that was sent, by the rule of `count`, cached or not.
    pub(super) prompt_tokens: u64,
    /// What each choice answers.
    pub(super) questions: Vec<Arc<str>>,
    pub(super) shape: Shape,
    /// Whether it wants to see what the model thinks first.
    pub(super) thinks: bool,
    /// The most tokens of one choice.
    pub(super) cap: Option<u64>,
    pub(super) stop: Vec<String>,
}

/// The form in which an answer is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Text,
    /// A JSON object.
    Json,
    /// JSON that satisfies a schema.
    Schema(Value),
    /// Calls of these tools, in order; at least one.
    Calls(Vec<Tool>),
}

/// Where one value may stand for a list of one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    pub(super) fn list(self) -> Vec<T> {
        match self {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        }
    }
}

/// A number that has to be at least one.
pub(super) fn at_least_one(name: &'static str, value: i64) -> Result<u64, Refusal> {
    u64::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| {
        let message = format!(
            "Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
        );
        Refusal::parameter(name, "integer_below_min_value", message)
    })
}

/// How many choices are wanted.
pub(super) fn choices(name: &'static str, n: Option<i64>) -> Result<usize, Refusal> {
    let n = at_least_one(name, n.unwrap_or(1))?;
    usize::try_from(n).ok().filter(|n| *n <= CHOICES_MAX).ok_or_else(|| {
        let message = format!(
            "Invalid '{name}': integer above maximum value. Expected a value <= {CHOICES_MAX}, but got {n} instead."
        );
        Refusal::parameter(name, "integer_above_max_value", message)
    })
}

/// Reads JSON; what is no JSON and what is JSON of the wrong kind are told apart.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::invalid(format!("Invalid request body: {error}.")),
        _ => Refusal::invalid(format!("We could not parse the JSON body of your request: {error}.")),
    })
}

/// The bytes of a value's JSON.
pub(super) fn json_length(value: &Value) -> usize {
    value.to_string().len()
}
