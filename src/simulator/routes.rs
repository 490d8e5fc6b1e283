//! Which path leads where, and what every request but those for control passes on its way: count, hang, key, headers.

use super::family::check_key;
use super::hold::Hold;
use super::refusal::Refusal;
use super::shared::Shared;
use super::visit::{Ending, Visit};
use super::{
    chat, control_page, embeddings, files, gemini, messages, models, passing, refusal_shapes, responses,
};
use crate::dialect::Family;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::sync::Arc;

/// Marks a response whose body tells by itself how the request ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndsLater;

/// All routes.
pub(super) fn routes(shared: &Arc<Shared>) -> Router {
    // Full paths instead of a nested router, which would hide the prefix from whoever looks at the request.
    Router::new()
        .merge(openai())
        .merge(anthropic())
        .merge(google())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(shared), visit))
        .merge(control_page::routes())
        .with_state(Arc::clone(shared))
}

fn openai() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(chat::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/v1/responses", post(responses::responses))
        .route("/v1/responses/input_tokens", post(responses::input_tokens))
        .route("/v1/responses/compact", post(responses::compact))
        .route("/v1/responses/{id}", get(responses::one).delete(responses::delete))
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/v1/models", get(models::list))
        // Google's stable paths share this prefix; its own client takes them where its base URL is changed.
        .route("/v1/models/{*id}", get(models::one).post(gemini::verb))
        .route("/v1/files", post(files::upload).get(files::list))
        .route("/v1/files/{id}", get(files::one))
        .route("/v1/audio/speech", post(passing::speech))
        .route("/v1/echo", any(passing::echo))
        .route("/v1/echo/{*rest}", any(passing::echo))
        .route("/openai/deployments/{deployment}/chat/completions", post(chat::deployed))
        .route("/openai/deployments/{deployment}/embeddings", post(embeddings::deployed))
}

fn anthropic() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/messages", post(messages::messages))
        .route("/v1/messages/count_tokens", post(messages::count_tokens))
        .route("/v1/messages/batches", post(messages::create_batch).get(messages::batches))
        .route("/v1/messages/batches/{id}", get(messages::batch))
        .route("/api/hello", get(messages::hello))
}

fn google() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1beta/models", get(models::list))
        // A model and its verb share a segment, which the handler splits.
        .route("/v1beta/models/{*model_verb}", get(models::one).post(gemini::verb))
}

/// What every request passes but those for control.
async fn visit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = Visit::begin(&shared, &parts);
    shared.hold(Hold::Hang).await;
    let mut response = match check_key(shared.settings.key.as_ref(), &parts) {
        Ok(()) => {
            parts.extensions.insert(Arc::clone(&visit));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.into_response(),
    };
    let id = shared.id("req_", visit.number);
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = refusal_shapes::response(&refusal, visit.family, &id);
    }
    sign(&mut response, &visit, id);
    if response.extensions().get::<EndsLater>().is_none() {
        visit.end(if response.status().is_success() { Ending::Served } else { Ending::Failed });
    }
    response
}

/// The headers by which a provider's support finds a request again.
fn sign(response: &mut Response, visit: &Visit, id: String) {
    let headers = response.headers_mut();
    let id = HeaderValue::try_from(id).expect("hexadecimal digits are plain text");
    match visit.family {
        Family::OpenAi => {
            headers.insert(HeaderName::from_static("x-request-id"), id);
            headers.insert(HeaderName::from_static("openai-processing-ms"), visit.millis().into());
            headers.insert(HeaderName::from_static("openai-version"), HeaderValue::from_static("2020-10-01"));
        }
        Family::Anthropic => {
            headers.insert(HeaderName::from_static("request-id"), id);
            let organization = HeaderValue::from_static("org-sim");
            headers.insert(HeaderName::from_static("anthropic-organization-id"), organization);
        }
        Family::Gemini => {}
    }
}

async fn no_such_path(method: Method, uri: Uri) -> Refusal {
    let message = format!("Invalid URL ({method} {})", uri.path());
    Refusal::elsewhere(StatusCode::NOT_FOUND, message)
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let message = format!("Not allowed to {method} on {}.", uri.path());
    Refusal::elsewhere(StatusCode::METHOD_NOT_ALLOWED, message)
}
