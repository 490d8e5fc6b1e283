//! An answer whose head has gone out before it: whatever it is, it becomes the rest of a stream.
//!
//! Knows the client's dialect. Invariant: what comes out is a stream that its clients read as an answer or raise as
//! an error, never one that merely ends.

use super::answer::{Answer, AnswerBody};
use super::appraise::beside;
use super::beginning::{TRANSLATED_MAX, is_encoded, is_kind};
use super::fault::try_again;
use super::interpreter::retold;
use super::ways::Interpreted;
use crate::dialect::Dialect;
use crate::tokens::INLINE_BYTES_MAX;
use crate::wire::translate::Scene;
use crate::wire::{ErrorBody, Framing, Mark, ProviderError, event_of_error, stream_of_text};
use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{StatusCode, response};
use http_body_util::BodyExt;
use std::time::Duration;

const BROKEN: &str = "The provider's answer broke off before its end.";
const NO_STREAM: &str =
    "The provider's answer is no stream, and cannot be read as anything that could be told as one.";

/// What must be known of the client.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) dialect: Dialect,
    /// For an answer in one piece.
    pub(super) scene: Scene,
    /// What was asked.
    pub(super) interpreted: Interpreted,
}

/// What of an answer follows its head.
pub(super) async fn in_stream(answer: Answer, late: Late) -> AnswerBody {
    let (head, body) = answer.into_parts();
    let is_success = head.status.is_success();
    if is_success && is_kind(&head.headers, "text/event-stream") && !is_encoded(&head.headers) {
        return body;
    }
    let dialect = late.dialect;
    let bytes = match whole(body).await {
        Ok(bytes) if is_success => told_as_stream(bytes, late).await,
        Ok(bytes) => refused(dialect, &head, &bytes),
        Err(message) => failed(dialect, message),
    };
    AnswerBody::whole(bytes)
}

