//! That every fault and every limit is the same in every dialect, streamed and not.

use crate::world::World;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::simulator::{FailNext, Faults, SimulatedLimits};
use tidegate::units::Moment;

/// A dialect: the paths of a plain and of a streamed answer, and a body that says hello.
struct Dialect {
    plain: &'static str,
    streamed: &'static str,
    body: Value,
}

fn dialects() -> [Dialect; 5] {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    let one = |path: &'static str, body: Value| Dialect { plain: path, streamed: path, body };
    let plain = "/v1beta/models/sim:generateContent";
    [
        one("/v1/chat/completions", json!({"model": "sim", "messages": messages})),
        one("/v1/responses", json!({"model": "sim", "input": "hello"})),
        one("/v1/messages", json!({"model": "sim", "messages": messages, "max_tokens": 100})),
        Dialect { plain, streamed: "/v1beta/models/sim:streamGenerateContent?alt=sse", body: gemini.clone() },
        Dialect { plain, streamed: "/v1beta/models/sim:streamGenerateContent", body: gemini },
    ]
}

impl Dialect {
    fn request(&self, world: &World, stream: bool) -> reqwest::RequestBuilder {
        let mut body = self.body.clone();
        if self.plain == self.streamed {
            body["stream"] = json!(stream);
        }
        let path = if stream { self.streamed } else { self.plain };
        let request = world.request(Method::POST, path).header("anthropic-version", "2023-06-01");
        request.body(body.to_string())
    }

    async fn call(&self, world: &World, stream: bool) -> Response {
        self.request(world, stream).send().await.unwrap()
    }

    /// What arrives of a stream, and whether it ended as HTTP prescribes.
    async fn read(&self, world: &World) -> (String, bool) {
        let mut response = self.call(world, true).await;
        let mut text = Vec::new();
        let clean = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        (String::from_utf8(text).unwrap(), clean)
    }
}

#[tokio::test]
async fn a_stream_is_cut_ended_or_stalled_after_as_many_events_as_told() {
    let world = World::new().await;
    for dialect in dialects() {
        let path = dialect.streamed;
        let (whole, clean) = dialect.read(&world).await;
        assert!(clean, "{path}");
        for after in [0, 1, 5] {
            let check = async |faults: Faults, clean: bool| {
                world.control().reset();
                world.control().set(faults);
                let (text, ended) = dialect.read(&world).await;
                assert_eq!((ended, text.len() < whole.len()), (clean, true), "{path} {after}");
                world.control().stats()
            };
            let stats = check(Faults { cut_after_chunks: Some(after), ..Faults::default() }, false).await;
            assert_eq!((stats.streams_cut, stats.events_sent), (1, u64::from(after)), "{path}");
            let stats = check(Faults { end_after_chunks: Some(after), ..Faults::default() }, true).await;
            assert_eq!((stats.failed, stats.events_sent), (1, u64::from(after)), "{path}");
            let no_end = Faults { no_done: true, ..Faults::default() };
            assert_eq!(check(no_end, true).await.served, 1, "{path}");
        }
        world.control().reset();
        world.control().set(Faults { stall_after_chunks: Some(2), ..Faults::default() });
        let streaming = world.tasks.spawn("call", dialect.request(&world, true).send());
        let stats = world.control().wait_for(|stats| stats.held == 1).await;
        assert_eq!(stats.events_sent, 2, "{path}");
        world.control().reset();
        let stalled = streaming.await.unwrap().unwrap().text().await.unwrap();
        assert_eq!(stalled.len(), whole.len(), "{path}");
    }
}

#[tokio::test]
async fn an_error_event_is_the_last_and_garbage_is_not() {
    let world = World::new().await;
    for dialect in dialects() {
        let path = dialect.streamed;
        let (whole, _) = dialect.read(&world).await;
        world.control().reset();
        let message = Some("the-message".to_owned());
        world.control().set(Faults {
            error_event_after_chunks: Some(3),
            error_message: message,
            ..Faults::default()
        });
        let (text, clean) = dialect.read(&world).await;
        assert!(clean && text.contains("the-message") && text.len() < whole.len(), "{path}: {text}");
        let stats = world.control().stats();
        assert_eq!((stats.failed, stats.events_sent), (1, 3), "{path}");
        world.control().set(Faults { garbage_after_chunks: Some(3), ..Faults::default() });
        let (text, clean) = dialect.read(&world).await;
        assert!(clean && text.len() > whole.len(), "{path}: {text}");
        world.control().reset();
    }
}

#[tokio::test]
async fn calls_are_held_failed_refused_and_delayed() {
    let world = World::new().await;
    for dialect in dialects() {
        for stream in [false, true] {
            let path = if stream { dialect.streamed } else { dialect.plain };
            for hold in
                [Faults { gate: true, ..Faults::default() }, Faults { hang: true, ..Faults::default() }]
            {
                world.control().set(hold);
                let held = world.tasks.spawn("call", dialect.request(&world, stream).send());
                world.control().wait_for(|stats| stats.held == 1).await;
                world.control().set(Faults::default());
                assert_eq!(held.await.unwrap().unwrap().status(), 200, "{path}");
            }
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            world.control().update(|faults| faults.fail_next = Some(FailNext::new(1, unavailable)));
            assert_eq!(dialect.call(&world, stream).await.status(), 503, "{path}");
            world.control().set(Faults { error_rate: 1.0, html_errors: true, ..Faults::default() });
            let failed = dialect.call(&world, stream).await.text().await.unwrap();
            assert!(failed.starts_with("<html>"), "{path}: {failed}");
            world.control().set(Faults { refuse: true, ..Faults::default() });
            assert!(dialect.request(&world, stream).send().await.is_err(), "{path}");
            let delay = Duration::from_millis(1);
            world.control().set(Faults { token_delay: delay, first_token_delay: delay, ..Faults::default() });
            let began = Clock::start();
            dialect.call(&world, stream).await.bytes().await.unwrap();
            assert!(began.now().since(Moment::START) >= delay * 41, "{path}");
            world.control().set(Faults::default());
        }
    }
}

#[tokio::test]
async fn all_draw_from_one_account_and_are_counted_once() {
    let world = World::limited(SimulatedLimits { requests_per_minute: Some(5), ..Default::default() }).await;
    for dialect in dialects() {
        assert_eq!(dialect.call(&world, false).await.status(), 200);
    }
    for dialect in dialects() {
        assert_eq!(dialect.call(&world, true).await.status(), 429);
    }
    let stats = world.control().stats();
    assert_eq!((stats.received, stats.served, stats.limited, stats.in_flight), (10, 5, 5, 0));
}

#[tokio::test]
async fn no_body_brings_it_down() {
    let world = World::new().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for dialect in dialects() {
        let odd = [
            "".to_owned(),
            "null".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            "{not json".to_owned(),
            deep.clone(),
            json!({"model": "sim", "input": [1, null, "x"], "messages": [{"role": "user", "content": [1]}],
                "max_tokens": 5, "contents": [{"parts": [1]}], "tools": [1, {"name": 1}], "tool_choice": 3})
            .to_string(),
        ];
        for body in odd {
            let request = world.request(Method::POST, dialect.streamed).header("anthropic-version", "x");
            let response = request.body(body.clone()).send().await.unwrap();
            let status = response.status().as_u16();
            let shown: String = body.chars().take(80).collect();
            assert!(status == 400 || status == 200, "{} {shown}: {status}", dialect.streamed);
        }
    }
    assert_eq!(world.get("/v1/models").await.status(), 200);
}
