//! What a model is given by the body of OpenAI's responses.
//!
//! Items and parts are told by the keys that they have, so that one of an unknown type still costs its text.
//! What the provider keeps (an earlier response, a stored prompt, encrypted reasoning) costs nothing here.

use super::call::{BadCall, Content};
use super::parts::{add_file, add_json, add_linked_picture, add_picture, add_sound, add_text};
use super::read::{Facts, flag, given, output_cap, pick_once, user};
use super::{json, media};

/// Reads the body; puts what stands in its instructions, input and tools into `content`.
///
/// # Errors
/// No usable model, or a switch or cap that is none. The input may be missing: an earlier response, a
/// conversation or a stored prompt can stand for it.
pub(super) fn read<'a>(text: &'a str, content: &mut Content<'a>) -> Result<Facts<'a>, BadCall> {
    let names = [
        "model",
        "stream",
        "max_output_tokens",
        "instructions",
        "input",
        "tools",
        "text",
        "user",
        "safety_identifier",
        "prompt_cache_key",
    ];
    let [model, stream, cap, instructions, input, tools, format, name, safety, cache] =
        pick_once(text, names, 2)?;
    let mut facts = Facts::of_body(text, model)?;
    if add_text(instructions, content) {
        content.messages = content.messages.saturating_add(1);
    }
    if let Some(input) = given(input) {
        if add_text(Some(input), content) {
            content.messages = content.messages.saturating_add(1);
        } else if !json::elements(input, |item| add_item(item, content)) {
            return Err(BadCall::Wrong { key: "input", must_be: "a string or an array" });
        }
    }
    if let Some(tools) = tools {
        json::elements(tools, |tool| {
            content.schemas.push(tool);
            content.tools = content.tools.saturating_add(1);
        });
    }
    let format = format.and_then(|text| json::pick_any(text, ["format"])[0]);
    content.schemas.extend(format.and_then(|format| given(json::pick_any(format, ["schema"])[0])));
    facts.user = user(&[name, safety, cache]);
    facts.stream = flag(stream, "stream")?;
    facts.output_cap = output_cap(&[("max_output_tokens", cap)])?;
    Ok(facts)
}

/// A message, a call of a tool or what came of it, or a thought. Each is framed as a message is.
fn add_item<'a>(item: &'a str, content: &mut Content<'a>) {
    let [name, arguments, input, code, action, operation, tools, results, summary, body, output, result] =
        json::pick_any(
            item,
            [
                "name",
                "arguments",
                "input",
                "code",
                "action",
                "operation",
                "tools",
                "results",
                "summary",
                "content",
                "output",
                "result",
            ],
        );
    content.messages = content.messages.saturating_add(1);
    add_text(name, content);
    for said in [arguments, input, code, action, operation, tools, results] {
        add_json(said, content);
    }
    for parts in [summary, body, output] {
        add_parts(parts, content);
    }
    // The picture that a model has made.
    if let Some(base64) = result.and_then(json::text) {
        add_picture(Some(&base64), false, content);
    }
}

/// Adds a text, a part, or an array of either.
fn add_parts<'a>(parts: Option<&'a str>, content: &mut Content<'a>) {
    let Some(parts) = given(parts) else { return };
    if parts.starts_with('{') {
        add_part(parts, content);
    } else if !add_text(Some(parts), content) {
        json::elements(parts, |part| {
            if !add_text(Some(part), content) {
                add_part(part, content);
            }
        });
    }
}

fn add_part<'a>(part: &'a str, content: &mut Content<'a>) {
    let [kind, text, refusal, stdout, stderr, detail, image, audio, file_name, file] = json::pick_any(
        part,
        [
            "type",
            "text",
            "refusal",
            "stdout",
            "stderr",
            "detail",
            "image_url",
            "input_audio",
            "filename",
            "file_data",
        ],
    );
    for text in [text, refusal, stdout, stderr, file_name] {
        add_text(text, content);
    }
    if let Some(audio) = given(audio) {
        let [data] = json::pick_any(audio, ["data"]);
        add_sound(&data.and_then(json::text).unwrap_or_default(), content);
    }
    match (given(image), file.and_then(json::text)) {
        (Some(image), _) => add_linked_picture(image, detail, content),
        (None, Some(url)) => {
            if let Some((kind, data)) = media::data_of_url(&url) {
                add_file(kind, data, content);
            }
        }
        // A picture or file that only the provider can open costs a picture or a page.
        (None, None) if is_pointer(kind) => add_picture(None, detail == Some("\"low\""), content),
        (None, None) => {}
    }
}

fn is_pointer(kind: Option<&str>) -> bool {
    matches!(kind, Some("\"input_image\"" | "\"input_file\"" | "\"computer_screenshot\""))
}
