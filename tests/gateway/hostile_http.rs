//! What is no proper HTTP, and what must not travel from one connection to another. Two machines that read the
//! same bytes differently are how requests are smuggled, so each case is followed by what would be smuggled.

use crate::raw::{Canned, Raw, ask, assert_well, chat_request, provider_at, soon};
use crate::world::{Plan, World};
use serde_json::json;
use tidegate::admission::Limits;

/// What must never be taken for a request. Nothing else asks for this path.
const SMUGGLED: &str = "GET /v1/echo/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Sends bytes on one connection and gives the statuses of all answers until the gateway ends it, or until
/// as many have come.
async fn statuses(world: &World, bytes: &str, most: usize) -> Vec<u16> {
    let mut raw = Raw::connect(world).await;
    raw.send(bytes).await;
    let mut statuses = Vec::new();
    while statuses.len() < most {
        let Some(answer) = raw.answer().await else { break };
        statuses.push(answer.status);
    }
    statuses
}

/// Whether the smuggled request has reached the provider.
fn smuggled(world: &World) -> bool {
    world.simulator("a").stats().last_request.is_some_and(|last| last.path.contains("smuggled"))
}

#[tokio::test]
async fn a_length_that_can_be_read_in_two_ways_is_refused() {
    let world = World::new().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    for lengths in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 5\r\n",
        "content-length: \r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length : 5\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\r\n",
        "x: y\r\n folded: z\r\n",
        "x: a\0b\r\n",
        "x: a\rb\r\n",
        "x y: z\r\n",
        ": nameless\r\n",
    ] {
        let statuses = statuses(&world, &format!("{head}{lengths}\r\n{SMUGGLED}"), 2).await;
        assert_eq!(statuses, [400], "{lengths:?}");
    }
    assert!(!smuggled(&world));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_coded_body_is_refused() {
    let world = World::new().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    for coding in [
        "content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\u{b}ab",
        "content-encoding: br\r\ncontent-length: 4\r\n\r\nabcd",
        "content-encoding: identity, gzip\r\ncontent-length: 4\r\n\r\nabcd",
        "content-encoding: identity\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
        "transfer-encoding: gzip, chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    ] {
        assert_eq!(statuses(&world, &format!("{head}{coding}{SMUGGLED}"), 2).await, [415], "{coding:?}");
    }
    assert!(!smuggled(&world));
    assert_eq!(world.simulator("a").stats().received, 0);
    let body = chat_request("content-encoding: identity\r\n");
    assert_eq!(ask(&world, body).await.unwrap().status, 200, "identity is no coding");
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn chunks_beside_a_length_end_the_connection() {
    let world = World::new().await;
    for framing in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ] {
        let request =
            format!("POST /v1/echo HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n0\r\n\r\n{SMUGGLED}");
        assert_eq!(statuses(&world, &request, 2).await.len(), 1, "{framing:?}");
        let seen = world.simulator("a").stats().last_request.unwrap();
        let lengths = ["content-length", "transfer-encoding"].map(|name| seen.header(name).is_some());
        assert!(lengths != [true, true], "both went on");
    }
    assert!(!smuggled(&world));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn an_early_answer_is_never_followed_by_an_answer_to_the_rest_of_the_body() {
    let world = Plan::new().provider("a").await.set(|s| s.server.body_max = 64).start().await;
    let length = SMUGGLED.len();
    for (start, status) in [
        ("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4096\r\n\r\n".to_owned(), 413),
        ("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n".to_owned(), 413),
        (format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"), 415),
        (format!("POST /v1/chat/completions HTTP/1.1\r\nhost: evil\r\ncontent-length: {length}\r\n\r\n"), 421),
        (format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\norigin: null\r\ncontent-length: {length}\r\n\r\n"), 403),
        (format!("TRACE / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"), 405),
        (format!("POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"), 404),
        (format!("GET /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"), 200),
        (format!("POST /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"), 405),
        (format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"), 200),
    ] {
        let mut raw = Raw::connect(&world).await;
        raw.send(&start).await;
        raw.send(SMUGGLED.repeat(if status == 413 { 40 } else { 1 })).await;
        assert_eq!(raw.answer().await.expect("it is answered").status, status, "{start}");
        // The connection is either closed, or goes on behind the body.
        raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        if let Some(next) = raw.answer().await {
            assert_eq!((next.status, next.body.as_slice()), (200, b"ok\n".as_slice()), "{start}");
            assert!(raw.is_closed().await, "{start}");
        }
    }
    assert!(!smuggled(&world));
    assert_eq!(world.simulator("a").stats().received, 0);
}

#[tokio::test]
async fn a_refused_path_does_not_desynchronise_what_is_passed_on() {
    let world = World::new().await;
    // The provider answers at once, long before the body is whole.
    let length = SMUGGLED.len();
    let start = format!("POST /v1/nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let mut raw = Raw::connect(&world).await;
    raw.send(start).await;
    assert_eq!(raw.answer().await.expect("it is answered").status, 404);
    raw.send(SMUGGLED).await;
    raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    if let Some(next) = raw.answer().await {
        assert_eq!((next.status, next.body.as_slice()), (200, b"ok\n".as_slice()));
    }
    assert!(!smuggled(&world));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row() {
    let world = World::new().await;
    let health = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let row = [&chat_request(""), health, &chat_request(""), "BAD\r\n\r\n"].concat();
    assert_eq!(statuses(&world, &row, 5).await, [200, 200, 200, 400]);
    assert_eq!(world.simulator("a").stats().served, 2);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn who_waits_to_be_asked_for_the_body_is_asked() {
    let world = World::new().await;
    let whole = chat_request("expect: 100-continue\r\n");
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut raw = Raw::connect(&world).await;
    raw.send(format!("{head}\r\n\r\n")).await;
    assert_eq!(raw.answer().await.unwrap().status, 100);
    raw.send(body).await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
    let seen = world.simulator("a").stats().last_request.unwrap();
    assert_eq!(seen.header("expect"), None);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn older_and_odder_requests_are_understood() {
    let world = World::new().await;
    let old = chat_request("").replace("HTTP/1.1", "HTTP/1.0");
    let mut raw = Raw::connect(&world).await;
    raw.send(old).await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
    assert!(raw.is_closed().await, "HTTP/1.0 asks once");
    let old_chunks =
        "POST /v1/echo HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(statuses(&world, &format!("{old_chunks}{SMUGGLED}"), 2).await, [400]);
    let bare = "GET /healthz HTTP/1.1\nhost: localhost\nconnection: close\n\n";
    let bare = statuses(&world, bare, 2).await;
    assert!(bare == [200] || bare == [400], "{bare:?}");
    let absolute = "GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(statuses(&world, absolute, 2).await, [200]);
    let foreign = "GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(statuses(&world, foreign, 2).await, [421]);
    for line in [
        "GET /healthz HTTP/2.0",
        "GET /healthz HTTP/1.2",
        "GET  /healthz HTTP/1.1",
        "GET /healthz",
        "\u{16}\u{3}\u{1}",
    ] {
        assert_eq!(statuses(&world, &format!("{line}\r\nhost: localhost\r\n\r\n"), 2).await, [400], "{line}");
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn no_tunnel_is_opened_and_nothing_is_traced() {
    let world = World::new().await;
    for line in ["CONNECT localhost:443 HTTP/1.1", "TRACE / HTTP/1.1", "TRACE /v1/echo HTTP/1.1"] {
        let request = format!("{line}\r\nhost: localhost\r\n\r\n{SMUGGLED}");
        assert_eq!(statuses(&world, &request, 2).await, [405], "{line}");
    }
    assert_eq!(world.simulator("a").stats().received, 0);
    let upgrade = "connection: upgrade, x-secret\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nx-secret: 1\r\nte: gzip\r\n";
    let request = format!("GET /v1/echo HTTP/1.1\r\nhost: localhost\r\n{upgrade}\r\n{SMUGGLED}");
    let statuses = statuses(&world, &request, 1).await;
    assert_eq!(statuses, [200], "it is served as the plain request that it is without the upgrade");
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn headers_of_one_connection_stay_on_it_both_ways() {
    let says = "connection: x-secret, close\r\nx-secret: theirs\r\nkeep-alive: timeout=5\r\nupgrade: h2c\r\nx-kept: yes\r\n\
                access-control-allow-origin: *\r\naccess-control-expose-headers: x\r\nset-cookie: a=b\r\n";
    let canned = Canned::saying(says, "{}").await;
    let at = provider_at("a", &canned.base_url, Limits::default());
    let world = Plan::new().set(|s| s.exchange.providers.push(at)).start().await;
    let headers = "connection: x-secret\r\nx-secret: ours\r\nte: trailers\r\nupgrade: websocket\r\nproxy-authorization: x\r\n\
                   keep-alive: 5\r\nx-kept: yes\r\ncookie: a=b\r\nx-api-key: theirs\r\n";
    let get = format!("GET /v1/files HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    for (n, request) in [chat_request(headers), get].into_iter().enumerate() {
        let answer = ask(&world, request).await.unwrap();
        assert_eq!((answer.status, answer.header("x-kept")), (200, Some("yes")));
        for name in [
            "x-secret",
            "keep-alive",
            "upgrade",
            "set-cookie",
            "access-control-allow-origin",
            "access-control-expose-headers",
        ] {
            assert_eq!(answer.header(name), None, "{name} came back");
        }
        let seen = canned.heads.borrow()[n].clone();
        assert!(seen.contains("x-kept: yes"), "{seen}");
        for name in ["x-secret", "te:", "upgrade", "proxy-authorization", "keep-alive", "cookie", "x-api-key"]
        {
            assert!(!seen.contains(name), "{name} went on: {seen}");
        }
    }
}

#[tokio::test]
async fn a_provider_cannot_switch_the_protocol() {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\u{1}\u{2}";
    let canned = Canned::start(switch).await;
    let at = provider_at("a", &canned.base_url, Limits::default());
    let world = Plan::new()
        .set(|s| {
            s.exchange.providers.push(at);
            s.exchange.retry.attempts_max = 1;
        })
        .start()
        .await;
    let get =
        "GET /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    for request in [get.to_owned(), chat_request("connection: upgrade\r\nupgrade: websocket\r\n")] {
        let answer = ask(&world, request).await.expect("it is answered");
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.error()["type"], json!("api_error"));
    }
}

#[tokio::test]
async fn a_provider_that_speaks_no_http_is_a_bad_gateway() {
    for noise in [
        "",
        "\r\n\r\n",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 99 x\r\n\r\n",
    ] {
        let canned = Canned::start(noise).await;
        let at = provider_at("a", &canned.base_url, Limits::default());
        let world = Plan::new()
            .set(|s| {
                s.exchange.providers.push(at);
                s.exchange.retry.attempts_max = 1;
            })
            .start()
            .await;
        for request in ["GET /v1/files HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), chat_request("")] {
            let answer = soon(ask(&world, request)).await.expect("it is answered");
            assert_eq!(answer.status, 502, "{noise:?}: {answer:?}");
        }
    }
}
