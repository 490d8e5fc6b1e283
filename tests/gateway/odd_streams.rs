//! Streams as providers really send them: what the client sees of them, and what they cost in the end.

use crate::raw::{Canned, provider_at, soon};
use crate::world::{Plan, World, events};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use tidegate::admission::Limits;
use tidegate::simulator::{Faults, SimulatorSettings};

/// What a day allows, all of it at once. It comes back at a token in ten seconds, which is never in a test.
const A_DAY: i64 = 8_640;

fn slow_limits() -> Limits {
    Limits { tokens_per_day: NonZeroU32::new(8_640), ..Limits::default() }
}

async fn with_faults(change: impl FnOnce(&mut Faults)) -> World {
    let mut behaviour = SimulatorSettings::unlimited();
    change(&mut behaviour.faults);
    Plan::new().provider_with("a", slow_limits(), behaviour).await.start().await
}

/// A world whose provider answers with this stream.
async fn with_stream(stream: &str) -> World {
    let canned = Canned::saying("content-type: text/event-stream\r\n", stream).await;
    let at = provider_at("a", &canned.base_url, slow_limits());
    Plan::new().set(|settings| settings.exchange.providers.push(at)).start().await
}

/// The stream that a chat call with these keys gets, whole.
async fn streamed(world: &World, more: Value) -> String {
    let mut more = more;
    more["stream"] = json!(true);
    let answer = soon(world.chat("sim", more).send()).await.expect("the gateway answers");
    assert_eq!(answer.status(), 200);
    soon(answer.text()).await.expect("the stream is whole")
}

/// Tokens that are gone from the budget for good.
async fn settled(world: &World) -> i64 {
    let health = world.health().await;
    assert_eq!(health["providers"][0]["open"], 0);
    let level = &health["providers"][0]["budget"]["tokens_per_day"]["available"];
    A_DAY - level.as_i64().expect("a number")
}

/// How much was told of each kind of token.
async fn told(world: &World, kind: &str) -> f64 {
    world.metric(&format!("tidegate_tokens_total{{provider=\"a\",type=\"{kind}\"}}")).await
}

fn chunk(content: &str, usage: &str) -> String {
    format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]{usage}}}")
}

#[tokio::test]
async fn noise_is_passed_on_and_costs_nothing() {
    let quiet = with_faults(|_| {}).await;
    let wanted = events(&streamed(&quiet, json!({"max_tokens": 6})).await);
    let world = with_faults(|faults| faults.noise = true).await;
    let stream = streamed(&world, json!({"max_tokens": 6})).await;
    assert!(stream.starts_with(": keep-alive\n\nnoise: ignore me"), "comments go through at once: {stream}");
    let data = |stream: &str| stream.lines().filter(|line| line.starts_with("data: ")).count();
    assert_eq!(data(&stream), wanted.len());
    assert!(stream.trim_end().ends_with("data: [DONE]"));
    assert_eq!(settled(&world).await, settled(&quiet).await);
}

#[tokio::test]
async fn blank_lines_before_a_plain_answer_are_passed_on() {
    let world = with_faults(|faults| faults.noise = true).await;
    let answer = world.chat("sim", json!({"max_tokens": 6})).send().await.unwrap().text().await.unwrap();
    assert!(answer.starts_with("\n\n\n{"), "{answer}");
    let body: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(json!(settled(&world).await), body["usage"]["total_tokens"]);
}

#[tokio::test]
async fn every_line_end_is_understood_and_kept() {
    for end in ["\n", "\r\n", "\r"] {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":22}}"#;
        let lines = ["", "event: x", &chunk("hello", ""), "id: 1", &chunk(" there", ""), usage, "[DONE]"];
        let stream: String = lines
            .iter()
            .map(|line| {
                if line.starts_with(['{', '[']) {
                    format!("data: {line}{end}{end}")
                } else {
                    format!("{line}{end}")
                }
            })
            .collect();
        let world = with_stream(&stream).await;
        let asked = json!({"stream_options": {"include_usage": true}});
        assert_eq!(streamed(&world, asked).await, stream, "byte for byte with {end:?}");
        assert_eq!(settled(&world).await, 33);
    }
}

#[tokio::test]
async fn usage_on_the_last_chunk_of_content_is_the_truth() {
    let usage = r#","usage":{"prompt_tokens":100,"completion_tokens":50,"completion_tokens_details":{"reasoning_tokens":40},"prompt_tokens_details":{"cached_tokens":60}}"#;
    for last in [
        chunk("x", usage),
        format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],"x_groq":{{{}}}}}"#, &usage[1..]),
    ] {
        let stream = format!("data: {}\n\ndata: {last}\n\ndata: [DONE]\n\n", chunk("hello", ""));
        let world = with_stream(&stream).await;
        assert_eq!(streamed(&world, json!({})).await, stream, "it carries content, so it is not held back");
        assert_eq!(settled(&world).await, 150);
        for (kind, tokens) in
            [("input", 100.0), ("output", 50.0), ("cached_input", 60.0), ("reasoning", 40.0)]
        {
            assert_eq!(told(&world, kind).await, tokens, "{kind}");
        }
    }
}

