//! The door: accepts connections and serves each until it ends or the simulator stops.
//!
//! It stops at once: live connections are dropped in the middle of whatever they do, as when a provider dies.

use super::control::Control;
use super::routes::routes;
use super::settings::SimulatorSettings;
use super::shared::Shared;
use crate::tasks::Tasks;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

/// The most connections at a time; more wait in the system's queue. Below the usual limit of open files.
const CONNECTIONS_MAX: usize = 768;

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait when the system has no file descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running simulated provider. It runs until its tasks are stopped.
#[derive(Clone, Debug)]
pub struct Simulator {
    /// Where it listens.
    pub address: SocketAddr,
    /// The handle on it.
    pub control: Control,
}

impl Simulator {
    /// Its base URL as a provider's: `http://ADDRESS/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its base URL as Google's: `http://ADDRESS/v1beta`.
    pub fn gemini_base_url(&self) -> String {
        format!("http://{}/v1beta", self.address)
    }

    /// Its base URL as a resource at Azure, whose paths name a deployment: `http://ADDRESS/openai`.
    pub fn azure_base_url(&self) -> String {
        format!("http://{}/openai", self.address)
    }
}

/// Starts a simulated provider behind `listener`; it ends when `tasks` are stopped, and its live connections with it.
///
/// # Errors
/// When the listener cannot tell its address.
pub async fn start(
    listener: TcpListener,
    settings: SimulatorSettings,
    tasks: &Tasks,
) -> std::io::Result<Simulator> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(settings));
    let control = Control::new(Arc::clone(&shared));
    tasks.spawn("simulator", accept(listener, shared, tasks.clone()));
    Ok(Simulator { address, control })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: Tasks) {
    let routes = routes(&shared);
    let stopping = tasks.stopping();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = stopping.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                shared.count(|stats| stats.connections += 1);
                let serving = connection(stream, Arc::clone(&shared), routes.clone(), place);
                let stopping = stopping.clone();
                tasks.spawn("simulated connection", stopping.run_until_cancelled_owned(serving));
            }
            Err(error) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, routes: Router, _place: OwnedSemaphorePermit) {
    // Every event is to leave at once; where the system refuses, it only leaves later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, &shared, &routes));
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the simulator ended early");
    }
}

/// Answers, or asks for the connection to be closed without an answer.
async fn answer(request: Request<Incoming>, shared: &Shared, routes: &Router) -> Result<Response, Refused> {
    if shared.faults().refuse && !request.uri().path().starts_with("/control") {
        shared.count(|stats| stats.refused += 1);
        return Err(Refused);
    }
    routes.clone().oneshot(request.map(Body::new)).await.map_err(|never| match never {})
}

/// The connection is refused on purpose.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulator refuses connections")
    }
}

impl std::error::Error for Refused {}
