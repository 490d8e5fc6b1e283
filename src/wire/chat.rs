//! What a model is given by the body of a chat completion.
//!
//! Parts of a message are told by the keys that they have, not by their `type`: clones spell the types
//! differently, and a part of an unknown type still costs its text. Never fetches a picture.

use super::call::{BadCall, Content, Image};
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
        add_image(image, detail, content);
    }
    if let Some(audio) = given(audio) {
        let [data] = json::pick_any(audio, ["data"]);
        let data = data.and_then(json::text).unwrap_or_default();
        content.audio_seconds = content.audio_seconds.saturating_add(media::audio_seconds(&data));
    }
    if let Some(file) = given(file) {
        add_file(file, content);
    }
}

/// `image` is an object with `url` and `detail`, or with some clients the URL itself.
fn add_image<'a>(image: &'a str, detail: Option<&'a str>, content: &mut Content<'a>) {
    let [url, inner_detail] = json::pick_any(image, ["url", "detail"]);
    let url = json::text(url.unwrap_or(image)).unwrap_or_default();
    let low_detail = inner_detail.or(detail) == Some("\"low\"");
    let size = media::data_of_url(&url).and_then(|(_, data)| media::image_size(data));
    content.images.push(Image { size, low_detail });
}

/// A text file costs its text; of any other, which means PDF, the provider renders each page as a picture.
fn add_file<'a>(file: &'a str, content: &mut Content<'a>) {
    let [name, data] = json::pick_any(file, ["filename", "file_data"]);
    add_text(name, content);
    let url = data.and_then(json::text).unwrap_or_default();
    let Some((kind, data)) = media::data_of_url(&url) else { return };
    if kind.starts_with("text/") || kind.starts_with("application/json") {
        content.texts.push(media::decoded_text(data).into());
    } else {
        let page = Image { size: None, low_detail: false };
        content.images.extend(std::iter::repeat_n(page, media::pages(data)));
    }
}

fn add_function<'a>(function: Option<&'a str>, content: &mut Content<'a>) {
    let Some(function) = function else { return };
    let [name, arguments] = json::pick_any(function, ["name", "arguments"]);
    add_text(name, content);
    // Arguments are a string that holds JSON; some clients send the object itself.
    if !add_text(arguments, content) {
        content.texts.extend(given(arguments).map(Into::into));
    }
}

/// Adds the text of a string; tells whether the value was a string.
fn add_text<'a>(value: Option<&'a str>, content: &mut Content<'a>) -> bool {
    let Some(text) = value.and_then(json::text) else { return false };
    if !text.is_empty() {
        content.texts.push(text);
    }
    true
}
