//! Settings that change while exchanges run and wait.

use crate::raw::{Raw, assert_well, chat_request_for, soon, until_idle};
use crate::world::{Plan, World, events, header};
use serde_json::json;
use std::num::NonZeroU32;
use tidegate::admission::{Limits, Priority};
use tidegate::exchange::{ExchangeSettings, Route};
use tidegate::ids::{ModelName, ProviderId};
use tidegate::simulator::{FailNext, SimulatorSettings};

/// Takes over settings that differ from those of the start by this change.
fn reload(world: &World, change: impl FnOnce(&mut ExchangeSettings)) {
    let mut settings = world.daemon.settings().exchange.clone();
    change(&mut settings);
    world.daemon.gateway().reload(settings).expect("the settings can be used");
}

async fn with_limits(limits: Limits) -> World {
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await;
    plan.provider("b").await.route("fast", &["a", "b"]).start().await
}

fn one_at_a_time() -> Limits {
    Limits { concurrent: NonZeroU32::new(1), ..Limits::default() }
}

/// One exchange that is held at provider `a`, and one for `model` that waits for its place.
async fn held_and_waiting(world: &World, model: &str) -> (Raw, Raw) {
    world.simulator("a").update(|faults| faults.gate = true);
    let mut held = Raw::connect(world).await;
    held.send(chat_request_for("a/sim", "")).await;
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    let mut waiting = Raw::connect(world).await;
    waiting.send(chat_request_for(model, "")).await;
    soon(world.until_waiting(1)).await;
    (held, waiting)
}

async fn level(world: &World) -> i64 {
    let health = world.health().await;
    health["providers"][0]["budget"]["tokens_per_day"]["available"].as_i64().expect("a number")
}

#[tokio::test]
async fn new_limits_keep_how_full_a_budget_is() {
    let a_day = |tokens| Limits { tokens_per_day: NonZeroU32::new(tokens), ..Limits::default() };
    let world = with_limits(a_day(8_640)).await;
    world.simulator("a").update(|faults| faults.output_tokens = 4_000);
    let answer = world.chat("a/sim", json!({"max_tokens": 4_000})).send().await.unwrap();
    answer.bytes().await.unwrap();
    let before = level(&world).await;
    assert!((4_000..4_700).contains(&before), "{before}");
    reload(&world, |settings| settings.providers[0].limits = a_day(86_400));
    let after = level(&world).await;
    assert!((before * 10 - 10..=before * 10 + 10).contains(&after), "{before} became {after}");
    reload(&world, |settings| settings.providers[0].limits = Limits::default());
    assert_eq!(world.health().await["providers"][0]["budget"], json!({}));
    reload(&world, |settings| settings.providers[0].limits = a_day(100));
    assert_eq!(level(&world).await, 100, "what was without limit begins full");
    assert_well(&world, "fast").await;
}

#[tokio::test]
async fn more_room_lets_those_go_who_wait() {
    let world = with_limits(one_at_a_time()).await;
    let (mut held, mut waiting) = held_and_waiting(&world, "a/sim").await;
    let two = Limits { concurrent: NonZeroU32::new(2), ..Limits::default() };
    reload(&world, |settings| settings.providers[0].limits = two);
    soon(world.simulator("a").wait_for(|stats| stats.held == 2)).await;
    world.simulator("a").update(|faults| faults.gate = false);
    for raw in [&mut held, &mut waiting] {
        assert_eq!(raw.answer().await.unwrap().status, 200);
    }
    assert_well(&world, "a/sim").await;
}

#[tokio::test]
async fn who_waits_for_a_provider_that_is_taken_away_is_told_so() {
    let world = with_limits(one_at_a_time()).await;
    let (mut held, mut waiting) = held_and_waiting(&world, "a/sim").await;
    reload(&world, |settings| {
        settings.providers.remove(0);
        settings.routes.clear();
    });
    let answer = waiting.answer().await.expect("it is answered");
    assert_eq!((answer.status, answer.header("x-should-retry")), (429, Some("false")));
    assert_eq!(answer.error()["message"], "No provider of this model is configured any more.");
    assert_eq!(world.health().await["providers"].as_array().map(Vec::len), Some(1));
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(held.answer().await.unwrap().status, 200, "what runs is finished");
    assert_well(&world, "sim").await;
    assert_eq!(world.metric("tidegate_refused_total{reason=\"no_provider\"}").await, 1.0);
}

