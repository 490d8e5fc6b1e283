//! Streams that go wrong after they have begun: the client always sees that, once, and never a clean end.

use crate::beside::{canned, soon, until, whole};
use crate::world::{Plan, World, events, header};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::simulator::Faults;

/// The events of a stream from a provider with these faults.
async fn stream_with(change: impl FnOnce(&mut Faults)) -> (World, String) {
    let world = World::new().await;
    world.simulator("a").update(change);
    let text = stream(&world).await;
    (world, text)
}

async fn stream(world: &World) -> String {
    let answer = soon(world.chat("sim", json!({"stream": true, "max_tokens": 20})).send()).await;
    let answer = answer.expect("the gateway answers");
    assert_eq!(answer.status(), 200);
    soon(answer.text()).await.expect("the connection itself ends well")
}

/// The only error event of a stream, which is its last.
fn last_error(text: &str) -> Value {
    let events = events(text);
    let (last, before) = events.split_last().expect("there are events");
    assert!(before.iter().all(|event| !event.contains(r#""error""#) && event != "[DONE]"), "{text}");
    let last: Value = serde_json::from_str(last).expect("an error is JSON");
    last["error"].clone()
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_an_error_event() {
    for chunks in [1, 2, 7, 21] {
        let (_world, text) = stream_with(|faults| faults.cut_after_chunks = Some(chunks)).await;
        assert_eq!(events(&text).len(), chunks as usize + 1);
        assert_eq!(last_error(&text)["code"], "stream_broken");
    }
}

#[tokio::test]
async fn a_clean_end_in_the_middle_is_told_as_broken() {
    let (world, text) = stream_with(|faults| faults.end_after_chunks = Some(5)).await;
    assert_eq!(events(&text).len(), 6);
    assert_eq!(last_error(&text)["code"], "stream_broken");
    let health = until(&world, |health| health["providers"][0]["open"] == 0).await;
    assert_eq!(health["providers"][0]["last_error"]["kind"], "broke_off");
}

#[tokio::test]
async fn an_end_with_a_reason_is_an_end_even_without_done() {
    for no_usage in [false, true] {
        let (_world, text) = stream_with(|faults| (faults.no_done, faults.no_usage) = (true, no_usage)).await;
        assert!(!text.contains("error") && events(&text).len() >= 20, "{text}");
    }
}

#[tokio::test]
async fn a_silence_beyond_the_longest_ends_in_an_error_event() {
    let plan = Plan::new().provider("a").await.set(|settings| {
        settings.exchange.providers[0].upstream.idle_timeout = Duration::from_millis(100);
    });
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(4));
    let text = stream(&world).await;
    assert_eq!(last_error(&text)["code"], "stream_broken");
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
}

#[tokio::test]
async fn the_providers_own_error_event_passes_once_and_nothing_is_added() {
    let (world, text) = stream_with(|faults| faults.error_event_after_chunks = Some(5)).await;
    let error = last_error(&text);
    assert_eq!(error["type"], "server_error");
    assert_eq!(text.matches(r#""error""#).count(), 1, "{text}");
    assert_eq!(world.metric(r#"tidegate_streams_broken_total{provider="a"}"#).await, 1.0);
}

#[tokio::test]
async fn an_error_event_is_passed_byte_for_byte_with_what_follows() {
    let chunk = r#"data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    let sent = format!("{chunk}\n\ndata:{{ \"error\" : {{\"message\":\"no\"}} }}\n\ndata: [DONE]\n\n");
    let world = raw(&sent, true).await;
    let text = stream(&world).await;
    assert_eq!(text, sent);
}

#[tokio::test]
async fn what_is_no_json_and_what_is_noise_pass_unchanged() {
    let (_world, text) = stream_with(|faults| {
        (faults.garbage_after_chunks, faults.noise) = (Some(3), true);
    })
    .await;
    assert!(text.contains("data: {\"choices\": [{\"delta\n\n"), "{text}");
    assert!(text.contains(": keep-alive\n\n") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn an_event_larger_than_what_is_read_passes_whole() {
    let large = "x".repeat(5 << 20);
    let chunk = |text: &str| {
        format!(
            "data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let sent = format!("{}{}{}data: [DONE]\n\n", chunk("first"), chunk(&large), chunk("last"));
    let world = raw(&sent, true).await;
    let text = stream(&world).await;
    assert_eq!(text.len(), sent.len());
    assert!(text == sent, "the bytes are the same");
    // As the very first event it decides nothing, and passes too.
    let sent = format!("{}data: [DONE]\n\n", chunk(&large));
    assert!(stream(&raw(&sent, true).await).await == sent);
}

#[tokio::test]
async fn a_cut_in_the_middle_of_an_event_leaves_no_half_event() {
    let chunk = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    for half in ["data: {\"id\":\"2\",\"cho", "data: {\"id\":\"2\"}\n", "d", "data: [DONE]"] {
        let world = raw(&format!("{chunk}{half}"), false).await;
        let text = stream(&world).await;
        assert!(text.starts_with(chunk), "{text}");
        assert_eq!(events(&text).len(), 2, "{half:?} became a part of {text:?}");
        assert_eq!(last_error(&text)["code"], "stream_broken");
    }
}

#[tokio::test]
async fn a_cut_in_a_large_event_still_ends_in_an_event_of_its_own() {
    let large = format!("data: {{\"text\":\"{}", "x".repeat(5 << 20));
    let world = raw(&large, false).await;
    let text = stream(&world).await;
    let (cut, error) = text.rsplit_once("\n\n").map(|(rest, _)| rest.rsplit_once("\n\n").unwrap()).unwrap();
    assert!(cut == large, "what came has gone out");
    assert!(error.starts_with(r#"data: {"error":"#), "{error}");
}

#[tokio::test]
async fn a_plain_answer_to_a_stream_passes_as_it_is() {
    let body = r#"{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let (plan, _) = canned(Plan::new(), "a", whole("200 OK", "application/json", body)).await;
    let world = plan.start().await;
    assert_eq!(stream(&world).await, body);
}

#[tokio::test]
async fn a_plain_answer_that_is_cut_never_looks_complete() {
    let body = r#"{"id":"1","choices":[{"message":{"content":"ha"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for length in ["content-length: 400\r\n", "transfer-encoding: chunked\r\n"] {
        let chunk =
            if length.starts_with('t') { format!("{:x}\r\n{body}\r\n", body.len()) } else { body.into() };
        let (plan, _) = canned(Plan::new(), "a", format!("{head}{length}\r\n{chunk}")).await;
        let world = plan.start().await;
        let answer = world.chat("sim", json!({})).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-provider").as_str()), (200, "a"));
        assert!(soon(answer.bytes()).await.is_err(), "the connection breaks as the provider's did");
        let health = until(&world, |health| health["providers"][0]["open"] == 0).await;
        assert_eq!(health["providers"][0]["last_error"]["kind"], "broke_off");
    }
}

/// A provider that streams these bytes, and ends as HTTP prescribes or does not.
async fn raw(stream: &str, ends_well: bool) -> World {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let end = if ends_well { "0\r\n\r\n" } else { "" };
    let (plan, _) = canned(Plan::new(), "a", format!("{head}{:x}\r\n{stream}\r\n{end}", stream.len())).await;
    plan.start().await
}
