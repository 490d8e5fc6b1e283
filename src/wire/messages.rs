//! What a model is given by the body of Anthropic's messages.
//!
//! Blocks are told by the keys that they have, so that one of an unknown type still costs its text. What only
//! the provider can read (signatures, redacted thoughts, encrypted results) costs nothing here. Whether the cap
//! that Anthropic needs is there is for the provider to say.

use super::call::{BadCall, Content};
use super::json;
use super::parts::{add_file, add_json, add_picture, add_text};
use super::read::{Facts, flag, given, output_cap, pick_once, user};

/// How deep blocks may stand within blocks and still be told apart; what is deeper costs what its JSON does.
/// A message holds a tool's result, that a document, and that its blocks: nothing in use is deeper.
const NESTING_MAX: u32 = 4;

/// Reads the body; puts what stands in its messages, system prompt and tools into `content`.
///
/// # Errors
/// No usable model or no messages, or a switch or cap that is none.
pub(super) fn read<'a>(text: &'a str, content: &mut Content<'a>) -> Result<Facts<'a>, BadCall> {
    let names = [
        "model",
        "stream",
        "max_tokens",
        "system",
        "messages",
        "tools",
        "output_config",
        "output_format",
        "metadata",
    ];
    let [model, stream, max_tokens, system, messages, tools, config, format, metadata] =
        pick_once(text, names, 2)?;
    let mut facts = Facts::of_body(text, model)?;
    let messages = messages.ok_or(BadCall::Missing("messages"))?;
    if let Some(system) = given(system) {
        content.messages = content.messages.saturating_add(1);
        add_blocks(system, 0, content);
    }
    if !json::elements(messages, |message| add_message(message, content)) {
        return Err(BadCall::Wrong { key: "messages", must_be: "an array" });
    }
    if let Some(tools) = tools {
        json::elements(tools, |tool| {
            content.schemas.push(tool);
            content.tools = content.tools.saturating_add(1);
        });
    }
    let inner = config.and_then(|config| json::pick_any(config, ["format"])[0]);
    for format in [inner, format].into_iter().flatten() {
        let [schema] = json::pick_any(format, ["schema"]);
        content.schemas.extend(given(schema));
    }
    facts.user = user(&metadata.map_or([None], |metadata| json::pick_any(metadata, ["user_id"])));
    facts.stream = flag(stream, "stream")?;
    facts.output_cap = output_cap(&[("max_tokens", max_tokens)])?;
    Ok(facts)
}

fn add_message<'a>(message: &'a str, content: &mut Content<'a>) {
    let [body] = json::pick_any(message, ["content"]);
    content.messages = content.messages.saturating_add(1);
    if let Some(body) = body {
        add_blocks(body, 0, content);
    }
}

/// Adds a text, a block, or an array of either.
fn add_blocks<'a>(blocks: &'a str, depth: u32, content: &mut Content<'a>) {
    if depth == NESTING_MAX {
        add_json(Some(blocks), content);
    } else if blocks.starts_with('{') {
        add_block(blocks, depth, content);
    } else if !add_text(Some(blocks), content) {
        json::elements(blocks, |block| {
            if !add_text(Some(block), content) {
                add_block(block, depth, content);
            }
        });
    }
}

fn add_block<'a>(block: &'a str, depth: u32, content: &mut Content<'a>) {
    let [kind, title, context, text, thinking, name, stdout, stderr, input, source, inner] = json::pick_any(
        block,
        [
            "type", "title", "context", "text", "thinking", "name", "stdout", "stderr", "input", "source",
            "content",
        ],
    );
    for text in [title, context, text, thinking, name, stdout, stderr] {
        add_text(text, content);
    }
    add_json(input, content);
    if let Some(source) = given(source) {
        // A search result has the address of its source here.
        if !add_text(Some(source), content) {
            add_source(kind, source, depth, content);
        }
    }
    if let Some(inner) = given(inner) {
        add_blocks(inner, depth + 1, content);
    }
}

/// The source of a picture or document: base64, plain text, blocks, or an address or file that only the provider
/// can open, which costs a picture or a page.
fn add_source<'a>(block: Option<&str>, source: &'a str, depth: u32, content: &mut Content<'a>) {
    let [kind, media_type, data, inner] = json::pick_any(source, ["type", "media_type", "data", "content"]);
    if let Some(inner) = given(inner) {
        return add_blocks(inner, depth + 1, content);
    }
    if kind == Some("\"text\"") {
        add_text(data, content);
        return;
    }
    let media_type = media_type.and_then(json::text).unwrap_or_default();
    match data.and_then(json::text) {
        Some(data) if block == Some("\"document\"") => add_file(&media_type, &data, content),
        Some(data) => add_picture(Some(&data), false, content),
        None => add_picture(None, false, content),
    }
}
