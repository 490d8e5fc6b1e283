//! Errors in the caller's own dialect, for what tidegate itself has to say and for what it translates.
//!
//! Knows the shapes only; what is said, with which status, is decided where the fault is known. Words come in as
//! OpenAI has them, and are mapped by the status where another family has words of its own.

use super::framing::Framing;
use super::tally::Mark;
use crate::dialect::{Dialect, Family};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

/// Anthropic's code for a conversation that cannot be held by the provider. Its SDKs then send all of it again.
pub const THREAD_UNSUPPORTED: &str = "thread_unsupported_request";

/// Anthropic's status for a service that has more work than it can do; HTTP has no name for it.
const OVERLOADED: u16 = 529;

/// An error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    /// The status, as OpenAI would give it; see [`ErrorBody::status_in`].
    pub status: StatusCode,
    /// What happened, in a sentence for a person.
    pub message: &'a str,
    /// The class, which OpenAI's clients match on, for example `rate_limit_error`; written as `type`.
    pub kind: &'a str,
    /// The key of the request that is wrong.
    pub param: Option<&'a str>,
    /// The exact reason, which OpenAI's clients match on, for example `rate_limit_exceeded`.
    pub code: Option<&'a str>,
    /// When the same request may pass; Google's clients read it from the body.
    pub wait: Option<Duration>,
}

impl ErrorBody<'_> {
    /// The status in a family's own usage.
    pub fn status_in(&self, family: Family) -> StatusCode {
        match family {
            Family::Anthropic if self.status == StatusCode::SERVICE_UNAVAILABLE => {
                StatusCode::from_u16(OVERLOADED).unwrap_or(self.status)
            }
            Family::OpenAi | Family::Gemini if self.status.as_u16() == OVERLOADED => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => self.status,
        }
    }

    /// The body of an answer.
    pub fn to_json(&self, family: Family) -> Vec<u8> {
        self.value(family).to_string().into_bytes()
    }

    /// The event that ends a stream which has already begun. Clients raise it as an error; a stream that
    /// merely ended would look complete to them. `mark` is where a stream of responses stands.
    pub fn to_event(&self, dialect: Dialect, framing: Framing, mark: &Mark) -> Bytes {
        let error = self.value(dialect.family());
        let event = match (dialect, framing) {
            (Dialect::Messages, _) => format!("event: error\ndata: {error}\n\n"),
            (Dialect::Responses, _) => return self.failed_response(mark),
            // An element more, and the end of the array, so that all of the body is JSON.
            (_, Framing::JsonArray) => format!(",\r\n{error}]"),
            (_, Framing::Sse) => format!("data: {error}\n\n"),
        };
        event.into()
    }

    /// A whole stream that says nothing but that it has failed, for clients that read their retries from there.
    pub fn to_failed_responses_stream(&self) -> Bytes {
        self.failed_response(&Mark::default())
    }

    fn value(&self, family: Family) -> Value {
        let status = self.status_in(family).as_u16();
        match family {
            Family::OpenAi => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
            Family::Anthropic => {
                let mut error = json!({"type": anthropic_kind(status), "message": self.message});
                if self.code == Some(THREAD_UNSUPPORTED) {
                    error["details"] = json!({"error_code": THREAD_UNSUPPORTED});
                }
                json!({"type": "error", "error": error})
            }
            Family::Gemini => {
                let details = self.google_details();
                let mut error = json!({
                    "code": status, "message": self.message, "status": google_status(status),
                });
                if !details.is_empty() {
                    error["details"] = details.into();
                }
                json!({ "error": error })
            }
        }
    }

    /// Google's clients wait for as long as `RetryInfo` says, and give up at once where a quota of the day is
    /// named, which is what a wait beyond their patience has to look like.
    fn google_details(&self) -> Vec<Value> {
        let Some(wait) = self.wait else { return Vec::new() };
        let mut details = Vec::new();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{
                    "quotaMetric": "tidegate/requests", "quotaId": "RequestsPerMinutePerProjectPerModel",
                }],
            }));
        }
        let seconds = wait.as_secs_f64();
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds:.3}s"),
        }));
        details
    }

    /// `response.failed`, which agents read, and `error`, which SDKs raise.
    fn failed_response(&self, mark: &Mark) -> Bytes {
        // The codes that the API documents; agents take any other for a passing trouble.
        let code = match self.code {
            Some("rate_limit_exceeded" | "insufficient_quota" | "context_length_exceeded") => self.code,
            Some("server_is_overloaded") => self.code,
            _ => Some("server_error"),
        };
        let id = mark.response.as_deref().unwrap_or("resp_failed");
        let failed = json!({
            "type": "response.failed",
            "sequence_number": mark.sequence + 1,
            "response": {
                "id": id, "object": "response", "created_at": 0, "status": "failed", "model": "",
                "error": {"code": code, "message": self.message},
                "incomplete_details": null, "instructions": null, "metadata": {}, "output": [],
                "parallel_tool_calls": true, "temperature": null, "tool_choice": "auto", "tools": [],
                "top_p": null, "usage": null,
            },
        });
        let error = json!({
            "type": "error", "code": code, "message": self.message, "param": self.param,
            "sequence_number": mark.sequence + 2,
        });
        format!("event: response.failed\ndata: {failed}\n\nevent: error\ndata: {error}\n\n").into()
    }
}