#[tokio::test]
async fn who_can_go_elsewhere_does_when_a_provider_is_taken_away() {
    let world = with_limits(one_at_a_time()).await;
    let (mut held, mut waiting) = held_and_waiting(&world, "fast").await;
    reload(&world, |settings| drop(settings.providers.remove(0)));
    let answer = waiting.answer().await.expect("it is answered");
    assert_eq!((answer.status, answer.header("x-tidegate-provider")), (200, Some("b")));
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(held.answer().await.unwrap().status, 200);
    assert_well(&world, "b/sim").await;
}

#[tokio::test]
async fn a_stream_outlives_its_provider_in_the_settings() {
    let world = with_limits(one_at_a_time()).await;
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(2));
    let answer = world.chat("a/sim", json!({"stream": true, "max_tokens": 5})).send().await.unwrap();
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    reload(&world, |settings| drop(settings.providers.remove(0)));
    world.simulator("a").update(|faults| faults.stall_after_chunks = None);
    let stream = soon(answer.text()).await.unwrap();
    assert_eq!(events(&stream).last().map(String::as_str), Some("[DONE]"));
    assert_eq!(world.metric("tidegate_tokens_total{provider=\"a\",type=\"output\"}").await, 5.0);
    soon(until_idle(&world)).await;
    reload(&world, |_| {});
    assert_well(&world, "a/sim").await;
}

#[tokio::test]
async fn a_provider_that_comes_back_while_its_exchange_still_runs_counts_right() {
    let world = with_limits(one_at_a_time()).await;
    let (mut held, waiting) = held_and_waiting(&world, "a/sim").await;
    reload(&world, |settings| drop(settings.providers.remove(0)));
    drop(waiting);
    reload(&world, |_| {});
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(held.answer().await.unwrap().status, 200);
    soon(until_idle(&world)).await;
    assert_well(&world, "a/sim").await;
}

#[tokio::test]
async fn routes_and_defaults_take_effect_at_once() {
    let world = with_limits(Limits::default()).await;
    assert_eq!(world.chat("slow", json!({})).send().await.unwrap().status(), 404);
    reload(&world, |settings| {
        let targets = settings.routes[0].targets[1..].to_vec();
        settings.routes.push(Route { name: ModelName::from("slow"), targets, priority: Priority::Batch });
        settings.default_provider = Some(ProviderId::from("b"));
    });
    let answer = world.chat("slow", json!({})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-target").as_str()), (200, "b/sim"));
    assert_eq!(world.get("/v1/echo").await.status(), 200);
    let batch = "tidegate_queue_wait_seconds_count{provider=\"b\",priority=\"batch\"}";
    assert_eq!(world.metric(batch).await, 1.0);
}

#[tokio::test]
async fn settings_that_cannot_be_used_change_nothing() {
    let world = with_limits(one_at_a_time()).await;
    let mut settings = world.daemon.settings().exchange.clone();
    settings.providers.remove(1);
    "ftp://nowhere".clone_into(&mut settings.providers[0].upstream.base_url);
    assert!(world.daemon.gateway().reload(settings).is_err());
    assert_eq!(world.health().await["providers"].as_array().map(Vec::len), Some(2));
    assert_well(&world, "fast").await;
}

#[tokio::test]
async fn a_breaker_stays_open_over_a_reload() {
    let world = with_limits(Limits::default()).await;
    reload(&world, |settings| settings.providers[0].breaker.failures = 1);
    let status = http::StatusCode::INTERNAL_SERVER_ERROR;
    world.simulator("a").update(|faults| faults.fail_next = Some(FailNext::new(1, status)));
    assert_eq!(world.chat("fast", json!({})).send().await.unwrap().status(), 200);
    reload(&world, |settings| settings.output_guess = 7);
    assert_eq!(world.health().await["providers"][0]["breakers"]["sim"]["state"], "open");
    assert_well(&world, "fast").await;
    assert_eq!(world.simulator("a").stats().received, 1);
}
