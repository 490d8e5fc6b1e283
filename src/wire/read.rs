//! Reads a body once into what must be known of it.
//!
//! Knows what the dialects have in common, and the keys of OpenAI's first ones; what else a dialect has, and what
//! its model is given, is for its own file.
//! Refuses to judge what only a provider can judge: unknown keys, odd parts and broken escapes are left
//! alone, because the provider's answer to them is better than ours. Invariant: a value that is patched later
//! is the one that was read, so such keys may stand only once.

use super::call::{BadCall, Call, Content, Spans};
use super::recognise::Asked;
use super::{chat, completions, embeddings, gemini, json, messages, responses};
use crate::dialect::Dialect;
use crate::ids::ModelName;
use crate::units::Tokens;
use std::ops::Range;

/// The longest model name in bytes. Names are kept by limits and metrics; the longest in use have about 100.
const MODEL_NAME_MAX: usize = 512;

/// The most of a user's name that is kept, in bytes. What Claude Code writes there has about 200.
const USER_MAX: usize = 512;

const WHOLE_NUMBER: &str = "a whole number that is not negative";
const GIVEN_ONCE: &str = "given once";
const WRONG_MODEL: BadCall = BadCall::Wrong { key: "model", must_be: "a name of 1 to 512 bytes" };

/// Reads the body of a call.
///
/// # Errors
/// [`BadCall`] where the body is no JSON object, lacks a needed key, or has a value there that cannot be meant.
pub fn read<'a>(asked: &Asked, body: &'a [u8]) -> Result<(Call, Content<'a>), BadCall> {
    let dialect = asked.dialect;
    let text = std::str::from_utf8(body)
        .map_err(|error| BadCall::NotJson(format!("it is not UTF-8 after byte {}", error.valid_up_to())))?;
    let mut content = Content::default();
    let facts = match dialect {
        Dialect::Chat | Dialect::Completions | Dialect::Embeddings => openai(dialect, text, &mut content)?,
        Dialect::Responses => responses::read(text, &mut content)?,
        Dialect::Messages => messages::read(text, &mut content)?,
        Dialect::Gemini => gemini::read(asked, text, &mut content)?,
        Dialect::GeminiEmbed => gemini::read_embed(asked, text, &mut content)?,
        Dialect::GeminiBatchEmbed => gemini::read_batch(asked, text, &mut content)?,
    };
    let options = facts.options;
    let call = Call {
        dialect,
        model: facts.model,
        stream: facts.stream,
        wants_usage: options.wants_usage,
        output_cap: facts.output_cap,
        choices: facts.choices,
        user: facts.user,
        spans: Spans {
            models: facts.models,
            stream_options: options.whole.map(|part| span_in(text, part)),
            include_usage: options.include_usage.map(|part| span_in(text, part)),
            insert: text.find('{').map_or(0, |brace| brace + 1),
        },
    };
    Ok((call, content))
}

/// What the file of a dialect finds beside the content.
pub(super) struct Facts<'a> {
    pub(super) model: ModelName,
    /// Where the model's name stands in the body.
    pub(super) models: Vec<Range<usize>>,
    pub(super) stream: bool,
    pub(super) output_cap: Option<Tokens>,
    pub(super) choices: u32,
    pub(super) user: Option<Box<str>>,
    options: Options<'a>,
}

impl Facts<'_> {
    /// Of a body that names its model itself, and asks for one choice.
    ///
    /// # Errors
    /// There is no usable name.
    pub(super) fn of_body(text: &str, model: Option<&str>) -> Result<Self, BadCall> {
        let model = model.ok_or(BadCall::Missing("model"))?;
        // Decoded strictly: a name that is no text can be no name, and would be patched wrongly.
        let name: String = serde_json::from_str(model).map_err(|_| WRONG_MODEL)?;
        Ok(Facts { models: vec![span_in(text, model)], ..Facts::of_name(ModelName::from(name))? })
    }

    /// Of a call whose path names the model.
    ///
    /// # Errors
    /// It does not, or by no usable name.
    pub(super) fn of_path(asked: &Asked) -> Result<Self, BadCall> {
        let model = asked.model.clone().ok_or(BadCall::Missing("model"))?;
        Ok(Facts { stream: asked.stream, ..Facts::of_name(model)? })
    }

    fn of_name(model: ModelName) -> Result<Self, BadCall> {
        let name = model.as_str();
        if !(1..=MODEL_NAME_MAX).contains(&name.len()) || name.contains(char::is_control) {
            return Err(WRONG_MODEL);
        }
        let options = Options::default();
        Ok(Facts {
            model,
            models: Vec::new(),
            stream: false,
            output_cap: None,
            choices: 1,
            user: None,
            options,
        })
    }
}

