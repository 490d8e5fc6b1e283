//! Which path leads where, and what every request but those for control passes on its way: count, hang, key, headers.

use super::hold::Hold;
use super::refusal::Refusal;
use super::shared::Shared;
use super::visit::{Ending, Visit};
use super::{calls, control_page, embeddings, files, passing};
use crate::secret::Secret;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get, post};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};
use std::sync::Arc;

/// Marks a response whose body tells by itself how the request ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndsLater;

/// A moment long ago at which every simulated model was made: 2024-01-01, in seconds since 1970.
const MODEL_CREATED: u64 = 1_704_067_200;

/// All routes.
pub(super) fn routes(shared: &Arc<Shared>) -> Router {
    // Full paths instead of a nested router, which would hide the prefix from whoever looks at the request.
    Router::new()
        .route("/v1/chat/completions", post(calls::chat))
        .route("/v1/completions", post(calls::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/files", post(files::upload).get(files::list))
        .route("/v1/files/{id}", get(files::one))
        .route("/v1/audio/speech", post(passing::speech))
        .route("/v1/echo", any(passing::echo))
        .route("/v1/echo/{*rest}", any(passing::echo))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(shared), visit))
        .merge(control_page::routes())
        .with_state(Arc::clone(shared))
}

/// What every request passes but those for control.
async fn visit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = Visit::begin(&shared, &parts);
    shared.hold(Hold::Hang).await;
    let mut response = match check_key(shared.settings.key.as_ref(), &parts.headers) {
        Ok(()) => {
            parts.extensions.insert(Arc::clone(&visit));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    let id =
        HeaderValue::try_from(shared.id("req_", visit.number)).expect("hexadecimal digits are plain text");
    headers.insert(HeaderName::from_static("x-request-id"), id);
    headers.insert(HeaderName::from_static("openai-processing-ms"), visit.millis().into());
    headers.insert(HeaderName::from_static("openai-version"), HeaderValue::from_static("2020-10-01"));
    if response.extensions().get::<EndsLater>().is_none() {
        visit.end(if response.status().is_success() { Ending::Served } else { Ending::Failed });
    }
    response
}

fn check_key(key: Option<&Secret>, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let brought = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    match brought {
        Some(brought) if same(brought, key.expose().as_bytes()) => Ok(()),
        brought => Err(Refusal::unauthorized(brought.is_some())),
    }
}

/// Compares in a time that does not tell how much of the key was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (l, r)| differ | (l ^ r)) == 0
}

async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let data: Vec<_> = shared.settings.models.iter().map(|id| describe(id)).collect();
    Json(json!({"object": "list", "data": data}))
}

async fn model(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    match shared.settings.models.contains(&id) {
        true => Ok(Json(describe(&id))),
        false => Err(Refusal::unknown_model(&id)),
    }
}

fn describe(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": MODEL_CREATED, "owned_by": "tidegate"})
}

async fn no_such_path(method: Method, uri: Uri) -> Refusal {
    let message = format!("Invalid URL ({method} {})", uri.path());
    Refusal::elsewhere(StatusCode::NOT_FOUND, message)
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let message = format!("Not allowed to {method} on {}.", uri.path());
    Refusal::elsewhere(StatusCode::METHOD_NOT_ALLOWED, message)
}