/// The longest body that is read whole for an event. Error bodies have a few KiB.
const BODY_MAX: usize = 256 << 10;

/// The event that tells, in its own words, an error which came as the body of an answer; `None` if it has not the
/// shape that the dialect's clients raise. Those of responses raise another.
pub fn event_of_error(dialect: Dialect, body: &[u8]) -> Option<Bytes> {
    if body.len() > BODY_MAX {
        return None;
    }
    let error: Value = serde_json::from_slice(body).ok()?;
    error.get("error")?.get("message")?.as_str()?;
    match dialect {
        Dialect::Chat | Dialect::Completions => Some(format!("data: {error}\n\n").into()),
        Dialect::Messages if error["type"] == "error" => {
            Some(format!("event: error\ndata: {error}\n\n").into())
        }
        _ => None,
    }
}

/// <https://docs.anthropic.com/en/api/errors>
const fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        OVERLOADED => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// <https://cloud.google.com/apis/design/errors>
const fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=498 => "INVALID_ARGUMENT",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: ErrorBody<'_> = ErrorBody {
        status: StatusCode::TOO_MANY_REQUESTS,
        message: "wait\n\"3s\"",
        kind: "requests",
        param: None,
        code: Some("rate_limit_exceeded"),
        wait: Some(Duration::from_millis(2_500)),
    };

    fn check(family: Family, wanted: &str) {
        assert_eq!(String::from_utf8(BODY.to_json(family)).unwrap(), wanted);
    }

    #[test]
    fn each_family_gets_the_keys_that_its_clients_read() {
        check(
            Family::OpenAi,
            concat!(
                r#"{"error":{"message":"wait\n\"3s\"","type":"requests","#,
                r#""param":null,"code":"rate_limit_exceeded"}}"#
            ),
        );
        check(
            Family::Anthropic,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"wait\n\"3s\""}}"#,
        );
        check(
            Family::Gemini,
            concat!(
                r#"{"error":{"code":429,"message":"wait\n\"3s\"","status":"RESOURCE_EXHAUSTED","details":["#,
                r#"{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"#,
                r#""quotaMetric":"tidegate/requests","quotaId":"RequestsPerMinutePerProjectPerModel"}]},"#,
                r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.500s"}]}}"#
            ),
        );
    }

    #[test]
    fn who_cannot_hold_a_conversation_says_so_by_the_code_that_sdks_know() {
        let body = ErrorBody { code: Some(THREAD_UNSUPPORTED), ..BODY }.to_json(Family::Anthropic);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["details"], json!({"error_code": "thread_unsupported_request"}));
    }

    #[test]
    fn overload_has_the_status_of_the_family() {
        let overloaded = ErrorBody { status: StatusCode::SERVICE_UNAVAILABLE, ..BODY };
        assert_eq!(overloaded.status_in(Family::Anthropic).as_u16(), 529);
        assert_eq!(overloaded.status_in(Family::OpenAi).as_u16(), 503);
        let theirs = ErrorBody { status: StatusCode::from_u16(529).unwrap(), ..BODY };
        assert_eq!(theirs.status_in(Family::Gemini).as_u16(), 503);
        assert!(String::from_utf8_lossy(&overloaded.to_json(Family::Anthropic)).contains("overloaded_error"));
    }

    #[test]
    fn every_event_is_one_that_its_clients_raise() {
        let mark = Mark { response: Some("resp_7".to_owned()), sequence: 4 };
        let shown = |dialect, framing| {
            let event = BODY.to_event(dialect, framing, &mark);
            String::from_utf8(event.to_vec()).unwrap()
        };
        let chat = shown(Dialect::Chat, Framing::Sse);
        assert!(chat.starts_with("data: {\"error\":{") && chat.ends_with("}}\n\n"), "{chat}");
        assert_eq!(chat.lines().filter(|line| !line.is_empty()).count(), 1);
        assert!(
            shown(Dialect::Messages, Framing::Sse).starts_with("event: error\ndata: {\"type\":\"error\"")
        );
        assert!(shown(Dialect::Gemini, Framing::Sse).starts_with("data: {\"error\":{\"code\":429"));
        let array = shown(Dialect::Gemini, Framing::JsonArray);
        assert!(array.starts_with(",\r\n{\"error\"") && array.ends_with("}]"), "{array}");
        let responses = shown(Dialect::Responses, Framing::Sse);
        assert!(responses.contains("event: response.failed\n") && responses.contains("event: error\n"));
        assert!(responses.contains("\"sequence_number\":5") && responses.contains("\"id\":\"resp_7\""));
    }
}
