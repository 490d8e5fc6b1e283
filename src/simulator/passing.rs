//! Paths that a gateway only passes through: what came in is told back, and bytes that are no text go out.

use super::ask::read;
use super::calls::read_call;
use super::hash::{Fnv, fnv, mix, show};
use super::refusal::Refusal;
use super::stats::{shown, without_key, without_secrets};
use super::visit::{Ending, Visit};
use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Json, Response};
use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest speech, in bytes.
const SPEECH_MAX: usize = 1024 * 1024;

/// `/v1/echo`, any method: tells what arrived. The body is hashed as it comes and never held, so it may be endless.
pub(super) async fn echo(
    Extension(visit): Extension<Arc<Visit>>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let (parts, body) = request.into_parts();
    let (mut hash, mut length, mut pieces) = (Fnv::new(), 0_u64, body.into_data_stream());
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            visit.end(Ending::Cancelled);
            return Err(Refusal::broken_body());
        };
        hash.feed(&piece);
        length += u64::try_from(piece.len()).unwrap_or(u64::MAX);
    }
    Ok(Json(json!({
        "object": "echo",
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query().map(without_key),
        "headers": shown(&without_secrets(&parts.headers)),
        "body": {"bytes": length, "fingerprint": show(hash.finish())},
    })))
}

#[derive(Deserialize)]
struct Speech {
    input: Option<String>,
}

/// `POST /v1/audio/speech`: bytes made from the text, 64 for each of its bytes and a thousand more.
pub(super) async fn speech(Extension(visit): Extension<Arc<Visit>>, body: Body) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    let speech: Speech = read(&body)?;
    let text = speech.input.ok_or_else(|| Refusal::missing("input"))?;
    let length = text.len().saturating_mul(64).saturating_add(1_000).min(SPEECH_MAX);
    let mut state = fnv(text.as_bytes());
    let mut sound: Vec<u8> =
        std::iter::repeat_with(|| mix(&mut state).to_le_bytes()).take(length.div_ceil(8)).flatten().collect();
    sound.truncate(length);
    Ok(([(CONTENT_TYPE, "audio/mpeg")], sound).into_response())
}
