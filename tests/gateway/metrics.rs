//! The page that Prometheus reads, and what moves which number.

use crate::openmetrics::Page;
use crate::raw::{Canned, Raw, assert_well, chat_request, provider_at, soon, until_idle};
use crate::world::{Plan, World, header};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::simulator::{FailNext, SimulatorSettings};

async fn page(world: &World) -> Page {
    let answer = world.get("/metrics").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    Page::read(&answer.text().await.expect("it is text"))
}

/// How much each of these series has grown while something was done.
async fn grown(world: &World, before: &Page, wanted: &[(&str, f64)]) {
    let after = page(world).await;
    for (series, growth) in wanted {
        assert_eq!(after.value(series) - before.value(series), *growth, "{series}");
    }
}

async fn chat(world: &World, model: &str, more: serde_json::Value) -> u16 {
    let answer = soon(world.chat(model, more).send()).await.expect("the gateway answers");
    let status = answer.status().as_u16();
    // Broken streams are among what is counted.
    let _ = soon(answer.bytes()).await;
    status
}

fn sick(times: u32) -> FailNext {
    FailNext::new(times, StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test]
async fn the_page_is_valid_before_and_after_anything_has_happened() {
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(1_000),
        tokens_per_day: NonZeroU32::new(100_000),
        ..Limits::default()
    };
    let plan =
        Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.provider("b").await;
    let quick = |s: &mut tidegate::config::Settings| s.exchange.retry.delay = Duration::from_millis(1);
    let world = plan.route("fast", &["a", "b"]).route("o\"d\\d", &["b"]).set(quick).start().await;
    let empty = page(&world).await;
    assert_eq!(empty.value("tidegate_config_last_reload_successful"), 1.0);
    for _ in 0..3 {
        assert_eq!(chat(&world, "fast", json!({})).await, 200);
    }
    assert_eq!(chat(&world, "o\"d\\d", json!({"stream": true})).await, 200);
    world.simulator("a").update(|faults| faults.fail_next = Some(sick(20)));
    assert_eq!(chat(&world, "a/q\"uo\\te\u{1f600}", json!({})).await, 404);
    assert_eq!(chat(&world, "a/sim", json!({})).await, 503, "its own tries have opened the breaker");
    chat(&world, "nobody", json!({})).await;
    world.get("/nowhere").await;
    world.get("/v1/echo").await;
    let full = page(&world).await;
    let families = full.families();
    assert_eq!(empty.families().difference(&families).count(), 0);
    assert!(full.series.len() > empty.series.len() + 50, "{}", full.series.len());
    let requests = full
        .value("tidegate_bucket_available_requests{provider=\"a\",model=\"\",limit=\"requests_per_minute\"}");
    assert!((100.0..=166.0).contains(&requests), "{requests}");
    assert!(
        full.value("tidegate_bucket_available_tokens{provider=\"a\",model=\"\",limit=\"tokens_per_day\"}")
            > 90_000.0
    );
    assert_eq!(full.value("tidegate_breaker_state{provider=\"a\",model=\"sim\"}"), 2.0);
}

#[tokio::test]
async fn names_that_clients_make_up_add_no_series() {
    let world = Plan::new().provider("a").await.provider("b").await.route("fast", &["a"]).start().await;
    assert_eq!(chat(&world, "made-up", json!({})).await, 404);
    assert_eq!(chat(&world, "a/made-up", json!({})).await, 404);
    world.get("/v1/echo/made-up").await;
    let before = page(&world).await;
    for n in 0..1_000 {
        let prefix = ["", "a/"][n % 2];
        assert_eq!(chat(&world, &format!("{prefix}made-up-{n}"), json!({})).await, 404);
    }
    world.get("/v1/models/made-up").await;
    let request = world.chat("fast", json!({})).header("x-tidegate-priority", "made-up");
    assert_eq!(request.send().await.unwrap().status(), 400);
    let after = page(&world).await;
    let new: Vec<&String> =
        after.series.keys().filter(|series| !before.series.contains_key(*series)).collect();
    assert_eq!(new, ["tidegate_refused_total{reason=\"bad_request\"}"]);
    assert!(!after.series.keys().any(|series| series.contains("made-up")));
    assert_well(&world, "fast").await;
}

