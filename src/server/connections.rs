//! The accept loop: connections within bounds of number and time, and their graceful end.

use super::listener::{Bound, BoundAddress, Connection};
use super::stall::StallBound;
use super::{App, routes};
use crate::tasks::Tasks;
use futures_util::future::join_all;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The most headers of a request. hyper refuses more by itself, without words.
const HEADERS_MAX: usize = 100;
/// hyper's buffer for a request's head. Larger than what the guard allows, so that the guard can say so
/// in words; hyper refuses what does not fit with a bare 431.
const HEAD_BUFFER: usize = 256 * 1024;
/// How long the accept loop rests after an error that would come again at once, such as having no file
/// descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<BoundAddress>,
    /// Each loop ends with the connections that it has left behind.
    accepting: Vec<JoinHandle<GracefulShutdown>>,
    stop_accepting: CancellationToken,
    abandon: CancellationToken,
}

/// How long those who are given up have to hear it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What every connection needs.
#[derive(Clone)]
struct Common {
    app: App,
    service: TowerToHyperService<axum::Router>,
    places: Arc<Semaphore>,
    stop_accepting: CancellationToken,
    abandon: CancellationToken,
    tasks: Tasks,
}

/// Serves on these sockets until it is drained.
pub fn serve(app: App, bound: Vec<Bound>, tasks: &Tasks) -> Server {
    let common = Common {
        service: TowerToHyperService::new(routes(app.clone())),
        places: Arc::new(Semaphore::new(app.settings.connections_max)),
        stop_accepting: CancellationToken::new(),
        abandon: CancellationToken::new(),
        tasks: tasks.clone(),
        app,
    };
    let addresses = bound.iter().filter_map(Bound::address).collect();
    let (stop_accepting, abandon) = (common.stop_accepting.clone(), common.abandon.clone());
    let accept = |bound| tasks.spawn("accept", accept(bound, common.clone()));
    Server { addresses, accepting: bound.into_iter().map(accept).collect(), stop_accepting, abandon }
}

impl Server {
    /// Where it listens.
    pub fn addresses(&self) -> &[BoundAddress] {
        &self.addresses
    }

    /// Takes no more connections and lets those that are busy finish. When `patience` is over, calls
    /// `give_up`, which ends what has not begun to be answered, and soon after breaks off the rest. Tells
    /// whether all was done in time.
    pub async fn drain(self, patience: Duration, give_up: impl FnOnce()) -> bool {
        self.stop_accepting.cancel();
        // All listeners are closed before anything waits, so that nobody connects to a closed door.
        let left = join_all(self.accepting).await;
        let ends = left.into_iter().flatten().map(GracefulShutdown::shutdown);
        let mut ends = std::pin::pin!(join_all(ends));
        let done = tokio::time::timeout(patience, &mut ends).await.is_ok();
        if !done {
            give_up();
            // What is left after this is broken off, which `done` has told already.
            let _ = tokio::time::timeout(LAST_WORDS, ends).await;
        }
        self.abandon.cancel();
        done
    }
}

async fn accept(bound: Bound, common: Common) -> GracefulShutdown {
    let graceful = GracefulShutdown::new();
    loop {
        let Some(place) = place(&common).await else { return graceful };
        let connection = tokio::select! {
            () = common.stop_accepting.cancelled() => return graceful,
            connection = bound.accept() => connection,
        };
        match connection {
            Ok(Connection::Tcp(stream, peer)) => run(stream, Some(peer), place, &common, &graceful),
            Ok(Connection::Unix(stream)) => run(stream, None, place, &common, &graceful),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Waits until another connection may be open; `None` if no more are taken.
async fn place(common: &Common) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(&common.places).try_acquire_owned() {
        return Some(place);
    }
    common.app.gateway.metrics().accepts_delayed.inc();
    tokio::select! {
        () = common.stop_accepting.cancelled() => None,
        place = Arc::clone(&common.places).acquire_owned() => place.ok(),
    }
}

/// Where a request came from, as a part of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

fn run<S>(
    stream: S,
    peer: Option<IpAddr>,
    place: OwnedSemaphorePermit,
    common: &Common,
    graceful: &GracefulShutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let metrics = Arc::clone(common.app.gateway.metrics());
    let stream = StallBound::new(stream, common.app.settings.write_timeout, metrics.clients_stalled.clone());
    let service = common.service.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer));
        }
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(common.app.settings.head_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    let abandon = common.abandon.clone();
    metrics.connections_open.inc();
    common.tasks.spawn("connection", async move {
        tokio::select! {
            () = abandon.cancelled() => {}
            // What a client does wrong is answered or ends its own connection; nothing follows here.
            _ = connection => {}
        }
        metrics.connections_open.dec();
        drop(place);
    });
}
