//! What chat completions and responses have in common.
//!
//! Refuses to know either's messages. Invariant: whatever one of them takes in two forms is read in one place.

use super::hub::{Event, Format, Media, Part, Reasoning, Spent, Tool, ToolCall, ToolChoice};
use super::tree::{count, is_off, list, text};
use super::{Losses, Scene, Unfit};
use crate::wire::ProviderError;
use crate::wire::media::data_of_url;
use serde_json::{Map, Value, json};

/// The most tool calls, and items, of one answer. Models make a handful; each costs memory here.
pub(super) const CALLS_MAX: usize = 128;
/// The most bytes of an answer that are held back. The longest answers of models have about one MiB.
pub(super) const HELD_MAX: usize = 16 << 20;
/// The longest name of a user that OpenAI takes, in characters. Other vendors take 128.
const USER_MAX: usize = 64;
/// The largest budget, in tokens, that counts as little thought, and as middling. Anthropic's advice to begin
/// with, and half of the usual most.
const LITTLE: u64 = 4_096;
const MIDDLING: u64 = 16_384;

/// A key has a value that its dialect does not know.
pub(super) fn odd(key: &str) -> Unfit {
    Unfit::new(format!("{key} of an unknown kind"))
}

/// A word of the request that may stand in a header, such as the type of a part.
pub(super) fn word(text: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=40).contains(&text.len()) && text.bytes().all(plain) { text } else { "unknown" }
}

/// A number under a key.
pub(super) fn number(key: &str, value: &Value) -> Result<Option<f64>, Unfit> {
    value.as_f64().map(Some).ok_or_else(|| odd(key))
}

/// A whole number under a key.
pub(super) fn whole(key: &str, value: &Value) -> Result<u64, Unfit> {
    count(value).ok_or_else(|| odd(key))
}

/// Whether something is wanted.
pub(super) fn switch(key: &str, value: &Value) -> Result<bool, Unfit> {
    value.as_bool().ok_or_else(|| odd(key))
}

/// What a URL names: what stands in it, or something elsewhere.
pub(super) fn media(url: &str) -> Media {
    match data_of_url(url) {
        Some((kind, data)) => {
            let kind = kind.split(';').next().filter(|kind| !kind.is_empty());
            Media::Inline {
                kind: kind.unwrap_or("application/octet-stream").to_owned(),
                data: data.to_owned(),
            }
        }
        None => Media::Url(url.to_owned()),
    }
}

/// The URL of a medium.
pub(super) fn url(media: &Media) -> String {
    match media {
        Media::Inline { kind, data } => format!("data:{kind};base64,{data}"),
        Media::Url(url) => url.clone(),
    }
}

/// The client's user, if OpenAI takes the name. Claude Code's is an object of three identifiers, and OpenAI would refuse
/// the whole request for it.
pub(super) fn user(name: Option<&str>, losses: &mut Losses) -> Option<Value> {
    let name = name?;
    if name.chars().count() > USER_MAX {
        losses.add("user");
        return None;
    }
    Some(Value::from(name))
}

/// A picture. How closely it is to be looked at gets lost.
pub(super) fn image(url: &str, detail: &Value, losses: &mut Losses) -> Part {
    if !matches!(detail.as_str(), None | Some("auto")) {
        losses.add("image.detail");
    }
    Part::Image(media(url))
}

/// A sound as `{"data", "format"}`.
pub(super) fn audio(object: &Value) -> Result<Part, Unfit> {
    let (data, format) = (text(object, "data"), word(text(object, "format")));
    if data.is_empty() {
        return Err(odd("input_audio"));
    }
    Ok(Part::Audio(Media::Inline { kind: format!("audio/{format}"), data: data.to_owned() }))
}

/// A file as `{"file_data", "file_url", "filename"}`. One that a provider keeps is out of reach of another.
pub(super) fn file(object: &Value) -> Result<Part, Unfit> {
    let name = object.get("filename").and_then(Value::as_str).map(str::to_owned);
    let (data, url) = (text(object, "file_data"), text(object, "file_url"));
    let media = match (data, url) {
        ("", "") => return Err(Unfit::new("file_id")),
        ("", url) => Media::Url(url.to_owned()),
        (data, _) if data.starts_with("data:") => media(data),
        (data, _) => Media::Inline { kind: "application/pdf".to_owned(), data: data.to_owned() },
    };
    Ok(Part::File { media, name })
}

/// A tool with an object of its own keys: `name`, `description`, `parameters` and `strict`.
pub(super) fn function(object: &Value) -> Result<Tool, Unfit> {
    let empty = || json!({"type": "object", "properties": {}});
    let schema = object.get("parameters").filter(|schema| schema.is_object()).cloned().unwrap_or_else(empty);
    Ok(Tool {
        name: named(object)?,
        description: object.get("description").and_then(Value::as_str).map(str::to_owned),
        schema: Some(schema),
        strict: object.get("strict").and_then(Value::as_bool),
    })
}

