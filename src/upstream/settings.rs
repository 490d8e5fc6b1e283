//! How a provider is reached.

use super::headers::{is_credential, is_hop_by_hop, is_made_anew, is_ours};
use super::query;
use crate::dialect::{Dialect, Family};
use crate::secret::Secret;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::time::Duration;

/// Address, credential and patience for one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Stands in the place of the client's `/v1`; without a trailing slash.
    pub base_url: String,
    /// What is spoken there and under which paths, the best first: of several that a conversation could be
    /// translated into, the first is taken.
    pub spoken: Vec<Spoken>,
    /// Stands in the query of every request, such as `api-version=2024-10-21`, and in the place of what a client
    /// sends under the same names.
    pub query: Option<String>,
    /// Sent with every request whose client has sent no header of that name.
    pub headers: DefaultHeaders,
    /// How the key is sent, and the key. `None` sends no credential (local servers).
    pub credential: Option<Credential>,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the answer's head. Local servers may load a model first.
    pub first_byte_timeout: Duration,
    /// The longest silence inside an answer.
    pub idle_timeout: Duration,
}

/// A dialect that a provider speaks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The dialect.
    pub dialect: Dialect,
    /// The path below the base URL, with its leading slash, `{model}` and `{verb}` in it as in [`Dialect::path`].
    pub path: String,
    /// The header that carries the key there, where it is not the provider's usual one.
    pub auth: Option<AuthScheme>,
}

impl Spoken {
    /// The dialect under its usual path.
    pub fn usual(dialect: Dialect) -> Spoken {
        Spoken { dialect, path: dialect.path().to_owned(), auth: None }
    }

    /// What a family speaks unless more is known.
    pub fn of_family(family: Family) -> Vec<Spoken> {
        family.dialects().iter().copied().map(Spoken::usual).collect()
    }

    /// The path of a call, with the model in it percent-encoded where it belongs there.
    pub fn path_of(&self, model: &str, stream: bool) -> String {
        self.with(model, self.dialect.verb(stream))
    }

    /// The path with Google's verb for something else than a call; `None` if its verb is not to be chosen.
    pub fn path_with_verb(&self, model: &str, verb: &str) -> Option<String> {
        self.path.contains("{verb}").then(|| self.with(model, verb))
    }

    fn with(&self, model: &str, verb: &str) -> String {
        // Google calls a model by the name of its resource, too, which begins with the segment before it.
        let is_resource = self.path.contains("/models/{model}");
        let model = model.strip_prefix("models/").filter(|_| is_resource).unwrap_or(model);
        self.path.replace("{verb}", verb).replace("{model}", &percent_encoded(model))
    }
}

/// A name as one segment of a path: everything but RFC 3986's unreserved bytes is encoded, so that no name leads
/// elsewhere. What would climb is encoded twice, for URLs read it encoded once as they read it plain.
fn percent_encoded(name: &str) -> String {
    if matches!(name, "." | "..") {
        return name.replace('.', "%252E");
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A key and the header that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// How the header looks.
    pub scheme: AuthScheme,
    /// The key.
    pub key: Secret,
}

/// The header that carries a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthScheme {
    /// `authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// `api-key: KEY` (Azure).
    ApiKey,
    /// `x-api-key: KEY` (Anthropic).
    XApiKey,
    /// `x-goog-api-key: KEY` (Gemini).
    XGoogApiKey,
}

impl AuthScheme {
    /// Every scheme.
    pub const ALL: [AuthScheme; 4] =
        [AuthScheme::Bearer, AuthScheme::ApiKey, AuthScheme::XApiKey, AuthScheme::XGoogApiKey];

    /// The word used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            AuthScheme::Bearer => "bearer",
            AuthScheme::ApiKey => "api-key",
            AuthScheme::XApiKey => "x-api-key",
            AuthScheme::XGoogApiKey => "x-goog-api-key",
        }
    }
}

impl UpstreamSettings {
    /// Whether a query holds what looks like a key by its name, and so must not be a setting.
    pub fn holds_credential(query: &str) -> bool {
        query::holds_credential(query)
    }

