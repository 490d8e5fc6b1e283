//! Answers that cross dialects, or stand in an array, and are odd: no JSON, no stream, too long, cut, or without an
//! end.

use crate::beside::{canned, soon, until, whole};
use crate::tongues::{Question, ask, data_of, ends_in_error, hear, hear_stream, request};
use crate::world::{Plan, World, header};
use reqwest::Response;
use serde_json::{Value, json};
use tidegate::dialect::Dialect;
use tidegate::upstream::Spoken;

const HELLO: Question<'_> = Question { text: "Say 6 words.", stream: false, with_tools: false };
const STREAMED: Question<'_> = Question { stream: true, ..HELLO };

async fn text(answer: Response) -> String {
    soon(answer.text()).await.expect("the connection ends well")
}

/// A provider `a` that speaks chat in fixed bytes.
async fn saying(status: &str, kind: &str, body: &str) -> World {
    canned(Plan::new(), "a", whole(status, kind, body)).await.0.start().await
}

#[tokio::test]
async fn a_clients_array_is_whole_though_the_provider_left_its_last_blank_line_out() {
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        format!("data: {}", json!({"id": "1", "object": "chat.completion.chunk", "choices": [choice]}))
    };
    let said = chunk(json!({"role": "assistant", "content": "hi"}), Value::Null);
    let world =
        saying("200 OK", "text/event-stream", &format!("{said}\n\n{}\n", chunk(json!({}), json!("stop"))))
            .await;
    let (_, body) = request(Dialect::Gemini, "sim", STREAMED);
    let answer = soon(world.post("/v1beta/models/sim:streamGenerateContent", body.to_string())).await;
    let chunks: Vec<Value> = serde_json::from_str(&text(answer).await).expect("the whole is JSON");
    let last = chunks.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{chunks:?}");
}

#[tokio::test]
async fn an_event_too_long_to_be_translated_is_never_left_out_in_silence() {
    let chunk = |text: &str| {
        let choice = json!({"index": 0, "delta": {"content": text}});
        format!("data: {}\n\n", json!({"id": "1", "choices": [choice]}))
    };
    let end = r#"data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let sent = format!("{}{}{end}\n\ndata: [DONE]\n\n", chunk("first"), chunk(&"x".repeat(5 << 20)));
    let world = saying("200 OK", "text/event-stream", &sent).await;
    for client in [Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
        let answer = soon(ask(&world, client, "sim", STREAMED).send()).await.unwrap();
        let stream = text(answer).await;
        assert!(ends_in_error(client, &stream), "{client}: {stream}");
        let errors = data_of(&stream).iter().filter(|event| event["type"] == "error").count();
        assert!(errors <= 1, "{stream}");
    }
}

#[tokio::test]
async fn nothing_is_said_behind_the_end_though_the_connection_breaks_there() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chat = concat!(
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},",
        "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
    );
    let answer = format!("{head}{:x}\r\n{chat}\r\n", chat.len());
    let world = canned(Plan::new(), "a", answer).await.0.start().await;
    let same = soon(ask(&world, Dialect::Chat, "sim", STREAMED).send()).await.unwrap();
    assert_eq!(text(same).await, chat);
    let other = soon(ask(&world, Dialect::Messages, "sim", STREAMED).send()).await.unwrap();
    let other = text(other).await;
    assert!(other.contains("message_stop") && !other.contains("error"), "{other}");
    let health = until(&world, |health| health["providers"][0]["open"] == 0).await;
    assert_eq!(health["providers"][0]["last_error"], Value::Null, "the answer was whole");
}

