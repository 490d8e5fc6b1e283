//! What the simulated provider has seen and done, as plain values to wait on.

use super::hash::redact;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, request::Parts};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The largest body that [`LastRequest`] keeps, in bytes: enough for what tests send.
const BODY_KEPT_MAX: usize = 64 * 1024;

/// By which a request says whose share it counts in.
const LABEL_HEADER: &str = "x-simulator-label";

/// The most labels that are told apart, and the longest.
const LABELS_MAX: usize = 64;
const LABEL_CHARS_MAX: usize = 64;

/// Under what the others are counted.
const OTHERS: &str = "others";

/// Headers whose value is a secret.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"];

/// Counts since the start or the last reset. Every request but those for control is in `received`, and, once it has ended, in
/// exactly one of `served`, `limited`, `failed`, `streams_cut` and `cancelled`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests whose head has arrived, those of refused connections excluded.
    pub received: u64,
    /// Answered to the end.
    pub served: u64,
    /// Refused with 429 because a limit was reached.
    pub limited: u64,
    /// Answered with another error, in the status or in the stream.
    pub failed: u64,
    /// Streams whose connection was cut on purpose.
    pub streams_cut: u64,
    /// Requests whose client went away before the end.
    pub cancelled: u64,
    /// Connections closed on purpose instead of answering.
    pub refused: u64,
    /// Requests that have arrived and not ended.
    pub in_flight: u64,
    /// Requests that wait inside for a release: hung, at the gate, or stalled.
    pub held: u64,
    /// Tokens charged against the limits, whether or not one is set, less what was given back.
    pub tokens_charged: u64,
    /// Events of streams written, `[DONE]` included.
    pub events_sent: u64,
    /// The request that arrived last.
    pub last_request: Option<LastRequest>,
    /// The same for each that uses the account: by the header `x-simulator-label`, else by the key that was brought,
    /// as [`redact`] shows it, else under `unmarked`. At most 64; those that come later share `others`.
    pub by_label: BTreeMap<String, Share>,
}

/// What one of those that use the account has had of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Requests whose head has arrived.
    pub received: u64,
    /// Answered to the end.
    pub served: u64,
    /// Refused because a limit was reached.
    pub limited: u64,
    /// Tokens charged, less what was given back.
    pub tokens_charged: u64,
}

impl Stats {
    /// The counts under a label.
    pub(super) fn share(&mut self, label: &str) -> &mut Share {
        let is_new = !self.by_label.contains_key(label);
        let label = if is_new && self.by_label.len() >= LABELS_MAX { OTHERS } else { label };
        self.by_label.entry(label.to_owned()).or_default()
    }

    pub(super) fn charge(&mut self, label: &str, tokens: u64) {
        self.tokens_charged = self.tokens_charged.saturating_add(tokens);
        let share = self.share(label);
        share.tokens_charged = share.tokens_charged.saturating_add(tokens);
    }

    pub(super) fn give_back(&mut self, label: &str, tokens: u64) {
        self.tokens_charged = self.tokens_charged.saturating_sub(tokens);
        let share = self.share(label);
        share.tokens_charged = share.tokens_charged.saturating_sub(tokens);
    }
}

/// Whose share a request with these headers counts in.
pub(super) fn label(headers: &HeaderMap) -> String {
    let told = headers.get(LABEL_HEADER).and_then(|value| value.to_str().ok());
    if let Some(label) = told.filter(|label| !label.is_empty()) {
        return label.chars().take(LABEL_CHARS_MAX).collect();
    }
    let key = SECRET_HEADERS.iter().filter(|name| **name != "cookie").find_map(|name| headers.get(*name));
    match key {
        Some(key) => redact(&String::from_utf8_lossy(key.as_bytes())),
        None => "unmarked".to_owned(),
    }
}

/// A request as it arrived, its secrets shown as [`redact`] shows them.
#[derive(Clone, Debug)]
pub struct LastRequest {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body of a model call, once it has been read, if it is no larger than 64 KiB.
    pub body: Option<Bytes>,
}

impl LastRequest {
    pub(super) fn new(parts: &Parts) -> LastRequest {
        LastRequest {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(without_key),
            headers: without_secrets(&parts.headers),
            body: None,
        }
    }

    pub(super) fn keep(&mut self, body: &Bytes) {
        self.body = (body.len() <= BODY_KEPT_MAX).then(|| body.clone());
    }

    /// A header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Serialize for LastRequest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut out = to.serialize_struct("LastRequest", 5)?;
        out.serialize_field("method", &self.method)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("query", &self.query)?;
        out.serialize_field("headers", &shown(&self.headers))?;
        out.serialize_field("body", &self.body.as_deref().map(String::from_utf8_lossy))?;
        out.end()
    }
}

/// The query with the value of `key`, which is how Google takes one, redacted.
pub(super) fn without_key(query: &str) -> String {
    let safe = |pair: &str| match pair.split_once('=') {
        Some(("key", key)) => format!("key={}", redact(key)),
        _ => pair.to_owned(),
    };
    query.split('&').map(safe).collect::<Vec<_>>().join("&")
}

/// The headers with every secret redacted.
pub(super) fn without_secrets(headers: &HeaderMap) -> HeaderMap {
    let mut safe = headers.clone();
    for name in SECRET_HEADERS.map(HeaderName::from_static) {
        let values: Vec<_> = headers.get_all(&name).iter().collect();
        safe.remove(&name);
        for value in values {
            let redacted = redact(&String::from_utf8_lossy(value.as_bytes()));
            safe.append(&name, redacted.parse().unwrap_or(http::HeaderValue::from_static("redacted")));
        }
    }
    safe
}

/// Headers for JSON, in their order, a name once for each value.
pub(super) fn shown(headers: &HeaderMap) -> Vec<(&str, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_kept_but_for_its_key() {
        assert_eq!(without_key("beta=true&alt=sse"), "beta=true&alt=sse");
        let safe = without_key("alt=sse&key=sk-canary");
        assert!(safe.starts_with("alt=sse&key=#") && !safe.contains("canary"), "{safe}");
    }

    #[test]
    fn no_key_is_ever_shown() {
        let mut headers = HeaderMap::new();
        for name in SECRET_HEADERS {
            headers.append(HeaderName::from_static(name), "Bearer sk-canary".parse().unwrap());
            headers.append(HeaderName::from_static(name), "sk-canary".parse().unwrap());
        }
        headers.append("x-other", "stays".parse().unwrap());
        let text = serde_json::to_string(&shown(&without_secrets(&headers))).unwrap();
        assert!(!text.contains("canary") && text.contains("stays"), "{text}");
        assert_eq!(text.matches('#').count(), 2 * SECRET_HEADERS.len());
    }
}
