//! Where a provider is, and where under it a request goes.
//!
//! Knows no headers. Invariant: a [`Destination`] has the scheme, host and port of its base URL and lies
//! under its path, whatever path a client sends; so whoever holds one may attach the key.

use super::query::{is_clients_credential, name_of};
use reqwest::Url;

/// The parsed base URL of a provider.
#[derive(Clone, Debug)]
pub(super) struct Address {
    base: Url,
}

/// A URL under a provider's base URL.
#[derive(Clone, Debug)]
pub(super) struct Destination(Url);

impl Address {
    /// Reads a base URL. Says in words what is wrong with it, without repeating it, because it may hold a
    /// password.
    pub(super) fn parse(base_url: &str) -> Result<Address, &'static str> {
        let mut base = Url::parse(base_url).map_err(|_| "the base URL is no URL")?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err("the base URL begins with neither http:// nor https://");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err("the base URL holds a user name or password");
        }
        if base.fragment().is_some() {
            return Err("the base URL holds a #fragment");
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Address { base })
    }

    /// Whether the way there is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The same with this in the query of every request, after what the base URL has there.
    pub(super) fn with_query(mut self, query: Option<&str>) -> Address {
        let own = self.base.query().into_iter().chain(query).filter(|query| !query.is_empty());
        let query = own.collect::<Vec<_>>().join("&");
        self.base.set_query((!query.is_empty()).then_some(query.as_str()));
        self
    }

    /// The URL of a path with an optional query. Its own query, such as an API version, is kept and stands in
    /// the place of what the client's has under the same names; a `key` in the client's is dropped, because it
    /// is a credential. `None` if the path leads elsewhere.
    pub(super) fn join(&self, path_and_query: &str) -> Option<Destination> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if !path.is_empty() && !path.starts_with('/') {
            return None;
        }
        let root = self.base.path().trim_end_matches('/');
        let mut url = self.base.clone();
        url.set_path(&format!("{root}{path}"));
        let own = self.base.query();
        let names: Vec<String> = own.into_iter().flat_map(|own| own.split('&')).map(name_of).collect();
        let is_theirs =
            |pair: &&str| !pair.is_empty() && !is_clients_credential(pair) && !names.contains(&name_of(pair));
        let theirs = query.split('&').filter(is_theirs);
        let query = own.into_iter().chain(theirs).collect::<Vec<_>>().join("&");
        url.set_query((!query.is_empty()).then_some(query.as_str()));
        // Dot segments have been resolved by now, in any spelling.
        let under =
            url.path().strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (under && url.origin() == self.base.origin()).then_some(Destination(url))
    }
}

impl Destination {
    /// The URL.
    pub(super) fn into_url(self) -> Url {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, path: &str, expected: Option<&str>) {
        let joined =
            Address::parse(base).expect("a good base").join(path).map(|to| to.into_url().to_string());
        assert_eq!(joined.as_deref(), expected, "{base} and {path}");
    }

    #[test]
    fn a_path_is_appended_to_the_base() {
        check("http://h:1/v1", "/chat", Some("http://h:1/v1/chat"));
        check("http://h:1/v1/", "/files?x=1&y=%20", Some("http://h:1/v1/files?x=1&y=%20"));
        check("http://h:1", "/chat", Some("http://h:1/chat"));
        check("http://h:1/v1", "", Some("http://h:1/v1"));
        check("http://h:1/v1", "/a%2Fb", Some("http://h:1/v1/a%2Fb"));
    }

    #[test]
    fn the_bases_own_query_is_kept_and_a_key_is_dropped() {
        check("https://h/d?api-version=1", "/chat?x=1", Some("https://h/d/chat?api-version=1&x=1"));
        check("https://h/d?api-version=1", "/chat", Some("https://h/d/chat?api-version=1"));
        check("https://h/d", "/chat?key=sk&x=1&KEY=2&key", Some("https://h/d/chat?x=1"));
        check("https://h/d", "/chat?key=sk", Some("https://h/d/chat"));
        check("https://h/d", "/chat?%6bey=sk&access_token=t", Some("https://h/d/chat"));
    }

    #[test]
    fn what_is_configured_stands_in_the_place_of_what_a_client_sends() {
        let joined = |base: &str, query: Option<&str>, path: &str| {
            let address = Address::parse(base).expect("a good base").with_query(query);
            address.join(path).expect("under the base").into_url().to_string()
        };
        let version = Some("api-version=2");
        assert_eq!(joined("https://h/d", version, "/chat"), "https://h/d/chat?api-version=2");
        assert_eq!(
            joined("https://h/d", version, "/chat?x=1&API-Version=9&api%2Dversion"),
            "https://h/d/chat?api-version=2&x=1"
        );
        assert_eq!(joined("https://h/d?a=1", version, "/c?a=2&b=3"), "https://h/d/c?a=1&api-version=2&b=3");
        assert_eq!(joined("https://h/d", None, "/c?a=2"), "https://h/d/c?a=2");
    }

    #[test]
    fn no_path_leads_to_another_host_or_out_of_the_base() {
        for path in ["@evil.example/", ".evil.example/", ":9/x", "x", "http://evil.example/"] {
            check("https://good.example", path, None);
        }
        check("https://good.example/v1", "//evil.example/x", Some("https://good.example/v1//evil.example/x"));
        check("https://good.example", "//evil.example/x", Some("https://good.example//evil.example/x"));
        for path in ["/../admin", "/a/../../admin", "/%2e%2e/admin", "/.%2E/admin", "/..", "/..\\admin"] {
            check("https://good.example/v1", path, None);
        }
        check("https://good.example/v1", "/a/../b", Some("https://good.example/v1/b"));
    }

    #[test]
    fn a_base_that_cannot_be_used_is_refused() {
        for base in
            ["", "h:1/v1", "ftp://h/", "unix:/run/x", "http://u@h/", "http://u:p@h/", "http://h/#x", "/v1"]
        {
            assert!(Address::parse(base).is_err(), "{base}");
        }
    }
}
