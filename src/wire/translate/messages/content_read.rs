//! Reads blocks into parts.
//!
//! Knows the blocks that hold a conversation; refuses to know those of tools that run at Anthropic, which are named
//! as losses. Invariant: the order of the parts is the order of the blocks.

use super::super::hub::{Media, Part, Seal, Thought, ToolCall};
use super::super::{Losses, Unfit, seal, tree};
use crate::dialect::Dialect;
use serde_json::Value;

/// Reads `content`: a text, or blocks.
///
/// # Errors
/// It refers to a file at Anthropic.
pub(super) fn read_content(content: &Value, losses: &mut Losses) -> Result<Vec<Part>, Unfit> {
    let mut parts = Vec::new();
    match content {
        Value::String(text) => parts.push(Part::Text(text.clone())),
        Value::Array(blocks) => blocks.iter().try_for_each(|block| read_block(block, &mut parts, losses))?,
        Value::Null => {}
        _ => return Err(Unfit::new("content that is neither text nor blocks")),
    }
    Ok(parts)
}

/// Reads one block, and the cache mark on it as a part of its own.
pub(super) fn read_block(block: &Value, parts: &mut Vec<Part>, losses: &mut Losses) -> Result<(), Unfit> {
    let before = parts.len();
    match tree::text(block, "type") {
        "text" => {
            if !tree::is_off(&block["citations"]) {
                losses.add("citations");
            }
            parts.push(Part::Text(tree::text(block, "text").to_owned()));
        }
        "image" => parts.push(Part::Image(read_source(&block["source"], "image")?)),
        "document" => read_document(block, parts, losses)?,
        "search_result" => {
            losses.add("search_result");
            parts.extend(read_content(&block["content"], losses)?);
        }
        // What Claude Code's search for tools found. Elsewhere nothing is deferred: that it can be called is all there is
        // to say.
        "tool_reference" => {
            parts.push(Part::Text(format!("The tool {} can be called.", tree::text(block, "tool_name"))));
        }
        "tool_use" => parts.push(Part::ToolCall(read_call(block))),
        "tool_result" => read_result(block, parts, losses)?,
        "thinking" => parts.push(Part::Thought(Thought {
            text: tree::text(block, "thinking").to_owned(),
            seal: read_seal(tree::text(block, "signature"), false),
        })),
        "redacted_thinking" => parts.push(Part::Thought(Thought {
            text: String::new(),
            seal: read_seal(tree::text(block, "data"), true),
        })),
        "" => return Err(Unfit::new("a block without a type")),
        other => losses.add(other),
    }
    if block["cache_control"].is_object() && parts.len() > before {
        parts.push(Part::CacheMark);
    }
    Ok(())
}

/// A call, with its input as text. An input that is missing is an empty object.
pub(super) fn read_call(block: &Value) -> ToolCall {
    let input = &block["input"];
    ToolCall {
        id: tree::text(block, "id").to_owned(),
        name: tree::text(block, "name").to_owned(),
        input: if input.is_null() { "{}".to_owned() } else { input.to_string() },
        free_text: false,
        seal: None,
    }
}

/// The seal in a `signature` or in `data`; an empty one is none.
pub(super) fn read_seal(data: &str, redacted: bool) -> Option<Seal> {
    let seal = (!data.is_empty()).then(|| seal::unwrapped(Dialect::Messages, data))?;
    Some(if seal.by == Dialect::Messages { Seal { redacted, ..seal } } else { seal })
}

fn read_source(source: &Value, what: &str) -> Result<Media, Unfit> {
    match tree::text(source, "type") {
        "base64" => Ok(Media::Inline {
            kind: tree::text(source, "media_type").to_owned(),
            data: tree::text(source, "data").to_owned(),
        }),
        "url" => Ok(Media::Url(tree::text(source, "url").to_owned())),
        "file" => Err(Unfit::new(format!("{what} by file id"))),
        _ => Err(Unfit::new(format!("{what} of an unknown source"))),
    }
}

/// A document of plain text becomes text, which every dialect has, where a text file is refused by most.
fn read_document(block: &Value, parts: &mut Vec<Part>, losses: &mut Losses) -> Result<(), Unfit> {
    let source = &block["source"];
    let name = block["title"].as_str().map(str::to_owned);
    if !tree::is_off(&block["citations"]["enabled"]) {
        losses.add("citations");
    }
    if !tree::is_off(&block["context"]) {
        losses.add("document.context");
    }
    match tree::text(source, "type") {
        "text" | "content" => {
            parts.extend(name.filter(|name| !name.is_empty()).map(Part::Text));
            let key = if source["data"].is_null() { "content" } else { "data" };
            parts.extend(read_content(&source[key], losses)?);
        }
        _ => parts.push(Part::File { media: read_source(source, "document")?, name }),
    }
    Ok(())
}

/// A mark within a result is put behind it, where other dialects' writers expect marks.
fn read_result(block: &Value, parts: &mut Vec<Part>, losses: &mut Losses) -> Result<(), Unfit> {
    let mut inner = read_content(&block["content"], losses)?;
    let all = inner.len();
    inner.retain(|part| *part != Part::CacheMark);
    let marked = inner.len() < all && !block["cache_control"].is_object();
    parts.push(Part::ToolResult {
        id: tree::text(block, "tool_use_id").to_owned(),
        name: None,
        parts: inner,
        is_error: block["is_error"].as_bool().unwrap_or_default(),
        free_text: false,
    });
    if marked {
        parts.push(Part::CacheMark);
    }
    Ok(())
}
