//! Who waits inside, and how they are let go.

use crate::world::{World, json_of};
use reqwest::StatusCode;
use serde_json::json;
use tidegate::simulator::{FailNext, Faults};

#[tokio::test]
async fn the_gate_lets_go_as_many_as_are_released() {
    let world = World::faulty(Faults { gate: true, ..Faults::default() }).await;
    let calls: Vec<_> = (0..5).map(|_| world.chat_beside(&json!({}))).collect();
    world.control().wait_for(|stats| stats.held == 5).await;
    assert_eq!(world.control().stats().served, 0);
    assert_eq!(world.control().release(2), 2);
    let stats = world.control().wait_for(|stats| stats.served == 2).await;
    assert_eq!((stats.held, stats.in_flight), (3, 3));
    assert_eq!(world.control().release(99), 3);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(world.control().release(1), 0);
}

#[tokio::test]
async fn opening_the_gate_lets_all_go() {
    let world = World::faulty(Faults { gate: true, ..Faults::default() }).await;
    let call = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 1).await;
    assert_eq!(world.get("/v1/models").await.status(), 200);
    world.control().set(Faults::default());
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_fate_of_a_held_call_may_be_decided_later() {
    let world = World::faulty(Faults { gate: true, ..Faults::default() }).await;
    let call = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 1).await;
    world.control().update(|faults| faults.fail_next = Some(FailNext::new(1, StatusCode::BAD_GATEWAY)));
    world.control().release(1);
    assert_eq!(call.await.unwrap().unwrap().status(), 502);
}

#[tokio::test]
async fn a_hung_provider_answers_nothing_until_released_but_its_control() {
    let world = World::faulty(Faults { hang: true, ..Faults::default() }).await;
    let hung = world.tasks.spawn("call", world.request(reqwest::Method::GET, "/v1/models").send());
    let call = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 2).await;
    let page = json_of(world.get("/control").await).await;
    assert_eq!((&page["stats"]["held"], &page["stats"]["tokens_charged"]), (&json!(2), &json!(0)));
    world.control().release(1);
    world.control().wait_for(|stats| stats.held == 1).await;
    world.control().update(|faults| faults.hang = false);
    assert_eq!(hung.await.unwrap().unwrap().status(), 200);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_the_gate_is_counted_and_forgotten() {
    let world = World::faulty(Faults { gate: true, ..Faults::default() }).await;
    let leaving = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 1).await;
    let staying = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 2).await;
    leaving.abort();
    world.control().wait_for(|stats| stats.cancelled == 1 && stats.held == 1).await;
    assert_eq!(world.control().release(1), 1);
    assert_eq!(staying.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_last_request_is_kept_without_its_key() {
    let world = World::new().await;
    let body = r#"{"model":"sim","messages":[{"role":"user","content":"x"}],"unknown":1}"#;
    let request = world.request(reqwest::Method::POST, "/v1/chat/completions?a=b");
    request.header("authorization", "Bearer sk-canary").body(body).send().await.unwrap();
    let last = world.control().stats().last_request.unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(last.query.as_deref(), Some("a=b"));
    assert_eq!(last.body.as_deref(), Some(body.as_bytes()));
    let redacted = tidegate::simulator::redact("Bearer sk-canary");
    assert_eq!(last.header("authorization"), Some(redacted.as_str()));
    assert!(!format!("{:?}", world.simulator).contains("canary"));
}
