//! Control over HTTP.

use crate::world::{World, json_of};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate::simulator::{Faults, SimulatedLimits};

async fn change(world: &World, method: Method, body: Value) -> (u16, Value) {
    let response = world.request(method, "/control").body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), json_of(response).await)
}

#[tokio::test]
async fn a_change_touches_only_what_it_names() {
    let world = World::limited(SimulatedLimits { concurrent: Some(3), ..SimulatedLimits::default() }).await;
    let (status, page) =
        change(&world, Method::PATCH, json!({"faults": {"token_delay": "1ms", "output_tokens": 4}})).await;
    assert_eq!((status, &page["faults"]["token_delay"]), (200, &json!("1ms")));
    let (_, page) = change(&world, Method::POST, json!({"limits": {"requests_per_minute": 1}})).await;
    let limits =
        SimulatedLimits { requests_per_minute: Some(1), concurrent: Some(3), ..SimulatedLimits::default() };
    assert_eq!(serde_json::from_value::<SimulatedLimits>(page["limits"].clone()).unwrap(), limits);
    assert_eq!(page["faults"]["output_tokens"], 4);
    assert_eq!(json_of(world.chat(json!({})).await).await["usage"]["completion_tokens"], 4);
    assert_eq!(world.chat(json!({})).await.status(), 429);
    let (_, page) = change(&world, Method::PATCH, json!({"limits": {"requests_per_minute": null}})).await;
    assert_eq!(page["stats"]["limited"], 1);
    assert_eq!(world.chat(json!({})).await.status(), 200);
}

#[tokio::test]
async fn a_failure_with_headers_may_be_asked_for() {
    let world = World::new().await;
    let next = json!({"times": 1, "status": 429, "headers": {"retry-after": "2"}});
    let (_, page) = change(&world, Method::POST, json!({"faults": {"fail_next": next.clone()}})).await;
    assert_eq!(page["faults"]["fail_next"], next);
    let failed = world.chat(json!({})).await;
    assert_eq!((failed.status().as_u16(), &failed.headers()["retry-after"]), (429, &"2".parse().unwrap()));
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_named() {
    let world = World::new().await;
    for (body, found) in [
        (json!({"faults": {"output_tokens": 9, "typo": 1}}), "typo"),
        (json!({"faults": {"output_tokens": 9}, "limits": {"typo": 1}}), "typo"),
        (json!({"fault": {}}), "fault"),
        (json!({"faults": {"token_delay": "soon"}}), "soon"),
        (json!({"faults": {"error_status": 200}}), "200"),
        (json!([]), "expected a map"),
    ] {
        let (status, error) = change(&world, Method::PATCH, body).await;
        let message = error["error"]["message"].as_str().unwrap_or_else(|| panic!("{found}: {error}"));
        assert!(status == 400 && message.contains(found), "{message}");
    }
    assert_eq!(world.control().faults(), Faults::default());
}

#[tokio::test]
async fn held_requests_are_released_and_everything_is_reset() {
    let world = World::new().await;
    change(&world, Method::PATCH, json!({"faults": {"gate": true}})).await;
    let calls: Vec<_> = (0..3).map(|_| world.chat_beside(&json!({}))).collect();
    world.control().wait_for(|stats| stats.held == 3).await;
    let released = json_of(world.post("/control/release", r#"{"count":1}"#).await).await;
    assert_eq!(released, json!({"released": 1}));
    world.control().wait_for(|stats| stats.held == 2).await;
    assert_eq!(json_of(world.post("/control/release", "").await).await, json!({"released": 2}));
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    let page = json_of(world.post("/control/reset", "").await).await;
    assert_eq!((&page["stats"]["received"], &page["faults"]["gate"]), (&json!(0), &json!(false)));
    assert_eq!(page["stats"]["last_request"], Value::Null);
}

#[tokio::test]
async fn a_reset_lets_the_held_go_and_keeps_the_books() {
    let world = World::new().await;
    world.control().update(|faults| faults.gate = true);
    let call = world.chat_beside(&json!({}));
    world.control().wait_for(|stats| stats.held == 1).await;
    world.control().reset();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    let stats = world.control().stats();
    assert_eq!((stats.held, stats.in_flight, stats.served, stats.received), (0, 0, 1, 0));
}

#[tokio::test]
async fn control_is_no_request_to_the_provider() {
    let world = World::new().await;
    world.get("/control").await;
    assert_eq!(world.control().stats().received, 0);
    assert_eq!(world.request(Method::DELETE, "/control").send().await.unwrap().status(), 405);
}
