//! Request bodies that are small enough each and too many together: they wait in line, or are told to come back.

use crate::beside::{beside, soon};
use crate::raw::{Raw, assert_well, error_of};
use crate::world::{Plan, World, chat_body, header};
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;

const HELD: &str = "tidegate_bodies_held_bytes";
const FULL: &str = "tidegate_rejected_total{reason=\"bodies_full\"}";

/// Room for 8 KiB of bodies, for which a body waits so long; the provider keeps whoever comes.
async fn narrow(wait: Duration) -> World {
    let narrow = |settings: &mut tidegate::config::Settings| {
        settings.server.body_max = 8 << 10;
        settings.server.bodies_max = 8 << 10;
        settings.server.body_idle_timeout = wait;
    };
    let world = Plan::new().provider("a").await.set(narrow).start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    world
}

/// The body of a chat call of 6,000 bytes.
fn large() -> Vec<u8> {
    let mut body = chat_body("sim", json!({"max_tokens": 1})).to_string().into_bytes();
    let last = body.pop();
    body.resize(5_999, b' ');
    body.extend(last);
    body
}

fn call(world: &World, body: impl Into<reqwest::Body>) -> RequestBuilder {
    world.request(Method::POST, "/v1/chat/completions").body(body)
}

/// The same body, without a word of how long it is.
fn in_chunks() -> reqwest::Body {
    let pieces: Vec<_> =
        large().chunks(1_000).map(|p| Ok::<_, Infallible>(Bytes::copy_from_slice(p))).collect();
    reqwest::Body::wrap_stream(stream::iter(pieces))
}

/// Waits until the bodies that are held have this many bytes.
async fn until_held(world: &World, bytes: f64) {
    soon(async { while world.metric(HELD).await != bytes {} }).await;
}

#[tokio::test]
async fn bodies_that_are_too_many_together_are_served_one_after_the_other() {
    let world = narrow(Duration::from_secs(60)).await;
    let calls: Vec<_> = (0..4).map(|_| beside(call(&world, large()))).collect();
    for turn in 1..=4 {
        let stats = soon(world.simulator("a").wait_for(|stats| stats.received == turn)).await;
        assert_eq!(stats.held, 1, "there is room for one");
        assert_eq!(world.metric(HELD).await, 6_000.0);
        world.simulator("a").release(1);
    }
    for call in calls {
        assert_eq!(soon(call).await.unwrap().status(), 200);
    }
    assert_eq!((world.metric(HELD).await, world.metric(FULL).await), (0.0, 0.0));
    world.simulator("a").update(|faults| faults.gate = false);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn who_finds_no_room_in_time_is_told_to_come_back() {
    let world = narrow(Duration::from_millis(150)).await;
    let first = beside(call(&world, large()));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    let answer = soon(call(&world, large()).send()).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(header(&answer, "retry-after"), "5");
    let error = error_of(&answer.json().await.unwrap());
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("service_unavailable_error"), &json!("bodies_full"))
    );
    assert_eq!(world.metric(FULL).await, 1.0);
    let small = beside(world.chat("sim", json!({})));
    let stats = soon(world.simulator("a").wait_for(|stats| stats.held == 2)).await;
    assert_eq!(stats.received, 2, "what fits is served");
    world.simulator("a").release(2);
    assert_eq!(soon(first).await.unwrap().status(), 200);
    assert_eq!(soon(small).await.unwrap().status(), 200);
    until_held(&world, 0.0).await;
}

#[tokio::test]
async fn a_body_of_unknown_length_never_waits_in_the_middle() {
    let world = narrow(Duration::from_secs(60)).await;
    let first = beside(call(&world, in_chunks()));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    assert_eq!(world.metric(HELD).await, 6_000.0);
    let answer = soon(call(&world, in_chunks()).send()).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(error_of(&answer.json().await.unwrap())["code"], "bodies_full");
    assert_eq!(world.metric(HELD).await, 6_000.0, "what it had taken is given back");
    world.simulator("a").release(1);
    assert_eq!(soon(first).await.unwrap().status(), 200);
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(soon(call(&world, in_chunks()).send()).await.unwrap().status(), 200);
    until_held(&world, 0.0).await;
}

#[tokio::test]
async fn an_answer_that_has_begun_holds_no_body() {
    let world = narrow(Duration::from_secs(60)).await;
    world.simulator("a").update(|faults| (faults.gate, faults.stall_after_chunks) = (false, Some(3)));
    let answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    assert_eq!(world.metric(HELD).await, 0.0);
    world.simulator("a").release(1);
    assert!(soon(answer.text()).await.unwrap().contains("[DONE]"));
}

#[tokio::test]
async fn who_leaves_gives_back_the_room_of_a_body_that_waits_or_is_half_sent() {
    let world = narrow(Duration::from_secs(60)).await;
    let waiting = beside(call(&world, large()));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    assert_eq!(world.metric(HELD).await, 6_000.0);
    waiting.abort();
    until_held(&world, 0.0).await;
    let mut half = Raw::connect(&world).await;
    half.send("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 7000\r\n\r\n{").await;
    until_held(&world, 7_000.0).await;
    drop(half);
    until_held(&world, 0.0).await;
}
