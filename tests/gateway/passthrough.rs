//! Paths that are passed on unread: every byte, both ways, to the default provider under its own key.

use crate::raw::{Canned, Raw, ask, assert_well, error_of, provider_at, soon};
use crate::world::{PROVIDER_KEY, Plan, World, header};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::ids::ProviderId;
use tidegate::simulator::{fingerprint, redact};
use tokio::io::AsyncReadExt;

/// Bytes that are no text and not all alike.
fn noise(length: usize) -> Vec<u8> {
    let mut state: u32 = 7;
    let byte = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(byte).take(length).collect()
}

#[tokio::test]
async fn every_method_is_passed_on_with_path_query_and_body_as_they_were() {
    let world = World::new().await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for (sent, path, query) in [
            ("/v1/echo", "/v1/echo", Value::Null),
            ("/v1/echo?x=1", "/v1/echo", json!("x=1")),
            ("/v1/echo/a%2Fb%20c/d?x=%20y&&z=%00&q=a?b", "/v1/echo/a%2Fb%20c/d", json!("x=%20y&z=%00&q=a?b")),
            ("/v1/echo/..a/b..c/%2e%2ea?key=sk-client&x=1", "/v1/echo/..a/b..c/%2e%2ea", json!("x=1")),
        ] {
            let request = world.request(method.clone(), sent).header("content-type", "application/x-odd");
            let answer = request.body("{ \"b\":1,\"a\":2 }").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{method} {sent}");
            assert_eq!(header(&answer, "x-tidegate-provider"), "a");
            let seen: Value = answer.json().await.unwrap();
            assert_eq!(
                (&seen["method"], &seen["path"], &seen["query"]),
                (&json!(method.as_str()), &json!(path), &query)
            );
            assert_eq!(seen["body"]["fingerprint"], fingerprint(b"{ \"b\":1,\"a\":2 }"));
        }
    }
    assert_eq!(world.metric("tidegate_passthrough_total{provider=\"a\"}").await, 20.0);
    assert_eq!(world.metric("tidegate_requests_total").await, 0.0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn the_clients_credentials_are_replaced() {
    let world = World::new().await;
    let mut request =
        world.request(Method::GET, "/v1/echo").header("x-custom", "kept").header("x-request-id", "mine");
    for name in [
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "proxy-authorization",
        "openai-organization",
    ] {
        request = request.header(name, "Bearer sk-client");
    }
    let answer = request.send().await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-request-id"), "mine");
    let seen = world.simulator("a").stats().last_request.unwrap();
    assert_eq!(seen.header("authorization"), Some(redact(&format!("Bearer {PROVIDER_KEY}")).as_str()));
    for name in
        ["x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization", "openai-organization"]
    {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!((seen.header("x-custom"), seen.header("x-request-id")), (Some("kept"), Some("mine")));
}

#[tokio::test]
async fn an_upload_arrives_byte_for_byte() {
    let world = World::new().await;
    let content = noise(300_000);
    let part = |name: &str, more: &str| {
        format!("--limit\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n")
    };
    let mut body = part("purpose", "").into_bytes();
    body.extend(b"batch\r\n");
    body.extend(part("file", "; filename=\"n\u{f6}ise.bin\"").as_bytes());
    body.extend(&content);
    body.extend(b"\r\n--limit--\r\n");
    let upload = |path: &str| {
        let request =
            world.request(Method::POST, path).header("content-type", "multipart/form-data; boundary=limit");
        request.body(body.clone()).send()
    };
    let stored: Value = upload("/v1/files").await.unwrap().json().await.unwrap();
    assert_eq!((&stored["bytes"], &stored["purpose"]), (&json!(300_000), &json!("batch")));
    assert_eq!(stored["fingerprint"], fingerprint(&content));
    let seen: Value = upload("/v1/echo").await.unwrap().json().await.unwrap();
    assert_eq!(seen["body"]["fingerprint"], fingerprint(&body));
    let length = seen["headers"].as_array().unwrap().iter().find(|pair| pair[0] == "content-length").unwrap();
    assert_eq!(length[1], body.len().to_string(), "a known length stays known");
    let file: Value =
        world.get(&format!("/v1/files/{}", stored["id"].as_str().unwrap())).await.json().await.unwrap();
    assert_eq!(file["bytes"], 300_000);
}

#[tokio::test]
async fn an_upload_flows_while_it_is_made() {
    // Smaller than the upload: it is never held, so it need not fit.
    let world = Plan::new().provider("a").await.set(|s| s.server.body_max = 1 << 20).start().await;
    let piece = Bytes::from(noise(1 << 20));
    let whole = fingerprint(&piece.repeat(20));
    let provider = world.simulator("a").clone();
    let pieces = stream::iter(0..20).then(move |n| {
        let (provider, piece) = (provider.clone(), piece.clone());
        async move {
            if n == 1 {
                // The rest is not even made before the provider has seen the beginning.
                provider.wait_for(|stats| stats.received == 1).await;
            }
            Ok::<_, Infallible>(piece)
        }
    });
    let request = world.request(Method::POST, "/v1/echo").body(Body::wrap_stream(pieces));
    let seen: Value = soon(request.send()).await.unwrap().json().await.unwrap();
    assert_eq!(seen["body"], json!({"bytes": 20 << 20, "fingerprint": whole}));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_download_is_not_touched() {
    let world = World::new().await;
    let speech = json!({"model": "tts", "input": "hello ".repeat(1_000), "voice": "x"}).to_string();
    let direct = world.client.post(format!("{}/audio/speech", world.simulator_url("a")));
    let direct = direct.body(speech.clone()).send().await.unwrap().bytes().await.unwrap();
    let answer = world.post("/v1/audio/speech", speech).await;
    assert_eq!(header(&answer, "content-type"), "audio/mpeg");
    assert_eq!(header(&answer, "content-length"), direct.len().to_string());
    assert_eq!(answer.bytes().await.unwrap(), direct);
}

#[tokio::test]
async fn the_providers_answer_is_given_back_as_it_is() {
    for (status, headers, body) in [
        (
            "418 Short And Stout",
            "x-odd: \u{fc}mlaut\r\nx-twice: 1\r\nx-twice: 2\r\ncontent-type: text/x-odd\r\n",
            "no json",
        ),
        ("302 Found", "location: http://elsewhere.example/\r\n", ""),
        ("429 Too Many Requests", "retry-after: 7\r\nx-ratelimit-remaining-tokens: 0\r\n", "{\"error\":{}}"),
        ("500 Oh", "content-encoding: gzip\r\n", "\u{1f}not really"),
        ("401 No", "www-authenticate: Bearer\r\n", "{}"),
    ] {
        let length = body.len();
        let canned =
            Canned::start(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
                .await;
        let at = provider_at("a", &canned.base_url, Limits::default());
        let world = Plan::new().set(|s| s.exchange.providers.push(at)).start().await;
        let answer = ask(&world, "GET /v1/odd HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(answer.status.to_string(), status[..3]);
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{status}");
        for line in headers.trim_end().split("\r\n") {
            assert!(answer.head.contains(&line.to_lowercase()), "{line} is missing in {}", answer.head);
        }
        assert_eq!(canned.count(), 1, "what is not understood is sent once");
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_v1() {
    let world = World::new().await;
    for path in [
        "/v1/../admin",
        "/v1/..",
        "/v1/.",
        "/v1/./echo",
        "/v1/echo/../../admin",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1/echo%2f..%2fx",
        "/v1/echo%5c..%5cx",
        "/v1/echo\\..\\x",
        "/v1//echo",
        "//v1/echo",
        "/v1/echo//",
        "/V1/echo",
        "/v2/echo",
        "/echo",
        "/files",
        "/",
        "/v1",
        "/control",
        "/v1/../control",
    ] {
        let answer = ask(&world, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await
            .expect("it is answered");
        assert!(matches!(answer.status, 404 | 400), "{path}: {}", answer.status);
        if answer.status == 404 {
            let error = answer.error();
            assert_eq!(error["code"], "unknown_path", "{path}");
            assert!(error["message"].as_str().unwrap().contains("/v1"), "it says what is wrong");
        }
    }
    assert_eq!(world.simulator("a").stats().received, 0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn it_goes_to_the_default_provider_or_nowhere() {
    let world = Plan::new().provider("a").await.provider("b").await.start().await;
    let answer = world.post("/v1/files", "x").await;
    assert_eq!(answer.status(), 404);
    assert_eq!(header(&answer, "x-should-retry"), "false");
    let error = error_of(&answer.json().await.unwrap());
    assert_eq!(error["code"], "no_default_provider");
    let plan = Plan::new().provider("a").await.provider("b").await;
    let world = plan.set(|s| s.exchange.default_provider = Some(ProviderId::from("b"))).start().await;
    assert_eq!(header(&world.get("/v1/echo").await, "x-tidegate-provider"), "b");
    assert_eq!(world.simulator("a").stats().received, 0);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_a_bad_gateway_in_json() {
    let quick = |s: &mut tidegate::config::Settings| {
        s.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(100);
    };
    let world = Plan::new().provider("a").await.set(quick).start().await;
    world.simulator("a").update(|faults| faults.hang = true);
    check_no_answer(&world, 504, "provider_timed_out").await;
    world.simulator("a").update(|faults| (faults.hang, faults.refuse) = (false, true));
    check_no_answer(&world, 502, "provider_unreachable").await;
    world.kill_provider("a").await;
    check_no_answer(&world, 502, "provider_unreachable").await;
    assert_eq!(world.metric("tidegate_refused_total{reason=\"no_answer\"}").await, 3.0);
}

async fn check_no_answer(world: &World, status: u16, code: &str) {
    let answer = soon(world.get("/v1/files")).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (status, "application/json".to_owned())
    );
    assert!(header(&answer, "x-tidegate-request-id").starts_with("req_"));
    let error = error_of(&answer.json().await.expect("an error is JSON"));
    assert_eq!((&error["code"], &error["type"]), (&json!(code), &json!("api_error")));
}

#[tokio::test]
async fn who_leaves_cancels_at_the_provider() {
    let world = World::new().await;
    let upload = "POST /v1/echo HTTP/1.1\r\nhost: localhost\r\n";
    for (n, framing) in
        ["content-length: 20000000\r\n\r\nbeginning", "transfer-encoding: chunked\r\n\r\nfffff\r\nbeginning"]
            .iter()
            .enumerate()
    {
        let mut raw = Raw::connect(&world).await;
        raw.send(format!("{upload}{framing}")).await;
        let count = u64::try_from(n).unwrap() + 1;
        soon(world.simulator("a").wait_for(|stats| stats.received == count)).await;
        drop(raw);
        soon(world.simulator("a").wait_for(|stats| stats.cancelled == count)).await;
    }
    world.simulator("a").update(|faults| faults.hang = true);
    let mut raw = Raw::connect(&world).await;
    raw.send("GET /v1/echo HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    drop(raw);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 3)).await;
    world.simulator("a").update(|faults| faults.hang = false);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn an_upload_that_falls_silent_is_the_clients_fault() {
    let world = Plan::new()
        .provider("a")
        .await
        .set(|s| s.server.body_idle_timeout = Duration::from_millis(100))
        .start()
        .await;
    let mut raw = Raw::connect(&world).await;
    raw.send("POST /v1/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nbeginning").await;
    let answer = raw.answer().await.expect("it is answered");
    assert_eq!((answer.status, answer.error()["code"].clone()), (408, json!("body_broken")));
    assert!(raw.is_closed().await);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() {
    let world = World::new().await;
    let mut raw = Raw::connect(&world).await;
    raw.send("HEAD /v1/echo HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let mut came = String::new();
    soon(raw.stream.read_to_string(&mut came)).await.unwrap();
    assert_eq!(came.matches("HTTP/1.1 200 OK").count(), 2, "{came}");
    assert!(came.ends_with("\r\n\r\nok\n") && !came.contains("\"object\""), "{came}");
    for status in ["204 No Content", "304 Not Modified", "205 Reset Content"] {
        let canned =
            Canned::start(format!("HTTP/1.1 {status}\r\nx-kept: yes\r\ncontent-length: 0\r\n\r\n")).await;
        let at = provider_at("a", &canned.base_url, Limits::default());
        let world = Plan::new().set(|s| s.exchange.providers.push(at)).start().await;
        let delete = "DELETE /v1/files/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let answer = ask(&world, delete).await.expect("it is answered");
        assert_eq!(
            (answer.status.to_string().as_str(), answer.header("x-kept")),
            (&status[..3], Some("yes"))
        );
        assert!(answer.body.is_empty());
    }
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_wait_for_an_answer() {
    let quick = |s: &mut tidegate::config::Settings| {
        s.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(150);
    };
    let world = Plan::new().provider("a").await.set(quick).start().await;
    let mut raw = Raw::connect(&world).await;
    raw.send("POST /v1/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40\r\n\r\n").await;
    for _ in 1..40 {
        assert!(!raw.trickle_once(b'x').await, "it was answered before its end");
    }
    raw.send("x").await;
    let answer = raw.answer().await.expect("it is answered");
    let seen: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &seen["body"]["bytes"]), (200, &json!(40)));
    assert_well(&world, "sim").await;
}
