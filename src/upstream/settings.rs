//! How a provider is reached.

use crate::secret::Secret;
use std::time::Duration;

/// Address, credential and patience for one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Stands in the place of the client's `/v1`; without a trailing slash.
    pub base_url: String,
    /// How the key is sent, and the key. `None` sends no credential (local servers).
    pub credential: Option<Credential>,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the answer's head. Local servers may load a model first.
    pub first_byte_timeout: Duration,
    /// The longest silence inside an answer.
    pub idle_timeout: Duration,
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
}

impl AuthScheme {
    /// Every scheme.
    pub const ALL: [AuthScheme; 2] = [AuthScheme::Bearer, AuthScheme::ApiKey];

    /// The word used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            AuthScheme::Bearer => "bearer",
            AuthScheme::ApiKey => "api-key",
        }
    }
}

impl UpstreamSettings {
    /// The usual patience for this address and credential.
    pub fn new(base_url: impl Into<String>, credential: Option<Credential>) -> UpstreamSettings {
        UpstreamSettings {
            base_url: base_url.into().trim_end_matches('/').to_owned(),
            credential,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(120),
        }
    }
}
