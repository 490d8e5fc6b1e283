//! How answers fail before they begin.

use crate::world::{World, header, json_of};
use reqwest::StatusCode;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use serde_json::json;
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::simulator::{FailNext, Faults};
use tidegate::units::Moment;

#[tokio::test]
async fn the_next_calls_fail_as_told_and_no_more() {
    let world = World::new().await;
    let failure = FailNext::new(2, StatusCode::SERVICE_UNAVAILABLE)
        .with_header(RETRY_AFTER, HeaderValue::from_static("7"));
    world.control().update(|faults| faults.fail_next = Some(failure));
    assert_eq!(world.get("/v1/models").await.status(), 200);
    for _ in 0..2 {
        let failed = world.chat(json!({})).await;
        assert_eq!((failed.status().as_u16(), header(&failed, "retry-after")), (503, "7"));
        assert_eq!(json_of(failed).await["error"]["type"], "server_error");
    }
    assert_eq!(world.chat(json!({})).await.status(), 200);
    let stats = world.control().stats();
    assert_eq!((stats.failed, world.control().faults().fail_next), (2, None));
}

#[tokio::test]
async fn a_fraction_of_calls_fails_the_same_ones_for_the_same_seed() {
    let faults =
        Faults { error_rate: 0.3, error_status: StatusCode::from_u16(529).unwrap(), ..Faults::default() };
    let run = async || {
        let world = World::faulty(faults.clone()).await;
        let mut statuses = Vec::new();
        for _ in 0..100 {
            statuses.push(world.chat(json!({"max_tokens": 1})).await.status().as_u16());
        }
        statuses
    };
    let statuses = run().await;
    assert_eq!(statuses, run().await);
    let failed = statuses.iter().filter(|status| **status == 529).count();
    assert!(
        (15..45).contains(&failed) && statuses.iter().all(|status| [200, 529].contains(status)),
        "{failed}"
    );
}

#[tokio::test]
async fn failures_may_be_html_as_from_a_proxy() {
    let faults = Faults {
        error_rate: 1.0,
        error_status: StatusCode::BAD_GATEWAY,
        html_errors: true,
        ..Faults::default()
    };
    let world = World::faulty(faults).await;
    let failed = world.chat(json!({})).await;
    assert_eq!(failed.status(), 502);
    assert!(header(&failed, "content-type").starts_with("text/html"));
    assert!(failed.text().await.unwrap().contains("<h1>502 Bad Gateway</h1>"));
}

#[tokio::test]
async fn usage_may_be_missing_or_zero() {
    let world = World::faulty(Faults { no_usage: true, ..Faults::default() }).await;
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    assert!(json_of(world.chat(json!({})).await).await.get("usage").is_none());
    let chunks = crate::world::chunks_of(world.chat(asked.clone()).await).await;
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    world.control().set(Faults { zero_usage: true, ..Faults::default() });
    assert_eq!(json_of(world.chat(json!({})).await).await["usage"]["total_tokens"], 0);
    let chunks = crate::world::chunks_of(world.chat(asked).await).await;
    assert_eq!(chunks[chunks.len() - 1]["usage"]["total_tokens"], 0);
}

#[tokio::test]
async fn the_first_token_delay_comes_before_the_head() {
    let delay = Duration::from_millis(60);
    let world = World::faulty(Faults { first_token_delay: delay, ..Faults::default() }).await;
    for body in [json!({}), json!({"stream": true})] {
        let began = Clock::start();
        assert_eq!(world.chat(body).await.status(), 200);
        assert!(began.now().since(Moment::START) >= delay);
    }
}

#[tokio::test]
async fn a_refused_connection_is_closed_without_a_word_until_it_is_no_more() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/models").await.status(), 200);
    world.control().update(|faults| faults.refuse = true);
    for _ in 0..3 {
        assert!(world.chat_beside(&json!({})).await.unwrap().is_err());
    }
    assert_eq!(world.get("/control").await.status(), 200);
    let stats = world.control().stats();
    assert!(stats.refused >= 3 && stats.received == 1, "{stats:?}");
    world.control().set(Faults::default());
    assert_eq!(world.chat(json!({})).await.status(), 200);
}

#[tokio::test]
async fn a_simulator_that_is_stopped_drops_what_it_was_doing() {
    let world = World::faulty(Faults { stall_after_chunks: Some(1), ..Faults::default() }).await;
    let response = world.chat(json!({"stream": true})).await;
    world.control().wait_for(|stats| stats.held == 1).await;
    world.tasks.stop().await;
    let (events, clean) = crate::world::events_of(response).await;
    assert_eq!((events.len(), clean), (1, false));
    assert!(world.chat_beside(&json!({})).await.unwrap().is_err());
    assert_eq!(world.control().stats().in_flight, 0);
}

#[tokio::test]
async fn usage_may_be_wrong_or_told_with_every_chunk() {
    let world = World::faulty(Faults { wrong_usage: Some(2.0), ..Faults::default() }).await;
    let usage = json_of(world.chat(json!({})).await).await["usage"].take();
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(10), &json!(80)));
    assert_eq!(usage["total_tokens"], 90);
    world.control().set(Faults { cumulative_usage: true, ..Faults::default() });
    for (more, chunks) in [(json!({}), 42), (json!({"stream_options": {"include_usage": true}}), 43)] {
        let mut more = more;
        more["stream"] = json!(true);
        let told = crate::world::chunks_of(world.chat(more).await).await;
        let told: Vec<_> =
            told.iter().map(|chunk| chunk["usage"]["completion_tokens"].as_u64().unwrap()).collect();
        assert_eq!((told.len(), told[0], told[20], told[chunks - 1]), (chunks, 0, 20, 40));
        assert!(told.is_sorted());
    }
}
