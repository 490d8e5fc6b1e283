//! Who may talk to the gateway at all: every path is guarded alike, and a request that has been here before is
//! not let in again.

use crate::raw::{ask, assert_well, error_of, provider_at, soon};
use crate::world::{Plan, World, chat_body};
use serde_json::json;
use tidegate::admission::Limits;
use tidegate::daemon::Daemon;
use tidegate::server::Bound;
use tokio::net::TcpListener;

/// Every kind of path that there is, with what it answers to a request that may come in.
const ROUTES: [(&str, u16); 14] = [
    ("GET /health", 200),
    ("GET /healthz", 200),
    ("HEAD /healthz", 200),
    ("GET /livez", 200),
    ("GET /readyz", 200),
    ("GET /metrics", 200),
    ("GET /v1/models", 200),
    ("GET /v1/models/sim", 200),
    ("POST /v1/chat/completions", 400),
    ("POST /v1/completions", 400),
    ("POST /v1/embeddings", 400),
    ("GET /v1/echo", 200),
    ("OPTIONS /v1/echo", 200),
    ("GET /nowhere", 404),
];

/// The status of a request without a body on each route, with these header lines.
async fn check(world: &World, headers: &str, wanted: Option<(u16, &str)>) {
    for (route, open) in ROUTES {
        let request = format!("{route} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: 0\r\n\r\n");
        let answer = ask(world, request).await;
        // An answer to HEAD has no body, so it never looks whole.
        let Some(answer) = answer else {
            assert!(route.starts_with("HEAD"), "{route} with {headers:?} has no answer");
            continue;
        };
        let status = wanted.map_or(open, |(status, _)| status);
        assert_eq!(answer.status, status, "{route} with {headers:?}");
        assert!(!answer.head.contains("access-control-"), "{route}: {}", answer.head);
        if let (Some((_, code)), false) = (wanted, route.starts_with("HEAD")) {
            assert_eq!(answer.error()["code"], code, "{route} with {headers:?}");
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
}

async fn guarded() -> World {
    Plan::new().provider("a").await.set(|s| s.server.hosts = vec!["gate.example".to_owned()]).start().await
}

#[tokio::test]
async fn every_path_wants_a_host_that_is_ours() {
    let world = guarded().await;
    for ours in [
        "localhost",
        "LOCALHOST:8433",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8433",
        "gate.example",
        "Gate.Example:80",
    ] {
        check(&world, &format!("host: {ours}\r\n"), None).await;
    }
    let received = world.simulator("a").stats().received;
    for foreign in [
        "",
        "host: \r\n",
        "host: evil.example\r\n",
        "host: localhost.evil.example\r\n",
        "host: gate.example.evil.example\r\n",
        "host: evil.example#localhost\r\n",
        "host: localhost/\r\n",
        "host: 127.0.0.2\r\n",
        "host: 2130706433\r\n",
        "host: 0.0.0.0\r\n",
        "host: [::]\r\n",
        "host: [::ffff:127.0.0.1]\r\n",
        "host: localhost.\r\n",
        "host: user@localhost\r\n",
        "host: localhost\r\nhost: evil.example\r\n",
        "host: localhost\r\nhost: localhost\r\n",
        "host: localhost, evil.example\r\n",
    ] {
        check(&world, foreign, Some((421, "foreign_host"))).await;
    }
    assert_eq!(world.simulator("a").stats().received, received);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn no_path_is_open_to_a_web_page() {
    let world = guarded().await;
    for site in ["none", "same-origin"] {
        check(&world, &format!("host: localhost\r\nsec-fetch-site: {site}\r\n"), None).await;
    }
    for page in [
        "origin: https://evil.example\r\n",
        "origin: null\r\n",
        "origin: http://localhost:8433\r\n",
        "origin: \r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "sec-fetch-site: Cross-Site\r\n",
        "sec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n",
        "origin: https://evil.example\r\naccess-control-request-method: POST\r\n",
    ] {
        check(&world, &format!("host: localhost\r\n{page}"), Some((403, "from_web_page"))).await;
    }
    let rejected = world.metric("tidegate_rejected_total{reason=\"from_web_page\"}").await;
    assert_eq!(rejected, 9.0 * 14.0);
    assert_well(&world, "sim").await;
}

/// A daemon whose only provider is reached through `base_url`, on a listener that was bound before.
async fn gateway_in_front_of(base_url: &str, listener: TcpListener) -> Daemon {
    let at = provider_at("loop", base_url, Limits::default());
    let plan = Plan::new().set(|settings| settings.exchange.providers.push(at));
    Daemon::start(plan.settings, vec![Bound::Tcp(listener)]).await.expect("it starts")
}

async fn bound() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    (listener, format!("http://{address}"))
}

#[tokio::test]
async fn a_gateway_that_leads_to_itself_says_so_at_once() {
    let (listener, base) = bound().await;
    let daemon = gateway_in_front_of(&format!("{base}/v1"), listener).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let chat = client.post(format!("{base}/v1/chat/completions")).json(&chat_body("sim", json!({})));
    let passed = client.get(format!("{base}/v1/files"));
    for request in [chat, passed] {
        let answer = soon(request.send()).await.unwrap();
        assert_eq!(answer.status(), 508);
        let error = error_of(&answer.json().await.unwrap());
        assert_eq!(error["code"], "loop");
    }
    let page = daemon.gateway().metrics().page();
    assert!(page.contains("tidegate_rejected_total{reason=\"loop\"} 2"), "once for each request: {page}");
}

#[tokio::test]
async fn two_gateways_that_lead_to_each_other_notice() {
    let ((one, one_base), (two, two_base)) = (bound().await, bound().await);
    let first = gateway_in_front_of(&format!("{two_base}/v1"), one).await;
    let second = gateway_in_front_of(&format!("{one_base}/v1"), two).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let chat = client.post(format!("{one_base}/v1/chat/completions")).json(&chat_body("sim", json!({})));
    let answer = soon(chat.send()).await.unwrap();
    assert_eq!(answer.status(), 508);
    let rejected = "tidegate_rejected_total{reason=\"loop\"} 1";
    assert!(first.gateway().metrics().page().contains(rejected));
    assert!(!second.gateway().metrics().page().contains("reason=\"loop\""));
}

#[tokio::test]
async fn a_forged_hop_is_no_loop_unless_there_are_too_many() {
    let world = World::new().await;
    for (hops, status) in [(0, 200), (1, 200), (7, 200), (8, 508), (50, 508)] {
        let headers = "x-tidegate-hop: somebody\r\n".repeat(hops);
        let request = format!("GET /v1/echo HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        assert_eq!(ask(&world, request).await.unwrap().status, status, "{hops} hops");
    }
    assert_well(&world, "sim").await;
}
