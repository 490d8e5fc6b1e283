//! What a model is given by the body of a chat completion.
//!
//! Parts of a message are told by the keys that they have, not by their `type`: clones spell the types
//! differently, and a part of an unknown type still costs its text. Never fetches a picture.

use super::call::{BadCall, Content};
use super::parts::{add_file, add_json, add_linked_picture, add_sound, add_text};
use super::read::{Keys, given};
use super::{json, media};

/// Puts what stands in the messages and tools into `content`; returns the number of prompts, always 1.
///
/// # Errors
/// There are no messages, or they are no array.
pub(super) fn fill<'a>(keys: &Keys<'a>, content: &mut Content<'a>) -> Result<u32, BadCall> {
    let messages = keys.messages.ok_or(BadCall::Missing("messages"))?;
    if !json::elements(messages, |message| add_message(message, content)) {
        return Err(BadCall::Wrong { key: "messages", must_be: "an array" });
    }
    for list in [keys.tools, keys.functions].into_iter().flatten() {
        json::elements(list, |tool| {
            let [function] = json::pick_any(tool, ["function"]);
            content.schemas.push(given(function).unwrap_or(tool));
            content.tools = content.tools.saturating_add(1);
        });
    }
    if let Some(format) = keys.response_format {
        let [schema] = json::pick_any(format, ["json_schema"]);
        content.schemas.extend(given(schema));
    }
    Ok(1)
}

fn add_message<'a>(message: &'a str, content: &mut Content<'a>) {
    let [name, body, refusal, reasoning, tool_calls, function_call] = json::pick_any(
        message,
        ["name", "content", "refusal", "reasoning_content", "tool_calls", "function_call"],
    );
    content.messages = content.messages.saturating_add(1);
    if add_text(name, content) {
        content.names = content.names.saturating_add(1);
    }
    if let Some(body) = body {
        add_body(body, content);
    }
    add_text(refusal, content);
    add_text(reasoning, content);
    if let Some(calls) = tool_calls {
        json::elements(calls, |call| {
            let [function] = json::pick_any(call, ["function"]);
            add_function(function, content);
        });
    }
    add_function(function_call, content);
}

fn add_body<'a>(body: &'a str, content: &mut Content<'a>) {
    if body.starts_with('{') {
        add_part(body, content);
    } else if !add_text(Some(body), content) {
        json::elements(body, |part| {
            if !add_text(Some(part), content) {
                add_part(part, content);
            }
        });
    }
}

fn add_part<'a>(part: &'a str, content: &mut Content<'a>) {
    let [text, refusal, image, audio, file, detail] =
        json::pick_any(part, ["text", "refusal", "image_url", "input_audio", "file", "detail"]);
    add_text(text, content);
    add_text(refusal, content);
    if let Some(image) = given(image) {
        add_linked_picture(image, detail, content);
    }
    if let Some(audio) = given(audio) {
        let [data] = json::pick_any(audio, ["data"]);
        add_sound(&data.and_then(json::text).unwrap_or_default(), content);
    }
    if let Some(file) = given(file) {
        add_named_file(file, content);
    }
}

fn add_named_file<'a>(file: &'a str, content: &mut Content<'a>) {
    let [name, data] = json::pick_any(file, ["filename", "file_data"]);
    add_text(name, content);
    let url = data.and_then(json::text).unwrap_or_default();
    if let Some((kind, data)) = media::data_of_url(&url) {
        add_file(kind, data, content);
    }
}

fn add_function<'a>(function: Option<&'a str>, content: &mut Content<'a>) {
    let Some(function) = function else { return };
    let [name, arguments] = json::pick_any(function, ["name", "arguments"]);
    add_text(name, content);
    // Arguments are a string that holds JSON; some clients send the object itself.
    add_json(arguments, content);
}