/// A tool whose input is free text. A grammar for that text gets lost.
pub(super) fn custom(object: &Value, losses: &mut Losses) -> Result<Tool, Unfit> {
    if object.get("format").is_some_and(|format| !is_off(format) && text(format, "type") != "text") {
        losses.add("tools.custom.format");
    }
    Ok(Tool { schema: None, strict: None, ..function(object)? })
}

fn named(object: &Value) -> Result<String, Unfit> {
    Some(text(object, "name")).filter(|name| !name.is_empty()).map(str::to_owned).ok_or_else(|| odd("tools"))
}

/// Whether tools must be called, in every form but the names within objects, which `name_of` finds.
pub(super) fn tool_choice<'a>(
    value: &'a Value,
    name_of: impl Fn(&'a Value, &str) -> Option<&'a str>,
    losses: &mut Losses,
) -> Option<ToolChoice> {
    let allowed = value.get("allowed_tools").unwrap_or(value);
    let mode = if text(value, "type") == "allowed_tools" {
        losses.add("tool_choice.allowed_tools");
        allowed.get("mode").and_then(Value::as_str)
    } else {
        value.as_str()
    };
    match mode {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required" | "any") => return Some(ToolChoice::Any),
        _ => {}
    }
    let kind = text(value, "type");
    let name = matches!(kind, "function" | "custom").then(|| name_of(value, kind)).flatten();
    if name.is_none() {
        losses.add("tool_choice");
    }
    name.map(|name| ToolChoice::Named(name.to_owned()))
}

/// What the answer must look like. `inner` has the keys of a schema's format.
pub(super) fn format(value: &Value, inner: &Value, losses: &mut Losses) -> Result<Format, Unfit> {
    match text(value, "type") {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Json),
        "json_schema" => {
            if inner.get("description").is_some_and(|words| !is_off(words)) {
                losses.add("format.description");
            }
            Ok(Format::Schema {
                name: inner.get("name").and_then(Value::as_str).map(str::to_owned),
                schema: inner.get("schema").cloned().unwrap_or_else(|| json!({})),
                strict: inner.get("strict").and_then(Value::as_bool),
            })
        }
        other => Err(Unfit::new(format!("a format of type {}", word(other)))),
    }
}

/// The keys of a schema's format.
pub(super) fn schema_keys(name: Option<&str>, schema: &Value, strict: Option<bool>) -> Map<String, Value> {
    let mut keys = Map::new();
    // The name is required, and only for the provider's own use.
    keys.insert("name".to_owned(), json!(name.unwrap_or("answer")));
    keys.insert("schema".to_owned(), schema.clone());
    keys.extend(strict.map(|strict| ("strict".to_owned(), json!(strict))));
    keys
}

/// The name of a model without the vendor before it.
fn plain_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Whether a model is OpenAI's own, by its name; `gpt-oss` is served by anybody.
pub(super) fn is_openai(model: &str) -> bool {
    let version = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    let name = plain_name(model);
    ["gpt-", "o", "chatgpt-"].iter().any(|family| name.strip_prefix(family).is_some_and(version))
}

/// Whether a model is one of OpenAI's that think, and so take `max_completion_tokens` alone.
pub(super) fn thinks(model: &str) -> bool {
    let name = plain_name(model);
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    is_openai(model)
        && match name.strip_prefix("gpt-") {
            Some(rest) => digits(rest).parse::<u32>().is_ok_and(|version| version >= 5),
            None => name.starts_with('o'),
        }
}

/// How much to think, in words. A budget becomes words only for models that are known to think: others refuse
/// to be told.
pub(super) fn effort(reasoning: &Reasoning, model: &str, losses: &mut Losses) -> Option<String> {
    if reasoning.effort.is_some() {
        return reasoning.effort.clone();
    }
    let budget = reasoning.budget?;
    if !thinks(model) {
        losses.add("reasoning.budget");
        return None;
    }
    let words = match budget {
        budget if budget <= LITTLE => "low",
        budget if budget <= MIDDLING => "medium",
        _ => "high",
    };
    Some(words.to_owned())
}

/// The texts among parts, joined.
pub(super) fn joined(parts: &[Part], between: &str) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) | Part::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(between)
}

/// What a call cost, in either generation of names, by the rules of [`crate::wire::Usage::read`].
pub(super) fn spent(usage: &Value) -> Option<Spent> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| count(usage.get(key)?));
    let part = |keys: &[&str], key: &str| keys.iter().find_map(|outer| count(usage.get(outer)?.get(key)?));
    let inputs = ["prompt_tokens_details", "input_tokens_details"];
    let outputs = ["completion_tokens_details", "output_tokens_details"];
    let output = first(&["completion_tokens", "output_tokens"]);
    let total = first(&["total_tokens"]).unwrap_or_default();
    let input = first(&["prompt_tokens", "input_tokens"])
        .unwrap_or_else(|| total.saturating_sub(output.unwrap_or_default()));
    let output = output.unwrap_or_default().max(total.saturating_sub(input));
    let cached = part(&inputs, "cached_tokens").or_else(|| first(&["prompt_cache_hit_tokens"]));
    let cached = cached.unwrap_or_default().min(input);
    let written = part(&inputs, "cache_write_tokens").unwrap_or_default().min(input - cached);
    let thought = part(&outputs, "reasoning_tokens").unwrap_or_default().min(output);
    (input > 0 || output > 0).then_some(Spent { input, cached, cache_written: written, output, thought })
}

