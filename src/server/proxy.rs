//! The path of everything that is not the gateway's own: recognise it, read it, hand it to the exchange.

use super::App;
use super::bodies::Bodies;
use super::client::{request_id, streamed_body, whole_body};
use super::rejection::Rejection;
use crate::dialect::Dialect;
use crate::exchange::{Answer, PassRequest, Request, RequestBody, Surface, recognise};
use crate::ids::RequestId;
use crate::observe::Phase;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OWN_REQUEST_ID: HeaderName = HeaderName::from_static("x-tidegate-request-id");

/// Serves a request that no route of our own has taken.
pub(super) async fn proxy(
    State((app, bodies)): State<(App, Bodies)>,
    request: axum::extract::Request,
) -> Response {
    let id = request_id(request.headers());
    let answer = match served(&app, &bodies, &id, request).await {
        Ok(answer) => answer.map(Body::new).into_response(),
        Err(rejection) => rejection.answer(app.gateway.metrics()),
    };
    named(answer, &id)
}

async fn served(
    app: &App,
    bodies: &Bodies,
    id: &RequestId,
    request: axum::extract::Request,
) -> Result<Answer, Rejection> {
    if app.vitals.phase() == Phase::Draining {
        return Err(Rejection::Draining);
    }
    let path = request.uri().path().to_owned();
    match recognise(request.method(), &path) {
        Surface::Call(dialect) => exchange(app, bodies, id, dialect, request).await,
        Surface::Models => Ok(app.gateway.list_models()),
        Surface::Model(name) => Ok(app.gateway.show_model(&percent_decoded(name))),
        Surface::Passthrough(path) => Ok(pass(app, id, path.to_owned(), request).await),
        Surface::Unknown => Err(Rejection::UnknownPath),
    }
}

async fn exchange(
    app: &App,
    bodies: &Bodies,
    id: &RequestId,
    dialect: Dialect,
    request: axum::extract::Request,
) -> Result<Answer, Rejection> {
    let (head, body) = request.into_parts();
    if head.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(Rejection::Compressed);
    }
    let (body, held) = whole_body(body, bodies, &app.settings, app.gateway.clock()).await?;
    let request = Request {
        id: id.clone(),
        dialect,
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
        arrived: app.gateway.clock().now(),
    };
    let answer = app.gateway.serve(request).await;
    // The answer has begun: nobody will send the body again, and the request is gone with it.
    drop(held);
    Ok(answer)
}

async fn pass(app: &App, id: &RequestId, path: String, request: axum::extract::Request) -> Answer {
    let (head, body) = request.into_parts();
    let body = match http_body::Body::size_hint(&body).exact() {
        Some(0) => RequestBody::Empty,
        length => RequestBody::Stream { bytes: Box::pin(streamed_body(body, &app.settings)), length },
    };
    let request = PassRequest {
        id: id.clone(),
        method: head.method,
        path,
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
    };
    app.gateway.pass(request).await
}

/// The provider's own request id stays; ours stands beside it, and in its place where it gave none.
fn named(mut answer: Response, id: &RequestId) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        let headers = answer.headers_mut();
        if !headers.contains_key(REQUEST_ID) {
            headers.insert(REQUEST_ID, value.clone());
        }
        headers.insert(OWN_REQUEST_ID, value);
    }
    answer
}

/// Model names hold slashes, which SDKs percent-encode in a path. What is not well encoded stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_codes_are_read_and_broken_ones_stay() {
        assert_eq!(percent_decoded("openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(percent_decoded("50%"), "50%");
        assert_eq!(percent_decoded("%zz%2"), "%zz%2");
        assert_eq!(percent_decoded("%+1"), "%+1");
    }
}
