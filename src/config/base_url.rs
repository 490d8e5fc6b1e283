//! The address of a provider, checked.
//!
//! Invariant: it holds no user, password, query or fragment, so that showing it shows no key. Knows
//! nothing of vendors.

use crate::server::{ListenAddress, ServerSettings};
use std::net::IpAddr;

/// An address that requests can be appended to; without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    text: String,
    host: String,
    port: u16,
    encrypted: bool,
}

/// Why a text is no such address. Says nothing of the text itself, which may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadBaseUrl {
    /// Not an absolute URL with a host, or neither `http` nor `https`.
    NotHttp,
    /// It names a user or a password.
    UserInfo,
    /// It has a query or a fragment.
    Query,
}

impl BaseUrl {
    /// Checks the text.
    pub(super) fn parse(text: &str) -> Result<BaseUrl, BadBaseUrl> {
        let text = text.trim();
        if text.contains(['?', '#']) {
            return Err(BadBaseUrl::Query);
        }
        let uri: http::Uri = text.parse().map_err(|_| BadBaseUrl::NotHttp)?;
        let authority = uri.authority().ok_or(BadBaseUrl::NotHttp)?;
        if authority.as_str().contains('@') {
            return Err(BadBaseUrl::UserInfo);
        }
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(BadBaseUrl::NotHttp),
        };
        let written_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if !written_port => default_port(encrypted),
            _ => return Err(BadBaseUrl::NotHttp),
        };
        let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
        if host.is_empty() {
            return Err(BadBaseUrl::NotHttp);
        }
        Ok(BaseUrl { text: text.trim_end_matches('/').to_owned(), host, port, encrypted })
    }

    /// The address as text.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, with its leading slash; empty if there is none.
    pub(super) fn path(&self) -> &str {
        let after_scheme = self.text.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.find('/').map_or("", |slash| &after_scheme[slash..])
    }

    /// The host name or address, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether what is sent there is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether what is sent there stays on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self.ip() {
            Some(ip) => ip.is_loopback(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// Whether a gateway with these settings would be talking to itself there.
    pub(super) fn is_gateway(&self, server: &ServerSettings) -> bool {
        let listens_here = |address: &ListenAddress| match address {
            ListenAddress::Unix(_) => false,
            ListenAddress::Tcp(address) if address.port() != self.port => false,
            ListenAddress::Tcp(address) => {
                let own = address.ip().to_canonical();
                // An unspecified address takes whatever reaches the machine; which of its names and addresses
                // do is unknown here, but for loopback and the names that the settings give.
                let through_loopback = (own.is_loopback() || own.is_unspecified()) && self.is_loopback();
                through_loopback || self.ip() == Some(own) || server.hosts.contains(&self.host)
            }
        };
        server.listen.iter().any(listens_here)
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok().map(|ip: IpAddr| ip.to_canonical())
    }
}

fn default_port(encrypted: bool) -> u16 {
    if encrypted { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_into_their_parts() {
        for (text, host, port, path) in [
            ("https://api.openai.com/v1/", "api.openai.com", 443, "/v1"),
            ("http://[::1]:8000", "::1", 8000, ""),
            ("HTTP://LocalHost/a/b", "localhost", 80, "/a/b"),
        ] {
            let base = BaseUrl::parse(text).unwrap();
            assert_eq!((base.host(), base.port(), base.path()), (host, port, path), "{text}");
        }
    }

    #[test]
    fn what_could_hold_a_key_or_is_no_address_is_refused() {
        for (text, why) in [
            ("https://user:pw@host/v1", BadBaseUrl::UserInfo),
            ("https://host/v1?key=1", BadBaseUrl::Query),
            ("https://host/v1#key", BadBaseUrl::Query),
            ("ftp://host", BadBaseUrl::NotHttp),
            ("host:8000", BadBaseUrl::NotHttp),
            ("/v1", BadBaseUrl::NotHttp),
            ("http://", BadBaseUrl::NotHttp),
            ("http://host:99999/", BadBaseUrl::NotHttp),
            ("http://host:0/", BadBaseUrl::NotHttp),
            ("http://host name/", BadBaseUrl::NotHttp),
            ("", BadBaseUrl::NotHttp),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn the_gateway_knows_its_own_address() {
        let listening = |address: &str| ServerSettings {
            listen: vec![ListenAddress::Tcp(address.parse().unwrap())],
            hosts: vec!["gate.example".to_owned()],
            ..ServerSettings::default()
        };
        let check = |url: &str, listen: &str, own: bool| {
            assert_eq!(BaseUrl::parse(url).unwrap().is_gateway(&listening(listen)), own, "{url} at {listen}");
        };
        check("http://localhost:8433/v1", "127.0.0.1:8433", true);
        check("http://127.0.0.1:8433", "0.0.0.0:8433", true);
        check("http://[::1]:8433", "127.0.0.1:8433", true);
        check("http://10.0.0.5:8433", "10.0.0.5:8433", true);
        check("http://gate.example:8433", "0.0.0.0:8433", true);
        check("http://127.0.0.1:8000", "127.0.0.1:8433", false);
        check("http://10.0.0.6:8433", "10.0.0.5:8433", false);
        check("https://api.openai.com:8433", "127.0.0.1:8433", false);
    }
}
