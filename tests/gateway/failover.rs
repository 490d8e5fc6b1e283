//! A provider that cannot serve: the next one does, and the client sees nothing of it.

use crate::beside::{Asked, beside, canned, provider, soon, until, whole};
use crate::world::{Plan, World, chat_body, header};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::simulator::{FailNext, Faults, SimulatorSettings};

/// Providers `a` and `b` behind the model `both`.
async fn two() -> Plan {
    Plan::new().provider("a").await.provider("b").await.route("both", &["a", "b"])
}

/// A provider `a` that gives these bytes to everybody, and a well one behind it.
async fn two_with_first(answer: String) -> (World, Asked) {
    let (plan, asked) = canned(Plan::new(), "a", answer).await;
    (plan.provider("b").await.route("both", &["a", "b"]).start().await, asked)
}

async fn ask(world: &World) -> Response {
    soon(world.chat("both", json!({})).send()).await.expect("the gateway answers")
}

fn served_by(answer: &Response) -> (u16, String, String) {
    let attempts = header(answer, "x-tidegate-attempts");
    (answer.status().as_u16(), header(answer, "x-tidegate-provider"), attempts)
}

fn fail_next(world: &World, times: u32, status: u16) {
    let status = StatusCode::from_u16(status).expect("a status");
    world.simulator("a").update(|faults| faults.fail_next = Some(FailNext::new(times, status)));
}

#[tokio::test]
async fn a_failure_of_the_first_is_served_by_the_second() {
    for status in [500, 502, 503, 529] {
        let world = two().await.start().await;
        fail_next(&world, 1, status);
        let answer = ask(&world).await;
        assert_eq!(served_by(&answer), (200, "b".into(), "2".into()), "{status}");
        assert_eq!(header(&answer, "x-tidegate-target"), "b/sim");
        assert_eq!(world.metric(r#"tidegate_failovers_total{from="a",to="b"}"#).await, 1.0);
        let last = provider(&world.health().await, "a")["last_error"].clone();
        assert_eq!(last["status"], status);
    }
}

#[tokio::test]
async fn a_failure_in_html_is_served_by_the_second() {
    let world = two().await.start().await;
    world.simulator("a").update(|faults| (faults.error_rate, faults.html_errors) = (1.0, true));
    assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "2".into()));
}

#[tokio::test]
async fn a_provider_that_is_gone_is_served_by_the_second() {
    let world = two().await.start().await;
    assert_eq!(served_by(&ask(&world).await), (200, "a".into(), "1".into()));
    world.kill_provider("a").await;
    assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "2".into()));
    assert_eq!(provider(&world.health().await, "a")["last_error"]["kind"], "unreachable");
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_served_by_the_second() {
    let world = two().await.start().await;
    world.simulator("a").update(|faults| faults.refuse = true);
    assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "2".into()));
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up_in_time() {
    let plan = two().await.set(|settings| {
        settings.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(100);
    });
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.hang = true);
    assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "2".into()));
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    assert_eq!(provider(&world.health().await, "a")["last_error"]["kind"], "timed_out");
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_is_served_by_the_second() {
    let faults: [fn(&mut Faults); 4] = [
        |faults| faults.error_event_after_chunks = Some(0),
        |faults| faults.cut_after_chunks = Some(0),
        |faults| faults.end_after_chunks = Some(0),
        |faults| faults.error_rate = 1.0,
    ];
    for fault in faults {
        let world = two().await.start().await;
        world.simulator("a").update(fault);
        let answer = soon(world.chat("both", json!({"stream": true})).send()).await.unwrap();
        assert_eq!(served_by(&answer), (200, "b".into(), "2".into()));
        let stream = answer.text().await.unwrap();
        assert!(stream.ends_with("data: [DONE]\n\n") && !stream.contains("error"), "{stream}");
    }
}

#[tokio::test]
async fn the_only_provider_is_tried_again() {
    let plan = Plan::new().provider("a").await.set(|settings| {
        settings.exchange.retry.delay = Duration::from_millis(20);
    });
    let world = plan.start().await;
    fail_next(&world, 2, 500);
    let answer = soon(world.chat("sim", json!({})).send()).await.unwrap();
    assert_eq!(served_by(&answer), (200, "a".into(), "3".into()));
    assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}), "it has served since");
}

#[tokio::test]
async fn what_every_provider_fails_at_goes_back_in_the_providers_words() {
    let plan = two().await.set(|settings| settings.exchange.retry.attempts_max = 2);
    let world = plan.start().await;
    for name in ["a", "b"] {
        world.simulator(name).update(|faults| faults.error_rate = 1.0);
    }
    let answer = ask(&world).await;
    assert_eq!(served_by(&answer), (500, "b".into(), "2".into()));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["type"], "server_error");
}

#[tokio::test]
async fn nobody_to_reach_is_told_in_openais_shape() {
    let plan = two().await.set(|settings| settings.exchange.retry.attempts_max = 2);
    let world = plan.start().await;
    world.kill_provider("a").await;
    world.kill_provider("b").await;
    let answer = ask(&world).await;
    assert_eq!(served_by(&answer), (502, "b".into(), "2".into()));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], "provider_unreachable");
}