#[tokio::test]
async fn of_cumulative_usage_the_last_one_counts() {
    let usage = |output: u32| format!(",\"usage\":{{\"prompt_tokens\":20,\"completion_tokens\":{output}}}");
    let chunks: String = (1..=30).map(|n| format!("data: {}\n\n", chunk("a", &usage(n)))).collect();
    let world = with_stream(&format!("{chunks}data: [DONE]\n\n")).await;
    streamed(&world, json!({})).await;
    assert_eq!(settled(&world).await, 50);
    let world = with_stream(&chunks).await;
    let stream = streamed(&world, json!({})).await;
    assert!(stream.contains("stream_broken"), "usage with every chunk does not make the last one an end");
    assert_eq!(settled(&world).await, 50);
}

#[tokio::test]
async fn without_a_count_the_text_itself_is_counted() {
    for change in
        [|faults: &mut Faults| faults.no_usage = true, |faults: &mut Faults| faults.zero_usage = true]
    {
        let world = with_faults(change).await;
        let stream = streamed(&world, json!({"max_tokens": 30})).await;
        assert!(stream.ends_with("data: [DONE]\n\n"));
        let (input, output) = (told(&world, "input").await, told(&world, "output").await);
        assert!((5.0..30.0).contains(&input) && (30.0..=100.0).contains(&output), "{input} and {output}");
        let total = format!("{}", input + output);
        assert_eq!(settled(&world).await.to_string(), total);
    }
}

#[tokio::test]
async fn a_plain_answer_without_a_count_keeps_what_was_reserved() {
    for change in
        [|faults: &mut Faults| faults.no_usage = true, |faults: &mut Faults| faults.zero_usage = true]
    {
        let world = with_faults(change).await;
        let answer = world.chat("sim", json!({"max_tokens": 30})).send().await.unwrap();
        let reserved: i64 = crate::world::header(&answer, "x-tidegate-reserved-tokens").parse().unwrap();
        answer.bytes().await.unwrap();
        assert_eq!(settled(&world).await, reserved);
    }
}

#[tokio::test]
async fn garbage_between_events_is_passed_on_and_the_stream_goes_on() {
    let world = with_faults(|faults| faults.garbage_after_chunks = Some(2)).await;
    let stream = streamed(&world, json!({"max_tokens": 6})).await;
    assert!(
        stream.contains("data: {\"choices\": [{\"delta\n\n") && stream.ends_with("data: [DONE]\n\n"),
        "{stream}"
    );
    assert_eq!(told(&world, "output").await, 6.0);
    for garbage in [
        "data: \n\n",
        "data\n\n",
        "\u{0}\u{1}\n\n",
        "data: [1,2]\n\n",
        "data: null\n\n",
        "event: ping\n\n",
        "data: {\"usage\":7}\n\n",
        "retry: x\n\n",
    ] {
        let stream = format!("{garbage}data: {}\n\n{garbage}data: [DONE]\n\n", chunk("hello", ""));
        let world = with_stream(&stream).await;
        assert_eq!(streamed(&world, json!({})).await, stream, "{garbage:?}");
        assert_eq!(told(&world, "output").await, 2.0, "{garbage:?}");
    }
}

#[tokio::test]
async fn a_stream_without_its_last_word_is_whole_if_it_has_told_its_usage() {
    let world = with_faults(|faults| faults.no_done = true).await;
    let stream = streamed(&world, json!({"max_tokens": 6})).await;
    assert!(!stream.contains("stream_broken"), "{stream}");
    assert_eq!(
        (told(&world, "output").await, world.metric("tidegate_streams_broken_total").await),
        (6.0, 0.0)
    );
    let world = with_stream(&format!("data: {}\n\n", chunk("hello", ""))).await;
    let stream = streamed(&world, json!({})).await;
    let last: Value = serde_json::from_str(events(&stream).last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "stream_broken", "an end that nobody announced is no end");
    assert_eq!(world.metric("tidegate_streams_broken_total{provider=\"a\"}").await, 1.0);
}

#[tokio::test]
async fn what_comes_after_the_end_does_not_count() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":5}}"#;
    let more = r#"{"choices":[],"usage":{"prompt_tokens":500,"completion_tokens":500}}"#;
    let world = with_stream(&format!("data: {usage}\n\ndata: [DONE]\n\ndata: {more}\n\n")).await;
    streamed(&world, json!({"stream_options": {"include_usage": true}})).await;
    assert_eq!(settled(&world).await, 10);
}

#[tokio::test]
async fn a_plain_answer_where_a_stream_was_asked_for_is_passed_on_and_settled() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    let canned = Canned::saying("content-type: application/json\r\n", body).await;
    let at = provider_at("a", &canned.base_url, slow_limits());
    let world = Plan::new().set(|settings| settings.exchange.providers.push(at)).start().await;
    assert_eq!(streamed(&world, json!({})).await, body);
    assert_eq!(settled(&world).await, 10);
}

#[tokio::test]
async fn noise_without_end_is_passed_on_and_not_held() {
    let noise = ": keep-alive\n\n".repeat(20_000);
    let length = 10 * noise.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n");
    // It breaks off before it has said anything; by then the client has long been listening.
    let canned = Canned::start(format!("{head}{noise}")).await;
    let at = provider_at("a", &canned.base_url, slow_limits());
    let world = Plan::new().set(|settings| settings.exchange.providers.push(at)).start().await;
    let stream = streamed(&world, json!({})).await;
    assert!(stream.starts_with(&noise), "{} bytes of {}", stream.len(), noise.len());
    assert!(stream[noise.len()..].contains("stream_broken"));
    assert_eq!(canned.count(), 1);
}
