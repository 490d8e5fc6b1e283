//! Whose words a request speaks, told by its path, and the key that it brings in any of their ways.

use super::refusal::Refusal;
use crate::dialect::Family;
use crate::secret::Secret;
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;

/// The headers that hold a bare key: Anthropic's, Azure's and Google's.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

/// The family of a path. Models stand under one path with all, where the method or a header tells them apart.
pub(super) fn family(parts: &Parts) -> Family {
    let path = parts.uri.path();
    let of_models = path == "/v1/models" || path.starts_with("/v1/models/");
    let is_google = parts.method == Method::POST || parts.headers.contains_key("x-goog-api-client");
    if path.starts_with("/v1beta/") || (of_models && is_google) {
        return Family::Gemini;
    }
    let is_anthropic = path.starts_with("/v1/messages") || path.starts_with("/api/");
    match is_anthropic || (of_models && parts.headers.contains_key("anthropic-version")) {
        true => Family::Anthropic,
        false => Family::OpenAi,
    }
}

/// Whether the request brings the key, if one is asked for.
pub(super) fn check_key(key: Option<&Secret>, parts: &Parts) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let bearer = parts.headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let bare = KEY_HEADERS.iter().filter_map(|name| Some(parts.headers.get(*name)?.as_bytes()));
    let asked = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("key="));
    let mut brought = bearer.into_iter().chain(bare).chain(asked.map(str::as_bytes)).peekable();
    let brought_one = brought.peek().is_some();
    match brought.any(|brought| same(brought, key.expose().as_bytes())) {
        true => Ok(()),
        false => Err(Refusal::unauthorized(brought_one)),
    }
}

/// Compares in a time that does not tell how much of the key was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (l, r)| differ | (l ^ r)) == 0
}
