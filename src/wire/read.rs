//! Reads a body once into what must be known of it.
//!
//! Knows the keys that every dialect has in common; what the model is given is for the dialect's own file.
//! Refuses to judge what only a provider can judge: unknown keys, odd parts and broken escapes are left
//! alone, because the provider's answer to them is better than ours. Invariant: a value that is patched later
//! is the one that was read, so such keys may stand only once.

use super::call::{BadCall, Call, Content, Spans};
use super::recognise::Asked;
use super::{chat, completions, embeddings, json};
use crate::dialect::Dialect;
use crate::ids::ModelName;
use crate::units::Tokens;
use std::ops::Range;

/// The longest model name in bytes. Names are kept by limits and metrics; the longest in use have about 100.
const MODEL_NAME_MAX: usize = 512;

const WHOLE_NUMBER: &str = "a whole number that is not negative";
const GIVEN_ONCE: &str = "given once";

/// Reads the body of a call.
///
/// # Errors
/// [`BadCall`] where the body is no JSON object, lacks a needed key, or has a value there that cannot be meant.
pub fn read<'a>(asked: &Asked, body: &'a [u8]) -> Result<(Call, Content<'a>), BadCall> {
    let dialect = asked.dialect;
    let text = std::str::from_utf8(body)
        .map_err(|error| BadCall::NotJson(format!("it is not UTF-8 after byte {}", error.valid_up_to())))?;
    let keys = Keys::read(text)?;
    let mut content = Content::default();
    let prompts = match dialect {
        Dialect::Chat => chat::fill(&keys, &mut content)?,
        Dialect::Completions => completions::fill(&keys, &mut content)?,
        Dialect::Embeddings => embeddings::fill(&keys, &mut content)?,
        _ => 1,
    };
    let options = Options::read(keys.stream_options)?;
    let span = |part: &str| span_in(body, part);
    let call = Call {
        dialect,
        model: model(keys.model)?,
        stream: dialect.streams() && flag(keys.stream, "stream")?,
        wants_usage: options.wants_usage,
        output_cap: if dialect.has_output() { output_cap(&keys)? } else { None },
        choices: if dialect.has_output() { choices(&keys)?.saturating_mul(prompts) } else { 1 },
        spans: Spans {
            model: keys.model.map(span).unwrap_or_default(),
            stream_options: keys.stream_options.map(span),
            include_usage: options.include_usage.map(span),
            insert: text.find('{').map_or(0, |brace| brace + 1),
        },
    };
    Ok((call, content))
}

/// The top-level values that any dialect looks at, as they stand in the body.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    model: Option<&'a str>,
    stream: Option<&'a str>,
    stream_options: Option<&'a str>,
    caps: [(&'static str, Option<&'a str>); 3],
    n: Option<&'a str>,
    best_of: Option<&'a str>,
    pub(super) messages: Option<&'a str>,
    pub(super) tools: Option<&'a str>,
    pub(super) functions: Option<&'a str>,
    pub(super) response_format: Option<&'a str>,
    pub(super) prompt: Option<&'a str>,
    pub(super) suffix: Option<&'a str>,
    pub(super) input: Option<&'a str>,
}

impl<'a> Keys<'a> {
    fn read(text: &'a str) -> Result<Self, BadCall> {
        let names = [
            "model",
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "n",
            "best_of",
            "messages",
            "tools",
            "functions",
            "response_format",
            "prompt",
            "suffix",
            "input",
        ];
        let picked = json::pick(text, names).map_err(|error| BadCall::NotJson(json::reason(&error)))?;
        // The first three are the ones that a patch touches.
        if let Some(place) = picked.repeated[..3].iter().position(|repeated| *repeated) {
            return Err(BadCall::Wrong { key: names[place], must_be: GIVEN_ONCE });
        }
        let [
            model,
            stream,
            stream_options,
            max_tokens,
            max_completion_tokens,
            max_output_tokens,
            n,
            best_of,
            messages,
            tools,
            functions,
            response_format,
            prompt,
            suffix,
            input,
        ] = picked.values;
        let caps = [
            ("max_tokens", max_tokens),
            ("max_completion_tokens", max_completion_tokens),
            ("max_output_tokens", max_output_tokens),
        ];
        Ok(Keys {
            model,
            stream,
            stream_options,
            caps,
            n,
            best_of,
            messages,
            tools,
            functions,
            response_format,
            prompt,
            suffix,
            input,
        })
    }
}

#[derive(Default)]
struct Options<'a> {
    include_usage: Option<&'a str>,
    wants_usage: bool,
}

impl<'a> Options<'a> {
    fn read(stream_options: Option<&'a str>) -> Result<Self, BadCall> {
        let Some(value) = given(stream_options) else { return Ok(Self::default()) };
        let picked = json::pick(value, ["include_usage"])
            .map_err(|_| BadCall::Wrong { key: "stream_options", must_be: "an object" })?;
        let key = "stream_options.include_usage";
        if picked.repeated[0] {
            return Err(BadCall::Wrong { key, must_be: GIVEN_ONCE });
        }
        let [include_usage] = picked.values;
        Ok(Options { include_usage, wants_usage: flag(include_usage, key)? })
    }
}

/// A value that is there and not `null`.
pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

fn model(value: Option<&str>) -> Result<ModelName, BadCall> {
    let value = value.ok_or(BadCall::Missing("model"))?;
    let wrong = BadCall::Wrong { key: "model", must_be: "a name of 1 to 512 bytes" };
    // Decoded strictly: a name that is no text can be no name, and would be patched wrongly.
    let name: String = serde_json::from_str(value).map_err(|_| wrong.clone())?;
    let usable = (1..=MODEL_NAME_MAX).contains(&name.len()) && !name.contains(char::is_control);
    if usable { Ok(ModelName::from(name)) } else { Err(wrong) }
}

fn flag(value: Option<&str>, key: &'static str) -> Result<bool, BadCall> {
    match given(value) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(BadCall::Wrong { key, must_be: "true or false" }),
    }
}

fn output_cap(keys: &Keys<'_>) -> Result<Option<Tokens>, BadCall> {
    let mut largest = None;
    for (key, value) in keys.caps {
        if let Some(value) = given(value) {
            let cap = value.parse().map_err(|_| BadCall::Wrong { key, must_be: WHOLE_NUMBER })?;
            largest = largest.max(Some(Tokens(cap)));
        }
    }
    Ok(largest)
}

fn choices(keys: &Keys<'_>) -> Result<u32, BadCall> {
    let mut most = 1;
    for (key, value) in [("n", keys.n), ("best_of", keys.best_of)] {
        if let Some(value) = given(value) {
            let wrong = BadCall::Wrong { key, must_be: "a whole number of at least 1" };
            most = most.max(value.parse().ok().filter(|count| *count > 0).ok_or(wrong)?);
        }
    }
    Ok(most)
}

fn span_in(body: &[u8], part: &str) -> Range<usize> {
    let start = json::offset(body, part.as_bytes()).expect("every value read is a slice of the body");
    start..start + part.len()
}

#[cfg(test)]
mod tests;
