//! Limits that nobody has configured: the provider tells them in its headers, and the gateway keeps them.

use crate::beside::{provider, soon, until};
use crate::world::{Plan, World, chat_body};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tidegate::admission::{Limits, Slices};
use tidegate::dialect::Dialect;
use tidegate::simulator::{LimitHeaders, SimulatedCounting, SimulatedLimits, SimulatorSettings};

/// A provider `a` of these limits, which the gateway does not know.
async fn unknown(limits: SimulatedLimits, limit_headers: LimitHeaders) -> Plan {
    let counting = SimulatedCounting { limit_headers, ..SimulatedCounting::default() };
    let behaviour = SimulatorSettings { limits, counting, ..SimulatorSettings::unlimited() };
    // Nearly a whole minute's worth may pass at once; what is left makes up for calls that take a moment to arrive.
    let slice = Duration::from_secs(58);
    let slices = Slices { requests: slice, tokens: slice };
    Plan::new().provider_with("a", Limits { slices, ..Limits::default() }, behaviour).await
}

fn requests(per_minute: u64) -> SimulatedLimits {
    SimulatedLimits { requests_per_minute: Some(per_minute), ..SimulatedLimits::default() }
}

fn told<'h>(health: &'h Value, limit: &str) -> &'h Value {
    &provider(health, "a")["pools"]["sim"]["budget"][limit]
}

/// So many calls, one of which goes before the others.
async fn calls(world: &World, count: usize, more: Value) {
    let call = || async {
        let answer = world.chat("sim", more.clone()).send().await.expect("the gateway answers");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("it comes whole");
    };
    soon(call()).await;
    soon(join_all((1..count).map(|_| call()))).await;
    until(world, |health| provider(health, "a")["open"] == 0).await;
}

#[tokio::test]
async fn what_openais_headers_tell_is_waited_for_and_nobody_is_refused() {
    let limits = SimulatedLimits { tokens_per_minute: Some(100_000), ..requests(120) };
    let world = unknown(limits, LimitHeaders::OpenAi).await.start().await;
    calls(&world, 124, json!({"max_tokens": 1})).await;
    let stats = world.simulator("a").stats();
    assert_eq!((stats.served, stats.limited), (124, 0));
    let health = world.health().await;
    for (limit, units) in [("requests_per_minute", 120), ("tokens_per_minute", 100_000)] {
        let told = told(&health, limit);
        assert_eq!((&told["limit"], &told["known"]), (&json!(units), &json!("said")), "{health}");
        assert_eq!(told["used_elsewhere"], Value::Null, "nobody else is there: {health}");
    }
}

#[tokio::test]
async fn what_anthropics_headers_tell_is_waited_for_and_nobody_is_refused() {
    let limits = SimulatedLimits {
        input_tokens_per_minute: Some(50_000),
        output_tokens_per_minute: Some(60_000),
        ..requests(120)
    };
    let plan = unknown(limits, LimitHeaders::Anthropic).await;
    let plan = plan.set(|settings| {
        let provider = &mut settings.exchange.providers[0];
        provider.upstream.spoken = vec![tidegate::upstream::Spoken::usual(Dialect::Messages)];
    });
    let world = plan.route("claude", &["a"]).start().await;
    calls(&world, 124, json!({"max_tokens": 5})).await;
    let stats = world.simulator("a").stats();
    assert_eq!((stats.served, stats.limited), (124, 0));
    let health = world.health().await;
    for (limit, units) in [
        ("requests_per_minute", 120),
        ("input_tokens_per_minute", 50_000),
        ("output_tokens_per_minute", 60_000),
    ] {
        let told = told(&health, limit);
        assert_eq!((&told["limit"], &told["known"]), (&json!(units), &json!("said")), "{health}");
        assert_eq!(told["used_elsewhere"], Value::Null, "nobody else is there: {health}");
    }
}

#[tokio::test]
async fn who_uses_the_account_beside_the_gateway_is_seen_and_made_room_for() {
    let world = unknown(requests(120), LimitHeaders::OpenAi).await.start().await;
    calls(&world, 2, json!({"max_tokens": 1})).await;
    let url = format!("{}/chat/completions", world.simulator_url("a"));
    for _ in 0..100 {
        let call = world.client.post(&url).json(&chat_body("sim", json!({"max_tokens": 1})));
        assert_eq!(call.send().await.expect("the provider answers").status(), 200);
    }
    calls(&world, 24, json!({"max_tokens": 1})).await;
    assert_eq!(world.simulator("a").stats().limited, 0);
    let health = world.health().await;
    let elsewhere = told(&health, "requests_per_minute")["used_elsewhere"].as_u64();
    assert!((60..=101).contains(&elsewhere.unwrap_or_default()), "{health}");
}

async fn stored(store: &Path) -> World {
    let store = store.to_owned();
    let plan = unknown(requests(120), LimitHeaders::OpenAi).await;
    plan.set(|settings| settings.store.path = Some(store)).start().await
}

#[tokio::test]
async fn what_was_told_is_remembered_over_a_restart() {
    let store = tempfile::tempdir().expect("there is room");
    let world = stored(store.path()).await;
    calls(&world, 30, json!({"max_tokens": 1})).await;
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let world = stored(store.path()).await;
    let health = world.health().await;
    let told = told(&health, "requests_per_minute");
    assert_eq!((&told["limit"], &told["known"]), (&json!(120), &json!("said")), "{health}");
    let available = told["available"].as_i64().expect("a number");
    assert!((84..116).contains(&available), "{health}");
    // The provider is another one now, and has forgotten.
    calls(&world, 80, json!({"max_tokens": 1})).await;
}

#[tokio::test]
async fn a_refusal_that_tells_what_is_left_leaves_a_pool_that_can_be_used() {
    let world = unknown(requests(120), LimitHeaders::OpenAi).await.start().await;
    calls(&world, 2, json!({"max_tokens": 1})).await;
    let url = format!("{}/chat/completions", world.simulator_url("a"));
    while world.simulator("a").stats().limited == 0 {
        let call = world.client.post(&url).json(&chat_body("sim", json!({"max_tokens": 1})));
        call.send().await.expect("the provider answers");
    }
    let before = world.simulator("a").stats();
    calls(&world, 6, json!({"max_tokens": 1})).await;
    let stats = world.simulator("a").stats();
    assert!(stats.limited <= before.limited + 1, "only the first could not know: {stats:?}");
    assert_eq!(stats.served, before.served + 6);
    let health = world.health().await;
    let told = told(&health, "requests_per_minute");
    assert_eq!((&told["limit"], &told["known"]), (&json!(120), &json!("said")), "{health}");
    assert!((-1..=2).contains(&told["available"].as_i64().expect("a number")), "{health}");
}