/// How the input of a call is written to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// As the JSON that it is.
    Json,
    /// As the free text that it is.
    Text,
    /// As the free text within its JSON: the client's tool takes free text, the provider was given a function.
    Wrapped,
}

impl Input {
    /// How the input of this call is.
    pub(super) fn of(call: &ToolCall, scene: &Scene) -> Input {
        match call.free_text {
            true => Input::Text,
            false if scene.free_text_tools.contains(&call.name) => Input::Wrapped,
            false => Input::Json,
        }
    }

    /// A whole input as the client gets it.
    pub(super) fn shown(self, input: &str) -> String {
        match self {
            Input::Json if input.trim().is_empty() => "{}".to_owned(),
            Input::Wrapped => unwrapped_input(input),
            Input::Json | Input::Text => input.to_owned(),
        }
    }
}

/// Free text as the input of a function.
pub(super) fn wrapped_input(input: &str) -> String {
    json!({ "input": input }).to_string()
}

/// The free text within a function's input, or the input itself where a model did not keep to the schema.
fn unwrapped_input(input: &str) -> String {
    let inner = serde_json::from_str::<Value>(input).ok();
    let text = inner.as_ref().and_then(|inner| inner.get("input")?.as_str());
    text.unwrap_or(input).to_owned()
}

/// An identifier for a call where a provider gave none: alike for every reading, and within any dialect's letters.
pub(super) fn call_id(answer: &str, place: usize) -> String {
    let plain: String = answer.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("call_{plain}{place}")
}

/// The failure that an event tells of.
pub(super) fn failed(data: &[u8]) -> Event {
    let error = ProviderError::read(data);
    // Responses call the event itself an error.
    let kind = error.kind.filter(|kind| kind != "error");
    Event::Failed { message: error.message, kind, code: error.code }
}

/// A failure to read on.
pub(super) fn failure(message: &str) -> Event {
    Event::Failed { message: message.to_owned(), kind: None, code: None }
}

/// What is heard in a list of parts with a `text` each.
pub(super) fn texts(value: Option<&Value>) -> Vec<&str> {
    let texts = value.map_or(&[][..], list).iter().map(|part| text(part, "text"));
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_what_it_takes() {
        for (model, openai, thinking) in [
            ("gpt-4o", true, false),
            ("gpt-5.1-codex", true, true),
            ("openai/gpt-10", true, true),
            ("o3-mini", true, true),
            ("gpt-oss-120b", false, false),
            ("olmo-2", false, false),
            ("llama-3.3-70b", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_openai(model), thinks(model)), (openai, thinking), "{model}");
        }
    }

    #[test]
    fn usage_is_read_in_every_vendors_words() {
        let all = |input, cached, cache_written, output, thought| {
            Some(Spent { input, cached, cache_written, output, thought })
        };
        for (usage, wanted) in [
            (json!({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}), all(9, 0, 0, 4, 0)),
            (
                json!({"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5,
                "cache_write_tokens": 9}, "output_tokens_details": {"reasoning_tokens": 3}}),
                all(9, 5, 4, 4, 3),
            ),
            (
                json!({"prompt_tokens": 9, "completion_tokens": 4.0, "prompt_cache_hit_tokens": 8}),
                all(9, 8, 0, 4, 0),
            ),
            (
                json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35,
                "completion_tokens_details": {"reasoning_tokens": 20}}),
                all(10, 0, 0, 25, 20),
            ),
            (json!({"total_tokens": u64::MAX, "prompt_tokens": u64::MAX}), all(u64::MAX, 0, 0, 0, 0)),
            (json!({"prompt_tokens": 0, "completion_tokens": 0}), None),
            (json!(null), None),
        ] {
            assert_eq!(spent(&usage), wanted, "{usage}");
        }
    }

    #[test]
    fn free_text_comes_out_of_a_functions_input_as_it_went_in() {
        for text in ["", "a\n\"b\"", "{\"input\":\"x\"}"] {
            assert_eq!(Input::Wrapped.shown(&wrapped_input(text)), text);
        }
        assert_eq!(Input::Wrapped.shown("{\"patch\":1}"), "{\"patch\":1}");
        assert_eq!(Input::Json.shown(" "), "{}");
    }

    #[test]
    fn a_word_of_the_request_is_fit_for_a_header() {
        assert_eq!(word("video_url"), "video_url");
        for odd in ["", "a\r\nb", "ü", &"x".repeat(41)] {
            assert_eq!(word(odd), "unknown");
        }
    }
}
