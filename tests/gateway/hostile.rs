//! Bodies that are no calls, and calls that cannot be meant: each gets a clear answer in OpenAI's shape, costs
//! nothing, and leaves the gateway as it was.

use crate::raw::{assert_well, error_of};
use crate::world::{Plan, World, chat_body, header};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use tidegate::admission::Limits;
use tidegate::simulator::SimulatorSettings;

const CHAT: &str = "/v1/chat/completions";

/// Posts a body and expects to be refused for it, by the gateway alone; gives the error.
async fn refused(world: &World, path: &str, body: impl Into<reqwest::Body>, status: u16) -> Value {
    let before = world.simulator("a").stats().received;
    let answer = world.post(path, body).await;
    assert_eq!(answer.status(), status, "{path}");
    assert_eq!(header(&answer, "content-type"), "application/json");
    assert!(header(&answer, "x-tidegate-request-id").starts_with("req_"));
    let error = error_of(&answer.json().await.expect("an error is JSON"));
    assert_eq!(world.simulator("a").stats().received, before, "it reached the provider");
    error
}

/// A chat body in which one key has this value, as it is spelled.
fn with(key: &str, value: &str) -> String {
    let mut body = chat_body("sim", json!({}));
    body.as_object_mut().expect("it is an object").remove(key);
    let rest = body.to_string();
    format!("{{\"{key}\":{value},{}", &rest[1..])
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_in_words() {
    let world = World::new().await;
    let bodies: [&[u8]; 14] = [
        b"",
        b" \n",
        b"hello",
        b"[]",
        b"[{\"model\":\"sim\"}]",
        b"null",
        b"7",
        b"\"sim\"",
        b"{",
        b"{\"model\":\"sim\",\"messages\":[{\"role\":",
        b"{\"model\":\"sim\"} trailing",
        b"{\"model\":\"sim\",}",
        b"{\"model\":\"si\xff\",\"messages\":[]}",
        b"\xef\xbb\xbf{\"model\":\"sim\",\"messages\":[]}",
    ];
    for body in bodies {
        for path in [CHAT, "/v1/completions", "/v1/embeddings"] {
            let error = refused(&world, path, body, 400).await;
            assert_eq!(error["type"], "invalid_request_error");
            let words = error["message"].as_str().unwrap();
            assert!(words.starts_with("The body is not a JSON object"), "{words}");
        }
    }
    assert_eq!(world.metric("tidegate_refused_total{reason=\"bad_request\"}").await, 42.0);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn values_that_cannot_be_meant_are_refused_by_the_name_of_their_key() {
    let world = World::new().await;
    let negative = ["-1", "1.5", "1e3", "\"5\"", "true", "[]", "{}", "18446744073709551616", "1e400", "-0"];
    let counts = ["0", "-1", "1.5", "\"1\"", "4294967296", "1e9", "[1]"];
    let cases = [
        ("max_tokens", &negative[..]),
        ("max_completion_tokens", &negative[..]),
        ("n", &counts[..]),
        ("messages", &["null", "7", "{}", "\"hello\"", "true"][..]),
        (
            "model",
            &["null", "7", "{}", "[\"sim\"]", "\"\"", "\"\\ud800\"", "\"a\\u0000b\"", "\"a\\r\\nb\""][..],
        ),
        ("stream", &["\"yes\"", "1", "{}"][..]),
        ("stream_options", &["7", "[]", "\"include_usage\""][..]),
    ];
    for (key, values) in cases {
        for value in values {
            let error = refused(&world, CHAT, with(key, value), 400).await;
            assert_eq!(error["param"], key, "{key}: {value}");
        }
    }
    for (body, key) in [(r#"{"messages":[]}"#, "model"), (r#"{"model":"sim"}"#, "messages")] {
        assert_eq!(refused(&world, CHAT, body, 400).await["message"], format!("`{key}` is missing."));
    }
    let long = format!("\"{}\"", "x".repeat(10 << 10));
    assert_eq!(refused(&world, CHAT, with("model", &long), 400).await["param"], "model");
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_key_that_decides_may_stand_only_once() {
    let world = World::new().await;
    for twice in [
        r#"{"model":"sim","model":"other","messages":[]}"#,
        r#"{"model":"sim","mod\u0065l":"other","messages":[]}"#,
        r#"{"model":"sim","messages":[],"stream":false,"stream":true}"#,
        r#"{"model":"sim","messages":[],"stream_options":{},"stream_options":{}}"#,
    ] {
        let error = refused(&world, CHAT, twice, 400).await;
        assert!(error["message"].as_str().unwrap().ends_with("must be given once."), "{error}");
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn what_only_a_provider_can_judge_goes_there_as_it_is() {
    let world = World::new().await;
    let messages = [
        "[]",
        "[null, 7, \"x\", [], {}]",
        r#"[{"role":7,"content":{"a":[]}}]"#,
        r#"[{"role":"user","content":"\ud800 half"}]"#,
        r#"[{"role":"user","content":[{"type":"text","text":"\udc00"}]}]"#,
        r#"[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]"#,
    ];
    for messages in messages {
        let body = format!(r#"{{"model":"sim","messages":{messages}}}"#);
        let answer = world.post(CHAT, body.clone()).await;
        assert!(matches!(answer.status().as_u16(), 200 | 400), "{messages}: {}", answer.status());
        assert_eq!(header(&answer, "x-tidegate-provider"), "a", "{messages}");
        answer.bytes().await.unwrap();
        let seen = world.simulator("a").stats().last_request.unwrap();
        assert_eq!(seen.body.as_deref(), Some(body.as_bytes()), "byte for byte");
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn depth_overflows_nothing() {
    let world = World::new().await;
    const DEPTH: usize = 100_000;
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    for deep in [&arrays, &objects] {
        for key in ["messages", "tools", "response_format", "metadata"] {
            let answer = world.post(CHAT, with(key, deep)).await;
            assert!(answer.status().is_client_error() || answer.status().is_success(), "{key}");
            answer.bytes().await.unwrap();
        }
        let message = format!(r#"[{{"role":"user","content":{deep}}}]"#);
        let answer = world.post(CHAT, with("messages", &message)).await;
        assert!(answer.status().is_client_error() || answer.status().is_success());
        // Never closed.
        let open = deep[..deep.len() / 2].to_owned();
        refused(&world, CHAT, open, 400).await;
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_call_that_no_limit_will_ever_allow_is_refused_at_once_and_costs_nothing() {
    let limits = Limits { tokens_per_minute: NonZeroU32::new(1_000), ..Limits::default() };
    let world = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
    let full = world.health().await["providers"][0]["budget"]["tokens_per_minute"]["available"].clone();
    for (key, value) in [
        ("max_tokens", "1001"),
        ("max_tokens", "4294967296"),
        ("max_tokens", "18446744073709551615"),
        ("n", "4000000000,\"max_tokens\":1"),
        ("n", "4294967295,\"max_tokens\":18446744073709551615"),
    ] {
        let answer = world.post(CHAT, with(key, value)).await;
        assert_eq!(answer.status(), 429, "{key}: {value}");
        assert_eq!(header(&answer, "x-should-retry"), "false");
        assert_eq!(header(&answer, "retry-after"), "");
        let error = error_of(&answer.json().await.unwrap());
        assert!(error["message"].as_str().unwrap().starts_with("Request too large"), "{error}");
    }
    assert_eq!(world.simulator("a").stats().received, 0);
    let left = world.health().await["providers"][0]["budget"]["tokens_per_minute"]["available"].clone();
    assert_eq!(left, full);
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn without_limits_the_largest_call_is_the_providers_to_refuse() {
    let world = World::new().await;
    for (key, value) in [("max_tokens", "18446744073709551615"), ("n", "4000000000")] {
        let answer = world.post(CHAT, with(key, value)).await;
        assert!(matches!(answer.status().as_u16(), 200 | 400), "{key}: {}", answer.status());
        assert_eq!(header(&answer, "x-tidegate-provider"), "a");
        answer.bytes().await.unwrap();
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_model_that_nobody_serves_is_told_with_what_is_near() {
    let world =
        Plan::new().provider("a").await.provider("b").await.route("fast-sim", &["a", "b"]).start().await;
    let error = refused(&world, CHAT, with("model", "\"fast-sin\""), 404).await;
    assert_eq!((&error["code"], &error["param"]), (&json!("model_not_found"), &json!("model")));
    assert_eq!(
        error["message"],
        "No provider serves the model `fast-sin`. Did you mean fast-sim? GET /v1/models lists what there is."
    );
    for name in [r#"a"b`c<script>"#, "ünïcødé 模型", "../../etc/passwd", "{{7*7}}", "%00%0d%0a", "c/sim"]
    {
        let body = chat_body(name, json!({})).to_string();
        let error = refused(&world, CHAT, body, 404).await;
        assert!(error["message"].as_str().unwrap().contains(name), "{error}");
    }
    let long = "x".repeat(500);
    let error = refused(&world, CHAT, chat_body(&long, json!({})).to_string(), 404).await;
    assert!(error["message"].as_str().unwrap().len() < 200, "a long name is cut");
    assert_eq!(world.get(&format!("/v1/models/{}", "%0d%0ax".repeat(100))).await.status(), 404);
    assert_well(&world, "fast-sim").await;
}

#[tokio::test]
async fn a_class_that_there_is_not_is_refused() {
    let world = World::new().await;
    for class in ["nonsense", "", "Interactive", "normal, batch", "\u{fc}"] {
        let request = world.chat("sim", json!({})).header("x-tidegate-priority", class.as_bytes());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400, "{class}");
        let error = error_of(&answer.json().await.unwrap());
        assert_eq!(
            error["message"],
            "The header `x-tidegate-priority` must be interactive, normal or batch."
        );
    }
    for class in ["interactive", "normal", "batch"] {
        let request = world.chat("sim", json!({})).header("x-tidegate-priority", class);
        assert_eq!(request.send().await.unwrap().status(), 200, "{class}");
    }
    assert_well(&world, "sim").await;
}
