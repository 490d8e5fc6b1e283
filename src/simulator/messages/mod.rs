//! Anthropic's Messages: answers, counts, batches, and the greeting that Claude Code sends first.
//!
//! As with Anthropic, the input but for what the cache holds is charged at admission, and the output as it is written;
//! the cap does not count. Another way of counting may be chosen.

mod prefix;
mod read;
mod write;

use self::prefix::Mark;
use self::read::MessagesAsk;
use self::write::Answer;
use super::answer::{compose, used};
use super::ask::read;
use super::calendar::rfc3339;
use super::calls::{Call, generate, known, read_call};
use super::faults::Faults;
use super::refusal::Refusal;
use super::shared::Shared;
use super::stored::Object;
use super::visit::Visit;
use crate::units::WallTime;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{Json, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// How long a batch may take, in milliseconds; a day, as with Anthropic.
const BATCH_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// `POST /v1/messages`
pub(super) async fn messages(
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    needs_version(&headers)?;
    let MessagesAsk { ask, marks, shows_thoughts } = read::messages(&body)?;
    let shared = &visit.shared;
    let mut choices = compose(&ask, &shared.faults(), shared.settings.seed);
    let mut used = used(&ask, &choices);
    (used.cache_read, used.cache_write) = shared.with_seen(|seen| prefix::cached(&marks, seen));
    let call = Call { model: &ask.model, used, stream: ask.stream };
    let speak = |faults: &Faults| {
        shared.with_seen(|seen| marks.iter().for_each(|Mark { hash, .. }| seen.add(*hash)));
        Answer::new(
            shared.id("msg_", visit.number),
            ask.model.clone(),
            choices.pop().unwrap_or_default(),
            shared.meter(used, faults),
            shows_thoughts,
        )
    };
    generate(&visit, call, speak).await
}

/// `POST /v1/messages/count_tokens`
pub(super) async fn count_tokens(
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let body = read_call(&visit, body).await?;
    needs_version(&headers)?;
    let counted = read::counted(&body)?;
    known(&visit.shared, &counted.model)?;
    Ok(Json(json!({"input_tokens": visit.shared.counting().counted(counted.tokens)})))
}

#[derive(Deserialize)]
struct Batch {
    requests: Option<Vec<Value>>,
}

/// `POST /v1/messages/batches`: remembered, never worked on.
pub(super) async fn create_batch(
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let body = read_call(&visit, body).await?;
    needs_version(&headers)?;
    let batch: Batch = read(&body)?;
    let requests = batch.requests.filter(|requests| !requests.is_empty());
    let requests = requests.ok_or_else(|| Refusal::invalid("requests: Field required"))?;
    let now = visit.shared.clock.wall();
    let id = visit.shared.id("msgbatch_", visit.number);
    let value = json!({
        "id": id,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {"processing": requests.len(), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
        "ended_at": null,
        "created_at": rfc3339(now),
        "expires_at": rfc3339(WallTime(now.0.saturating_add(BATCH_MILLIS))),
        "archived_at": null,
        "cancel_initiated_at": null,
        "results_url": null,
    });
    visit.shared.with_stored(|stored| stored.keep(Object { id, value: value.clone() }));
    Ok(Json(value))
}

/// `GET /v1/messages/batches`
pub(super) async fn batches(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let data = shared.with_stored(|stored| stored.list("msgbatch_"));
    let end = |batch: Option<&Value>| batch.map(|batch| batch["id"].clone());
    Json(json!({"data": data, "has_more": false, "first_id": end(data.first()), "last_id": end(data.last())}))
}

/// `GET /v1/messages/batches/{id}`
pub(super) async fn batch(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let found = shared.with_stored(|stored| stored.find(&id).cloned());
    found.map(Json).ok_or_else(|| Refusal::elsewhere(StatusCode::NOT_FOUND, "No such batch."))
}

/// `GET /api/hello`, and `HEAD`, by which a client warms its connection up.
pub(super) async fn hello() -> Json<Value> {
    Json(json!({"message": "hello"}))
}

/// Anthropic serves nobody who does not name the version of its interface.
fn needs_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.contains_key("anthropic-version") {
        true => Ok(()),
        false => Err(Refusal::invalid("anthropic-version: header is required")),
    }
}