/// The dialects that have the keys of OpenAI's first ones.
fn openai<'a>(dialect: Dialect, text: &'a str, content: &mut Content<'a>) -> Result<Facts<'a>, BadCall> {
    let keys = Keys::read(text)?;
    let prompts = match dialect {
        Dialect::Completions => completions::fill(&keys, content)?,
        Dialect::Embeddings => embeddings::fill(&keys, content)?,
        _ => chat::fill(&keys, content)?,
    };
    let options = Options::read(keys.stream_options)?;
    let facts = Facts { options, user: user(&keys.users), ..Facts::of_body(text, keys.model)? };
    if !dialect.has_output() {
        return Ok(facts);
    }
    Ok(Facts {
        stream: flag(keys.stream, "stream")?,
        output_cap: output_cap(&keys.caps)?,
        choices: choices(&[("n", keys.n), ("best_of", keys.best_of)])?.saturating_mul(prompts),
        ..facts
    })
}

/// The wanted values of a body's outermost object, of which the first `once` may not stand twice: they are the
/// ones that a patch or the way of the answer depends on.
///
/// # Errors
/// It is no object, or one of those stands twice.
pub(super) fn pick_once<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
    once: usize,
) -> Result<[Option<&'a str>; N], BadCall> {
    let picked = json::pick(text, names).map_err(|error| BadCall::NotJson(json::reason(&error)))?;
    match picked.repeated[..once].iter().position(|repeated| *repeated) {
        Some(place) => Err(BadCall::Wrong { key: names[place], must_be: GIVEN_ONCE }),
        None => Ok(picked.values),
    }
}

/// The top-level values that OpenAI's first dialects look at, as they stand in the body.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    model: Option<&'a str>,
    stream: Option<&'a str>,
    stream_options: Option<&'a str>,
    caps: [(&'static str, Option<&'a str>); 3],
    n: Option<&'a str>,
    best_of: Option<&'a str>,
    users: [Option<&'a str>; 3],
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
            "user",
            "safety_identifier",
            "prompt_cache_key",
            "messages",
            "tools",
            "functions",
            "response_format",
            "prompt",
            "suffix",
            "input",
        ];
        let [
            model,
            stream,
            stream_options,
            max_tokens,
            max_completion_tokens,
            max_output_tokens,
            n,
            best_of,
            user,
            safety_identifier,
            prompt_cache_key,
            messages,
            tools,
            functions,
            response_format,
            prompt,
            suffix,
            input,
        ] = pick_once(text, names, 3)?;
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
            users: [user, safety_identifier, prompt_cache_key],
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

/// What a client says in `stream_options`.
#[derive(Default)]
struct Options<'a> {
    whole: Option<&'a str>,
    include_usage: Option<&'a str>,
    wants_usage: bool,
}

impl<'a> Options<'a> {
    fn read(stream_options: Option<&'a str>) -> Result<Self, BadCall> {
        let Some(value) = given(stream_options) else {
            return Ok(Options { whole: stream_options, ..Options::default() });
        };
        let picked = json::pick(value, ["include_usage"])
            .map_err(|_| BadCall::Wrong { key: "stream_options", must_be: "an object" })?;
        let key = "stream_options.include_usage";
        if picked.repeated[0] {
            return Err(BadCall::Wrong { key, must_be: GIVEN_ONCE });
        }
        let [include_usage] = picked.values;
        Ok(Options { whole: stream_options, include_usage, wants_usage: flag(include_usage, key)? })
    }
}

/// A value that is there and not `null`.
pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

/// A switch that is off where it is not given.
pub(super) fn flag(value: Option<&str>, key: &'static str) -> Result<bool, BadCall> {
    match given(value) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(BadCall::Wrong { key, must_be: "true or false" }),
    }
}

/// The largest of the caps that are given, by their keys.
pub(super) fn output_cap(caps: &[(&'static str, Option<&str>)]) -> Result<Option<Tokens>, BadCall> {
    let mut largest = None;
    for (key, value) in caps {
        if let Some(value) = given(*value) {
            let cap = value.parse().map_err(|_| BadCall::Wrong { key, must_be: WHOLE_NUMBER })?;
            largest = largest.max(Some(Tokens(cap)));
        }
    }
    Ok(largest)
}

/// The largest of the numbers of choices that are given, by their keys; at least 1.
pub(super) fn choices(counts: &[(&'static str, Option<&str>)]) -> Result<u32, BadCall> {
    let mut most = 1;
    for (key, value) in counts {
        if let Some(value) = given(*value) {
            let wrong = BadCall::Wrong { key, must_be: "a whole number of at least 1" };
            most = most.max(value.parse().ok().filter(|count| *count > 0).ok_or(wrong)?);
        }
    }
    Ok(most)
}

/// For whom a call is asked: the first of the values that is a text and not empty, cut to its bound. Anything else
/// there is for the provider to judge.
pub(super) fn user(values: &[Option<&str>]) -> Option<Box<str>> {
    let said = values.iter().flatten().filter_map(|value| json::text(value)).find(|text| !text.is_empty())?;
    Some(said[..said.floor_char_boundary(USER_MAX)].into())
}

/// Where a value that was read stands in the body.
pub(super) fn span_in(text: &str, part: &str) -> Range<usize> {
    let start =
        json::offset(text.as_bytes(), part.as_bytes()).expect("every value read is a slice of the body");
    start..start + part.len()
}

#[cfg(test)]
mod dialect_tests;
#[cfg(test)]
mod tests;
