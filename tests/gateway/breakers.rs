//! Providers that keep failing are left alone, one request finds out whether they are well again, and
//! whoever looks can see it.

use crate::beside::{beside, obey, provider, queued, soon, until};
use crate::world::{Plan, World, header};
use reqwest::Response;
use serde_json::json;
use std::time::Duration;
use tidegate::simulator::Faults;

async fn world_with(open_for: Duration) -> World {
    let plan = Plan::new().provider("a").await.provider("b").await.route("both", &["a", "b"]);
    let plan = plan.set(|settings| {
        for provider in &mut settings.exchange.providers {
            provider.breaker.open_for = open_for;
        }
        settings.exchange.retry.attempts_max = 2;
    });
    plan.start().await
}

async fn ask(world: &World) -> Response {
    soon(world.chat("both", json!({})).send()).await.expect("the gateway answers")
}

fn by(answer: &Response) -> String {
    assert_eq!(answer.status(), 200);
    header(answer, "x-tidegate-provider")
}

fn fails(faults: &mut Faults) {
    faults.error_rate = 1.0;
}

fn recovers(faults: &mut Faults) {
    faults.error_rate = 0.0;
}

/// Fails at the first until it is left alone.
async fn trip(world: &World) {
    world.simulator("a").update(fails);
    for _ in 0..3 {
        assert_eq!(by(&ask(world).await), "b");
    }
}

/// Waits until the time for which the first is left alone is over.
async fn rested(world: &World) {
    until(world, |health| provider(health, "a")["breakers"]["sim"]["admits_in_ms"] == 0).await;
}

#[tokio::test]
async fn three_failures_in_a_row_and_it_is_asked_no_more() {
    let world = world_with(Duration::from_secs(30)).await;
    trip(&world).await;
    for _ in 0..5 {
        let answer = ask(&world).await;
        assert_eq!((by(&answer).as_str(), header(&answer, "x-tidegate-attempts").as_str()), ("b", "1"));
        assert_eq!(queued(&answer), 0);
    }
    assert_eq!(world.simulator("a").stats().received, 3);
    let health = world.health().await;
    assert_eq!(health["status"], "warn");
    let breaker = &provider(&health, "a")["breakers"]["sim"];
    assert_eq!(breaker["state"], "open");
    assert!((20_000..=30_000).contains(&breaker["admits_in_ms"].as_u64().unwrap()), "{breaker}");
    assert_eq!(world.metric(r#"tidegate_breaker_state{provider="a",model="sim"}"#).await, 2.0);
}

#[tokio::test]
async fn a_success_between_failures_keeps_it_in_use() {
    let world = world_with(Duration::from_secs(30)).await;
    for _ in 0..3 {
        world.simulator("a").update(fails);
        assert_eq!(by(&ask(&world).await), "b");
        assert_eq!(by(&ask(&world).await), "b");
        world.simulator("a").update(recovers);
        assert_eq!(by(&ask(&world).await), "a");
    }
    assert_eq!(world.health().await["status"], "pass");
}

#[tokio::test]
async fn one_request_finds_out_and_the_others_do_not_wait_for_it() {
    let world = world_with(Duration::from_millis(100)).await;
    trip(&world).await;
    rested(&world).await;
    world.simulator("a").update(|faults| {
        recovers(faults);
        faults.gate = true;
    });
    let probe = beside(world.chat("both", json!({})));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    for _ in 0..3 {
        assert_eq!(by(&ask(&world).await), "b");
    }
    assert_eq!(provider(&world.health().await, "a")["breakers"]["sim"]["state"], "probing");
    assert_eq!(world.metric(r#"tidegate_breaker_state{provider="a",model="sim"}"#).await, 1.0);
    assert_eq!(world.simulator("a").stats().received, 4, "three failures and one probe");
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(by(&soon(probe).await.unwrap()), "a");
    assert_eq!(by(&ask(&world).await), "a");
    assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}));
}

#[tokio::test]
async fn a_failed_probe_costs_its_client_nothing_and_doubles_the_rest() {
    let world = world_with(Duration::from_millis(100)).await;
    trip(&world).await;
    rested(&world).await;
    assert_eq!(by(&ask(&world).await), "b");
    assert_eq!(world.simulator("a").stats().received, 4);
    let breaker = provider(&world.health().await, "a")["breakers"]["sim"].clone();
    assert_eq!(breaker["state"], "open");
    assert!(breaker["admits_in_ms"].as_u64().unwrap() <= 200, "{breaker}");
}

#[tokio::test]
async fn a_probe_whose_client_leaves_lets_the_next_one_probe() {
    let world = world_with(Duration::from_millis(50)).await;
    trip(&world).await;
    rested(&world).await;
    world.simulator("a").update(|faults| {
        recovers(faults);
        faults.gate = true;
    });
    let probe = beside(world.chat("both", json!({})));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    probe.abort();
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    world.simulator("a").update(|faults| faults.gate = false);
    rested(&world).await;
    assert_eq!(by(&ask(&world).await), "a");
}

#[tokio::test]
async fn all_sick_is_refused_with_the_time_at_which_one_may_be_well() {
    let world = world_with(Duration::from_millis(700)).await;
    world.simulator("a").update(fails);
    world.simulator("b").update(fails);
    for _ in 0..3 {
        assert_eq!(ask(&world).await.status(), 500);
    }
    let refusal = ask(&world).await;
    assert_eq!(refusal.status(), 503);
    assert_eq!(header(&refusal, "x-tidegate-attempts"), "0");
    assert_eq!(header(&refusal, "retry-after"), "1");
    let received = |name| world.simulator(name).stats().received;
    assert_eq!((received("a"), received("b")), (3, 3));
    world.simulator("a").update(recovers);
    assert!(obey(&refusal).await <= Duration::from_millis(700));
    assert_eq!(by(&ask(&world).await), "a");
    let body: serde_json::Value = refusal.json().await.unwrap();
    assert_eq!(body["error"]["code"], "server_is_overloaded");
    assert!(body["error"]["message"].as_str().unwrap().ends_with("Please try again in 1s."), "{body}");
}

#[tokio::test]
async fn streams_that_break_count_as_failures() {
    let world = world_with(Duration::from_secs(30)).await;
    world.simulator("a").update(|faults| faults.cut_after_chunks = Some(3));
    for _ in 0..3 {
        let answer = world.chat("both", json!({"stream": true})).send().await.unwrap();
        assert_eq!(by(&answer), "a");
        assert!(answer.text().await.unwrap().contains("stream_broken"));
    }
    assert_eq!(by(&ask(&world).await), "b");
    assert_eq!(world.metric(r#"tidegate_streams_broken_total{provider="a"}"#).await, 3.0);
}
