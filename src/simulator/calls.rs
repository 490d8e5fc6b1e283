//! The calls that a model answers: charged, held, failed, delayed, then answered in one piece or as a stream.
//!
//! Order: read, admit (a limit may refuse), wait at the gate, fail if so told, wait for the first token, answer. A call
//! reads its faults behind the gate, so that a test may hold it first and decide its fate later.

use super::faults::Faults;
use super::flow::Flow;
use super::hold::Hold;
use super::refusal::Refusal;
use super::routes::EndsLater;
use super::shared::Shared;
use super::speech::Speech;
use super::usage::Used;
use super::visit::{Ending, Visit};
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use std::time::Duration;

/// The largest body of a call, in bytes.
const BODY_MAX: usize = 64 * 1024 * 1024;

/// How often what is written unseen is charged.
const UNSEEN_SLICE: Duration = Duration::from_millis(20);

/// A call as far as admission is concerned.
pub(super) struct Call<'a> {
    pub(super) model: &'a str,
    pub(super) used: Used,
    pub(super) stream: bool,
}

/// Admits a call and answers it with what `speak` says once its faults are known.
pub(super) async fn generate<S: Speech>(
    visit: &Arc<Visit>,
    call: Call<'_>,
    speak: impl FnOnce(&Faults) -> S,
) -> Result<Response, Refusal> {
    let (headers, faults) = enter(visit, call.model, call.used).await?;
    let speech = speak(&faults);
    let mut jitter = fastrand::Rng::with_seed(visit.shared.settings.seed ^ visit.number);
    if call.stream {
        let media_type = HeaderValue::from_static(speech.media_type());
        let flow = Flow::new(Arc::clone(visit), faults, jitter, speech);
        let mut response = Response::new(flow.into_body());
        response.headers_mut().extend(headers);
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response.extensions_mut().insert(EndsLater);
        return Ok(response);
    }
    if !faults.token_delay.is_zero() {
        write_unseen(visit, speech.tokens(), || faults.token_delay(&mut jitter)).await;
    }
    Ok(json(speech.whole(), headers, &faults))
}

/// Takes the time of an answer in one piece, whose tokens are written one after the other all the same.
async fn write_unseen(visit: &Visit, tokens: u64, mut delay: impl FnMut() -> Duration) {
    let (mut pause, mut written) = (Duration::ZERO, 0);
    for _ in 0..tokens {
        pause = pause.saturating_add(delay());
        written += 1;
        if pause >= UNSEEN_SLICE {
            tokio::time::sleep(std::mem::take(&mut pause)).await;
            visit.wrote(std::mem::take(&mut written));
        }
    }
    tokio::time::sleep(pause).await;
    visit.wrote(written);
}

/// Admits a call and takes it to the point where it is answered; gives the headers of the answer and its faults.
pub(super) async fn enter(
    visit: &Visit,
    model: &str,
    used: Used,
) -> Result<(HeaderMap, Arc<Faults>), Refusal> {
    let shared = &visit.shared;
    known(shared, model)?;
    let headers = visit.admit(model, used)?;
    shared.hold(Hold::Gate).await;
    if let Some(failure) = shared.draw_failure() {
        return Err(failure);
    }
    let faults = shared.faults();
    if !faults.first_token_delay.is_zero() {
        tokio::time::sleep(faults.first_token_delay).await;
    }
    Ok((headers, faults))
}

/// Whether the model is served here.
pub(super) fn known(shared: &Shared, model: &str) -> Result<(), Refusal> {
    match shared.settings.models.iter().any(|known| known == model) {
        true => Ok(()),
        false => Err(Refusal::unknown_model(model)),
    }
}

/// An answer in one piece.
pub(super) fn json(text: String, headers: HeaderMap, faults: &Faults) -> Response {
    // As from a provider under load, which keeps the connection alive so.
    let text = if faults.noise { format!("\n\n\n{text}") } else { text };
    let mut response = text.into_response();
    response.headers_mut().extend(headers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Reads the body of a call, and keeps it for who looks.
pub(super) async fn read_call(visit: &Visit, body: Body) -> Result<Bytes, Refusal> {
    let body = read_visited(visit, body, BODY_MAX).await?;
    visit.keep_body(&body);
    Ok(body)
}

/// Reads a body whose client may leave in its middle.
pub(super) async fn read_visited(visit: &Visit, body: Body, max: usize) -> Result<Bytes, Refusal> {
    read_body(body, max).await.inspect_err(|refusal| {
        if refusal.is_broken_body() {
            visit.end(Ending::Cancelled);
        }
    })
}

/// Reads a whole body of at most `max` bytes.
pub(super) async fn read_body(body: Body, max: usize) -> Result<Bytes, Refusal> {
    // A length that is told in advance is judged in advance.
    if usize::try_from(body.size_hint().lower()).is_ok_and(|told| told > max) {
        return Err(Refusal::too_large(max));
    }
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::too_large(max)),
        Err(_) => Err(Refusal::broken_body()),
    }
}
