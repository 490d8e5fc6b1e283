//! Why a request is turned away before it becomes an exchange, in the shape of the client's family.

use crate::dialect::Family;
use crate::exchange::{AnswerBody, ErrorBody};
use crate::observe::Metrics;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use std::time::Duration;

/// A reason to turn a request away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The header block is larger than allowed.
    HeadersTooLarge,
    /// The URI is longer than allowed.
    UriTooLong,
    /// The body is larger than allowed; carries the limit in bytes.
    BodyTooLarge(usize),
    /// There is no room for one more body.
    BodiesFull,
    /// The body did not come in time.
    BodyTooSlow,
    /// The body broke off, or was not well formed.
    BodyBroken,
    /// The body is compressed.
    Compressed,
    /// The request names a host that this gateway is not.
    ForeignHost,
    /// The request comes from a web page.
    FromWebPage,
    /// The method is never served.
    Method,
    /// The request has been here before.
    Loop,
    /// Nothing is served under this path.
    UnknownPath,
    /// The daemon takes no more.
    Draining,
}

impl Rejection {
    /// The word used in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Rejection::HeadersTooLarge => "headers_too_large",
            Rejection::UriTooLong => "uri_too_long",
            Rejection::BodyTooLarge(_) => "body_too_large",
            Rejection::BodiesFull => "bodies_full",
            Rejection::BodyTooSlow => "body_too_slow",
            Rejection::BodyBroken => "body_broken",
            Rejection::Compressed => "compressed",
            Rejection::ForeignHost => "foreign_host",
            Rejection::FromWebPage => "from_web_page",
            Rejection::Method => "method",
            Rejection::Loop => "loop",
            Rejection::UnknownPath => "unknown_path",
            Rejection::Draining => "draining",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Rejection::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Rejection::UriTooLong => StatusCode::URI_TOO_LONG,
            Rejection::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Rejection::BodyBroken => StatusCode::BAD_REQUEST,
            Rejection::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejection::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Rejection::FromWebPage => StatusCode::FORBIDDEN,
            Rejection::Method => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::Loop => StatusCode::LOOP_DETECTED,
            Rejection::UnknownPath => StatusCode::NOT_FOUND,
            Rejection::BodiesFull | Rejection::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// After how long the same request may be served, in whole seconds.
    const fn retry_after(&self) -> Option<Duration> {
        match self {
            // Exchanges end all the time, but each retry may bring a large body again.
            Rejection::BodiesFull => Some(Duration::from_secs(5)),
            Rejection::Draining => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    fn message(&self) -> String {
        match self {
            Rejection::HeadersTooLarge => "The request's headers are larger than tidegate accepts.".into(),
            Rejection::UriTooLong => "The request's URI is longer than tidegate accepts.".into(),
            Rejection::BodyTooLarge(limit) => {
                format!("The request's body is larger than {limit} bytes (`body_max` under [server]).")
            }
            Rejection::BodiesFull => {
                "The request bodies that tidegate holds take all that they may (`bodies_max` \
                                      under [server]). Please try again in 5s."
                    .into()
            }
            Rejection::BodyTooSlow => "The request's body did not come in time.".into(),
            Rejection::BodyBroken => "The request's body broke off.".into(),
            Rejection::Compressed => "Compressed request bodies are not read; send it as it is.".into(),
            Rejection::ForeignHost => "The request's Host is not one of this gateway's: add it to `hosts` \
                                       under [server] if it should be."
                .into(),
            Rejection::FromWebPage => "Requests from web pages are refused.".into(),
            Rejection::Method => "This method is not served.".into(),
            Rejection::Loop => "This request has been through this gateway before: a provider's base_url \
                                leads back here."
                .into(),
            Rejection::UnknownPath => "Nothing is served under this path. Point the SDK's base URL at \
                                       http://HOST:PORT/v1."
                .into(),
            Rejection::Draining => "tidegate is shutting down. Please try again in 1s.".into(),
        }
    }

    /// The answer, counted. The connection is closed where a body may still be on its way, so that its
    /// rest is never taken for the next request.
    pub(super) fn answer(&self, metrics: &Metrics, family: Family) -> Response {
        metrics.rejected.get_or_create(&[("reason", self.name().to_owned())]).inc();
        let comes_back = self.retry_after();
        let kind = if comes_back.is_some() { "service_unavailable_error" } else { "invalid_request_error" };
        let message = self.message();
        let body = ErrorBody {
            status: self.status(),
            message: &message,
            kind,
            param: None,
            code: Some(self.name()),
            wait: comes_back,
        };
        let whole = AnswerBody::whole(body.to_json(family));
        let mut answer = (body.status_in(family), Body::new(whole)).into_response();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(wait) = comes_back {
            headers.insert(RETRY_AFTER, wait.as_secs().into());
        } else {
            headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
        }
        answer
    }
}
