//! Control over HTTP, for whoever runs `tidegate simulate` in one terminal and looks at it from another.
//!
//! `GET /control` shows `{faults, limits, counting, stats}`; `PATCH` or `POST` with some of `faults`, `limits` and `counting`
//! changes just those. Changed limits have full buckets, or with `"keep_fill": true` each is as full as it was.
//! `POST /control/release` lets `{"count": n}` held requests go (all without a body); `POST /control/reset` starts over.

use super::ask::read;
use super::calls::read_body;
use super::refusal::Refusal;
use super::shared::Shared;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Json;
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The largest control body, in bytes; every key with a long value fits.
const BODY_MAX: usize = 64 * 1024;

/// The routes under `/control`.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/control", get(show).patch(change).post(change))
        .route("/control/release", post(release))
        .route("/control/reset", post(reset))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    faults: Map<String, Value>,
    #[serde(default)]
    limits: Map<String, Value>,
    #[serde(default)]
    counting: Map<String, Value>,
    #[serde(default)]
    keep_fill: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    count: usize,
}

async fn show(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let stats = shared.stats().borrow().clone();
    let (limits, counting) = (shared.limits(), shared.counting());
    Json(json!({"faults": *shared.faults(), "limits": limits, "counting": counting, "stats": stats}))
}

async fn change(State(shared): State<Arc<Shared>>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = read_body(body, BODY_MAX).await?;
    let change: Change = read_object(&body)?;
    // These are judged first and set last, so that a mistake in any changes nothing.
    let limits = merge(&shared.limits(), &change.limits)?;
    let counting = merge(&shared.counting(), &change.counting)?;
    if !change.faults.is_empty() {
        shared.change(|faults| merge(&*faults, &change.faults).map(|merged| *faults = merged))?;
    }
    if !change.counting.is_empty() {
        shared.recount(counting);
    }
    if !change.limits.is_empty() {
        shared.retune(limits, change.keep_fill);
    }
    Ok(show(State(shared)).await)
}

/// Reads an object. Without the detour an array would do for an object whose keys are all optional.
fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let object: Map<String, Value> = read(body)?;
    serde_json::from_value(Value::Object(object)).map_err(|error| Refusal::invalid(error.to_string()))
}

/// The value with some of its keys replaced.
fn merge<T: Serialize + DeserializeOwned>(value: &T, changes: &Map<String, Value>) -> Result<T, Refusal> {
    let mut merged = serde_json::to_value(value).expect("settings are plain data");
    if let Value::Object(keys) = &mut merged {
        keys.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    serde_json::from_value(merged).map_err(|error| Refusal::invalid(error.to_string()))
}

async fn release(State(shared): State<Arc<Shared>>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = read_body(body, BODY_MAX).await?;
    let count = match body.is_empty() {
        true => usize::MAX,
        false => {
            let release: Release = read_object(&body)?;
            release.count
        }
    };
    Ok(Json(json!({"released": shared.release(count)})))
}

async fn reset(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.reset();
    show(State(shared)).await
}
