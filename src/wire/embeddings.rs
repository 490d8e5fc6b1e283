//! What a model is given by the body of an embeddings call.
//!
//! There is no output: neither cap nor choices are read.

use super::call::{BadCall, Content};
use super::completions::add_prompts;
use super::read::Keys;

/// Puts the input into `content`; returns 1, because nothing is generated.
///
/// # Errors
/// There is no input, or it is neither text nor tokens.
pub(super) fn fill<'a>(keys: &Keys<'a>, content: &mut Content<'a>) -> Result<u32, BadCall> {
    let input = keys.input.ok_or(BadCall::Missing("input"))?;
    let must_be = "a string, an array of strings, or an array of tokens";
    add_prompts(input, content).ok_or(BadCall::Wrong { key: "input", must_be })?;
    Ok(1)
}