#[tokio::test]
async fn the_clients_own_mistake_goes_back_byte_for_byte() {
    let body = "{ \"error\" : {\"message\":\"\\u0041 strange parameter\", \"type\":\"invalid_request_error\",\n \"param\":\"x\",\"code\":null} }";
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\nx-own: kept\r\n";
    let answer = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let (world, asked) = two_with_first(answer).await;
    let answer = ask(&world).await;
    assert_eq!(served_by(&answer), (400, "a".into(), "1".into()));
    assert_eq!(header(&answer, "content-type"), "application/json; charset=utf-8");
    assert_eq!(header(&answer, "x-own"), "kept");
    assert_eq!(answer.text().await.unwrap(), body);
    assert_eq!((asked.times(), world.simulator("b").stats().received), (1, 0));
    assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}));
}

#[tokio::test]
async fn a_provider_without_money_or_with_a_wrong_key_is_left_out() {
    let quota = r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let key = r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    for (status, body, kind) in [
        ("429 Too Many Requests", quota, "out_of_money"),
        ("401 Unauthorized", key, "credential_refused"),
        ("402 Payment Required", "{}", "out_of_money"),
    ] {
        let (world, asked) = two_with_first(whole(status, "application/json", body)).await;
        assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "2".into()), "{status}");
        assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "1".into()), "the credential rests");
        assert_eq!(asked.times(), 1);
        let health = world.health().await;
        assert_eq!(provider(&health, "a")["last_error"]["kind"], kind);
        assert_eq!(provider(&health, "a")["breakers"], json!({}), "the target itself is well");
    }
}

#[tokio::test]
async fn a_wrong_key_without_another_provider_is_told_to_the_client() {
    let key = tidegate::secret::Secret::new("sk-another".to_owned());
    let behaviour = SimulatorSettings { key: Some(key), ..SimulatorSettings::unlimited() };
    let world = Plan::new().provider_with("a", Default::default(), behaviour).await.start().await;
    for _ in 0..2 {
        let answer = world.chat("sim", json!({})).send().await.unwrap();
        assert_eq!(served_by(&answer), (401, "a".into(), "1".into()));
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "invalid_api_key");
    }
}

#[tokio::test]
async fn a_model_that_the_first_does_not_know_is_served_by_the_second() {
    let behaviour = SimulatorSettings { models: vec!["other".into()], ..SimulatorSettings::unlimited() };
    let plan = Plan::new().provider_with("a", Default::default(), behaviour).await;
    let world = plan.provider("b").await.route("both", &["a", "b"]).start().await;
    assert_eq!(served_by(&ask(&world).await), (200, "b".into(), "2".into()));
    let alone = world.chat("a/sim", json!({})).send().await.unwrap();
    assert_eq!(served_by(&alone), (404, "a".into(), "1".into()));
    let body: Value = alone.json().await.unwrap();
    assert_eq!(body["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn the_budget_of_a_failed_attempt_is_given_back() {
    let limit = std::num::NonZeroU32::new(100);
    let limits =
        tidegate::admission::Limits { tokens_per_minute: limit, burst_tokens: limit, ..Default::default() };
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await;
    let world = plan.provider("b").await.route("both", &["a", "b"]).start().await;
    fail_next(&world, 1, 500);
    let answer = world.chat("both", json!({"max_tokens": 60})).send().await.unwrap();
    assert_eq!(served_by(&answer), (200, "b".into(), "2".into()));
    let health = until(&world, |health| provider(health, "b")["open"] == 0).await;
    let budget = &provider(&health, "a")["budget"]["tokens_per_minute"];
    assert_eq!((&budget["available"], &provider(&health, "a")["open"]), (&json!(100), &json!(0)));
}

/// Calls in flight and to come when the first provider dies: nobody but begun streams notices.
#[tokio::test]
async fn a_provider_that_dies_under_load_is_seen_by_no_plain_call() {
    let world = two().await.start().await;
    let url = format!("{}/v1/chat/completions", world.base);
    let call = |more: Value| beside(world.client.post(&url).json(&chat_body("both", more)));
    let (plain, stream) = (|| call(json!({"max_tokens": 30})), || call(json!({"stream": true})));
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(5));
    let begun: Vec<_> = (0..10).map(|_| stream()).collect();
    soon(world.simulator("a").wait_for(|stats| stats.held == 10)).await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut streams: Vec<_> = (0..5).map(|_| stream()).collect();
    let mut plains: Vec<_> = (0..20).map(|_| plain()).collect();
    soon(world.simulator("a").wait_for(|stats| stats.held == 35)).await;
    soon(world.kill_provider("a")).await;
    plains.extend((0..20).map(|_| plain()));
    streams.extend((0..5).map(|_| stream()));
    for answer in plains {
        let answer = soon(answer).await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-provider").as_str()), (200, "b"));
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["usage"]["completion_tokens"], 30);
    }
    for answer in streams {
        let answer = soon(answer).await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-provider").as_str()), (200, "b"));
        assert!(soon(answer.text()).await.unwrap().ends_with("data: [DONE]\n\n"));
    }
    for answer in begun {
        let answer = soon(answer).await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-provider").as_str()), (200, "a"));
        let text = soon(answer.text()).await.unwrap();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with(r#"data: {"error":"#) && !text.contains("[DONE]"), "{text}");
    }
    until(&world, |health| health["providers"].as_array().unwrap().iter().all(|one| one["open"] == 0)).await;
}
