//! Clients that go away: their place is free at once, upstream hears of it, and what was used is settled.

use crate::beside::{beside, provider, soon, until};
use crate::world::{Plan, World, chat_body, events};
use serde_json::json;
use std::num::NonZeroU32;
use tidegate::admission::Limits;
use tidegate::simulator::SimulatorSettings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// One token a second, a hundred at once: what is taken stays visible.
async fn slow_tokens() -> World {
    let limits = Limits {
        tokens_per_minute: NonZeroU32::new(100),
        burst_tokens: NonZeroU32::new(100),
        ..Limits::default()
    };
    Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await
}

/// Waits until nobody is at the provider, and tells how many tokens are left.
async fn left(world: &World) -> i64 {
    let health = until(world, |health| provider(health, "a")["open"] == 0).await;
    provider(&health, "a")["budget"]["tokens_per_minute"]["available"].as_i64().expect("a number")
}

#[tokio::test]
async fn who_leaves_the_queue_frees_the_place() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await;
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let first = beside(world.chat("sim", json!({})));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    let leaving = beside(world.chat("sim", json!({})));
    soon(world.until_waiting(1)).await;
    let staying = beside(world.chat("sim", json!({})).header("x-request-id", "staying"));
    soon(world.until_waiting(2)).await;
    leaving.abort();
    soon(world.until_waiting(1)).await;
    assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="waiting"}"#).await, 1.0);
    world.simulator("a").release(1);
    let next = world.simulator("a").wait_for(|stats| stats.received == 2 && stats.held == 1);
    assert_eq!(soon(next).await.last_request.unwrap().header("x-request-id"), Some("staying"));
    world.simulator("a").release(1);
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(soon(staying).await.unwrap().status(), 200);
    assert_eq!(world.simulator("a").stats().cancelled, 0);
}

#[tokio::test]
async fn a_client_that_only_closes_its_writing_side_has_left() {
    let world = World::new().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut socket = TcpStream::connect(world.base.trim_start_matches("http://")).await.unwrap();
    let body = chat_body("sim", json!({})).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    drop(socket);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
}

#[tokio::test]
async fn leaving_a_plain_call_cancels_it_and_what_was_held_stays_used() {
    let world = slow_tokens().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let call = beside(world.chat("sim", json!({"max_tokens": 60})));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    call.abort();
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    // The provider may have generated all of it: giving it back would forgive real use.
    let left = left(&world).await;
    assert!((10..=41).contains(&left), "{left}");
}

#[tokio::test]
async fn leaving_a_stream_cancels_it_and_settles_on_what_came() {
    let world = slow_tokens().await;
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(8));
    let call = world.chat("sim", json!({"stream": true, "max_tokens": 60})).send().await.unwrap();
    let (mut call, mut came) = (call, String::new());
    while events(&came).len() < 8 {
        came.push_str(&String::from_utf8_lossy(&soon(call.chunk()).await.unwrap().unwrap()));
    }
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    drop(call);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    let left = left(&world).await;
    // About seven tokens in eight events, and a short question.
    assert!((70..=93).contains(&left), "{left}");
    assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="answer"}"#).await, 1.0);
}

#[tokio::test]
async fn who_hangs_up_at_done_has_had_everything() {
    let world = slow_tokens().await;
    let mut call = world.chat("sim", json!({"stream": true, "max_tokens": 20})).send().await.unwrap();
    let mut came = String::new();
    while !came.contains("[DONE]") {
        came.push_str(&String::from_utf8_lossy(&soon(call.chunk()).await.unwrap().unwrap()));
    }
    drop(call);
    assert_eq!(left(&world).await / 10, 7, "20 of output and a short question");
    assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="answer"}"#).await, 0.0);
}
