//! Estimates that learn from what providers report, and texts that are counted once.

use crate::beside::{provider, soon, until};
use crate::world::{Plan, World, header};
use reqwest::Response;
use serde_json::{Value, json};
use std::path::Path;
use tidegate::dialect::Dialect;

/// Some 4 kB of prose.
fn prose(seed: usize) -> String {
    let line = |at: usize| {
        format!("In line {at} of letter {seed} it is told how they waited until there was room. ")
    };
    (0..55).map(line).collect()
}

fn number(answer: &Response, name: &str) -> u64 {
    header(answer, name).parse().expect("every answer tells it")
}

fn off(told: u64, truth: u64) -> f64 {
    let number = |tokens: u64| f64::from(u32::try_from(tokens).expect("a few thousand"));
    number(told) / number(truth)
}

/// What one exchange told before and after: estimated, reserved, and what it was.
#[derive(Clone, Copy, Debug)]
struct Told {
    estimated: u64,
    reserved: u64,
    truth: u64,
    output: u64,
}

async fn exchange(world: &World, text: &str, more: Value) -> Told {
    let mut keys = more;
    keys["messages"] = json!([{"role": "user", "content": text}]);
    let answer = world.chat("sim", keys).send().await.expect("the gateway answers");
    assert_eq!(answer.status(), 200);
    let estimated = number(&answer, "x-tidegate-estimated-tokens");
    let reserved = number(&answer, "x-tidegate-reserved-tokens");
    let usage = answer.json::<Value>().await.expect("a plain answer is JSON")["usage"].take();
    let used = |what: &str| usage[what].as_u64().expect("usage is told");
    until(world, |health| provider(health, "a")["open"] == 0).await;
    Told { estimated, reserved, truth: used("total_tokens"), output: used("completion_tokens") }
}

/// A provider whose tokens are smaller than ours, with its state kept there.
async fn strict(store: &Path) -> World {
    let path = store.to_owned();
    let plan = Plan::new().provider("a").await.set(|settings| settings.store.path = Some(path));
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.wrong_usage = Some(1.6));
    world
}

#[tokio::test]
async fn estimates_approach_what_the_provider_counts_and_survive_a_restart() {
    let store = tempfile::tempdir().unwrap();
    let world = strict(store.path()).await;
    let cap = || json!({"max_tokens": 1});
    let first = exchange(&world, &prose(0), cap()).await;
    assert!(off(first.estimated, first.truth) < 0.75, "{first:?}");
    assert_eq!(first.reserved, first.estimated, "nothing is known yet that could stray");
    for seed in 1..20 {
        exchange(&world, &prose(seed), cap()).await;
    }
    let last = exchange(&world, &prose(20), cap()).await;
    assert!((0.97..1.03).contains(&off(last.estimated, last.truth)), "{last:?}");
    assert!(last.reserved >= last.estimated && off(last.reserved, last.truth) < 1.05, "{last:?}");
    let ratio = world.metric("tidegate_estimate_correction_ratio{provider=\"a\"}").await;
    assert!((1.3..1.8).contains(&ratio), "{ratio}");
    assert_eq!(world.metric("tidegate_learned_entries{what=\"corrections\"}").await, 3.0);
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let world = strict(store.path()).await;
    let again = exchange(&world, &prose(21), cap()).await;
    assert!((0.97..1.03).contains(&off(again.estimated, again.truth)), "{again:?}");
}

