//! A refusal in the words of each family.
//!
//! - OpenAI: `{"error":{"message","type","param","code"}}`, with `retry-after` and `retry-after-ms`.
//! - Anthropic: `{"type":"error","error":{"type","message"},"request_id"}`, with `retry-after`.
//! - Google: `{"error":{"code","message","status","details"}}`; when to come back stands in the details alone.

use super::account::Kind;
use super::refusal::{RETRY_AFTER_MS, Refusal};
use crate::dialect::Family;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Anthropic's code for a conversation that cannot be held by the provider.
pub(super) const THREAD_UNSUPPORTED: &str = "thread_unsupported_request";

/// The whole answer; a proxy in front of the provider writes HTML, whatever the dialect.
pub(super) fn response(refusal: &Refusal, family: Family, request_id: &str) -> Response {
    let (status, body) = match family {
        Family::OpenAi => (refusal.status, openai(refusal)),
        Family::Anthropic => (refusal.status, anthropic(refusal, request_id)),
        Family::Gemini => google(refusal),
    };
    let body = refusal.body.as_deref().cloned().unwrap_or(body);
    let (kind, body) = match refusal.html {
        true => ("text/html; charset=UTF-8", html_page(refusal.status)),
        false => ("application/json", body.to_string()),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(wait) = refusal.wait {
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        if family != Family::Gemini {
            headers.insert(RETRY_AFTER, millis.div_ceil(1_000).max(1).into());
        }
        if family == Family::OpenAi {
            headers.insert(RETRY_AFTER_MS, millis.into());
        }
    }
    headers.extend(refusal.headers.as_ref().clone());
    response
}

/// OpenAI's body.
pub(super) fn openai(refusal: &Refusal) -> Value {
    let Refusal { message, kind, param, code, .. } = refusal;
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

fn anthropic(refusal: &Refusal, request_id: &str) -> Value {
    let mut error = json!({"type": anthropic_type(refusal.status), "message": refusal.message});
    if refusal.code == Some(THREAD_UNSUPPORTED) {
        error["details"] = json!({"error_code": THREAD_UNSUPPORTED});
    }
    json!({"type": "error", "error": error, "request_id": request_id})
}

/// Anthropic's word for a status. <https://docs.anthropic.com/en/api/errors>
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn google(refusal: &Refusal) -> (StatusCode, Value) {
    if refusal.status == StatusCode::UNAUTHORIZED {
        return google_key(refusal);
    }
    let mut details = Vec::new();
    if let Some(limit) = refusal.limit {
        details.push(quota_failure(limit));
    }
    if let Some(wait) = refusal.wait().filter(|_| refusal.status == StatusCode::TOO_MANY_REQUESTS) {
        let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds(wait)});
        details.push(retry);
    }
    let status = refusal.status;
    (status, google_body(status, google_status(status), &refusal.message, &details))
}

/// A key that is wrong is a bad argument to Google, and one that is missing a lack of permission.
fn google_key(refusal: &Refusal) -> (StatusCode, Value) {
    let (status, word, message) = match refusal.code {
        Some(_) => {
            (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
        }
        None => (
            StatusCode::FORBIDDEN,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers. Please use API Key to call this API.",
        ),
    };
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    });
    let details = if refusal.code.is_some() { vec![info] } else { Vec::new() };
    (status, google_body(status, word, message, &details))
}

fn google_body(status: StatusCode, word: &str, message: &str, details: &[Value]) -> Value {
    let mut error = json!({"code": status.as_u16(), "message": message, "status": word});
    if !details.is_empty() {
        error["details"] = json!(details);
    }
    json!({"error": error})
}

fn quota_failure(limit: Kind) -> Value {
    let (metric, id) = match limit {
        Kind::Requests => ("generate_content_requests", "GenerateRequestsPerMinutePerProjectPerModel"),
        Kind::DailyRequests => ("generate_content_requests", "GenerateRequestsPerDayPerProjectPerModel"),
        Kind::Tokens | Kind::Input | Kind::Output => {
            ("generate_content_input_token_count", "GenerateContentInputTokensPerModelPerMinute")
        }
        Kind::DailyTokens => {
            ("generate_content_input_token_count", "GenerateContentInputTokensPerModelPerDay")
        }
    };
    let violation = json!({
        "quotaMetric": format!("generativelanguage.googleapis.com/{metric}"),
        "quotaId": id,
        "quotaDimensions": {"location": "global"},
    });
    json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]})
}

/// A duration as Google's protocol buffers write it in JSON: `34.074s`.
fn seconds(wait: Duration) -> String {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    match millis % 1_000 {
        0 => format!("{}s", millis / 1_000),
        rest => format!("{}.{rest:03}s", millis / 1_000),
    }
}

/// Google's word for an HTTP status.
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>
fn google_status(status: StatusCode) -> &'static str {
    let known = GOOGLE_STATUSES.iter().find(|(number, _)| *number == status.as_u16());
    known.map_or("UNKNOWN", |(_, word)| word)
}

/// The HTTP status of one of Google's words; 500 for one that it does not know.
pub(super) fn google_code(word: &str) -> u16 {
    GOOGLE_STATUSES.iter().find(|(_, known)| *known == word).map_or(500, |(number, _)| *number)
}

const GOOGLE_STATUSES: [(u16, &str); 13] = [
    (400, "INVALID_ARGUMENT"),
    (400, "FAILED_PRECONDITION"),
    (401, "UNAUTHENTICATED"),
    (403, "PERMISSION_DENIED"),
    (404, "NOT_FOUND"),
    (405, "UNIMPLEMENTED"),
    (409, "ABORTED"),
    (413, "INVALID_ARGUMENT"),
    (429, "RESOURCE_EXHAUSTED"),
    (499, "CANCELLED"),
    (500, "INTERNAL"),
    (503, "UNAVAILABLE"),
    (504, "DEADLINE_EXCEEDED"),
];

/// What a proxy in front of a provider answers in its place.
fn html_page(status: StatusCode) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
         <hr><center>simulator</center>\r\n</body>\r\n</html>\r\n"
    )
}
