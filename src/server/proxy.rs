//! The path of everything that is not the gateway's own: recognise it, read it, hand it to the exchange.

use super::App;
use super::bodies::Bodies;
use super::client::{family_of, request_id, streamed_body, whole_body};
use super::connections::Peer;
use super::rejection::Rejection;
use crate::dialect::Family;
use crate::exchange::{
    Answer, AnswerBody, Asked, PassRequest, Request, RequestBody, Surface, percent_decoded, recognise,
};
use crate::ids::RequestId;
use crate::observe::Phase;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const OWN_REQUEST_ID: HeaderName = HeaderName::from_static("x-tidegate-request-id");

/// Serves a request that no route of our own has taken.
pub(super) async fn proxy(
    State((app, bodies)): State<(App, Bodies)>,
    request: axum::extract::Request,
) -> Response {
    let id = request_id(request.headers());
    let family = family_of(request.uri().path(), request.headers());
    let answer = match served(&app, &bodies, &id, family, request).await {
        Ok(answer) => answer.map(Body::new).into_response(),
        Err(rejection) => rejection.answer(app.gateway.metrics(), family),
    };
    named(answer, &id, family)
}

async fn served(
    app: &App,
    bodies: &Bodies,
    id: &RequestId,
    family: Family,
    request: axum::extract::Request,
) -> Result<Answer, Rejection> {
    if app.vitals.phase() == Phase::Draining {
        return Err(Rejection::Draining);
    }
    let path = request.uri().path().to_owned();
    // Anthropic's list of models stands under the same path as OpenAI's; its clients are told by their header.
    let listing = |of: Family| if of == Family::OpenAi { family } else { of };
    match recognise(request.method(), &path, request.uri().query()) {
        Surface::Call(asked) => exchange(app, bodies, id, asked, Wanted::Answer, request).await,
        Surface::Count(asked) => exchange(app, bodies, id, asked, Wanted::Count, request).await,
        Surface::Models(of) => Ok(app.gateway.list_models(listing(of))),
        Surface::Model(of, name) => Ok(app.gateway.show_model(&percent_decoded(name), listing(of))),
        Surface::Hello => Ok(hello()),
        Surface::Passthrough { family, path } => Ok(pass(app, id, family, path.to_owned(), request).await),
        Surface::Unknown => Err(Rejection::UnknownPath),
    }
}

/// What is wanted of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Answer,
    Count,
}

/// Claude Code warms its connection up with this and looks at the status alone.
fn hello() -> Answer {
    let mut answer = Answer::new(AnswerBody::whole(&b"{\"message\":\"hello\"}"[..]));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

async fn exchange(
    app: &App,
    bodies: &Bodies,
    id: &RequestId,
    asked: Asked,
    wanted: Wanted,
    request: axum::extract::Request,
) -> Result<Answer, Rejection> {
    let (head, body) = request.into_parts();
    if head.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(Rejection::Compressed);
    }
    let (body, held) = whole_body(body, bodies, &app.settings, app.gateway.clock()).await?;
    let request = Request {
        id: id.clone(),
        asked,
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
        peer: head.extensions.get::<Peer>().map(|Peer(peer)| *peer),
        arrived: app.gateway.clock().now(),
    };
    let mut answer = match wanted {
        Wanted::Answer => app.gateway.serve(request).await,
        Wanted::Count => app.gateway.count(request).await,
    };
    // Once the answer has begun nobody will send the body again, and the request is gone with it.
    answer.body_mut().hold_until_begun(held);
    Ok(answer)
}

async fn pass(
    app: &App,
    id: &RequestId,
    family: Option<Family>,
    path: String,
    request: axum::extract::Request,
) -> Answer {
    let (head, body) = request.into_parts();
    let body = match http_body::Body::size_hint(&body).exact() {
        Some(0) => RequestBody::Empty,
        length => RequestBody::Stream { bytes: Box::pin(streamed_body(body, &app.settings)), length },
    };
    let request = PassRequest {
        id: id.clone(),
        method: head.method,
        family,
        path,
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
    };
    app.gateway.pass(request).await
}

/// The provider's own request id stays; ours stands beside it, and in its place where it gave none.
fn named(mut answer: Response, id: &RequestId, family: Family) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        let headers = answer.headers_mut();
        let usual = if family == Family::Anthropic { ANTHROPIC_REQUEST_ID } else { REQUEST_ID };
        if !headers.contains_key(&usual) {
            headers.insert(usual, value.clone());
        }
        headers.insert(OWN_REQUEST_ID, value);
    }
    answer
}