#[tokio::test]
async fn the_output_of_a_call_without_a_cap_is_guessed_by_what_came_before() {
    let store = tempfile::tempdir().unwrap();
    let world = strict(store.path()).await;
    world.simulator("a").update(|faults| {
        faults.wrong_usage = None;
        faults.output_tokens = 300;
    });
    let first = exchange(&world, "hello", json!({})).await;
    assert!(first.reserved > 1_024 && first.output == 300, "{first:?}");
    for _ in 0..8 {
        exchange(&world, "hello", json!({})).await;
    }
    let known = exchange(&world, "hello", json!({})).await;
    assert!((300..420).contains(&known.reserved), "{known:?}");
    let capped = exchange(&world, "hello", json!({"max_tokens": 2_000})).await;
    assert!(capped.reserved > 2_000, "a cap is a promise: {capped:?}");
    let three = exchange(&world, "hello", json!({"n": 3})).await;
    assert!((900..1_260).contains(&three.reserved), "{three:?}");
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let world = strict(store.path()).await;
    let again = exchange(&world, "hello", json!({})).await;
    assert!((300..420).contains(&again.reserved), "{again:?}");
}

#[tokio::test]
async fn nothing_is_learned_where_that_is_turned_off() {
    let plan = Plan::new().provider("a").await;
    let world = plan.set(|settings| settings.exchange.learning.learn = false).start().await;
    world.simulator("a").update(|faults| faults.wrong_usage = Some(1.6));
    let first = exchange(&world, &prose(0), json!({})).await;
    for _ in 0..10 {
        exchange(&world, &prose(0), json!({})).await;
    }
    let last = exchange(&world, &prose(0), json!({})).await;
    assert_eq!((first.estimated, first.reserved), (last.estimated, last.reserved));
}

#[tokio::test]
async fn usage_that_says_nothing_teaches_nothing() {
    let world = World::new().await;
    for silent in [false, true] {
        world.simulator("a").update(|faults| (faults.no_usage, faults.zero_usage) = (silent, !silent));
        let answer = world.chat("sim", json!({})).send().await.unwrap();
        assert!(!answer.text().await.unwrap().is_empty());
    }
    until(&world, |health| provider(health, "a")["open"] == 0).await;
    for what in ["corrections", "lengths"] {
        let line = format!("tidegate_learned_entries{{what=\"{what}\"}}");
        assert_eq!(world.metric(&line).await, 0.0, "{what}");
    }
}

#[tokio::test]
async fn a_count_that_is_asked_of_the_gateway_is_corrected() {
    let world = Plan::new().speaking("a", &[Dialect::Chat]).await.start().await;
    world.simulator("a").update(|faults| faults.wrong_usage = Some(1.6));
    let text = prose(0);
    for _ in 0..20 {
        exchange(&world, &text, json!({"max_tokens": 1})).await;
    }
    let truth = exchange(&world, &text, json!({"max_tokens": 1})).await;
    let body = json!({"model": "sim", "messages": [{"role": "user", "content": text}]});
    let answer = world.post("/v1/messages/count_tokens", body.to_string()).await;
    assert_eq!(header(&answer, "x-tidegate-counted-by"), "tidegate");
    let counted = answer.json::<Value>().await.unwrap()["input_tokens"].as_u64().unwrap();
    let ratio = off(counted, truth.truth - truth.output);
    assert!((0.97..1.03).contains(&ratio), "{counted} of {truth:?}");
}

#[tokio::test]
async fn a_conversation_that_comes_again_is_not_counted_again() {
    let world = World::new().await;
    let conversation = |turns: usize| {
        let messages = (0..turns).map(|turn| json!({"role": "user", "content": prose(turn)}));
        json!({"max_tokens": 1, "messages": messages.collect::<Vec<_>>()})
    };
    let counted = "tidegate_estimated_bytes_total{how=\"counted\"}";
    let mut before = 0.0;
    let mut sent = Vec::new();
    for turns in [50, 51] {
        assert_eq!(world.chat("sim", conversation(turns)).send().await.unwrap().status(), 200);
        let now = world.metric(counted).await;
        sent.push(now - before);
        before = now;
    }
    assert!(sent[0] > 190_000.0 && sent[1] < sent[0] / 10.0, "{sent:?}");
    let remembered = world.metric("tidegate_estimated_bytes_total{how=\"remembered\"}").await;
    assert!(remembered > 190_000.0, "{remembered}");
    assert_eq!(world.metric("tidegate_learned_entries{what=\"counts\"}").await, 51.0);
}
