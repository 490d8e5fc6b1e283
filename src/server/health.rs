//! `/health` for people and machines, `/healthz` and `/readyz` for probes. None of them asks a provider.

use super::App;
use crate::observe::{Health, Phase, Status};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Everything that there is to know.
pub(super) async fn health(State(app): State<App>) -> Response {
    let status = status(&app);
    let code = if status.status == Health::Fail { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let headers = [(CONTENT_TYPE, "application/health+json"), (CACHE_CONTROL, "no-store")];
    (code, headers, Json(status).into_response().into_body()).into_response()
}

/// The process runs and answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether it is worth sending a request here.
pub(super) async fn ready(State(app): State<App>) -> Response {
    match app.vitals.phase() {
        Phase::Ready => "ready\n".into_response(),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
    }
}

fn status(app: &App) -> Status {
    let phase = app.vitals.phase();
    let store = app.vitals.store();
    let reload_error = app.vitals.reload_error();
    let providers = app.gateway.providers();
    let sick =
        providers.iter().any(|provider| provider.breakers.values().any(|breaker| breaker.state == "open"));
    let health = match phase {
        Phase::Draining => Health::Fail,
        _ if sick || !store.healthy || reload_error.is_some() => Health::Warn,
        _ => Health::Pass,
    };
    Status {
        status: health,
        phase,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.gateway.clock().now().since(crate::units::Moment::START).as_secs(),
        queue_depth: app.gateway.queue_depth(),
        providers,
        groups: app.gateway.groups(),
        store,
        reload_error,
    }
}
