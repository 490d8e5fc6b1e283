//! Which part of the gateway a request line asks for.
//!
//! Knows paths, methods and queries only. Invariant: whatever is passed through names a place below the provider's
//! base path, so a path that could climb out of it, in any spelling that a server may undo, is `Unknown`.

use super::framing::Framing;
use crate::dialect::{Dialect, Family};
use crate::ids::ModelName;
use http::Method;
use std::borrow::Cow;

/// What the request line says of a call; the rest is in its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The format of the body.
    pub dialect: Dialect,
    /// The model, where the path names it.
    pub model: Option<ModelName>,
    /// Whether the answer is to come as a stream, where the path says so.
    pub stream: bool,
    /// How the events of a stream are told apart.
    pub framing: Framing,
}

impl Asked {
    /// A call whose body says everything.
    pub const fn in_body(dialect: Dialect) -> Asked {
        Asked { dialect, model: None, stream: false, framing: Framing::Sse }
    }
}

/// What a request line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surface<'a> {
    /// A call that is read, estimated and admitted.
    Call(Asked),
    /// The number of tokens that such a call would cost. Nothing is generated.
    Count(Asked),
    /// The list of models, in the shape of a family.
    Models(Family),
    /// One model, by its name as it stands in the path: still percent-encoded.
    Model(Family, &'a str),
    /// Whether anybody is there: asked by clients that warm their connection up.
    Hello,
    /// Anything else that belongs to a provider.
    Passthrough {
        /// Whose paths these are, where only one family has them.
        family: Option<Family>,
        /// The path below the base URL, with its leading slash.
        path: &'a str,
    },
    /// Nothing that tidegate knows, or nothing that it would pass on.
    Unknown,
}

/// Tells what a request asks for. `path` is the path alone.
///
/// The prefix `/v1` may be missing, or stand twice, on what tidegate serves itself: both are common mistakes
/// in a client's base URL, and neither can mean anything else. Gemini's paths stand below `/v1beta`, and its
/// calls below `/v1` too, which its SDKs can be told to use.
pub fn recognise<'a>(method: &Method, path: &'a str, query: Option<&str>) -> Surface<'a> {
    if !path.starts_with('/') || !is_tame(path) {
        return Surface::Unknown;
    }
    if matches!(path, "/api/hello" | "/v1/api/hello") && (*method == Method::GET || *method == Method::HEAD) {
        return Surface::Hello;
    }
    if let Some(place) = below(path, "/v1beta") {
        return below_v1beta(method, place, query);
    }
    let below_v1 = below(path, "/v1");
    let place = below_v1.map_or(path, |place| below(place, "/v1").unwrap_or(place));
    if let Some(surface) = gemini_call(method, place, query) {
        return surface;
    }
    match openai_or_anthropic(place) {
        Some(surface) if *method == wanted_method(&surface) => surface,
        Some(_) => Surface::Passthrough { family: family_of(place), path: place },
        None => match below_v1 {
            Some(place) => Surface::Passthrough { family: family_of(place), path: place },
            None => Surface::Unknown,
        },
    }
}

fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

fn below_v1beta<'a>(method: &Method, place: &'a str, query: Option<&str>) -> Surface<'a> {
    if let Some(surface) = gemini_call(method, place, query) {
        return surface;
    }
    // Google's own OpenAI-compatible surface: who points at it speaks OpenAI's dialects.
    if let Some(place) = below(place, "/openai") {
        return match openai_or_anthropic(place) {
            Some(surface) if *method == wanted_method(&surface) => surface,
            _ => Surface::Passthrough { family: family_of(place), path: place },
        };
    }
    let gemini = Family::Gemini;
    match place.strip_prefix("/models") {
        Some("") if *method == Method::GET => return Surface::Models(gemini),
        Some(rest) if *method == Method::GET => {
            let id = rest.strip_prefix('/').unwrap_or_default();
            if !id.is_empty() && !id.contains('/') {
                return Surface::Model(gemini, id);
            }
        }
        _ => {}
    }
    Surface::Passthrough { family: Some(gemini), path: place }
}

/// `/models/NAME:VERB`, where the verb is one that is understood.
fn gemini_call<'a>(method: &Method, place: &str, query: Option<&str>) -> Option<Surface<'a>> {
    let (name, verb) = place.strip_prefix("/models/")?.rsplit_once(':')?;
    if *method != Method::POST || name.is_empty() {
        return None;
    }
    let (dialect, stream) = match verb {
        "generateContent" | "countTokens" => (Dialect::Gemini, false),
        "streamGenerateContent" => (Dialect::Gemini, true),
        "embedContent" => (Dialect::GeminiEmbed, false),
        "batchEmbedContents" => (Dialect::GeminiBatchEmbed, false),
        _ => return None,
    };
    let events = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let framing = if events { Framing::Sse } else { Framing::JsonArray };
    let model = Some(ModelName::from(percent_decoded(name).into_owned()));
    let asked = Asked { dialect, model, stream, framing };
    Some(if verb == "countTokens" { Surface::Count(asked) } else { Surface::Call(asked) })
}

fn openai_or_anthropic(place: &str) -> Option<Surface<'_>> {
    let in_body = Dialect::ALL.into_iter().filter(|dialect| dialect.family() != Family::Gemini);
    for dialect in in_body {
        match place.strip_prefix(dialect.path()) {
            Some("") => return Some(Surface::Call(Asked::in_body(dialect))),
            Some(rest) if count_path(dialect) == Some(rest) => {
                return Some(Surface::Count(Asked::in_body(dialect)));
            }
            _ => {}
        }
    }
    let rest = place.strip_prefix("/models")?;
    match rest.strip_prefix('/') {
        Some("") => None,
        Some(id) => Some(Surface::Model(Family::OpenAi, id)),
        None => rest.is_empty().then_some(Surface::Models(Family::OpenAi)),
    }
}

/// What follows a dialect's path where tokens are counted.
pub const fn count_path(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Messages => Some("/count_tokens"),
        Dialect::Responses => Some("/input_tokens"),
        _ => None,
    }
}

/// Whose paths these are, where only one family has them.
fn family_of(place: &str) -> Option<Family> {
    let begins = |prefix: &str| place == prefix || below(place, prefix).is_some();
    if begins("/messages") || begins("/skills") || begins("/organizations") {
        Some(Family::Anthropic)
    } else if begins("/responses") || begins("/conversations") || begins("/chat") {
        Some(Family::OpenAi)
    } else {
        None
    }
}

fn wanted_method(surface: &Surface<'_>) -> Method {
    if matches!(surface, Surface::Call(_) | Surface::Count(_)) { Method::POST } else { Method::GET }
}

/// Model names hold slashes, which SDKs percent-encode in a path. What is not well encoded stays as it is.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether no reading of the path leaves the place where it is put: no empty and no dot segment, whether the
/// dots and slashes are written plainly or percent-encoded, nor a byte that URL parsers drop or cut at.
fn is_tame(path: &str) -> bool {
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"?#\\".contains(&byte)) || path.contains("//")
    {
        return false;
    }
    // Lengths do not matter here, only whether a segment is made of dots.
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    !plain.split('/').any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
