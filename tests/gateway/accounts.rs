//! Several accounts of one provider: calls go where there is room, conversations to the cache that they left.

use crate::world::{Plan, World, header};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::{Counting, Limits, OutputCounts};
use tidegate::exchange::{Group, Member, MemberModels};
use tidegate::ids::ProviderId;
use tidegate::simulator::{FailNext, SimulatorSettings};

/// Two accounts of a provider `ai`, each with these limits, a simulator behind each.
async fn two(limits: Limits) -> Plan {
    let plan = Plan::new()
        .provider_with("ai@a", limits, SimulatorSettings::unlimited())
        .await
        .provider_with("ai@b", limits, SimulatorSettings::unlimited())
        .await;
    plan.set(|settings| {
        for provider in &mut settings.exchange.providers {
            provider.account_of = Some(ProviderId::from("ai"));
            // Input alone, and none of it out of the cache.
            provider.counting = Counting {
                output: OutputCounts::Never,
                cached_input: false,
                gives_back: true,
                requests_are_daily: false,
            };
        }
    })
}

fn tokens(per_minute: u32) -> Limits {
    Limits {
        input_tokens_per_minute: NonZeroU32::new(per_minute),
        burst_tokens: NonZeroU32::new(per_minute),
        ..Limits::default()
    }
}

/// Which account served the call, and after how many milliseconds of waiting.
async fn served(world: &World, model: &str, messages: Value) -> (String, u64) {
    let call = world.chat(model, json!({"messages": messages, "max_tokens": 5}));
    let answer = call.send().await.expect("the gateway answers");
    assert_eq!(answer.status(), 200);
    let (provider, queued) =
        (header(&answer, "x-tidegate-provider"), header(&answer, "x-tidegate-queued-ms"));
    answer.bytes().await.expect("the answer comes to its end");
    (provider, queued.parse().expect("it is a number"))
}

/// The first message of a conversation of some 1,500 tokens.
fn opening(word: &str) -> Value {
    json!({"role": "user", "content": format!("{word} ").repeat(1_500)})
}

#[tokio::test]
async fn calls_take_turns_between_accounts_and_a_conversation_stays_with_its_own() {
    let world = two(Limits::default()).await.start().await;
    let mut seen = Vec::new();
    for word in ["one", "two", "three", "four"] {
        let mut messages = vec![opening(word)];
        let (account, _) = served(&world, "ai/sim", json!(messages)).await;
        for turn in ["again", "and again", "and once more"] {
            messages.push(json!({"role": "assistant", "content": "well"}));
            messages.push(json!({"role": "user", "content": turn}));
            let (now, _) = served(&world, "ai/sim", json!(messages)).await;
            assert_eq!(now, account, "{word}, {turn}");
        }
        seen.push(account);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["ai@a", "ai@b"]);
}

#[tokio::test]
async fn small_calls_are_spread_evenly() {
    let world = two(Limits::default()).await.start().await;
    for _ in 0..6 {
        served(&world, "sim", json!([{"role": "user", "content": "hello"}])).await;
    }
    assert_eq!(world.simulator("ai@a").stats().received, 3);
    assert_eq!(world.simulator("ai@b").stats().received, 3);
}

