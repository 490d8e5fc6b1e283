//! Where the gateway listens and what it accepts.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What the server accepts. Changing any of it needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The addresses.
    pub listen: Vec<ListenAddress>,
    /// Threads that carry traffic; 0 is one a core.
    pub workers: usize,
    /// Host names, besides the loopback ones, under which clients may address the gateway.
    pub hosts: Vec<String>,
    /// The largest request body, in bytes.
    pub body_max: usize,
    /// The most bytes of request bodies at a time, over all clients; at least `body_max`.
    pub bodies_max: usize,
    /// The longest that a client may take to send its request head.
    pub head_timeout: Duration,
    /// The longest silence inside a request body.
    pub body_idle_timeout: Duration,
    /// The longest that a client may take nothing of an answer that is there for it.
    pub write_timeout: Duration,
    /// The most connections at a time.
    pub connections_max: usize,
    /// How long a drain waits for exchanges to end.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        let port = 8433;
        ServerSettings {
            listen: vec![
                ListenAddress::Tcp((Ipv4Addr::LOCALHOST, port).into()),
                ListenAddress::Tcp((Ipv6Addr::LOCALHOST, port).into()),
            ],
            workers: 0,
            hosts: Vec::new(),
            body_max: 32 << 20,
            bodies_max: 512 << 20,
            head_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(120),
            connections_max: 4_096,
            drain: Duration::from_secs(25),
        }
    }
}
