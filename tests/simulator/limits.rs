//! What is enforced, and what is said about it.

use crate::world::{World, header, json_of};
use serde_json::json;
use tidegate::simulator::{Faults, SimulatedLimits, SimulatorSettings};
use tidegate::units::parse_duration;

fn limits(requests: Option<u64>, tokens: Option<u64>, concurrent: Option<u64>) -> SimulatedLimits {
    SimulatedLimits {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        concurrent,
        ..SimulatedLimits::default()
    }
}

#[tokio::test]
async fn what_is_left_stands_in_the_headers_of_every_answer() {
    let world = World::limited(limits(Some(60), Some(6_000), None)).await;
    for body in [json!({"max_tokens": 95}), json!({"max_tokens": 95, "stream": true})] {
        let response = world.chat(body).await;
        assert_eq!(header(&response, "x-ratelimit-limit-requests"), "60");
        assert_eq!(header(&response, "x-ratelimit-limit-tokens"), "6000");
        let remaining: u64 = header(&response, "x-ratelimit-remaining-tokens").parse().unwrap();
        assert!((5_800..6_000).contains(&remaining), "{remaining}");
        for name in ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
            let reset = parse_duration(header(&response, name)).unwrap();
            assert!(reset.as_secs() <= 2 && !reset.is_zero(), "{reset:?}");
        }
    }
    assert_eq!(world.control().stats().tokens_charged, 200);
}

#[tokio::test]
async fn an_account_without_limits_says_nothing_of_them() {
    let world = World::new().await;
    let response = world.chat(json!({})).await;
    assert!(response.headers().keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
}

#[tokio::test]
async fn one_request_too_many_is_told_when_to_come_back() {
    let world = World::limited(limits(Some(2), None, None)).await;
    for _ in 0..2 {
        assert_eq!(world.chat(json!({})).await.status(), 200);
    }
    let refused = world.chat(json!({})).await;
    assert_eq!(refused.status(), 429);
    let seconds: u64 = header(&refused, "retry-after").parse().unwrap();
    let millis: u64 = header(&refused, "retry-after-ms").parse().unwrap();
    assert!((1..=30_000).contains(&millis) && seconds == millis.div_ceil(1_000), "{seconds} {millis}");
    assert_eq!(header(&refused, "x-ratelimit-remaining-requests"), "0");
    let error = json_of(refused).await["error"].take();
    assert_eq!((&error["type"], &error["code"]), (&json!("requests"), &json!("rate_limit_exceeded")));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Rate limit reached for sim in organization org-sim on requests per min (RPM): Limit 2, Used 2, Requested 1. Please try again in "), "{message}");
    let stats = world.control().stats();
    assert_eq!((stats.served, stats.limited, stats.in_flight), (2, 1, 0));
}

#[tokio::test]
async fn tokens_are_charged_at_admission_and_not_given_back() {
    let world = World::limited(limits(None, Some(1_000), None)).await;
    assert_eq!(world.chat(json!({"max_tokens": 895})).await.status(), 200);
    let refused = world.chat(json!({"max_tokens": 195})).await;
    assert_eq!(refused.status(), 429);
    let error = json_of(refused).await["error"].take();
    assert_eq!(error["type"], "tokens");
    assert!(error["message"].as_str().unwrap().contains("Limit 1000, Used "), "{error}");
    assert_eq!(world.chat(json!({"max_tokens": 50})).await.status(), 200);
}

#[tokio::test]
async fn a_request_larger_than_the_limit_is_told_that_waiting_is_no_use() {
    let world = World::limited(limits(None, Some(100), None)).await;
    let refused = world.chat(json!({"max_tokens": 200})).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().get("retry-after").is_none());
    let message = json_of(refused).await["error"]["message"].take();
    let message = message.as_str().unwrap();
    assert!(
        message.starts_with("Request too large for sim") && message.contains("Requested 205"),
        "{message}"
    );
    assert_eq!(world.chat(json!({"max_tokens": 10})).await.status(), 200);
}

#[tokio::test]
async fn a_place_is_free_as_soon_as_its_answer_has_ended() {
    let faults = Faults { gate: true, ..Faults::default() };
    let limits = limits(None, None, Some(1));
    let world = World::with(SimulatorSettings { faults, limits, ..SimulatorSettings::unlimited() }).await;
    let first = world.chat_beside(&json!({"stream": true}));
    world.control().wait_for(|stats| stats.held == 1).await;
    let refused = world.chat(json!({})).await;
    assert_eq!(refused.status(), 429);
    assert!(
        json_of(refused).await["error"]["message"].as_str().unwrap().contains("concurrent requests: Limit 1")
    );
    world.control().update(|faults| faults.gate = false);
    crate::world::chunks_of(first.await.unwrap().unwrap()).await;
    for _ in 0..50 {
        let next = world.chat(json!({"stream": true, "max_tokens": 2})).await;
        assert_eq!(next.status(), 200);
        crate::world::chunks_of(next).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let faults = Faults { gate: true, ..Faults::default() };
    let limits = limits(None, None, Some(1));
    let world = World::with(SimulatorSettings { faults, limits, ..SimulatorSettings::unlimited() }).await;
    let leaving = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 1).await;
    leaving.abort();
    world.control().wait_for(|stats| stats.cancelled == 1).await;
    world.control().set(Faults::default());
    assert_eq!(world.chat(json!({})).await.status(), 200);
}

#[tokio::test]
async fn other_limits_hold_at_once_with_full_buckets() {
    let world = World::limited(limits(Some(1), None, None)).await;
    assert_eq!(world.chat(json!({})).await.status(), 200);
    assert_eq!(world.chat(json!({})).await.status(), 429);
    world.control().set_limits(limits(Some(2), None, None));
    assert_eq!(world.chat(json!({})).await.status(), 200);
    assert_eq!(world.chat(json!({})).await.status(), 200);
    assert_eq!(world.chat(json!({})).await.status(), 429);
    assert_eq!(world.control().limits(), limits(Some(2), None, None));
}

#[tokio::test]
async fn only_model_calls_are_limited() {
    let world = World::limited(limits(Some(0), Some(0), Some(0))).await;
    for path in ["/v1/models", "/v1/models/sim", "/v1/echo", "/v1/files", "/control"] {
        assert_eq!(world.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(world.chat(json!({})).await.status(), 429);
    assert_eq!(world.post("/v1/embeddings", r#"{"model":"sim","input":"x"}"#).await.status(), 429);
}
