//! `/metrics`, in the OpenMetrics text format.

use super::App;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

/// The page.
pub(super) async fn page(State(app): State<App>) -> impl IntoResponse {
    app.gateway.refresh_gauges();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], app.gateway.metrics().page())
}
