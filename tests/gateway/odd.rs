//! Providers that break off, fall silent, or answer in ways that none should.

use crate::world::{Plan, World, events, header};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::daemon::Daemon;
use tidegate::simulator::SimulatorSettings;
use tidegate::upstream::UpstreamSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A provider that answers every request with these bytes and then closes, or stays silent.
struct Raw {
    base_url: String,
    asked: Arc<AtomicUsize>,
}

impl Raw {
    async fn new(answer: impl Into<Vec<u8>>, then_silent: bool) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), answer.into());
        let count = Arc::clone(&asked);
        tidegate::tasks::Tasks::new().spawn("raw", async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                read_request(&mut stream).await;
                count.fetch_add(1, Ordering::Relaxed);
                // A gateway that has gone away meanwhile is no matter.
                let _ = stream.write_all(&answer).await;
                if then_silent {
                    open.push(stream);
                }
            }
        });
        Raw { base_url, asked }
    }

    /// A daemon with this provider alone, and 600 tokens a minute, all at once.
    async fn world(&self) -> World {
        self.plan().await.start().await
    }

    async fn plan(&self) -> Plan {
        let limits = Limits {
            tokens_per_minute: NonZeroU32::new(600),
            burst_tokens: NonZeroU32::new(600),
            ..Limits::default()
        };
        let base_url = self.base_url.clone();
        Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.set(|settings| {
            settings.exchange.providers[0].upstream = UpstreamSettings::new(base_url, None);
        })
    }
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0) {
                return;
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n").as_bytes(), body].concat()
}

fn stream(body: &str) -> Vec<u8> {
    answer("content-type: text/event-stream\r\n", body.as_bytes())
}

async fn available(world: &World) -> i64 {
    let health = world.health().await;
    health["providers"][0]["budget"]["tokens_per_minute"]["available"].as_i64().expect("it is limited")
}

const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";

#[tokio::test]
async fn a_stream_that_is_encoded_against_all_asking_passes_untouched_and_keeps_what_is_held() {
    let bytes = b"\x1f\x8b no event \n\n data: nor this \xff";
    let headers = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let world = Raw::new(answer(headers, bytes), false).await.world().await;
    let answer = world.chat("sim", json!({"stream": true, "max_tokens": 300})).send().await.unwrap();
    assert_eq!(header(&answer, "content-encoding"), "gzip");
    assert_eq!(answer.bytes().await.unwrap().as_ref(), bytes);
    assert!(available(&world).await < 310, "nobody knows what was used");
}

#[tokio::test]
async fn an_end_without_its_blank_line_is_an_end() {
    for end in ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r\n"] {
        let world = Raw::new(stream(&format!("{CHUNK}{end}")), false).await.world().await;
        let text = world.chat("sim", json!({"stream": true})).send().await.unwrap().text().await.unwrap();
        assert!(text.starts_with(CHUNK) && text.trim_end().ends_with("data: [DONE]"), "{text:?}");
        assert_eq!(world.metric("tidegate_streams_broken_total{provider=\"a\"}").await, 0.0);
    }
}

#[tokio::test]
async fn an_event_that_is_cut_in_two_ends_in_an_error_and_is_not_shown() {
    let cut = "data: {\"choices\":[{\"delta\":{\"content\":\"hi";
    let world = Raw::new(stream(&format!("{CHUNK}{cut}")), false).await.world().await;
    let text = world.chat("sim", json!({"stream": true})).send().await.unwrap().text().await.unwrap();
    let events = events(&text);
    assert_eq!(events.len(), 2, "{text:?}");
    assert!(events[1].contains("stream_broken"), "{text:?}");
}

#[tokio::test]
async fn an_error_in_a_stream_is_no_success_even_if_the_stream_is_then_ended_well() {
    let text = format!("{CHUNK}data: {{\"error\":{{\"message\":\"no\"}}}}\n\ndata: [DONE]\n\n");
    let world = Raw::new(stream(&text), false).await.world().await;
    let got = world.chat("sim", json!({"stream": true})).send().await.unwrap().text().await.unwrap();
    assert_eq!(got, text);
    assert_eq!(world.metric("tidegate_streams_broken_total{provider=\"a\"}").await, 1.0);
}

