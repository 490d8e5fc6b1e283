//! Sockets and routes: everything that a client can reach.
//!
//! Guards, reads the request, and hands it to the exchange. Refuses to know budgets, breakers and providers.

mod admin;
mod bodies;
mod client;
mod connections;
mod guard;
mod health;
mod listener;
mod metrics;
mod proxy;
mod rejection;
mod settings;
mod stall;

pub use connections::{Server, serve};
pub use listener::{BindError, Bound, BoundAddress, bind, inherit};
pub use settings::{ListenAddress, ServerSettings};

use crate::exchange::Gateway;
use crate::observe::Vitals;
use bodies::Bodies;
use std::sync::Arc;

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// Who serves exchanges.
    pub gateway: Arc<Gateway>,
    /// What the daemon tells of itself.
    pub vitals: Arc<Vitals>,
    /// What is accepted.
    pub settings: Arc<ServerSettings>,
}

/// Every route, behind the guard. They share one room for bodies.
fn routes(app: App) -> axum::Router {
    use axum::routing::{any, get};
    let held = app.gateway.metrics().bodies_held.clone();
    let bodies = Bodies::new(app.settings.bodies_max, held);
    axum::Router::new()
        .route("/health", get(health::health))
        .route("/healthz", get(health::alive))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::page))
        .route(admin::EXCHANGES, get(admin::exchanges))
        .route("/admin/exchanges/{id}", get(admin::exchange))
        .fallback(any(proxy::proxy).with_state((app.clone(), bodies)))
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}
