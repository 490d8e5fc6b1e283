//! Sockets to listen on: bound by us, or inherited from the service manager.

use super::ListenAddress;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A socket that is listened on.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket; removed when the listener is dropped, unless it was inherited.
    Unix(UnixListener, Option<PathBuf>),
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoundAddress::Tcp(address) => write!(f, "http://{address}"),
            BoundAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: BoundAddress,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

/// Binds every address. A loopback address of a protocol that the machine does not have is left out if
/// another one can be bound.
///
/// # Errors
/// An address that cannot be bound.
pub async fn bind(addresses: &[ListenAddress]) -> Result<Vec<Bound>, BindError> {
    let mut bound = Vec::new();
    let mut absent = None;
    for address in addresses {
        match address {
            ListenAddress::Tcp(address) => {
                // Port 0 means one free port, the same for all addresses where that can be had.
                let address = with_port_of(&bound, *address);
                match TcpListener::bind(address).await {
                    Ok(listener) => bound.push(Bound::Tcp(listener)),
                    Err(source)
                        if source.kind() == io::ErrorKind::AddrNotAvailable && address.ip().is_loopback() =>
                    {
                        absent = Some(BindError { address: BoundAddress::Tcp(address), source });
                    }
                    Err(source) => return Err(BindError { address: BoundAddress::Tcp(address), source }),
                }
            }
            ListenAddress::Unix(path) => {
                let listener = bind_unix(path).await;
                let listener = listener
                    .map_err(|source| BindError { address: BoundAddress::Unix(path.clone()), source })?;
                bound.push(Bound::Unix(listener, Some(path.clone())));
            }
        }
    }
    match absent {
        Some(error) if bound.is_empty() => Err(error),
        _ => Ok(bound),
    }
}

/// Takes over sockets that the service manager has opened. Each number must be a listening socket that
/// nothing else in this process owns.
///
/// # Errors
/// One of them is no listening socket.
pub fn inherit(sockets: impl IntoIterator<Item = RawFd>) -> io::Result<Vec<Bound>> {
    sockets.into_iter().map(inherited).collect()
}

fn inherited(socket: RawFd) -> io::Result<Bound> {
    #[expect(unsafe_code, reason = "the service manager hands the socket to this process alone")]
    let listener = unsafe { std::net::TcpListener::from_raw_fd(socket) };
    listener.set_nonblocking(true)?;
    if listener.local_addr().is_ok() {
        return Ok(Bound::Tcp(TcpListener::from_std(listener)?));
    }
    let listener = std::os::unix::net::UnixListener::from(std::os::fd::OwnedFd::from(listener));
    listener.local_addr()?;
    Ok(Bound::Unix(UnixListener::from_std(listener)?, None))
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> Option<BoundAddress> {
        match self {
            Bound::Tcp(listener) => listener.local_addr().ok().map(BoundAddress::Tcp),
            Bound::Unix(listener, _) => {
                let address = listener.local_addr().ok()?;
                address.as_pathname().map(|path| BoundAddress::Unix(path.to_owned()))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Without it a small event waits up to 40 ms for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream, peer.ip()))
            }
            Bound::Unix(listener, _) => Ok(Connection::Unix(listener.accept().await?.0)),
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Bound::Unix(_, Some(path)) = self {
            // It may have been removed already; nothing follows from that.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn with_port_of(bound: &[Bound], mut address: SocketAddr) -> SocketAddr {
    if address.port() == 0 {
        let known = bound.iter().find_map(|bound| match bound.address() {
            Some(BoundAddress::Tcp(known)) if known.ip() != address.ip() => Some(known.port()),
            _ => None,
        });
        address.set_port(known.unwrap_or(0));
    }
    address
}

/// Binds a socket that only its owner can use. One that nobody answers on is left from a crash and is
/// replaced; one that somebody answers on is in use.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if std::fs::symlink_metadata(path)
        .is_ok_and(|left| std::os::unix::fs::FileTypeExt::is_socket(&left.file_type()))
    {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
