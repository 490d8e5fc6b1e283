//! OpenAI's Responses: answers, counts, compactions, and the last answers by their id.

mod item;
mod read;
mod write;

use self::item::items;
use self::read::ResponsesAsk;
use self::write::Answer;
use super::answer::{compose, used};
use super::base64::base64;
use super::calls::{Call, enter, generate, json as whole, known, read_call};
use super::count::text_tokens;
use super::faults::Faults;
use super::hash::fingerprint;
use super::refusal::Refusal;
use super::shared::Shared;
use super::stored::Object;
use super::usage::Used;
use super::visit::Visit;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{Json, Response};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// `POST /v1/responses`
pub(super) async fn responses(
    Extension(visit): Extension<Arc<Visit>>,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    let ResponsesAsk { mut ask, echo, store, previous, encrypts } = read::responses(&body)?;
    let shared = &visit.shared;
    ask.prompt_tokens += previous_tokens(shared, previous.as_deref())?;
    let mut choices = compose(&ask, &shared.faults(), shared.settings.seed);
    let used = used(&ask, &choices);
    let call = Call { model: &ask.model, used, stream: ask.stream };
    let speak = |faults: &Faults| {
        let choice = choices.pop().unwrap_or_default();
        let answer = Answer {
            id: shared.id("resp_", visit.number),
            created: shared.clock.wall().0 / 1_000,
            echo,
            tokens: choice.tokens(),
            items: items(&choice, &shared.id("", visit.number), encrypts),
            finish: choice.finish,
            meter: shared.meter(used, faults),
        };
        if store {
            let object = Object { id: answer.id.clone(), value: answer.completed() };
            shared.with_stored(|stored| stored.keep(object));
        }
        answer
    };
    generate(&visit, call, speak).await
}

/// The tokens of the answer that this one goes on from, and of all before it.
fn previous_tokens(shared: &Shared, id: Option<&str>) -> Result<u64, Refusal> {
    let Some(id) = id else { return Ok(0) };
    let usage = shared.with_stored(|stored| stored.find(id).map(|answer| answer["usage"].clone()));
    let usage = usage.ok_or_else(|| {
        let shown: String = id.chars().take(200).collect();
        let message = format!("Previous response with id '{shown}' not found.");
        Refusal::parameter("previous_response_id", "previous_response_not_found", message)
    })?;
    // It was counted once already.
    Ok(shared.counting().uncounted(usage["total_tokens"].as_u64().unwrap_or(0)))
}

/// `POST /v1/responses/input_tokens`
pub(super) async fn input_tokens(
    Extension(visit): Extension<Arc<Visit>>,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let body = read_call(&visit, body).await?;
    let ResponsesAsk { ask, previous, .. } = read::responses(&body)?;
    known(&visit.shared, &ask.model)?;
    let tokens = ask.prompt_tokens.saturating_add(previous_tokens(&visit.shared, previous.as_deref())?);
    let tokens = visit.shared.counting().counted(tokens);
    Ok(Json(json!({"object": "response.input_tokens", "input_tokens": tokens})))
}

/// `POST /v1/responses/compact`: what the user said last stays, and the rest becomes an item that nobody can read.
pub(super) async fn compact(
    Extension(visit): Extension<Arc<Visit>>,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    let ResponsesAsk { ask, previous, .. } = read::responses(&body)?;
    let shared = &visit.shared;
    let input = ask.prompt_tokens.saturating_add(previous_tokens(shared, previous.as_deref())?);
    let secret = base64(format!("simulated compaction {}", fingerprint(&body)).as_bytes());
    let output = text_tokens(secret.len());
    let used = Used { input, output, ..Used::default() };
    let (headers, faults) = enter(&visit, &ask.model, used).await?;
    let question = ask.questions.first().map(ToString::to_string).unwrap_or_default();
    let number = shared.id("", visit.number);
    let told = shared.meter(used, &faults).told();
    let compacted = json!({
        "id": shared.id("resp_", visit.number),
        "object": "response.compaction",
        "created_at": shared.clock.wall().0 / 1_000,
        "output": [
            {"id": format!("msg_{number}"), "type": "message", "status": "completed", "role": "user",
             "content": [{"type": "input_text", "text": question}]},
            {"id": format!("cmp_{number}"), "type": "compaction", "encrypted_content": secret},
        ],
        "usage": told.map(write::usage),
    });
    Ok(whole(compacted.to_string(), headers, &faults))
}

/// `GET /v1/responses/{id}`
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let found = shared.with_stored(|stored| stored.find(&id).cloned());
    found.map(Json).ok_or_else(not_found)
}

/// `DELETE /v1/responses/{id}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let taken = shared.with_stored(|stored| stored.take(&id)).ok_or_else(not_found)?;
    Ok(Json(json!({"id": taken["id"], "object": "response", "deleted": true})))
}

/// `POST /v1/responses/{id}/cancel`: the answer is there already, but who asks is told what was asked for.
pub(super) async fn cancel(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let cancelled = shared.with_stored(|stored| {
        let mut value = stored.take(&id)?;
        value["status"] = json!("cancelled");
        stored.keep(Object { id, value: value.clone() });
        Some(value)
    });
    cancelled.map(Json).ok_or_else(not_found)
}

fn not_found() -> Refusal {
    Refusal::elsewhere(StatusCode::NOT_FOUND, "No response with this id.")
}