/// All of a body; what to say where there is no such thing.
async fn whole(mut body: AnswerBody) -> Result<Bytes, &'static str> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BROKEN)?.into_data() else { continue };
        if bytes.len() + data.len() > TRANSLATED_MAX {
            return Err(NO_STREAM);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// An answer in one piece, as the events that would have been.
async fn told_as_stream(bytes: Bytes, late: Late) -> Bytes {
    let Late { dialect, mut scene, interpreted } = late;
    let is_long = bytes.len().max(interpreted.bytes()) > INLINE_BYTES_MAX;
    let work = move || {
        scene.free_text_tools = interpreted.free_text_tools();
        let told = retold(dialect, dialect, true, scene, &bytes).map(|(told, _)| Bytes::from(told));
        let is_text = dialect == Dialect::Completions;
        let text = || is_text.then(|| stream_of_text(&bytes)).flatten();
        told.or_else(text).or_else(|| event_of_error(dialect, &bytes))
    };
    let told = if is_long { beside(work).await.ok().flatten() } else { work() };
    told.unwrap_or_else(|| failed(dialect, NO_STREAM))
}

/// A refusal, ours or a provider's, in its own words.
fn refused(dialect: Dialect, head: &response::Parts, body: &[u8]) -> Bytes {
    if let Some(event) = event_of_error(dialect, body) {
        return event;
    }
    let ProviderError { mut message, kind, code, .. } = ProviderError::read(body);
    if message.is_empty() {
        "The provider gave no reason.".clone_into(&mut message);
    }
    // The header that says so has no place in a stream, and agents read it in the words.
    let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = seconds.map(Duration::from_secs);
    if let Some(wait) = wait.filter(|_| !message.contains("try again in")) {
        message.push(' ');
        message.push_str(&try_again(wait));
    }
    let kind = kind.as_deref().unwrap_or(match head.status.as_u16() {
        400..=499 => "invalid_request_error",
        _ => "api_error",
    });
    let error =
        ErrorBody { status: head.status, message: &message, kind, param: None, code: code.as_deref(), wait };
    error.to_event(dialect, Framing::Sse, &Mark::default())
}

fn failed(dialect: Dialect, message: &str) -> Bytes {
    let error = ErrorBody {
        status: StatusCode::BAD_GATEWAY,
        message,
        kind: "api_error",
        param: None,
        code: Some("stream_broken"),
        wait: None,
    };
    error.to_event(dialect, Framing::Sse, &Mark::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Asked, EventDecoder, Tally};
    use proptest::prelude::*;

    const KEPT: [Dialect; 4] = [Dialect::Chat, Dialect::Completions, Dialect::Responses, Dialect::Messages];

    fn answer(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut answer = Answer::new(AnswerBody::whole(body));
        *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        answer
    }

    async fn told(dialect: Dialect, answer: Answer) -> String {
        told_of(dialect, "{}", answer).await
    }

    async fn told_of(dialect: Dialect, asked: &'static str, answer: Answer) -> String {
        let asks = Asked { dialect, model: None, stream: true, framing: Framing::Sse };
        let interpreted = Interpreted::new(asks, Bytes::from_static(asked.as_bytes()));
        let body = in_stream(answer, Late { dialect, scene: Scene::default(), interpreted }).await;
        let bytes = body.collect().await.expect("nothing fails").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("events are text")
    }

    #[tokio::test]
    async fn a_stream_goes_on_as_it_is() {
        let stream = "data: {}\n\ndata: [DONE]\n\n";
        let head = [("content-type", "text/event-stream; charset=utf-8")];
        assert_eq!(told(Dialect::Chat, answer(200, &head, stream)).await, stream);
    }

    #[tokio::test]
    async fn a_stream_that_is_encoded_cannot_be_told() {
        let head = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
        let told = told(Dialect::Messages, answer(200, &head, &b"\x1f\x8b"[..])).await;
        assert!(told.starts_with("event: error\n") && told.contains("is no stream"), "{told}");
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_own_words_where_clients_raise_them() {
        let words = r#"{"error":{"message":"no\nsuch","type":"t","param":"p","code":"c","more":1}}"#;
        let spaced = words.replace(',', " ,\n ");
        assert_eq!(told(Dialect::Chat, answer(400, &[], spaced)).await, format!("data: {words}\n\n"));
        let words = r#"{"type":"error","error":{"type":"t","message":"m"},"request_id":"r"}"#;
        let told = told(Dialect::Messages, answer(529, &[], words)).await;
        assert_eq!(told, format!("event: error\ndata: {words}\n\n"));
    }

    #[tokio::test]
    async fn a_wait_that_stood_in_a_header_is_said_in_words() {
        let refusal = r#"{"error":{"message":"Busy.","code":"rate_limit_exceeded"}}"#;
        let told = told(Dialect::Responses, answer(429, &[("retry-after", "7")], refusal)).await;
        assert!(told.starts_with("event: response.failed\n"), "{told}");
        assert!(told.contains(r#""message":"Busy. Please try again in 7s.""#), "{told}");
        assert!(told.contains(r#""code":"rate_limit_exceeded""#), "{told}");
    }

    #[tokio::test]
    async fn a_refusal_without_words_still_raises() {
        for dialect in KEPT {
            for body in ["", "{}", r#"{"error":"busy"}"#, "<html>", "[1]"] {
                let told = told(dialect, answer(503, &[], body)).await;
                assert!(ends(dialect, &told), "{dialect} {body}: {told}");
                assert!(!told.contains(r#""message":"""#), "{told}");
            }
        }
    }

    #[tokio::test]
    async fn a_tool_of_free_text_is_called_as_one() {
        let asked = r#"{"model":"m","input":"x","tools":[{"type":"custom","name":"patch"}],"stream":true}"#;
        let body = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[
            {"type":"custom_tool_call","id":"c","call_id":"c1","name":"patch","input":"free"}]}"#;
        let told = told_of(Dialect::Responses, asked, answer(200, &[], body)).await;
        assert!(told.contains(r#""type":"custom_tool_call""#) && !told.contains("function_call"), "{told}");
    }

    /// Whether its reader is told an end or an error.
    fn ends(dialect: Dialect, stream: &str) -> bool {
        let (mut decoder, mut tally) = (EventDecoder::new(Framing::Sse, 1 << 20), Tally::new(dialect));
        decoder.push(stream.to_owned().into());
        while let Some(frame) = decoder.next() {
            super::super::beginning::see(&mut tally, &frame);
        }
        decoder.finish().is_none() && (tally.done() || tally.errored())
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_ends(
            place in 0..KEPT.len(),
            status in prop::sample::select(vec![200_u16, 400, 429, 500, 529]),
            body in prop_oneof![
                any::<Vec<u8>>(),
                "[{}:,\"a-z0-9]{0,60}".prop_map(String::into_bytes),
                r#"\{"error":(\{"message":("m"|1|null)\}|"x"|null)\}"#.prop_map(String::into_bytes),
                r#"\{"choices":\[(\{"text":"t"\}|\{"message":\{"content":"t"\}\})\]\}"#.prop_map(String::into_bytes),
            ],
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it runs");
            let stream = runtime.block_on(told(KEPT[place], answer(status, &[], body)));
            prop_assert!(ends(KEPT[place], &stream), "{}", stream);
        }
    }
}
