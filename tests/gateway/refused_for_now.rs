//! A provider that says 429: its wait is kept by everybody, and it is not taken for sick.

use crate::beside::{beside, provider, queued, soon, until};
use crate::world::{Plan, World, header};
use futures_util::future::join_all;
use reqwest::header::HeaderName;
use reqwest::{Response, StatusCode};
use serde_json::json;
use std::num::NonZeroU32;
use tidegate::admission::Limits;
use tidegate::simulator::{FailNext, SimulatedLimits, SimulatorSettings};

/// The next `times` calls are refused for so long.
fn refuse(world: &World, name: &str, times: u32, millis: u64) {
    let (header, value) = (HeaderName::from_static("retry-after-ms"), millis.into());
    let refusal = FailNext::new(times, StatusCode::TOO_MANY_REQUESTS).with_header(header, value);
    world.simulator(name).update(|faults| faults.fail_next = Some(refusal));
}

fn served_by(answer: &Response) -> (u16, String, String) {
    let attempts = header(answer, "x-tidegate-attempts");
    (answer.status().as_u16(), header(answer, "x-tidegate-provider"), attempts)
}

#[tokio::test]
async fn a_providers_429_is_waited_out_by_everybody() {
    let some = Limits {
        tokens_per_minute: NonZeroU32::new(1_000_000),
        requests_per_minute: NonZeroU32::new(60_000),
        ..Limits::default()
    };
    for limits in [Limits::default(), some] {
        let world =
            Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
        refuse(&world, "a", 1, 400);
        let first = beside(world.chat("sim", json!({"max_tokens": 2})));
        soon(world.simulator("a").wait_for(|stats| stats.failed == 1)).await;
        until(&world, |health| provider(health, "a")["paused_ms"] != 0).await;
        let second = world.chat("sim", json!({"max_tokens": 2})).send().await.unwrap();
        assert_eq!(served_by(&second), (200, "a".into(), "1".into()));
        assert!(queued(&second) > 0, "the provider had asked for silence");
        let first = soon(first).await.unwrap();
        assert_eq!(served_by(&first), (200, "a".into(), "2".into()));
        assert!((350..5_000).contains(&queued(&first)), "{}", queued(&first));
        assert_eq!(world.simulator("a").stats().received, 3);
        let health = world.health().await;
        assert_eq!(provider(&health, "a")["breakers"], json!({}));
        assert_eq!(health["status"], "pass");
    }
}

#[tokio::test]
async fn many_429s_in_a_row_open_no_breaker() {
    let world = World::new().await;
    refuse(&world, "a", 6, 30);
    let answer = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(served_by(&answer), (200, "a".into(), "7".into()));
    assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}));
}

#[tokio::test]
async fn limits_that_only_the_provider_knows_fail_nobody() {
    let limits = SimulatedLimits { tokens_per_minute: Some(60_000), ..SimulatedLimits::default() };
    let behaviour = SimulatorSettings { limits, ..SimulatorSettings::unlimited() };
    let world = Plan::new().provider_with("a", Limits::default(), behaviour).await.start().await;
    let most = world.chat("sim", json!({"max_tokens": 59_900})).send().await.unwrap();
    assert_eq!(most.status(), 200);
    let calls = (0..6).map(|_| world.chat("sim", json!({"max_tokens": 150})).send());
    for answer in soon(join_all(calls)).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    let stats = world.simulator("a").stats();
    assert_eq!(stats.served, 7);
    assert!(stats.limited >= 1, "the limit was met");
    assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}));
}

#[tokio::test]
async fn a_429_beyond_patience_goes_to_the_second_at_once() {
    let world = Plan::new().provider("a").await.provider("b").await.route("both", &["a", "b"]).start().await;
    refuse(&world, "a", 1, 60_000);
    let answer = world.chat("both", json!({})).send().await.unwrap();
    assert_eq!(served_by(&answer), (200, "b".into(), "2".into()));
    assert!(queued(&answer) < 2_000, "{}", queued(&answer));
    let next = world.chat("both", json!({})).send().await.unwrap();
    assert_eq!(served_by(&next), (200, "b".into(), "1".into()), "the first has asked for silence");
    assert_eq!(world.simulator("a").stats().received, 1);
}

#[tokio::test]
async fn a_429_within_patience_is_waited_out_at_the_first() {
    let world = Plan::new().provider("a").await.provider("b").await.route("both", &["a", "b"]).start().await;
    refuse(&world, "a", 1, 200);
    let answer = world.chat("both", json!({})).send().await.unwrap();
    assert_eq!(served_by(&answer), (200, "a".into(), "2".into()));
    // Counted from when it asked for room again, a moment after the refusal.
    assert!(queued(&answer) >= 150, "{}", queued(&answer));
    assert_eq!(world.simulator("b").stats().received, 0);
}

#[tokio::test]
async fn a_429_beyond_the_longest_wait_says_so_to_the_client() {
    let world = World::new().await;
    refuse(&world, "a", 1, 300_000);
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(refusal.status(), 429);
    assert_eq!(header(&refusal, "retry-after-ms"), "300000", "the provider's own words");
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(refusal.status(), 429);
    assert_eq!(world.simulator("a").stats().received, 1, "it is left in peace");
    let seconds: u64 = header(&refusal, "retry-after").parse().unwrap();
    assert!((295..=300).contains(&seconds), "{seconds}");
    assert_eq!(header(&refusal, "x-should-retry"), "false", "the SDKs would come back too early");
}
