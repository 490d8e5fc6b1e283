//! Why there is no answer, or no more of it.
//!
//! Refuses to judge what follows. Invariant: its words hold no URL, no header and no body, so that they may be
//! shown to clients and logged.

use std::error::Error;
use std::fmt;
use std::io;

/// An attempt, or an answer, that broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What broke.
    pub kind: FailureKind,
    /// The system's words for it; empty if there are none.
    pub detail: String,
}

/// What broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The path leads out of the provider's base URL; nothing was sent.
    Path,
    /// The host's name could not be resolved.
    Dns,
    /// No connection, or not in time.
    Connect,
    /// No connection, because this machine has no descriptor or memory left for one; nothing was sent.
    Local,
    /// Connected, but not securely.
    Tls,
    /// No head of an answer in time.
    TimedOut,
    /// The connection broke, before the answer or in it.
    Reset,
    /// The answer fell silent.
    Idle,
    /// What came is no HTTP.
    Protocol,
    /// The client's own body broke while it was passed on.
    ClientBody,
}

/// The mark on an error of a client's body, by which it is known among the provider's.
#[derive(Debug)]
pub(super) struct ClientBodyBroke(pub(super) io::Error);

/// As much of the system's words as is kept.
const DETAIL_MAX: usize = 200;

impl Failure {
    /// Without words of the system's.
    pub(super) fn plain(kind: FailureKind) -> Failure {
        Failure { kind, detail: String::new() }
    }
}

impl FailureKind {
    /// The word used in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            FailureKind::Path => "path",
            FailureKind::Dns => "dns",
            FailureKind::Connect => "connect",
            FailureKind::Local => "local",
            FailureKind::Tls => "tls",
            FailureKind::TimedOut => "timed_out",
            FailureKind::Reset => "reset",
            FailureKind::Idle => "idle",
            FailureKind::Protocol => "protocol",
            FailureKind::ClientBody => "client_body",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            FailureKind::Path => "the path leads out of the provider's address",
            FailureKind::Dns => "the provider's host name cannot be resolved",
            FailureKind::Connect => "cannot connect to the provider",
            FailureKind::Local => "this machine has no room for another connection",
            FailureKind::Tls => "cannot connect securely to the provider",
            FailureKind::TimedOut => "the provider did not answer in time",
            FailureKind::Reset => "the provider broke the connection",
            FailureKind::Idle => "the provider fell silent in its answer",
            FailureKind::Protocol => "the provider did not speak HTTP",
            FailureKind::ClientBody => "the request body broke off",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl Error for Failure {}

impl fmt::Display for ClientBodyBroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ClientBodyBroke {}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Failure {
        let kind = kind(&error);
        // The outer layers name the URL; the innermost one is the system's, TLS's or the parser's.
        let innermost = causes(&error).last().filter(|cause| !cause.is::<reqwest::Error>());
        let mut detail = innermost.map(ToString::to_string).unwrap_or_default();
        if let Some((at, _)) = detail.char_indices().nth(DETAIL_MAX) {
            detail.truncate(at);
        }
        Failure { kind, detail }
    }
}

fn kind(error: &reqwest::Error) -> FailureKind {
    if causes(error).any(<dyn Error>::is::<ClientBodyBroke>) {
        return FailureKind::ClientBody;
    }
    if causes(error).any(is_local) {
        return FailureKind::Local;
    }
    if error.is_dns() {
        return FailureKind::Dns;
    }
    if causes(error).any(<dyn Error>::is::<rustls::Error>) {
        return FailureKind::Tls;
    }
    if error.is_connect() {
        return FailureKind::Connect;
    }
    let is_garbage = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
            || cause.downcast_ref::<io::Error>().is_some_and(|io| {
                matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
            })
    };
    if error.is_builder() || causes(error).any(is_garbage) {
        FailureKind::Protocol
    } else {
        FailureKind::Reset
    }
}

/// Whether the machine had no descriptor or memory left, which says nothing about the provider.
fn is_local(cause: &(dyn Error + 'static)) -> bool {
    let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let local = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    code.is_some_and(|code| local.contains(&code))
}

/// The error and everything below it. An I/O error that wraps another names as its source only the source of
/// that other, so the wrapped one is visited here too.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_is_told_from_a_provider_that_is_down() {
        let wrapped = |code| io::Error::other(io::Error::from_raw_os_error(code));
        let is = |code| causes(&wrapped(code)).any(is_local);
        assert!(is(libc::EMFILE) && is(libc::ENFILE));
        assert!(!is(libc::ECONNREFUSED) && !is(libc::EHOSTUNREACH) && !is(libc::EADDRNOTAVAIL));
    }
}
