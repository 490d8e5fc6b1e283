//! How a provider is reached.

use crate::dialect::{Dialect, Family};
use crate::secret::Secret;
use std::time::Duration;

/// Address, credential and patience for one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Stands in the place of the client's `/v1`; without a trailing slash.
    pub base_url: String,
    /// What is spoken there and under which paths, the best first: of several that a conversation could be
    /// translated into, the first is taken.
    pub spoken: Vec<Spoken>,
    /// Appended to the query of every request, such as `api-version=2024-10-21`.
    pub query: Option<String>,
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
        self.path.replace("{verb}", self.dialect.verb(stream)).replace("{model}", &percent_encoded(model))
    }
}

/// A name as one segment of a path: everything but RFC 3986's unreserved bytes is encoded.
fn percent_encoded(name: &str) -> String {
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
            credential,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(120),
        }
    }
}
