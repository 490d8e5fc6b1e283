//! Asking a daemon that runs, from another process.

use crate::server::ListenAddress;
use crate::upstream::{Failure, FailureKind, ask};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where a gateway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Running {
    /// `http://HOST:PORT`.
    Url(String),
    /// A Unix socket.
    Socket(PathBuf),
}

/// Why a gateway gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody listens there.
    #[error("no gateway answers at {0}")]
    NotRunning(Running),
    /// Somebody does, and says nothing that a gateway would.
    #[error("what listens at {0} does not answer as a gateway does")]
    NoGateway(Running),
}

impl Running {
    /// Where a gateway that listens so is reached; `None` where the port is any that is free.
    pub fn at(address: &ListenAddress) -> Option<Running> {
        match address {
            ListenAddress::Tcp(address) if address.port() == 0 => None,
            ListenAddress::Tcp(address) => {
                // Every address of the machine is none to connect to.
                let ip = match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                    ip => ip,
                };
                Some(Running::Url(format!("http://{}", SocketAddr::new(ip, address.port()))))
            }
            ListenAddress::Unix(path) => Some(Running::Socket(path.clone())),
        }
    }

    /// Asks for a path. Gives the status and the body, which is JSON.
    ///
    /// # Errors
    /// Nobody answers, or not as a gateway.
    pub async fn ask(&self, path: &str) -> Result<(u16, serde_json::Value), NoAnswer> {
        let (base, socket) = match self {
            Running::Url(url) => (url.trim_end_matches('/'), None),
            Running::Socket(socket) => ("http://localhost", Some(socket.as_path())),
        };
        let answer = ask(&format!("{base}{path}"), socket).await;
        let (status, body) = answer.map_err(|failure: Failure| match failure.kind {
            FailureKind::Dns | FailureKind::Connect | FailureKind::Local => {
                NoAnswer::NotRunning(self.clone())
            }
            _ => NoAnswer::NoGateway(self.clone()),
        })?;
        let json = serde_json::from_slice(&body).map_err(|_| NoAnswer::NoGateway(self.clone()))?;
        Ok((status.as_u16(), json))
    }
}

impl FromStr for Running {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Running, &'static str> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Running::Socket(path.into())),
            Some(_) => Err("write the whole path, as in unix:/run/tidegate/tidegate.sock"),
            None if text.strip_prefix("http://").is_some_and(|rest| !rest.trim_matches('/').is_empty()) => {
                Ok(Running::Url(text.to_owned()))
            }
            None => Err("write http://HOST:PORT or unix:/PATH"),
        }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Running::Url(url) => f.write_str(url),
            Running::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
