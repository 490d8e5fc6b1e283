//! What is served, as OpenAI describes it, or as Anthropic or Google do for a client of theirs.

use super::calls::known;
use super::refusal::Refusal;
use super::shared::Shared;
use super::visit::Visit;
use crate::dialect::Family;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Json;
use serde_json::{Value, json};
use std::sync::Arc;

/// A moment long ago at which every simulated model was made, in seconds since 1970 and as a date.
const CREATED: (u64, &str) = (1_704_067_200, "2024-01-01T00:00:00Z");

/// All models.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Arc<Visit>>,
) -> Json<Value> {
    let models = &shared.settings.models;
    let data: Vec<_> = models.iter().map(|id| describe(id, visit.family)).collect();
    Json(match visit.family {
        Family::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": models.first(), "last_id": models.last()})
        }
        Family::Gemini => json!({"models": data}),
        Family::OpenAi => json!({"object": "list", "data": data}),
    })
}

/// One model.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Arc<Visit>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    known(&shared, &id)?;
    Ok(Json(describe(&id, visit.family)))
}

fn describe(id: &str, family: Family) -> Value {
    let (seconds, date) = CREATED;
    match family {
        Family::Anthropic => json!({"type": "model", "id": id, "display_name": id, "created_at": date}),
        Family::Gemini => json!({
            "name": format!("models/{id}"),
            "version": "001",
            "displayName": id,
            "description": "A simulated model.",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods":
                ["generateContent", "countTokens", "embedContent", "batchEmbedContents"],
        }),
        Family::OpenAi => {
            json!({"id": id, "object": "model", "created": seconds, "owned_by": "tidegate"})
        }
    }
}
