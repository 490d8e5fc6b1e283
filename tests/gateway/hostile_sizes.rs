//! What is too large, too slow, or never ends: it is refused in words where words still arrive, and holds
//! neither memory nor a place.

use crate::raw::{Raw, RawAnswer, ask, assert_well, chat_request, error_of, soon};
use crate::world::{Plan, World, chat_body, header};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;

const CHAT: &str = "/v1/chat/completions";
const HEAD: &str =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// A chat body of exactly this many bytes.
fn body_of(bytes: usize) -> Vec<u8> {
    let body = chat_body("sim", json!({"max_tokens": 1})).to_string();
    let mut body = body.into_bytes();
    let last = body.pop();
    body.resize(bytes - 1, b' ');
    body.extend(last);
    body
}

/// So many mebibytes of spaces behind a brace, made as they are asked for.
fn endless(mebibytes: usize) -> reqwest::Body {
    let spaces = Bytes::from(vec![b' '; 1 << 20]);
    let pieces = (0..mebibytes).map(move |_| Ok::<_, Infallible>(spaces.clone()));
    reqwest::Body::wrap_stream(stream::iter(pieces))
}

async fn impatient() -> World {
    let short = |settings: &mut tidegate::config::Settings| {
        settings.server.head_timeout = Duration::from_millis(150);
        settings.server.body_idle_timeout = Duration::from_millis(150);
    };
    Plan::new().provider("a").await.set(short).start().await
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_served_and_one_byte_more_is_not() {
    let world = Plan::new().provider("a").await.set(|s| s.server.body_max = 4_096).start().await;
    for (bytes, status) in [(4_095, 200), (4_096, 200), (4_097, 413)] {
        let body = body_of(bytes);
        let answer = world.post(CHAT, body.clone()).await;
        assert_eq!(answer.status(), status, "{bytes} announced");
        answer.bytes().await.unwrap();
        let pieces: Vec<_> =
            body.chunks(100).map(|p| Ok::<_, Infallible>(Bytes::copy_from_slice(p))).collect();
        let answer = world.post(CHAT, reqwest::Body::wrap_stream(stream::iter(pieces))).await;
        assert_eq!(answer.status(), status, "{bytes} in chunks");
        answer.bytes().await.unwrap();
    }
    assert_eq!(world.metric("tidegate_rejected_total{reason=\"body_too_large\"}").await, 2.0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_body_of_a_hundred_mebibytes_is_refused_in_words_that_arrive() {
    let world = World::new().await;
    for length in [None, Some(100 << 20)] {
        let mut request = world.request(reqwest::Method::POST, CHAT).body(endless(100));
        if let Some(length) = length {
            request = request.header("content-length", u64::to_string(&length));
        }
        let answer = soon(request.send()).await.expect("the refusal arrives");
        assert_eq!(answer.status(), 413);
        assert_eq!(header(&answer, "connection"), "close");
        let error = error_of(&answer.json().await.unwrap());
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("invalid_request_error"), &json!("body_too_large"))
        );
        assert!(error["message"].as_str().unwrap().contains("33554432 bytes"), "{error}");
    }
    // Many clients read nothing before they have sent everything.
    let mut raw = Raw::connect(&world).await;
    raw.send(format!("{HEAD}content-length: {}\r\n\r\n", 40 << 20)).await;
    raw.send(vec![b' '; 40 << 20]).await;
    in_words(&raw.answer().await.expect("the refusal arrives"), 413, "body_too_large");
    assert_eq!(world.simulator("a").stats().received, 0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_body_without_end_is_not_read_for_ever() {
    let world = Plan::new().provider("a").await.set(|s| s.server.body_max = 4_096).start().await;
    let mut raw = Raw::connect(&world).await;
    raw.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n")).await;
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x1_0000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 10_000 && raw.send(&chunk).await {
        sent += 1;
    }
    assert!(sent < 10_000, "more than 600 MiB were taken");
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn who_asks_first_is_told_before_sending_a_body_too_large() {
    let world = World::new().await;
    let head = format!("{HEAD}content-length: 104857600\r\nexpect: 100-continue\r\n\r\n");
    let mut raw = Raw::connect(&world).await;
    raw.send(head).await;
    let answer = raw.answer().await.expect("it is answered");
    assert_eq!(answer.status, 413, "not 100: the body is not wanted");
    assert!(raw.is_closed().await);
    assert_well(&world, "sim").await;
}

fn in_words(answer: &RawAnswer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.error()["code"], code);
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let world = World::new().await;
    let with = |headers: &str| format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    let block = |bytes: usize| format!("x-filler: {}\r\n", "x".repeat(bytes));
    assert_eq!(ask(&world, with(&block(60 << 10))).await.unwrap().status, 200);
    in_words(&ask(&world, with(&block(64 << 10))).await.unwrap(), 431, "headers_too_large");
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>();
    assert_eq!(ask(&world, with(&many(99))).await.unwrap().status, 200);
    assert_eq!(ask(&world, with(&many(150))).await.unwrap().status, 431);
    // So much more than allowed may end the connection while it is still being sent.
    let huge = ask(&world, with(&block(1 << 20))).await;
    assert!(huge.is_none_or(|answer| answer.status == 431));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn an_address_too_long_is_refused() {
    let world = World::new().await;
    let get = |path: String| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let long = |bytes: usize| format!("/v1/echo?x={}", "x".repeat(bytes - 11));
    assert_eq!(ask(&world, get(long(8_192))).await.unwrap().status, 200);
    in_words(&ask(&world, get(long(8_193))).await.unwrap(), 414, "uri_too_long");
    in_words(&ask(&world, get(format!("/{}", "%41".repeat(3_000)))).await.unwrap(), 414, "uri_too_long");
    assert_eq!(ask(&world, get(long(70_000))).await.unwrap().status, 414);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_its_connection() {
    let world = impatient().await;
    for start in ["", "G", "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-slow: "] {
        let mut raw = Raw::connect(&world).await;
        raw.send(start).await;
        assert!(raw.is_closed().await, "silence after {start:?}");
        let mut raw = Raw::connect(&world).await;
        raw.send(start).await;
        assert!(raw.trickle(b'x').await, "a byte at a time after {start:?}");
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let world = impatient().await;
    for framing in ["content-length: 100000\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n100000\r\n{"] {
        let mut silent = Raw::connect(&world).await;
        silent.send(format!("{HEAD}{framing}")).await;
        in_words(&silent.answer().await.expect("silence is answered"), 408, "body_too_slow");
        assert!(silent.is_closed().await);
        let mut slow = Raw::connect(&world).await;
        slow.send(format!("{HEAD}{framing}")).await;
        assert!(slow.trickle(b' ').await, "a byte at a time goes on for ever");
        in_words(&slow.answer().await.expect("a trickle is answered"), 408, "body_too_slow");
    }
    assert_eq!(world.simulator("a").stats().received, 0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_a_body_leaves_nothing_behind() {
    let world = World::new().await;
    for framing in ["content-length: 100000\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n100000\r\n{"] {
        let mut raw = Raw::connect(&world).await;
        raw.send(format!("{HEAD}{framing}")).await;
        drop(raw);
    }
    soon(async { while world.metric("tidegate_rejected_total{reason=\"body_broken\"}").await < 2.0 {} })
        .await;
    assert_eq!(world.simulator("a").stats().received, 0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let world = World::new().await;
    for chunks in ["xyz\r\n{}", "-1\r\n{}", "1\r\n{}\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}", "2\n{}x"] {
        let mut raw = Raw::connect(&world).await;
        raw.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}")).await;
        let answer = raw.answer().await.expect("it is answered");
        in_words(&answer, 400, "body_broken");
        assert!(raw.is_closed().await, "{chunks:?}");
    }
    let extended = format!("{HEAD}transfer-encoding: chunked\r\n\r\n2;{}\r\n{{}}", "x".repeat(100_000));
    assert!(ask(&world, extended).await.is_none_or(|answer| answer.status == 400));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn who_half_closes_after_asking_has_left() {
    let world = World::new().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut raw = Raw::connect(&world).await;
    raw.send(chat_request("")).await;
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await.unwrap();
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    assert!(raw.is_closed().await);
    world.simulator("a").update(|faults| faults.gate = false);
    assert_well(&world, "sim").await;
}
