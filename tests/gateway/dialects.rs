//! Each dialect within itself: bytes go through as they are, facts are read from them, and what tidegate says
//! itself is in the caller's shape.

use crate::beside::{provider, soon, until};
use crate::tongues::{Question, ask, ends_in_error, hear, hear_stream, request};
use crate::world::{PROVIDER_KEY, Plan, World, header};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use tidegate::admission::{Counting, Limits, OutputCounts};
use tidegate::dialect::Dialect;
use tidegate::simulator::FailNext;

const HELLO: Question<'_> = Question { text: "Say 6 words.", stream: false, with_tools: false };
const STREAMED: Question<'_> = Question { stream: true, ..HELLO };

async fn native(dialect: Dialect) -> World {
    Plan::new().speaking("a", &[dialect]).await.start().await
}

async fn text(answer: Response) -> String {
    soon(answer.text()).await.expect("the connection ends well")
}

#[tokio::test]
async fn a_request_reaches_its_provider_byte_for_byte() {
    for dialect in [Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
        let world = native(dialect).await;
        let (path, body) = request(dialect, "sim", HELLO);
        // Unknown keys, odd spacing and numbers as they were written.
        let odd = body.to_string().replacen('{', "{ \"x_future\" : [1e2, {\"a\":\"\\u00e9\"}],\n", 1);
        let sent = world
            .request(Method::POST, &path)
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", "a-2025-01-01,b-2025-02-02")
            .body(odd.clone());
        let answer = soon(sent.send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{dialect}");
        let seen = world.simulator("a").stats().last_request.expect("it was asked");
        assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(seen.header("anthropic-beta"), Some("a-2025-01-01,b-2025-02-02"));
        assert_eq!(String::from_utf8_lossy(&seen.body.unwrap()), odd, "{dialect}");
    }
}

#[tokio::test]
async fn every_dialect_streams_and_is_counted() {
    for dialect in Dialect::CONVERSATIONS {
        let world = native(dialect).await;
        let answer = soon(ask(&world, dialect, "sim", STREAMED).send()).await.unwrap();
        assert!(header(&answer, "content-type").starts_with("text/event-stream"), "{dialect}");
        assert_eq!(header(&answer, "x-tidegate-translated"), "");
        let heard = hear_stream(dialect, &text(answer).await);
        until(&world, |health| provider(health, "a")["open"] == 0).await;
        let plain = soon(ask(&world, dialect, "sim", HELLO).send()).await.unwrap();
        let plain = hear(dialect, &plain.json().await.unwrap());
        assert_eq!((&heard.text, &heard.stop), (&plain.text, &plain.stop), "{dialect}");
        until(&world, |health| provider(health, "a")["open"] == 0).await;
        let counted = world.metric(r#"tidegate_tokens_total{provider="a",type="output"}"#).await;
        #[expect(clippy::cast_precision_loss, reason = "a few tokens")]
        let twice = plain.output as f64 * 2.0;
        assert_eq!(counted, twice, "{dialect}");
    }
}

#[tokio::test]
async fn pings_are_forwarded_byte_for_byte() {
    let world = native(Dialect::Messages).await;
    let stream = text(soon(ask(&world, Dialect::Messages, "sim", STREAMED).send()).await.unwrap()).await;
    assert!(
        stream.contains("event: ping\ndata: {\"type\": \"ping\"}\n\n")
            || stream.contains("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
        "{stream}"
    );
}

#[tokio::test]
async fn a_gemini_client_without_events_gets_one_array() {
    let world = native(Dialect::Gemini).await;
    let (_, body) = request(Dialect::Gemini, "sim", STREAMED);
    let answer = soon(world.post("/v1beta/models/sim:streamGenerateContent", body.to_string())).await;
    assert!(header(&answer, "content-type").starts_with("application/json"));
    let chunks: Vec<Value> = serde_json::from_str(&text(answer).await).expect("the whole is JSON");
    assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk["candidates"].is_array()));
    until(&world, |health| provider(health, "a")["open"] == 0).await;
    assert!(world.metric(r#"tidegate_tokens_total{provider="a",type="output"}"#).await >= 6.0);
    // Served by another dialect's provider it is an array too, and one that breaks is still JSON.
    let world = native(Dialect::Chat).await;
    let answer = soon(world.post("/v1beta/models/sim:streamGenerateContent", body.to_string())).await;
    let chunks: Vec<Value> = serde_json::from_str(&text(answer).await).expect("the whole is JSON");
    assert!(chunks.len() > 1, "{chunks:?}");
    for dialect in [Dialect::Gemini, Dialect::Chat] {
        let world = native(dialect).await;
        world.simulator("a").update(|faults| faults.cut_after_chunks = Some(3));
        let answer = soon(world.post("/v1beta/models/sim:streamGenerateContent", body.to_string())).await;
        let chunks: Vec<Value> = serde_json::from_str(&text(answer).await).expect("the whole is JSON");
        assert!(chunks.last().unwrap()["error"]["code"].is_u64(), "{dialect}: {chunks:?}");
    }
}

#[tokio::test]
async fn the_model_of_a_path_is_renamed_by_its_route() {
    let world = Plan::new().speaking("a", &[Dialect::Gemini]).await.route("nice/name", &["a"]).start().await;
    let (_, body) = request(Dialect::Gemini, "sim", HELLO);
    let answer = soon(world.post("/v1beta/models/nice%2Fname:generateContent", body.to_string())).await;
    assert_eq!(answer.status(), 200);
    let seen = world.simulator("a").stats().last_request.expect("it was asked");
    assert_eq!(seen.path, "/v1beta/models/sim:generateContent");
}

#[tokio::test]
async fn every_form_of_a_clients_key_is_taken_and_goes_no_further() {
    for (dialect, own) in [(Dialect::Messages, "x-api-key"), (Dialect::Gemini, "x-goog-api-key")] {
        let world = native(dialect).await;
        for (name, value) in [
            ("authorization", "Bearer sk-client-canary"),
            ("x-api-key", "sk-client-canary"),
            ("x-goog-api-key", "sk-client-canary"),
        ] {
            let (path, body) = request(dialect, "sim", HELLO);
            let mark = if path.contains('?') { '&' } else { '?' };
            let request =
                world.request(Method::POST, &format!("{path}{mark}key=sk-client-canary")).json(&body);
            let request = request.header("anthropic-version", "2023-06-01").header(name, value);
            assert_eq!(soon(request.send()).await.unwrap().status(), 200, "{dialect} {name}");
            let seen = world.simulator("a").stats().last_request.expect("it was asked");
            assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
            assert!(seen.header(own).is_some(), "the provider's own key went along");
        }
        assert!(!PROVIDER_KEY.contains("canary"));
    }
}

#[tokio::test]
async fn a_providers_error_body_is_not_touched() {
    for dialect in Dialect::CONVERSATIONS {
        let world = native(dialect).await;
        let next = || Some(FailNext::new(1, http::StatusCode::BAD_REQUEST));
        world.simulator("a").update(|faults| faults.fail_next = next());
        let answer = soon(ask(&world, dialect, "sim", HELLO).send()).await.unwrap();
        assert_eq!(answer.status(), 400);
        let through = text(answer).await;
        world.simulator("a").update(|faults| faults.fail_next = next());
        let (path, body) = request(dialect, "sim", HELLO);
        let base = world.simulator_url("a").replace("/v1", "");
        let direct = world.client.post(format!("{base}{path}")).bearer_auth(PROVIDER_KEY);
        let direct = direct.header("anthropic-version", "2023-06-01").json(&body);
        let direct = text(soon(direct.send()).await.unwrap()).await;
        let without_id = |text: &str| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            value.as_object_mut().unwrap().remove("request_id");
            value
        };
        assert_eq!(without_id(&through), without_id(&direct), "{dialect}");
    }
}

#[tokio::test]
async fn what_tidegate_refuses_is_in_the_callers_shape() {
    let limits = Limits { tokens_per_minute: NonZeroU32::new(5), ..Limits::default() };
    for dialect in Dialect::CONVERSATIONS {
        let plan = Plan::new().speaking("a", &[dialect]).await;
        let world = plan.set(|settings| settings.exchange.providers[0].limits = limits).start().await;
        let answer = soon(ask(&world, dialect, "sim", HELLO).send()).await.unwrap();
        assert_eq!(answer.status(), 429, "{dialect}");
        assert_eq!(header(&answer, "x-should-retry"), "false");
        let error: Value = answer.json().await.unwrap();
        let told = match dialect {
            Dialect::Messages => &error["error"]["type"],
            Dialect::Gemini => &error["error"]["status"],
            _ => &error["error"]["code"],
        };
        let wanted = match dialect {
            Dialect::Messages => "rate_limit_error",
            Dialect::Gemini => "RESOURCE_EXHAUSTED",
            _ => "rate_limit_exceeded",
        };
        assert_eq!(told, wanted, "{error}");
        let unknown = soon(world.post("/v1/nothing/here", "{}")).await;
        drop(unknown);
    }
}

#[tokio::test]
async fn unknown_models_broken_bodies_and_missing_keys_are_told_in_the_callers_shape() {
    let plan = Plan::new().provider("a").await.provider("b").await;
    let world = plan.start().await;
    for (path, body, status) in [
        ("/v1/messages", json!({"model": "nobody", "max_tokens": 5, "messages": []}).to_string(), 404),
        ("/v1/messages", "{".to_owned(), 400),
        ("/v1/messages", json!({"max_tokens": 5, "messages": []}).to_string(), 400),
    ] {
        let answer = soon(world.post(path, body)).await;
        assert_eq!(answer.status(), status);
        assert!(!header(&answer, "request-id").is_empty());
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["type"], "error", "{error}");
        assert!(error["error"]["message"].as_str().unwrap().len() > 10);
    }
    let answer = soon(world.post("/v1beta/models/nobody:generateContent", r#"{"contents":[]}"#)).await;
    assert_eq!(answer.status(), 404);
    let error: Value = answer.json().await.unwrap();
    assert_eq!(error["error"]["status"], "NOT_FOUND", "{error}");
    let answer = soon(world.post("/v1beta/models/a%2Fsim:generateContent", "[")).await;
    let error: Value = answer.json().await.unwrap();
    assert_eq!(error["error"]["code"], 400, "{error}");
}

#[tokio::test]
async fn codex_is_told_to_wait_in_a_stream_and_others_by_status() {
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(1),
        burst_requests: NonZeroU32::new(1),
        ..Limits::default()
    };
    let plan = Plan::new().speaking("a", &[Dialect::Responses]).await.set(|settings| {
        settings.exchange.providers[0].limits = limits;
        settings.exchange.queue.max_wait = std::time::Duration::from_secs(1);
    });
    let world = plan.start().await;
    assert_eq!(soon(ask(&world, Dialect::Responses, "sim", STREAMED).send()).await.unwrap().status(), 200);
    let codex = ask(&world, Dialect::Responses, "sim", STREAMED).header("originator", "codex_cli_rs");
    let answer = soon(codex.send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let stream = text(answer).await;
    assert!(ends_in_error(Dialect::Responses, &stream), "{stream}");
    assert!(stream.contains("rate_limit_exceeded") && stream.contains("Please try again in "), "{stream}");
    let other = soon(ask(&world, Dialect::Responses, "sim", STREAMED).send()).await.unwrap();
    assert_eq!(other.status(), 429);
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_that_can_else_by_us() {
    let cases = [
        (Dialect::Messages, "/v1/messages/count_tokens?beta=true", "input_tokens"),
        (Dialect::Responses, "/v1/responses/input_tokens", "input_tokens"),
        (Dialect::Gemini, "/v1beta/models/sim:countTokens", "totalTokens"),
    ];
    for (dialect, path, key) in cases {
        for (spoken, by) in [(dialect, "provider"), (Dialect::Chat, "tidegate")] {
            let world = native(spoken).await;
            let (_, body) = request(dialect, "sim", HELLO);
            let request =
                world.request(Method::POST, path).header("anthropic-version", "2023-06-01").json(&body);
            let answer = soon(request.send()).await.unwrap();
            assert_eq!(answer.status(), 200, "{dialect} at {spoken}");
            assert_eq!(header(&answer, "x-tidegate-counted-by"), by);
            let counted: Value = answer.json().await.unwrap();
            assert!(counted[key].as_u64().is_some_and(|tokens| tokens > 4), "{counted}");
        }
    }
}

#[tokio::test]
async fn a_warm_up_is_answered_without_any_provider() {
    let world = World::new().await;
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(soon(world.request(method, "/api/hello").send()).await.unwrap().status(), 200);
    }
    assert_eq!(world.simulator("a").stats().received, 0);
}

#[tokio::test]
async fn models_are_listed_in_each_familys_shape() {
    let world = Plan::new().provider("a").await.route("best", &["a"]).start().await;
    let openai: Value = world.get("/v1/models").await.json().await.unwrap();
    assert_eq!(openai["data"][0]["object"], "model");
    let request =
        world.request(Method::GET, "/v1/models?limit=1000").header("anthropic-version", "2023-06-01");
    let anthropic: Value = soon(request.send()).await.unwrap().json().await.unwrap();
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(anthropic["has_more"], false);
    let gemini: Value = world.get("/v1beta/models").await.json().await.unwrap();
    assert_eq!(gemini["models"][0]["name"], "models/best");
    // Google's newer SDKs use `/v1`, and say who they are.
    let request = world.request(Method::GET, "/v1/models").header("x-goog-api-client", "google-genai-sdk/3");
    let gemini: Value = soon(request.send()).await.unwrap().json().await.unwrap();
    assert_eq!(gemini["models"][0]["name"], "models/best");
    let one: Value = world.get("/v1beta/models/best").await.json().await.unwrap();
    assert_eq!(one["name"], "models/best");
    let none = world.get("/v1beta/models/a:b").await;
    assert_ne!(none.status(), 500);
}

#[tokio::test]
async fn paths_that_one_family_has_go_to_a_provider_of_that_family() {
    let plan = Plan::new().provider("openai").await;
    let plan = plan.speaking("anthropic", &[Dialect::Messages]).await;
    let plan = plan.speaking("gemini", &[Dialect::Gemini]).await;
    let world = plan.set(|settings| settings.exchange.default_provider = Some("openai".into())).start().await;
    for (path, name) in [
        ("/v1/messages/batches", "anthropic"),
        ("/v1/responses/resp_1", "openai"),
        ("/v1beta/cachedContents", "gemini"),
        ("/v1/files", "openai"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(header(&answer, "x-tidegate-provider"), name, "{path}");
    }
}

#[tokio::test]
async fn cache_reads_are_free_where_the_provider_says_so() {
    let limits = Limits {
        input_tokens_per_minute: NonZeroU32::new(60_000),
        burst_tokens: NonZeroU32::new(60_000),
        output_tokens_per_minute: NonZeroU32::new(60_000),
        ..Limits::default()
    };
    let counting = Counting { output: OutputCounts::AsProduced, cached_input: false, ..Counting::default() };
    let plan = Plan::new().speaking("a", &[Dialect::Messages]).await.set(|settings| {
        settings.exchange.providers[0].limits = limits;
        settings.exchange.providers[0].counting = counting;
    });
    let world = plan.start().await;
    let prompt = "An instruction that is said again and again. ".repeat(1_600);
    let body = json!({"model": "sim", "max_tokens": 50_000,
        "system": [{"type": "text", "text": prompt, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "Say 3 words."}]});
    let mut taken = Vec::new();
    for _ in 0..2 {
        let before = left(&world).await;
        let request = world.request(Method::POST, "/v1/messages").header("anthropic-version", "2023-06-01");
        let answer = soon(request.json(&body).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        drop(text(answer).await);
        taken.push(before - left(&world).await);
    }
    assert!(taken[0] > 8_000, "the first time it is written to the cache: {taken:?}");
    assert!(taken[1] < taken[0] / 4, "the second time it is read from there: {taken:?}");
}

/// Input tokens left, when nobody is at the provider. What comes back meanwhile is a token a millisecond.
async fn left(world: &World) -> i64 {
    let health = until(world, |health| provider(health, "a")["open"] == 0).await;
    provider(&health, "a")["budget"]["input_tokens_per_minute"]["available"].as_i64().expect("a number")
}