#[tokio::test]
async fn an_exchange_is_counted_once_with_its_tokens() {
    let world = Plan::new().provider("a").await.start().await;
    let before = page(&world).await;
    let answer = world.chat("sim", json!({"max_tokens": 7})).send().await.unwrap();
    let body: serde_json::Value = answer.json().await.unwrap();
    chat(&world, "sim", json!({"max_tokens": 3, "stream": true})).await;
    let input = 2.0 * body["usage"]["prompt_tokens"].as_f64().unwrap();
    let provider = "{provider=\"a\"}";
    grown(
        &world,
        &before,
        &[
            ("tidegate_requests_total{dialect=\"chat\",provider=\"a\",status=\"2xx\"}", 2.0),
            ("tidegate_tokens_total{provider=\"a\",type=\"input\"}", input),
            ("tidegate_tokens_total{provider=\"a\",type=\"output\"}", 10.0),
            ("tidegate_tokens_total{provider=\"a\",type=\"reasoning\"}", 0.0),
            ("tidegate_upstream_requests_total{provider=\"a\",status=\"2xx\"}", 2.0),
            ("tidegate_request_duration_seconds_count{dialect=\"chat\",provider=\"a\"}", 2.0),
            (&format!("tidegate_time_to_first_token_seconds_count{provider}"), 2.0),
            (&format!("tidegate_token_estimate_error_ratio_count{provider}"), 2.0),
            ("tidegate_queue_wait_seconds_count{provider=\"a\",priority=\"normal\"}", 2.0),
            ("tidegate_overhead_seconds_count", 2.0),
            (&format!("tidegate_streams_broken_total{provider}"), 0.0),
            ("tidegate_cancelled_total{stage=\"answer\"}", 0.0),
            ("tidegate_cancelled_total{stage=\"waiting\"}", 0.0),
            (&format!("tidegate_passthrough_total{provider}"), 0.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn retries_and_failovers_are_counted_by_their_reason() {
    let quick = |s: &mut tidegate::config::Settings| s.exchange.retry.delay = Duration::from_millis(1);
    let world = Plan::new().provider("a").await.provider("b").await.route("fast", &["a", "b"]).set(quick);
    let world = world.start().await;
    let before = page(&world).await;
    world.simulator("a").update(|faults| faults.fail_next = Some(sick(1)));
    assert_eq!(chat(&world, "fast", json!({})).await, 200);
    world.simulator("a").update(|faults| faults.fail_next = Some(sick(1)));
    assert_eq!(chat(&world, "a/sim", json!({})).await, 200, "the same again where there is no other");
    let busy = FailNext::new(1, StatusCode::TOO_MANY_REQUESTS)
        .with_header(HeaderName::from_static("retry-after-ms"), HeaderValue::from_static("20"));
    world.simulator("b").update(|faults| faults.fail_next = Some(busy));
    assert_eq!(chat(&world, "b/sim", json!({})).await, 200);
    grown(
        &world,
        &before,
        &[
            ("tidegate_retries_total{reason=\"server_error\"}", 2.0),
            ("tidegate_retries_total{reason=\"rate_limited\"}", 1.0),
            ("tidegate_failovers_total{from=\"a\",to=\"b\"}", 1.0),
            ("tidegate_upstream_errors_total{provider=\"a\",kind=\"server_error\"}", 2.0),
            ("tidegate_upstream_errors_total{provider=\"b\",kind=\"rate_limited\"}", 1.0),
            ("tidegate_upstream_requests_total{provider=\"a\",status=\"5xx\"}", 2.0),
            ("tidegate_upstream_requests_total{provider=\"b\",status=\"4xx\"}", 1.0),
            ("tidegate_requests_total{dialect=\"chat\",provider=\"a\",status=\"2xx\"}", 1.0),
            ("tidegate_requests_total{dialect=\"chat\",provider=\"b\",status=\"2xx\"}", 2.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_the_provider_refused_is_counted_too() {
    let world = World::new().await;
    let before = page(&world).await;
    let status = StatusCode::BAD_REQUEST;
    world.simulator("a").update(|faults| faults.fail_next = Some(FailNext::new(1, status)));
    assert_eq!(chat(&world, "sim", json!({})).await, 400);
    grown(
        &world,
        &before,
        &[
            ("tidegate_requests_total{dialect=\"chat\",provider=\"a\",status=\"4xx\"}", 1.0),
            ("tidegate_upstream_errors_total{provider=\"a\",kind=\"rejected\"}", 1.0),
            ("tidegate_cancelled_total{stage=\"waiting\"}", 0.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn refusals_rejections_and_passages_are_counted_apart() {
    let limits = Limits { tokens_per_minute: NonZeroU32::new(100), ..Limits::default() };
    let world = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
    let before = page(&world).await;
    assert_eq!(chat(&world, "sim", json!({"max_tokens": 1_000})).await, 429);
    assert_eq!(chat(&world, "sim", json!({"n": 0})).await, 400);
    assert_eq!(world.get("/nowhere").await.status(), 404);
    assert_eq!(world.get("/v1/echo").await.status(), 200);
    let request = world.chat("sim", json!({})).header("origin", "null");
    assert_eq!(request.send().await.unwrap().status(), 403);
    grown(
        &world,
        &before,
        &[
            ("tidegate_refused_total{reason=\"too_large\"}", 1.0),
            ("tidegate_refused_total{reason=\"bad_request\"}", 1.0),
            ("tidegate_rejected_total{reason=\"unknown_path\"}", 1.0),
            ("tidegate_rejected_total{reason=\"from_web_page\"}", 1.0),
            ("tidegate_passthrough_total{provider=\"a\"}", 1.0),
            ("tidegate_requests_total{dialect=\"chat\",provider=\"none\",status=\"4xx\"}", 2.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn clients_that_leave_and_streams_that_break_are_counted() {
    let world = World::new().await;
    let before = page(&world).await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut raw = Raw::connect(&world).await;
    raw.send(chat_request("")).await;
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    drop(raw);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    soon(until_idle(&world)).await;
    world.simulator("a").update(|faults| (faults.gate, faults.stall_after_chunks) = (false, Some(2)));
    let mut answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
    answer.chunk().await.unwrap();
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    drop(answer);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 2)).await;
    soon(until_idle(&world)).await;
    world
        .simulator("a")
        .update(|faults| (faults.stall_after_chunks, faults.cut_after_chunks) = (None, Some(3)));
    assert_eq!(chat(&world, "sim", json!({"stream": true})).await, 200);
    grown(
        &world,
        &before,
        &[
            ("tidegate_cancelled_total{stage=\"waiting\"}", 1.0),
            ("tidegate_cancelled_total{stage=\"answer\"}", 1.0),
            ("tidegate_streams_broken_total{provider=\"a\"}", 1.0),
            ("tidegate_upstream_errors_total{provider=\"a\",kind=\"server_error\"}", 0.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn time_spent_waiting_is_measured() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let world = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let (mut first, mut second) = (Raw::connect(&world).await, Raw::connect(&world).await);
    first.send(chat_request("")).await;
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    second.send(chat_request("x-tidegate-priority: batch\r\n")).await;
    soon(world.until_waiting(1)).await;
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(first.answer().await.unwrap().status, 200);
    let answer = second.answer().await.unwrap();
    let waited: f64 = answer.header("x-tidegate-queued-ms").unwrap().parse().unwrap();
    let page = page(&world).await;
    let sum = |class: &str| {
        page.value(&format!("tidegate_queue_wait_seconds_sum{{provider=\"a\",priority=\"{class}\"}}"))
    };
    assert!(sum("normal") < 0.001, "the first did not wait");
    assert!(
        (waited / 1_000.0..=waited / 1_000.0 + 0.001).contains(&sum("batch")),
        "{waited} {}",
        sum("batch")
    );
    assert!(sum("batch") > 0.0);
}

#[tokio::test]
async fn a_cap_that_nobody_can_mean_does_not_ruin_the_count() {
    let canned = Canned::saying("content-type: application/json\r\n", r#"{"choices":[]}"#).await;
    let at = provider_at("a", &canned.base_url, Limits::default());
    let world = Plan::new().set(|settings| settings.exchange.providers.push(at)).start().await;
    for _ in 0..3 {
        assert_eq!(chat(&world, "sim", json!({"max_tokens": u64::MAX})).await, 200);
    }
    let output = page(&world).await.value("tidegate_tokens_total{provider=\"a\",type=\"output\"}");
    assert!((3.0..1e12).contains(&output), "{output}");
    assert_well(&world, "sim").await;
}
