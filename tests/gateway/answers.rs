//! What comes back, plain and streamed, and in which headers.

use crate::world::{PROVIDER_KEY, World, chat_body, events, header};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate::simulator::redact;

#[tokio::test]
async fn a_chat_call_is_served_and_told_about() {
    let world = World::new().await;
    let answer = world.chat("sim", json!({"max_tokens": 5})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-tidegate-provider"), "a");
    assert_eq!(header(&answer, "x-tidegate-target"), "a/sim");
    assert_eq!(header(&answer, "x-tidegate-attempts"), "1");
    assert_eq!(header(&answer, "x-tidegate-queued-ms"), "0");
    let estimated: u64 = header(&answer, "x-tidegate-estimated-tokens").parse().unwrap();
    assert!((6..40).contains(&estimated), "{estimated}");
    assert_eq!(header(&answer, "x-tidegate-reserved-tokens"), estimated.to_string());
    assert!(header(&answer, "x-request-id").starts_with("req_"), "the provider's own id stays");
    assert!(header(&answer, "x-tidegate-request-id").starts_with("req_"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn the_provider_gets_its_own_key_and_the_clients_body_as_it_was() {
    let world = World::new().await;
    let body = r#"{ "model":"sim","x":1e2, "messages":[{"role":"user","content":"\u0068i"}]  }"#;
    let request = world.request(Method::POST, "/v1/chat/completions?beta=1").header("x-request-id", "mine-7");
    let request = request.header("authorization", "Bearer client").header("x-custom", "kept").body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-request-id"), "mine-7");
    let seen = world.simulator("a").stats().last_request.unwrap();
    assert_eq!(seen.header("authorization"), Some(redact(&format!("Bearer {PROVIDER_KEY}")).as_str()));
    assert_eq!(seen.header("x-custom"), Some("kept"));
    assert_eq!(seen.header("x-request-id"), Some("mine-7"));
    assert_eq!(seen.query.as_deref(), Some("beta=1"));
    assert_eq!(seen.body.as_deref(), Some(body.as_bytes()), "byte for byte");
}

#[tokio::test]
async fn a_stream_comes_whole_and_without_the_usage_that_nobody_asked_for() {
    let world = World::new().await;
    let answer = world.chat("sim", json!({"stream": true, "max_tokens": 4})).send().await.unwrap();
    assert!(header(&answer, "content-type").starts_with("text/event-stream"));
    assert_eq!(header(&answer, "cache-control"), "no-cache");
    let stream = answer.text().await.unwrap();
    let events = events(&stream);
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    assert!(events.len() > 4, "{stream}");
    assert!(!stream.contains("usage"), "{stream}");
    assert!(events.iter().all(|event| !event.contains(r#""choices":[]"#)));
    let seen: Value =
        serde_json::from_slice(&world.simulator("a").stats().last_request.unwrap().body.unwrap()).unwrap();
    assert_eq!(seen["stream_options"]["include_usage"], true, "the provider was asked all the same");
}

#[tokio::test]
async fn a_stream_keeps_the_usage_that_was_asked_for() {
    let world = World::new().await;
    let more = json!({"stream": true, "max_tokens": 4, "stream_options": {"include_usage": true}});
    let stream = world.chat("sim", more).send().await.unwrap().text().await.unwrap();
    let events = events(&stream);
    let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(4)));
}

#[tokio::test]
async fn a_stream_flows_event_by_event() {
    let world = World::new().await;
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(3));
    let mut answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
    let mut came = String::new();
    while events(&came).len() < 3 {
        came.push_str(&String::from_utf8_lossy(&answer.chunk().await.unwrap().unwrap()));
    }
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    world.simulator("a").release(1);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        came.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert_eq!(events(&came).last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn completions_and_embeddings_are_served_too_with_and_without_v1() {
    let world = World::new().await;
    for prefix in ["/v1", "", "/v1/v1"] {
        let body = json!({"model": "sim", "prompt": "hello", "max_tokens": 3}).to_string();
        let answer = world.post(&format!("{prefix}/completions"), body).await;
        assert_eq!(answer.status(), 200, "{prefix}");
        let body = json!({"model": "sim", "input": ["one", "two"]}).to_string();
        let answer = world.post(&format!("{prefix}/embeddings"), body).await;
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["data"].as_array().map(Vec::len), Some(2), "{prefix}");
        assert_eq!(
            world
                .post(&format!("{prefix}/chat/completions"), chat_body("sim", json!({})).to_string())
                .await
                .status(),
            200
        );
        assert_eq!(world.get(&format!("{prefix}/models")).await.status(), 200);
    }
}

#[tokio::test]
async fn models_are_all_routes_and_targets() {
    let plan = crate::world::Plan::new().provider("a").await.provider("b").await.route("fast", &["a", "b"]);
    let world = plan.start().await;
    let list: Value = world.get("/v1/models").await.json().await.unwrap();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(ids, ["a/sim", "b/sim", "fast"]);
    assert_eq!(world.get("/v1/models/a%2Fsim").await.status(), 200);
    let missing = world.get("/v1/models/slow").await;
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn a_route_sends_the_targets_own_model_name() {
    let world = crate::world::Plan::new().provider("a").await.route("fast", &["a"]).start().await;
    let answer = world.chat("fast", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen: Value =
        serde_json::from_slice(&world.simulator("a").stats().last_request.unwrap().body.unwrap()).unwrap();
    assert_eq!(seen["model"], "sim");
}

#[tokio::test]
async fn budgets_are_settled_on_what_the_provider_counted() {
    let limits = tidegate::admission::Limits {
        tokens_per_minute: std::num::NonZeroU32::new(60),
        burst_tokens: std::num::NonZeroU32::new(60),
        ..Default::default()
    };
    let plan = crate::world::Plan::new();
    let world = plan
        .provider_with("a", limits, tidegate::simulator::SimulatorSettings::unlimited())
        .await
        .start()
        .await;
    let answer = world.chat("sim", json!({"max_tokens": 40})).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    let truth = body["usage"]["total_tokens"].as_i64().unwrap();
    let left =
        world.health().await["providers"][0]["budget"]["tokens_per_minute"]["available"].as_i64().unwrap();
    assert!((60 - truth..=60 - truth + 1).contains(&left), "{left} left after {truth}");
}
