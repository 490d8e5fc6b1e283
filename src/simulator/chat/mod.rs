//! OpenAI's chat completions and text completions, and the chat of Azure's classic paths, where the model is a deployment.

mod read;
mod shapes;
mod write;

use self::read::ChatAsk;
use self::write::{Answer, Kind};
use super::answer::{compose, used};
use super::calls::{Call, generate, read_call};
use super::faults::Faults;
use super::refusal::Refusal;
use super::visit::Visit;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use std::sync::Arc;

/// `POST /v1/chat/completions`
pub(super) async fn chat(Extension(visit): Extension<Arc<Visit>>, body: Body) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    answer(Kind::Chat, read::chat(&body, None)?, &visit).await
}

/// `POST /v1/completions`
pub(super) async fn completions(
    Extension(visit): Extension<Arc<Visit>>,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    answer(Kind::Text, read::completions(&body)?, &visit).await
}

/// `POST /openai/deployments/{deployment}/chat/completions?api-version=…`
pub(super) async fn deployed(
    Extension(visit): Extension<Arc<Visit>>,
    Path(deployment): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    needs_version(query.as_deref())?;
    answer(Kind::Chat, read::chat(&body, Some(deployment))?, &visit).await
}

/// Azure knows no path without the version of its interface.
pub(super) fn needs_version(query: Option<&str>) -> Result<(), Refusal> {
    let mut pairs = query.unwrap_or_default().split('&');
    let told = pairs.any(|pair| pair.strip_prefix("api-version=").is_some_and(|version| !version.is_empty()));
    match told {
        true => Ok(()),
        false => Err(Refusal::elsewhere(StatusCode::NOT_FOUND, "Resource not found")),
    }
}

async fn answer(kind: Kind, asked: ChatAsk, visit: &Arc<Visit>) -> Result<Response, Refusal> {
    let ChatAsk { ask, include_usage } = asked;
    let shared = &visit.shared;
    let choices = compose(&ask, &shared.faults(), shared.settings.seed);
    let used = used(&ask, &choices);
    let call = Call { model: &ask.model, used, stream: ask.stream };
    let speak = |faults: &Faults| Answer {
        kind,
        id: shared.id(if kind == Kind::Chat { "chatcmpl-" } else { "cmpl-" }, visit.number),
        created: shared.clock.wall().0 / 1_000,
        model: ask.model.clone(),
        choices,
        meter: shared.meter(used, faults),
        include_usage,
        cumulative_usage: faults.cumulative_usage,
        interleave_tools: faults.interleave_tools,
        written: 0,
    };
    generate(visit, call, speak).await
}