#[tokio::test]
async fn a_plain_answer_to_a_call_for_a_stream_is_no_stream_without_output() {
    let world = Raw::new(answer("content-type: application/json\r\n", b"{}"), false).await.world().await;
    let answer = world.chat("sim", json!({"stream": true, "max_tokens": 300})).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "{}");
    assert!(available(&world).await < 310, "nobody knows what was used");
}

#[tokio::test]
async fn an_answer_without_a_body_is_complete() {
    let world = Raw::new(answer("content-length: 0\r\n", b""), false).await.world().await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().text().await.unwrap(), "");
    assert_eq!(world.metric("tidegate_cancelled_total{stage=\"answer\"}").await, 0.0);
    assert_eq!(
        world.metric("tidegate_requests_total{dialect=\"chat\",provider=\"a\",status=\"2xx\"}").await,
        1.0
    );
}

#[tokio::test]
async fn a_provider_that_says_at_once_and_never_means_it_is_asked_ever_less_often() {
    let refusal =
        "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    let raw = Raw::new(refusal, false).await;
    let plan = raw.plan().await.set(|settings| settings.exchange.queue.max_wait = Duration::from_secs(2));
    let world = plan.start().await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 429);
    let asked = raw.asked.load(Ordering::Relaxed);
    assert!((2..8).contains(&asked), "{asked}");
}

#[tokio::test]
async fn what_can_never_be_served_tells_the_client_not_to_retry() {
    let body =
        r#"{"error":{"message":"Request too large for sim","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let refusal = format!(
        "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let world = Raw::new(refusal, false).await.world().await;
    let answer = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-should-retry").as_str()), (429, "false"));
    assert_eq!(answer.text().await.unwrap(), body);
}

#[tokio::test]
async fn a_provider_that_was_silent_past_the_longest_wait_is_still_left_for_another() {
    let raw = Raw::new("", true).await;
    let plan = raw.plan().await.provider("b").await.route("fast", &["a", "b"]);
    let plan = plan.set(|settings| {
        settings.exchange.queue.max_wait = Duration::from_millis(50);
        settings.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(100);
    });
    let world = plan.start().await;
    let answer = world.chat("fast", json!({"max_tokens": 300})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-provider").as_str()), (200, "b"));
    assert!(available(&world).await < 310, "a may have been working on it");
    assert_eq!(header(&answer, "x-tidegate-queued-ms"), "0", "an attempt is no wait in the queue");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_has_used_nothing() {
    let plan = Plan::new();
    let limits = Limits { requests_per_day: NonZeroU32::new(10), ..Limits::default() };
    let plan = plan.provider_with("a", limits, SimulatorSettings::unlimited()).await;
    let world = plan.set(|settings| settings.exchange.retry.attempts_max = 1).start().await;
    world.kill_provider("a").await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 502);
    let health = world.health().await;
    assert_eq!(health["providers"][0]["budget"]["requests_per_day"]["available"], 10);
}

#[tokio::test]
async fn a_provider_whose_every_stream_breaks_is_left_alone() {
    let world = World::new().await;
    world.simulator("a").update(|faults| faults.cut_after_chunks = Some(2));
    for _ in 0..3 {
        let answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
        assert!(answer.text().await.unwrap().contains("stream_broken"));
    }
    let answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], "server_is_overloaded");
}

#[tokio::test]
async fn what_a_drain_breaks_off_is_settled_before_it_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        tokens_per_minute: NonZeroU32::new(600),
        burst_tokens: NonZeroU32::new(600),
        ..Limits::default()
    };
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.set(|settings| {
        settings.store.path = Some(directory.path().to_owned());
        settings.server.drain = Duration::from_millis(50);
    });
    let settings = plan.settings.clone();
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(2));
    let more = json!({"stream": true, "max_tokens": 500});
    let mut answer = world.chat("sim", more).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    assert!(!world.daemon.drain().await, "the stream stands still");
    let next = Daemon::start(settings, Vec::new()).await.unwrap();
    let available = next.gateway().providers()[0].budget["tokens_per_minute"].available;
    assert!(available > 500, "{available} is what was reserved, not what was used");
}

#[tokio::test]
async fn the_first_event_is_the_first_byte() {
    let world = Raw::new(stream(CHUNK), true).await.world().await;
    let mut answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    assert_eq!(world.metric("tidegate_time_to_first_token_seconds_count{provider=\"a\"}").await, 1.0);
}