#[tokio::test]
async fn the_limits_of_both_accounts_are_used_to_the_full() {
    let limits = Limits { requests_per_day: NonZeroU32::new(5), ..Limits::default() };
    let world =
        two(limits).await.set(|settings| settings.exchange.queue.max_wait = Duration::ZERO).start().await;
    for _ in 0..10 {
        served(&world, "ai/sim", json!([{"role": "user", "content": "hello"}])).await;
    }
    let refused = world.chat("ai/sim", json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let requests = ["ai@a", "ai@b"].map(|account| world.simulator(account).stats().received);
    assert_eq!(requests, [5, 5]);
}

#[tokio::test]
async fn a_conversation_moves_when_the_wait_costs_more_than_the_cache_saves() {
    // 1,500 of 3,000 tokens a minute flow back in half a minute, longer than patience; so patience is what it waits
    // for at most, and here the account is empty for longer than that.
    let world = two(tokens(3_300)).await.start().await;
    let mut messages = vec![opening("one")];
    let (first, _) = served(&world, "ai/sim", json!(messages)).await;
    messages.push(json!({"role": "user", "content": "two"}));
    let (second, queued) = served(&world, "ai/sim", json!(messages)).await;
    assert_eq!((&second, queued), (&first, 0), "there was room for two");
    messages.push(json!({"role": "user", "content": "three"}));
    let (third, queued) = served(&world, "ai/sim", json!(messages)).await;
    assert_ne!(third, first, "its account is empty for longer than it pays to wait");
    assert!(queued < 5_000, "{queued}: the desk knew at once that waiting would not do");
    messages.push(json!({"role": "user", "content": "four"}));
    assert_eq!(served(&world, "ai/sim", json!(messages)).await.0, third, "the cache is there now");
}

#[tokio::test]
async fn a_conversation_waits_for_its_cache_as_long_as_that_pays() {
    // 1,500 of 300,000 tokens a minute flow back in 0.3 s, and reading them takes 0.15 s.
    let limits = Limits { burst_tokens: NonZeroU32::new(1_600), ..tokens(300_000) };
    let world = two(limits).await.start().await;
    let mut messages = vec![opening("one")];
    let (first, _) = served(&world, "ai/sim", json!(messages)).await;
    messages.push(json!({"role": "user", "content": "two"}));
    let (second, _) = served(&world, "ai/sim", json!(messages)).await;
    assert_eq!(second, first);
    assert_eq!(world.simulator("ai@a").stats().received + world.simulator("ai@b").stats().received, 2);
}

#[tokio::test]
async fn a_refused_key_leaves_the_other_account_serving() {
    let world = two(Limits::default()).await.start().await;
    let refusing = FailNext::new(100, http::StatusCode::UNAUTHORIZED);
    world.simulator("ai@a").update(|faults| faults.fail_next = Some(refusing));
    for _ in 0..6 {
        let (account, _) = served(&world, "ai/sim", json!([{"role": "user", "content": "hello"}])).await;
        assert_eq!(account, "ai@b");
    }
    assert!(world.simulator("ai@a").stats().received <= 1, "a refused key rests");
}

#[tokio::test]
async fn the_list_of_models_knows_the_provider_and_not_its_accounts() {
    let world = two(Limits::default()).await.start().await;
    let models = world.get("/v1/models").await.text().await.unwrap();
    assert!(models.contains("\"sim\"") && models.contains("\"ai\"") && !models.contains('@'), "{models}");
}

#[tokio::test]
async fn an_account_can_be_meant_alone() {
    let world = two(Limits::default()).await.start().await;
    for _ in 0..4 {
        let (account, _) = served(&world, "ai@b/sim", json!([{"role": "user", "content": "hello"}])).await;
        assert_eq!(account, "ai@b");
    }
}

#[tokio::test]
async fn members_of_a_group_draw_on_one_limit() {
    let shared = |provider: &str| Member { provider: ProviderId::from(provider), models: MemberModels::All };
    let world = Plan::new()
        .provider("one")
        .await
        .provider("two")
        .await
        .route("both", &["one", "two"])
        .set(|settings| {
            settings.exchange.queue.max_wait = Duration::ZERO;
            settings.exchange.groups = vec![Group {
                name: "shared".to_owned(),
                members: vec![shared("one"), shared("two")],
                limits: Some(Limits { requests_per_day: NonZeroU32::new(3), ..Limits::default() }),
                day_end: None,
                learn_together: true,
            }];
        })
        .start()
        .await;
    for model in ["one/sim", "two/sim", "both"] {
        assert_eq!(world.chat(model, json!({})).send().await.unwrap().status(), 200, "{model}");
    }
    for model in ["one/sim", "two/sim", "both"] {
        assert_eq!(world.chat(model, json!({})).send().await.unwrap().status(), 429, "{model}");
    }
    let health = world.health().await;
    let group = &health["groups"][0];
    assert_eq!(group["name"], "shared");
    assert_eq!(
        group["budget"]["requests_per_day"],
        json!({"limit": 3, "available": 0, "known": "configured"})
    );
    assert!(group["pool"].is_object(), "{group}");
    assert_eq!(health["providers"][0].get("pools"), None, "what is learned is the group's");
    let line =
        "tidegate_bucket_available_requests{provider=\"group:shared\",model=\"\",limit=\"requests_per_day\"}";
    assert!(world.metric(line).await < 1.0);
    let metrics = world.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains(line));
    assert!(!metrics.contains("estimate_correction_ratio{provider=\"group:"), "a group counts nothing");
}
