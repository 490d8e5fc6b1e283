//! What a model is given by the body of a text completion, and a whole answer as the stream that it could have been.
//!
//! Also reads the value that completions and embeddings share: a text, token ids, or many of either.

use super::call::{BadCall, Content};
use super::json;
use super::read::{Keys, given};
use crate::units::Tokens;
use bytes::Bytes;
use serde_json::Value;

const PROMPT: &str = "a string, an array of strings, or an array of tokens";

/// Puts prompt and suffix into `content`; returns the number of prompts, each of which is answered.
///
/// # Errors
/// There is no prompt, or it is neither text nor tokens.
pub(super) fn fill<'a>(keys: &Keys<'a>, content: &mut Content<'a>) -> Result<u32, BadCall> {
    let prompt = keys.prompt.ok_or(BadCall::Missing("prompt"))?;
    let prompts = match given(Some(prompt)) {
        // The provider then begins a document of its own.
        None => 1,
        Some(prompt) => {
            add_prompts(prompt, content).ok_or(BadCall::Wrong { key: "prompt", must_be: PROMPT })?
        }
    };
    content.texts.extend(keys.suffix.and_then(json::text).filter(|suffix| !suffix.is_empty()));
    Ok(prompts)
}

/// A whole text completion as a stream: its chunks have the same shape. `None` if it is none.
pub fn stream_of_text(body: &[u8]) -> Option<Bytes> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer.get("choices")?.get(0)?.get("text")?.as_str()?;
    Some(format!("data: {answer}\n\ndata: [DONE]\n\n").into())
}

/// Adds a text, an array of token ids, or an array of either; returns how many prompts that makes, at least
/// 1, or `None` if it is something else.
pub(super) fn add_prompts<'a>(value: &'a str, content: &mut Content<'a>) -> Option<u32> {
    if let Some(text) = json::text(value) {
        content.texts.push(text);
        return Some(1);
    }
    let mut prompts: u32 = 0;
    let mut ids: u64 = 0;
    let mut understood = true;
    understood &= json::elements(value, |element| {
        if let Some(text) = json::text(element) {
            content.texts.push(text);
            prompts = prompts.saturating_add(1);
        } else if element.starts_with('[') {
            understood &= json::elements(element, |_| content.encoded += Tokens(1));
            prompts = prompts.saturating_add(1);
        } else if element.starts_with(|c: char| c.is_ascii_digit()) {
            ids = ids.saturating_add(1);
        } else {
            understood = false;
        }
    });
    content.encoded += Tokens(ids);
    understood.then(|| prompts.saturating_add(u32::from(ids > 0)).max(1))
}
