//! Queries on their way to a provider.
//!
//! Knows names, not values. Invariant: what stays keeps its bytes; and a credential is known as one in whatever
//! spelling a server would read it.

/// Names under which credentials travel in queries. The last ones mean one in a configuration alone: in a client's
/// query they may be anything, such as the name of a page.
const CREDENTIALS: [&str; 14] = [
    "key",
    "access_token",
    "oauth_token",
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "x-goog-api-key",
    "authorization",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
];

/// How many of [`CREDENTIALS`] are nothing else in a client's query: Gemini's `key`, Google's `access_token` and
/// `oauth_token`, Azure's `api-key` and its like.
const OF_CLIENTS: usize = 9;

/// What of a client's query may go to a provider: all but its credentials, byte for byte. `None` if nothing
/// remains, or there was nothing.
pub fn query_for_provider(query: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = query?.split('&').filter(|pair| !is_clients_credential(pair)).collect();
    let kept = kept.join("&");
    (!kept.is_empty()).then_some(kept)
}

/// The credential that a client's query holds, as it is spelled there.
pub fn credential_in_query(query: &str) -> Option<&str> {
    let pair = query.split('&').find(|pair| is_clients_credential(pair))?;
    pair.split_once('=').map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// Whether a query holds what looks like a key by its name.
pub(super) fn holds_credential(query: &str) -> bool {
    query.split('&').any(|pair| CREDENTIALS.contains(&name_of(pair).as_str()))
}

/// Whether a pair of a client's query is a credential of its own.
pub(super) fn is_clients_credential(pair: &str) -> bool {
    CREDENTIALS[..OF_CLIENTS].contains(&name_of(pair).as_str())
}

/// The name of a pair as a server reads it: percent-decoded, and in small letters, because some ignore the case.
pub(super) fn name_of(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or_default().as_bytes();
    let mut read = String::with_capacity(name.len());
    let mut at = 0;
    while let Some(&byte) = name.get(at) {
        let escaped = (byte == b'%').then(|| name.get(at + 1..at + 3)).flatten().and_then(hex);
        // No name that matters has a byte beyond ASCII, so it does not matter what such a byte becomes.
        read.push(char::from(escaped.unwrap_or(byte)).to_ascii_lowercase());
        at += if escaped.is_some() { 3 } else { 1 };
    }
    read
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*digits.first()?)?, digit(*digits.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(query: &str, expected: Option<&str>) {
        assert_eq!(query_for_provider(Some(query)).as_deref(), expected, "{query}");
    }

    #[test]
    fn a_credential_goes_and_all_else_keeps_its_bytes() {
        assert_eq!(query_for_provider(None), None);
        check("", None);
        check("key=sk", None);
        check("alt=sse&key=sk", Some("alt=sse"));
        check("key=sk&alt=sse&%4bEy=2&kE%79&access_token=t&Access%5FToken", Some("alt=sse"));
        check("keys=1&monkey=2&key%3D=3&ke%y=4&=key&%=5", Some("keys=1&monkey=2&key%3D=3&ke%y=4&=key&%=5"));
        check("a=%20+é&&b&c=key=d", Some("a=%20+é&&b&c=key=d"));
        check("token=page-2", Some("token=page-2"));
        check("api-key=1&api_key=2&APIKEY=3&oauth_token=4&x-goog-api-key=5&authorization=6", None);
    }

    #[test]
    fn the_credential_of_a_query_is_found_by_its_name() {
        for (query, found) in [
            ("alt=sse&%4bEy=sk=1&key=2", Some("sk=1")),
            ("key", None),
            ("key=", None),
            ("token=page-2", None),
            ("", None),
        ] {
            assert_eq!(credential_in_query(query), found, "{query}");
        }
    }

    #[test]
    fn what_looks_like_a_key_is_told_from_what_does_not() {
        for query in ["key=1", "a=1&api%2Dkey=2", "API_KEY=1", "token", "a&sig="] {
            assert!(holds_credential(query), "{query}");
        }
        for query in ["api-version=2024-10-21", "alt=sse", "keyed=1", ""] {
            assert!(!holds_credential(query), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics_and_nothing_is_taken_twice(query in any::<String>()) {
            let once = query_for_provider(Some(&query));
            prop_assert_eq!(query_for_provider(once.as_deref()), once);
            holds_credential(&query);
        }
    }
}
