//! Puts the provider's key into a request.
//!
//! Knows no URL but a [`Destination`], so that a key cannot be sent where the configuration does not point.
//! Invariant: the header's value is marked sensitive and never printed.

use super::address::Destination;
use super::settings::{AuthScheme, Credential};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// The header that carries a key, ready to be sent under any scheme.
#[derive(Clone, Debug)]
pub(super) struct KeyHeader {
    usual: AuthScheme,
    bearer: HeaderValue,
    bare: HeaderValue,
}

impl KeyHeader {
    /// `None` if the key holds what no header may, such as a line break.
    pub(super) fn new(credential: &Credential) -> Option<KeyHeader> {
        let key = credential.key.expose();
        let mut bearer = HeaderValue::try_from(format!("Bearer {key}")).ok()?;
        let mut bare = HeaderValue::try_from(key).ok()?;
        bearer.set_sensitive(true);
        bare.set_sensitive(true);
        Some(KeyHeader { usual: credential.scheme, bearer, bare })
    }

    /// Sets the header for a request to `_to`, which is where the key belongs; under the provider's usual scheme
    /// unless another is given.
    pub(super) fn put(&self, headers: &mut HeaderMap, scheme: Option<AuthScheme>, _to: &Destination) {
        let (name, value) = match scheme.unwrap_or(self.usual) {
            AuthScheme::Bearer => (AUTHORIZATION, &self.bearer),
            AuthScheme::ApiKey => (HeaderName::from_static("api-key"), &self.bare),
            AuthScheme::XApiKey => (HeaderName::from_static("x-api-key"), &self.bare),
            AuthScheme::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), &self.bare),
        };
        headers.insert(name, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::upstream::address::Address;

    fn key(scheme: AuthScheme, key: &str) -> Option<KeyHeader> {
        KeyHeader::new(&Credential { scheme, key: Secret::new(key.to_owned()) })
    }

    #[test]
    fn each_scheme_has_its_header_and_none_prints_the_key() {
        let to = Address::parse("http://h").expect("a good base").join("/x").expect("under the base");
        for (scheme, name, value) in [
            (AuthScheme::Bearer, "authorization", "Bearer sk-canary"),
            (AuthScheme::ApiKey, "api-key", "sk-canary"),
            (AuthScheme::XApiKey, "x-api-key", "sk-canary"),
            (AuthScheme::XGoogApiKey, "x-goog-api-key", "sk-canary"),
        ] {
            for (usual, other) in [(scheme, None), (AuthScheme::Bearer, Some(scheme))] {
                let header = key(usual, "sk-canary").unwrap();
                let mut headers = HeaderMap::new();
                header.put(&mut headers, other, &to);
                assert_eq!(headers[name], value);
                assert_eq!(headers.len(), 1, "a key is sent once");
                assert!(!format!("{header:?} {headers:?}").contains("canary"));
            }
        }
    }

    #[test]
    fn a_key_with_a_line_break_is_refused() {
        assert!(key(AuthScheme::Bearer, "sk\r\nx: y").is_none());
        assert!(key(AuthScheme::ApiKey, "sk\n").is_none());
    }
}
