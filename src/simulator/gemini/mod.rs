//! Gemini's own interface: answers, counts and vectors, under paths that end in a colon and a verb.
//!
//! As with Google, the input alone is charged. Another way of counting may be chosen.

mod embed;
mod read;
mod write;

use self::write::{Answer, Framing};
use super::answer::{compose, used};
use super::ask::Ask;
use super::calls::{Call, generate, known, read_call};
use super::faults::Faults;
use super::refusal::Refusal;
use super::visit::Visit;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Json, Response};
use http::StatusCode;
use serde_json::json;
use std::sync::Arc;

/// `POST /v1beta/models/{model}:{verb}`, and the same under `/v1`
pub(super) async fn verb(
    Extension(visit): Extension<Arc<Visit>>,
    Path(model_verb): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    let (model, verb) = model_verb.rsplit_once(':').unwrap_or((&model_verb, ""));
    match verb {
        "generateContent" => answer(&visit, read::generate(&body, model)?, None).await,
        "streamGenerateContent" => {
            let sse = query.unwrap_or_default().split('&').any(|pair| pair == "alt=sse");
            let framing = if sse { Framing::Events } else { Framing::Array };
            answer(&visit, read::generate(&body, model)?, Some(framing)).await
        }
        "countTokens" => {
            let tokens = read::counted(&body)?;
            known(&visit.shared, model)?;
            let tokens = visit.shared.counting().counted(tokens);
            let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
            Ok(Json(json!({"totalTokens": tokens, "promptTokensDetails": details})).into_response())
        }
        "embedContent" => embed::one(&visit, model, &body).await,
        "batchEmbedContents" => embed::batch(&visit, model, &body).await,
        _ => Err(Refusal::elsewhere(StatusCode::NOT_FOUND, "Requested entity was not found.")),
    }
}

async fn answer(visit: &Arc<Visit>, ask: Ask, framing: Option<Framing>) -> Result<Response, Refusal> {
    let shared = &visit.shared;
    let choices = compose(&ask, &shared.faults(), shared.settings.seed);
    let used = used(&ask, &choices);
    let call = Call { model: &ask.model, used, stream: framing.is_some() };
    let speak = |faults: &Faults| Answer {
        id: shared.id("", visit.number),
        model: ask.model.clone(),
        choices,
        meter: shared.meter(used, faults),
        framing: framing.unwrap_or(Framing::Events),
        written: 0,
        thoughts: 0,
    };
    generate(visit, call, speak).await
}
