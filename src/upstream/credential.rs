//! Puts the provider's key into a request.
//!
//! Knows no URL but a [`Destination`], so that a key cannot be sent where the configuration does not point.
//! Invariant: the header's value is marked sensitive and never printed.

use super::address::Destination;
use super::settings::{AuthScheme, Credential};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// The header that carries a key, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct KeyHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl KeyHeader {
    /// `None` if the key holds what no header may, such as a line break.
    pub(super) fn new(credential: &Credential) -> Option<KeyHeader> {
        let key = credential.key.expose();
        let (name, value) = match credential.scheme {
            AuthScheme::Bearer => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))),
            AuthScheme::ApiKey => (HeaderName::from_static("api-key"), HeaderValue::try_from(key)),
            AuthScheme::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::try_from(key)),
            AuthScheme::XGoogApiKey => {
                (HeaderName::from_static("x-goog-api-key"), HeaderValue::try_from(key))
            }
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some(KeyHeader { name, value })
    }

    /// Sets the header for a request to `_to`, which is where the key belongs.
    pub(super) fn put(&self, headers: &mut HeaderMap, _to: &Destination) {
        headers.insert(self.name.clone(), self.value.clone());
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
        ] {
            let header = key(scheme, "sk-canary").unwrap();
            let mut headers = HeaderMap::new();
            header.put(&mut headers, &to);
            assert_eq!(headers[name], value);
            assert!(!format!("{header:?} {headers:?}").contains("canary"));
        }
    }

    #[test]
    fn a_key_with_a_line_break_is_refused() {
        assert!(key(AuthScheme::Bearer, "sk\r\nx: y").is_none());
        assert!(key(AuthScheme::ApiKey, "sk\n").is_none());
    }
}
