//! An error in OpenAI's shape: `{"error":{"message","type","param","code"}}` and a status.
//!
//! It never repeats a key or a body.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// The same wait as `retry-after`, in milliseconds.
pub(super) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: Detail,
    /// Boxed, so that a `Result` with a refusal stays small.
    headers: Box<HeaderMap>,
    html: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Detail {
    message: String,
    r#type: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Refusal {
        let detail = Detail { message: message.into(), r#type: kind, param: None, code: None };
        Refusal { status, detail, headers: Box::default(), html: false }
    }

    /// The client's mistake.
    pub(super) fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// The client's mistake in one parameter.
    pub(super) fn parameter(param: &'static str, code: &'static str, message: impl Into<String>) -> Refusal {
        let mut refusal = Refusal::invalid(message);
        (refusal.detail.param, refusal.detail.code) = (Some(param), Some(code));
        refusal
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
        let mut refusal = Refusal::invalid(message);
        refusal.status = StatusCode::NOT_FOUND;
        refusal.detail.code = Some("model_not_found");
        refusal
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
        refusal.detail.code = brought_one.then_some("invalid_api_key");
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

    /// A limit is reached.
    pub(super) fn limited(message: String, kind: &'static str) -> Refusal {
        let mut refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, kind, message);
        refusal.detail.code = Some("rate_limit_exceeded");
        refusal
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
        let mut refusal = Refusal::new(status, kind, message);
        refusal.detail.code = (status == StatusCode::TOO_MANY_REQUESTS).then_some("rate_limit_exceeded");
        Refusal { headers: Box::new(headers), html, ..refusal }
    }

    /// Says when to come back.
    pub(super) fn retry_after(mut self, wait: Duration) -> Refusal {
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.headers.insert(RETRY_AFTER, millis.div_ceil(1_000).max(1).into());
        self.headers.insert(RETRY_AFTER_MS, millis.into());
        self
    }

    /// With these headers too; its own stay.
    pub(super) fn with_headers(mut self, mut more: HeaderMap) -> Refusal {
        more.extend(*self.headers);
        *self.headers = more;
        self
    }

    /// When it says to come back.
    #[cfg(test)]
    pub(super) fn wait(&self) -> Option<Duration> {
        let millis = self.headers.get(RETRY_AFTER_MS)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_millis(millis))
    }

    /// The body, as JSON.
    pub(super) fn body(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a Detail,
        }
        serde_json::to_string(&Envelope { error: &self.detail })
            .expect("texts and nothing else are always JSON")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (kind, body) = match self.html {
            true => ("text/html; charset=UTF-8", html_page(self.status)),
            false => ("application/json", self.body()),
        };
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().extend(*self.headers);
        response
    }
}

/// What a proxy in front of a provider answers in its place.
fn html_page(status: StatusCode) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
         <hr><center>simulator</center>\r\n</body>\r\n</html>\r\n"
    )
}
