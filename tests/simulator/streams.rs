//! How streams break.

use crate::world::{World, chunks_of, events_of};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::simulator::Faults;
use tidegate::units::Moment;

async fn streamed(faults: Faults) -> (World, Vec<String>, bool) {
    let world = World::faulty(faults).await;
    let (events, clean) = events_of(world.chat(json!({"stream": true})).await).await;
    (world, events, clean)
}

#[tokio::test]
async fn a_cut_stream_ends_as_no_stream_should_and_loses_nothing_before() {
    for after in [0, 1, 2, 7, 42, 43] {
        let faults = Faults { cut_after_chunks: Some(after), ..Faults::default() };
        let (world, events, clean) = streamed(faults).await;
        assert_eq!((events.len(), clean), (usize::try_from(after).unwrap(), false));
        let stats = world.control().stats();
        assert_eq!((stats.streams_cut, stats.served, stats.cancelled), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_cut_beyond_the_end_never_comes() {
    let (world, events, clean) = streamed(Faults { cut_after_chunks: Some(44), ..Faults::default() }).await;
    assert_eq!((events.len(), clean, world.control().stats().served), (43, true, 1));
}

#[tokio::test]
async fn a_stream_may_end_early_or_without_its_mark_and_look_complete() {
    let (world, events, clean) = streamed(Faults { end_after_chunks: Some(5), ..Faults::default() }).await;
    assert_eq!((events.len(), clean, world.control().stats().failed), (5, true, 1));
    let (_, events, clean) = streamed(Faults { no_done: true, ..Faults::default() }).await;
    assert_eq!((events.len(), clean), (42, true));
    assert!(events.iter().all(|event| event != "[DONE]"));
}

#[tokio::test]
async fn an_error_event_ends_the_stream() {
    let faults = Faults { error_event_after_chunks: Some(3), ..Faults::default() };
    let (world, events, clean) = streamed(faults).await;
    assert_eq!((events.len(), clean, world.control().stats().failed), (4, true, 1));
    let last: Value = serde_json::from_str(&events[3]).unwrap();
    assert_eq!(last["error"]["type"], "server_error");
}

#[tokio::test]
async fn garbage_is_an_event_more_and_the_stream_goes_on() {
    let faults = Faults { garbage_after_chunks: Some(3), ..Faults::default() };
    let (world, events, _) = streamed(faults).await;
    assert_eq!((events.len(), world.control().stats().served), (44, 1));
    assert!(serde_json::from_str::<Value>(&events[3]).is_err());
    assert_eq!(events[43], "[DONE]");
}

#[tokio::test]
async fn noise_changes_nothing_for_who_reads_by_the_standard() {
    let world = World::new().await;
    let quiet = chunks_of(world.chat(json!({"stream": true})).await).await;
    world.control().set(Faults { noise: true, ..Faults::default() });
    let text = world.chat(json!({"stream": true})).await.text().await.unwrap();
    assert_eq!(text.matches(": keep-alive\n\nnoise: ignore me\r\n\r\ndata: ").count(), quiet.len() + 1);
    let noisy = chunks_of(world.chat(json!({"stream": true})).await).await;
    let said = |chunks: &[Value]| chunks.iter().map(|chunk| chunk["choices"].to_string()).collect::<String>();
    assert_eq!(said(&noisy), said(&quiet));
    let plain = world.chat(json!({})).await.text().await.unwrap();
    assert!(plain.starts_with("\n\n\n{") && serde_json::from_str::<Value>(&plain).is_ok());
}

#[tokio::test]
async fn every_event_leaves_before_the_next_is_made() {
    for after in 1..6 {
        let world = World::faulty(Faults { stall_after_chunks: Some(after), ..Faults::default() }).await;
        let mut response = world.chat(json!({"stream": true})).await;
        let mut arrived = String::new();
        while arrived.matches("\n\n").count() < usize::try_from(after).unwrap() {
            let chunk = response.chunk().await.unwrap().expect("the stream is still open");
            arrived.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let stats = world.control().wait_for(|stats| stats.held == 1).await;
        assert_eq!(stats.events_sent, u64::from(after));
        assert_eq!(world.control().release(1), 1);
        assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    }
}

#[tokio::test]
async fn events_of_a_fast_stream_arrive_in_chunks_of_their_own() {
    let world = World::new().await;
    let body = crate::world::chat_body(&json!({"stream": true, "max_tokens": 5}));
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(world.simulator.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut rest = body;
    let mut events = 0;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let chunk = &after[..size];
        assert!(
            size == 0 || (chunk.starts_with("data: ") && chunk.matches("\n\n").count() == 1),
            "{chunk:?}"
        );
        events += usize::from(size > 0);
        rest = &after[size + 2..];
    }
    assert_eq!((events, rest), (1 + 5 + 1 + 1, ""));
}

#[tokio::test]
async fn a_client_that_leaves_its_stream_is_noticed_in_the_silence() {
    let world = World::faulty(Faults { stall_after_chunks: Some(2), ..Faults::default() }).await;
    let response = world.chat(json!({"stream": true})).await;
    world.control().wait_for(|stats| stats.held == 1).await;
    drop(response);
    let stats = world.control().wait_for(|stats| stats.cancelled == 1).await;
    assert_eq!((stats.served, stats.in_flight, stats.streams_cut), (0, 0, 0));
    world.control().wait_for(|stats| stats.held == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_between_two_tokens_is_noticed_before_the_next() {
    let world = World::faulty(Faults { token_delay: Duration::from_secs(600), ..Faults::default() }).await;
    let mut response = world.chat(json!({"stream": true})).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let stats = world.control().wait_for(|stats| stats.cancelled == 1).await;
    assert_eq!(stats.events_sent, 1);
}

#[tokio::test]
async fn a_token_delay_lies_between_tokens() {
    let faults = Faults { token_delay: Duration::from_millis(8), output_tokens: 10, ..Faults::default() };
    let world = World::faulty(faults).await;
    for body in [json!({}), json!({"stream": true})] {
        let began = Clock::start();
        world.chat(body).await.bytes().await.unwrap();
        assert!(began.now().since(Moment::START) >= Duration::from_millis(80));
    }
}
