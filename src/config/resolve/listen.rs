//! The addresses that the gateway listens on, and the names that it answers to.
//!
//! Invariant: nothing beyond this machine is listened to unless the file says so in so many words, because
//! whoever reaches the gateway spends its keys.

use super::Resolver;
use crate::server::ListenAddress;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use toml::Spanned;

/// The longest path of a Unix socket that every system takes, in bytes (macOS: 104 with the final zero).
const SOCKET_PATH_MAX: usize = 103;

/// The most addresses and host names; each costs a socket or a comparison a request.
const LISTEN_MAX: usize = 64;

impl Resolver<'_> {
    /// The addresses as written; `None` if none are.
    pub(super) fn listen(
        &mut self,
        written: Option<Spanned<Vec<Spanned<String>>>>,
        allow_remote: Option<Spanned<bool>>,
    ) -> Option<Vec<ListenAddress>> {
        const KEY: &str = "server.listen";
        let written = written?;
        let allow_remote = allow_remote.is_some_and(Spanned::into_inner);
        if written.get_ref().is_empty() || written.get_ref().len() > LISTEN_MAX {
            let wrong = format!("`listen` must hold from 1 to {LISTEN_MAX} addresses");
            self.mistake(written.span(), KEY, wrong, "write [\"127.0.0.1:8433\", \"[::1]:8433\"]");
            return None;
        }
        let mut listen: Vec<ListenAddress> = Vec::new();
        for text in written.into_inner() {
            let address = match parse(text.get_ref()) {
                Ok(address) => address,
                Err(instead) => {
                    self.mistake(text.span(), KEY, "this is no address to listen on", instead);
                    continue;
                }
            };
            if is_remote(&address) && !allow_remote {
                let wrong =
                    "this address can be reached from other machines, which could then spend your keys";
                let instead = "listen on 127.0.0.1 or [::1], or, if that is what you want, write \
                               `allow_remote = true` in [server]";
                self.mistake(text.span(), KEY, wrong, instead);
            }
            if listen.iter().any(|other| collide(other, &address)) {
                self.mistake(text.span(), KEY, "this address is already listened on", "take it out");
            }
            listen.push(address);
        }
        Some(listen)
    }

    /// Host names in lower case.
    pub(super) fn hosts(&mut self, written: Option<Spanned<Vec<Spanned<String>>>>) -> Vec<String> {
        const KEY: &str = "server.hosts";
        let Some(written) = written else { return Vec::new() };
        if written.get_ref().len() > LISTEN_MAX {
            let wrong = format!("`hosts` must hold at most {LISTEN_MAX} names");
            self.mistake(written.span(), KEY, wrong, "write fewer");
        }
        let mut hosts = Vec::new();
        for text in written.into_inner() {
            let host = text.get_ref().trim().to_ascii_lowercase();
            let is_ip = host.parse::<IpAddr>().is_ok();
            let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if host.is_empty() || host.len() > 253 || !(is_ip || is_name) {
                let instead =
                    "write the bare name, such as \"gateway.example\": no scheme, port, path or star";
                self.mistake(text.span(), KEY, "this is no host name", instead);
            } else {
                hosts.push(host);
            }
        }
        hosts
    }
}

fn parse(text: &str) -> Result<ListenAddress, &'static str> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return match path.as_os_str().len() {
            0..=SOCKET_PATH_MAX if path.is_absolute() => Ok(ListenAddress::Unix(path)),
            0..=SOCKET_PATH_MAX => {
                Err("write an absolute path, such as \"unix:/run/tidegate/tidegate.sock\"")
            }
            _ => Err("write a path of at most 103 bytes: systems take no longer one for a socket"),
        };
    }
    text.parse::<SocketAddr>().map(ListenAddress::Tcp).map_err(|_| {
        if text.starts_with("localhost:") {
            "write both addresses of localhost: \"127.0.0.1:8433\", \"[::1]:8433\""
        } else if text.contains("://") {
            "leave the scheme out: \"127.0.0.1:8433\""
        } else {
            "write an IP address and a port, \"127.0.0.1:8433\" or \"[::1]:8433\", or \"unix:/path\""
        }
    })
}

/// Reads an address of this machine, as the command line takes it: `HOST:PORT` or `unix:/PATH`. Addresses
/// beyond this machine have to stand in a file, beside the permission for them.
///
/// # Errors
/// What to write instead.
pub fn loopback_address(text: &str) -> Result<ListenAddress, &'static str> {
    match parse(text) {
        Ok(address) if is_remote(&address) => Err(
            "only addresses of this machine here; others go into a file, with `allow_remote` under [server]",
        ),
        parsed => parsed,
    }
}

fn is_remote(address: &ListenAddress) -> bool {
    matches!(address, ListenAddress::Tcp(address) if !address.ip().to_canonical().is_loopback())
}

/// Whether the second of two addresses could not be bound. Port 0 is another port each time.
fn collide(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            let overlap = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() != 0 && one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && overlap
        }
        (one, other) => one == other,
    }
}
