//! Why a request is not served, as facts; how each dialect words them is in `refusal_shapes`.
//!
//! It never repeats a key or a body.

use super::account::Kind;
use super::refusal_shapes;
use crate::dialect::Family;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, StatusCode};
use std::time::Duration;

/// The same wait as `retry-after`, in milliseconds.
pub(super) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// OpenAI's type; the other dialects go by the status.
    pub(super) kind: &'static str,
    pub(super) param: Option<&'static str>,
    pub(super) code: Option<&'static str>,
    /// Whose limit is reached.
    pub(super) limit: Option<Kind>,
    /// When to come back.
    pub(super) wait: Option<Duration>,
    /// Boxed, so that a `Result` with a refusal stays small.
    pub(super) headers: Box<HeaderMap>,
    pub(super) html: bool,
    /// The whole body, in place of one made of the facts above.
    pub(super) body: Option<Box<serde_json::Value>>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            message: message.into(),
            kind,
            param: None,
            code: None,
            limit: None,
            wait: None,
            headers: Box::default(),
            html: false,
            body: None,
        }
    }

    /// The client's mistake.
    pub(super) fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// The client's mistake in one parameter.
    pub(super) fn parameter(param: &'static str, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { param: Some(param), code: Some(code), ..Refusal::invalid(message) }
    }

    /// A required parameter is not there.
    pub(super) fn missing(param: &'static str) -> Refusal {
        let message = format!("Missing required parameter: '{param}'.");
        Refusal::parameter(param, "missing_required_parameter", message)
    }

    /// A model that is not served here.
    pub(super) fn unknown_model(model: &str) -> Refusal {
        let shown: String = model.chars().take(200).collect();
        let message = format!("The model `{shown}` does not exist or you do not have access to it.");
        let code = Some("model_not_found");
        Refusal { status: StatusCode::NOT_FOUND, code, ..Refusal::invalid(message) }
    }

    /// No such thing, or not with this method.
    pub(super) fn elsewhere(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal::new(status, "invalid_request_error", message)
    }

    /// No key, or the wrong one.
    pub(super) fn unauthorized(brought_one: bool) -> Refusal {
        let message = match brought_one {
            true => "Incorrect API key provided.",
            false => "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.",
        };
        let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message);
        refusal.code = brought_one.then_some("invalid_api_key");
        refusal
    }

    /// A body that is larger than the simulator reads.
    pub(super) fn too_large(max: usize) -> Refusal {
        let message = format!("Request body is larger than {max} bytes.");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    /// A body that ended before its end; nobody is left to read this.
    pub(super) fn broken_body() -> Refusal {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", "The request body ended early.")
    }

    /// Whether the client left in the middle of its body.
    pub(super) fn is_broken_body(&self) -> bool {
        self.status == StatusCode::REQUEST_TIMEOUT
    }

    /// A limit is reached; without a wait, waiting is no use.
    pub(super) fn limited(message: String, limit: Kind, wait: Option<Duration>) -> Refusal {
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, word(limit), message);
        Refusal { code: Some("rate_limit_exceeded"), limit: Some(limit), wait, ..refusal }
    }

    /// A failure that was asked for.
    pub(super) fn failure(status: StatusCode, headers: HeaderMap, html: bool) -> Refusal {
        let (kind, message) = match status.as_u16() {
            429 => ("requests", "Rate limit reached: the simulated provider was told to refuse."),
            503 | 529 => ("server_error", "The server is currently overloaded. Please try again later."),
            500.. => {
                ("server_error", "The server had an error while processing your request. Sorry about that!")
            }
            _ => ("invalid_request_error", "The simulated provider was told to refuse."),
        };
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        Refusal {
            code: limited.then_some("rate_limit_exceeded"),
            limit: limited.then_some(Kind::Requests),
            headers: Box::new(headers),
            html,
            ..Refusal::new(status, kind, message)
        }
    }

    /// With these headers too; its own stay.
    pub(super) fn with_headers(mut self, mut more: HeaderMap) -> Refusal {
        more.extend(*self.headers);
        *self.headers = more;
        self
    }

    /// When to come back: as decided here, or as the headers that a test chose have it.
    pub(super) fn wait(&self) -> Option<Duration> {
        let told = || self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
        self.wait.or_else(told)
    }
}

/// OpenAI's word for what a limit limits, which knows no difference between input and output.
fn word(limit: Kind) -> &'static str {
    if limit.counts_requests() { "requests" } else { "tokens" }
}

impl IntoResponse for Refusal {
    /// In OpenAI's words, and with itself for `visit`, which knows whose words the client reads.
    fn into_response(self) -> Response {
        let mut response = refusal_shapes::response(&self, Family::OpenAi, "");
        response.extensions_mut().insert(self);
        response
    }
}