    /// How a dialect is spoken here, if it is.
    pub fn spoken(&self, dialect: Dialect) -> Option<&Spoken> {
        self.spoken.iter().find(|spoken| spoken.dialect == dialect)
    }

    /// The usual patience for this address and credential.
    pub fn new(base_url: impl Into<String>, credential: Option<Credential>) -> UpstreamSettings {
        UpstreamSettings {
            base_url: base_url.into().trim_end_matches('/').to_owned(),
            spoken: Spoken::of_family(Family::OpenAi),
            query: None,
            headers: DefaultHeaders::default(),
            credential,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(120),
        }
    }
}

/// Headers that a provider wants, sent where the client sent none of that name. Each name is there once; none is a
/// credential, which has its own way and its own rules; none belongs to the connection or to the gateway; and
/// no value is printed, because people put secrets there all the same.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DefaultHeaders(Vec<(HeaderName, HeaderValue)>);

/// Why a header cannot be one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// This is no name of a header.
    Name,
    /// The value holds what no header can carry, or nothing.
    Value,
    /// It carries a credential.
    Credential,
    /// It belongs to the connection, or the gateway sets it.
    Reserved,
    /// It is there already.
    Twice,
}

impl DefaultHeaders {
    /// Adds a header.
    ///
    /// # Errors
    /// It cannot be one; says why.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), BadHeader> {
        let name = HeaderName::try_from(name).map_err(|_| BadHeader::Name)?;
        if is_credential(name.as_str()) {
            return Err(BadHeader::Credential);
        }
        if is_hop_by_hop(name.as_str()) || is_made_anew(name.as_str()) || is_ours(name.as_str()) {
            return Err(BadHeader::Reserved);
        }
        if self.names().any(|known| *known == name) {
            return Err(BadHeader::Twice);
        }
        let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| BadHeader::Value)?;
        if !is_plain || value.is_empty() {
            return Err(BadHeader::Value);
        }
        value.set_sensitive(true);
        self.0.push((name, value));
        Ok(())
    }

    /// These, and those of `others` whose names are not here.
    #[must_use]
    pub fn or(mut self, others: DefaultHeaders) -> DefaultHeaders {
        for (name, value) in others.0 {
            if !self.names().any(|known| *known == name) {
                self.0.push((name, value));
            }
        }
        self
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Puts in what is not there.
    pub(super) fn fill(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

impl fmt::Debug for DefaultHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names().map(HeaderName::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: Result<(), BadHeader>) {
        assert_eq!(DefaultHeaders::default().add(name, value), expected, "{name}");
    }

    #[test]
    fn what_has_its_own_way_is_refused() {
        for name in
            ["Authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"]
        {
            check(name, "v", Err(BadHeader::Credential));
        }
        for name in ["connection", "TE", "host", "content-length", "accept-encoding", "x-tidegate-hop"] {
            check(name, "v", Err(BadHeader::Reserved));
        }
        for (name, value, why) in [
            ("", "v", BadHeader::Name),
            ("a b", "v", BadHeader::Name),
            ("é", "v", BadHeader::Name),
            ("x-a", "", BadHeader::Value),
            ("x-a", " ", BadHeader::Value),
            ("x-a", "a\r\nb: c", BadHeader::Value),
            ("x-a", "é", BadHeader::Value),
        ] {
            check(name, value, Err(why));
        }
        check("OpenAI-Organization", "org-1", Ok(()));
    }

    #[test]
    fn a_clients_header_wins_and_no_value_is_printed() {
        let mut defaults = DefaultHeaders::default();
        defaults.add("anthropic-version", "2023-06-01").unwrap();
        defaults.add("X-Title", "canary").unwrap();
        assert_eq!(defaults.add("x-title", "b"), Err(BadHeader::Twice));
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", HeaderValue::from_static("theirs"));
        defaults.fill(&mut headers);
        assert_eq!(
            (&headers["anthropic-version"], &headers["x-title"]),
            (&HeaderValue::from_static("theirs"), &HeaderValue::from_static("canary"))
        );
        let shown = format!("{defaults:?} {headers:?}");
        assert!(shown.contains("x-title") && !shown.contains("canary"), "{shown}");
    }
}