#[tokio::test]
async fn what_cannot_be_translated_fails_over_and_is_never_shown() {
    let chunk = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let large = format!("data: {{\"text\":\"{}\"}}\n\n", "x".repeat(5 << 20));
    let gzip = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\
                content-length: 4\r\nconnection: close\r\n\r\n\u{1f}abc";
    for (name, answer) in [
        ("a page", whole("200 OK", "text/html", "<html>busy</html>")),
        ("nothing", whole("200 OK", "application/json", "")),
        ("no content", "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned()),
        ("an empty stream", whole("200 OK", "text/event-stream", "")),
        ("noise", whole("200 OK", "text/event-stream", ": keep-alive\n\n")),
        ("gzip", gzip.to_owned()),
        ("events in plain", whole("200 OK", "text/plain", chunk)),
        ("a first event too long", whole("200 OK", "text/event-stream", &large)),
    ] {
        let (plan, asked) = canned(Plan::new(), "a", answer).await;
        let world = plan.provider("b").await.route("both", &["a", "b"]).start().await;
        for client in [Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
            let before = asked.times();
            let answer = soon(ask(&world, client, "both", STREAMED).send()).await.unwrap();
            assert_eq!(header(&answer, "x-tidegate-provider"), "b", "{name} for {client}");
            let stream = text(answer).await;
            assert!(!ends_in_error(client, &stream), "{name} for {client}: {stream}");
            if before < 3 {
                assert_eq!(asked.times(), before + 1, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_model_of_any_length_makes_no_header_and_no_path_of_that_length() {
    for dialect in [Dialect::Chat, Dialect::Gemini] {
        let world = Plan::new().speaking("a", &[dialect]).await.start().await;
        let model = format!("a/{}", "x".repeat(100 << 10));
        let answer = soon(world.chat(&model, json!({})).send()).await.expect("an answer that can be read");
        let longest = answer.headers().values().map(http::HeaderValue::len).max().unwrap();
        assert!(longest < 2_000, "{dialect}: {longest}");
        assert!(answer.status().is_client_error(), "{dialect}: {}", answer.status());
    }
}

#[tokio::test]
async fn no_comment_of_a_provider_reaches_another_dialects_client() {
    let world = Plan::new().provider("a").await.start().await;
    world.simulator("a").update(|faults| faults.noise = true);
    for client in [Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
        let answer = soon(ask(&world, client, "sim", STREAMED).send()).await.unwrap();
        let stream = text(answer).await;
        assert!(!stream.lines().any(|line| line.starts_with(':')), "{client}: {stream}");
    }
}

#[tokio::test]
async fn a_plain_answer_to_a_translated_stream_becomes_one_and_settles_once() {
    let body = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
    let world = saying("200 OK", "application/json", body).await;
    for (nth, client) in [(1.0, Dialect::Messages), (2.0, Dialect::Responses), (3.0, Dialect::Gemini)] {
        let answer = soon(ask(&world, client, "sim", STREAMED).send()).await.unwrap();
        assert!(header(&answer, "content-type").starts_with("text/event-stream"));
        assert_eq!(
            header(&answer, "content-length").parse::<usize>().ok().filter(|l| *l == body.len()),
            None
        );
        let heard = hear_stream(client, &text(answer).await);
        assert_eq!((heard.text.as_str(), heard.stop.as_str()), ("hi", "end"));
        until(&world, |health| health["providers"][0]["open"] == 0).await;
        let output = world.metric(r#"tidegate_tokens_total{provider="a",type="output"}"#).await;
        assert_eq!(output, 3.0 * nth);
    }
    let (_, body) = request(Dialect::Gemini, "sim", STREAMED);
    let answer = soon(world.post("/v1beta/models/sim:streamGenerateContent", body.to_string())).await;
    assert!(header(&answer, "content-type").starts_with("application/json"));
    let chunks: Vec<Value> = serde_json::from_str(&text(answer).await).expect("the whole is JSON");
    assert!(!chunks.is_empty());
}

#[tokio::test]
async fn a_large_answer_in_one_piece_is_translated_whole() {
    let said = "word ".repeat(200_000);
    let body = json!({"id": "1", "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}});
    let world = saying("200 OK", "application/json", &body.to_string()).await;
    let answer = soon(ask(&world, Dialect::Messages, "sim", HELLO).send()).await.unwrap();
    let heard = hear(Dialect::Messages, &answer.json().await.unwrap());
    assert_eq!(heard.text.len(), said.len());
}

#[tokio::test]
async fn an_array_that_breaks_is_json_that_ends_in_an_error() {
    let element = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"index":0}]}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for (name, sent) in [
        ("in an element", format!("[{element},\r\n{}", &element[..20])),
        ("between", format!("[{element},\r\n")),
        ("behind an element", format!("[{element}")),
        ("in a large element", format!("[{element},\r\n{{\"x\":\"{}", "x".repeat(1 << 20))),
    ] {
        let answer = format!("{head}{:x}\r\n{sent}\r\n", sent.len());
        let (plan, _) = canned(Plan::new(), "a", answer).await;
        let world = plan
            .set(|settings| {
                settings.exchange.providers[0].upstream.spoken = vec![Spoken::usual(Dialect::Gemini)];
            })
            .start()
            .await;
        let (_, body) = request(Dialect::Gemini, "sim", STREAMED);
        let answer = soon(world.post("/v1beta/models/sim:streamGenerateContent", body.to_string())).await;
        let body = text(answer).await;
        let chunks: Vec<Value> =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{name}: {error} {}", body.len()));
        assert_eq!(chunks.len(), 2, "{name}: {chunks:?}");
        assert!(chunks[1]["error"]["code"].is_u64(), "{name}: {chunks:?}");
    }
}
