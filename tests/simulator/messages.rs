//! Anthropic's Messages.

use crate::world::{World, header, json_of, named_events_of};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tidegate::simulator::{Faults, SimulatedLimits};

/// A body that says hello, its keys replaced by or joined with these.
fn body(more: &Value) -> String {
    let mut body =
        json!({"model": "sim", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

async fn post(world: &World, path: &str, body: String) -> Response {
    let request = world.request(Method::POST, path).header("anthropic-version", "2023-06-01");
    request.body(body).send().await.unwrap()
}

async fn call(world: &World, more: &Value) -> Response {
    post(world, "/v1/messages?beta=true", body(more)).await
}

async fn whole(world: &World, more: &Value) -> Value {
    let response = call(world, more).await;
    assert_eq!(response.status(), 200);
    json_of(response).await
}

/// The events of a stream, `ping` left out.
async fn streamed(world: &World, mut more: Value) -> Vec<Value> {
    more["stream"] = json!(true);
    let events = named_events_of(call(world, &more).await).await;
    assert!(events.iter().all(|(name, data)| data["type"] == *name), "{events:?}");
    events.into_iter().map(|(_, data)| data).filter(|data| data["type"] != "ping").collect()
}

/// The message that the events tell of.
fn told(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    for event in events {
        let at = event["index"].as_u64().map_or(0, |at| usize::try_from(at).unwrap());
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                let blocks = message["content"].as_array_mut().unwrap();
                assert_eq!(blocks.len(), at);
                let mut block = event["content_block"].clone();
                if block["type"] == "tool_use" {
                    block["input"] = json!("");
                }
                blocks.push(block);
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let (key, from) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "signature_delta" => ("signature", "signature"),
                    "input_json_delta" => ("input", "partial_json"),
                    other => panic!("{other}"),
                };
                let block = &mut message["content"][at];
                let text = format!("{}{}", block[key].as_str().unwrap(), delta[from].as_str().unwrap());
                block[key] = json!(text);
            }
            "content_block_stop" => {
                let block = &mut message["content"][at];
                if block["type"] == "tool_use" {
                    block["input"] = serde_json::from_str(block["input"].as_str().unwrap()).unwrap();
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["stop_sequence"] = event["delta"]["stop_sequence"].clone();
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

fn tools(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| {
            json!({"name": name, "input_schema": {
                "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
        })
        .collect()
}

fn says(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[tokio::test]
async fn an_answer_has_everything_that_the_sdks_read() {
    let world = World::new().await;
    let response = call(&world, &json!({})).await;
    assert!(header(&response, "request-id").starts_with("req_"));
    assert!(response.headers().get("x-request-id").is_none());
    let answer = json_of(response).await;
    assert!(answer["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!((&answer["model"], &answer["stop_reason"]), (&json!("sim"), &json!("end_turn")));
    assert!(answer["stop_sequence"].is_null());
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("This is tidegate's simulated provider. You said: hello"), "{text}");
    assert_eq!(
        (&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]),
        (&json!(5), &json!(40))
    );
    let last = world.control().stats().last_request.unwrap();
    assert_eq!(last.query.as_deref(), Some("beta=true"));
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_answer_in_one_piece() {
    let world = World::new().await;
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    for more in [
        json!({}),
        json!({"thinking": thinking, "max_tokens": 2000}),
        json!({"thinking": {"type": "adaptive", "display": "omitted"}}),
        json!({"tools": tools(&["a", "b"]), "messages": says("use two tools")}),
        json!({"stop_sequences": [" You"]}),
        json!({"max_tokens": 3}),
    ] {
        let mut whole = whole(&world, &more).await;
        let events = streamed(&world, more).await;
        let mut told = told(&events);
        assert_eq!(events.last().unwrap()["type"], "message_stop");
        assert!(events[0]["message"]["usage"]["output_tokens"].as_u64().unwrap() <= 1);
        for message in [&mut whole, &mut told] {
            message["id"] = json!("");
            let blocks = message["content"].as_array_mut().unwrap();
            blocks.iter_mut().for_each(|block| block["id"] = json!(""));
        }
        assert_eq!(told, whole);
    }
}

#[tokio::test]
async fn a_ping_follows_the_start() {
    let world = World::new().await;
    let events = named_events_of(call(&world, &json!({"stream": true})).await).await;
    assert_eq!((events[0].0.as_str(), events[1].0.as_str()), ("message_start", "ping"));
}

#[tokio::test]
async fn thoughts_come_first_are_signed_and_count_as_output() {
    let world = World::new().await;
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let answer = whole(&world, &json!({"thinking": thinking, "max_tokens": 2000})).await;
    let thought = &answer["content"][0];
    assert_eq!(thought["type"], "thinking");
    assert!(!thought["thinking"].as_str().unwrap().is_empty());
    assert!(!thought["signature"].as_str().unwrap().is_empty());
    assert_eq!(answer["content"][1]["type"], "text");
    assert!(answer["usage"]["output_tokens"].as_u64().unwrap() > 40);
    let omitted = whole(&world, &json!({"thinking": {"type": "adaptive", "display": "omitted"}})).await;
    assert_eq!(omitted["content"][0]["thinking"], "");
    assert!(!omitted["content"][0]["signature"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn tools_are_called_one_or_two_and_not_again_once_they_answered() {
    let world = World::new().await;
    let called = async |more: Value| {
        let answer = whole(&world, &more).await;
        let blocks = answer["content"].as_array().unwrap().clone();
        let names = blocks.iter().filter(|block| block["type"] == "tool_use");
        let names: Vec<_> = names.map(|block| block["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(answer["stop_reason"] == "tool_use", !names.is_empty());
        names
    };
    let two = tools(&["a", "b"]);
    assert_eq!(called(json!({"tools": two, "messages": says("use the tool")})).await, ["a"]);
    assert_eq!(called(json!({"tools": two, "messages": says("use two tools")})).await, ["a", "b"]);
    assert_eq!(called(json!({"tools": tools(&["a"]), "messages": says("use two tools")})).await, ["a", "a"]);
    assert!(called(json!({"tools": two})).await.is_empty());
    assert_eq!(called(json!({"tools": two, "tool_choice": {"type": "any"}})).await, ["a"]);
    assert_eq!(called(json!({"tools": two, "tool_choice": {"type": "tool", "name": "b"}})).await, ["b"]);
    let alone = json!({"type": "auto", "disable_parallel_tool_use": true});
    let once = json!({"tools": two, "messages": says("use two tools"), "tool_choice": alone});
    assert_eq!(called(once).await, ["a"]);
    let answered = json!([
        {"role": "user", "content": "use the tool"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "a", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
    ]);
    assert!(called(json!({"tools": two, "messages": answered})).await.is_empty());
}

#[tokio::test]
async fn arguments_are_streamed_in_pieces() {
    let world = World::new().await;
    let more = json!({"tools": tools(&["a"]), "messages": says("use the tool")});
    let events = streamed(&world, more).await;
    let pieces = events.iter().filter(|event| event["delta"]["type"] == "input_json_delta").count();
    assert!(pieces > 3, "{pieces}");
    assert_eq!(told(&events)["content"][0]["input"], json!({"city": "simulated"}));
}

#[tokio::test]
async fn a_marked_prefix_is_written_to_the_cache_once_and_then_read() {
    let world = World::new().await;
    let system = json!([{"type": "text", "text": "12345678", "cache_control": {"type": "ephemeral"}}]);
    let usage = async |system: &Value, text: &str| {
        let answer = whole(&world, &json!({"system": system, "messages": says(text)})).await;
        let of = |key: &str| answer["usage"][key].as_u64().unwrap();
        (of("input_tokens"), of("cache_creation_input_tokens"), of("cache_read_input_tokens"))
    };
    assert_eq!(usage(&system, "hello").await, (5, 5, 0));
    assert_eq!(usage(&system, "hello, again").await, (6, 0, 5));
    assert_eq!(usage(&json!("12345678"), "hello").await, (10, 0, 0));
    let charged = world.control().stats().tokens_charged;
    assert_eq!(charged, (10 + 40) + (6 + 40) + (10 + 40));
    world.control().reset();
    assert_eq!(usage(&system, "hello").await, (5, 5, 0));
}

#[tokio::test]
async fn tokens_are_counted_as_they_are_charged() {
    let world = World::new().await;
    let counted = post(&world, "/v1/messages/count_tokens", body(&json!({"system": "12345678"}))).await;
    assert_eq!(json_of(counted).await, json!({"input_tokens": 5 + 5}));
    assert_eq!(world.control().stats().tokens_charged, 0);
}

#[tokio::test]
async fn mistakes_are_told_in_anthropics_shape() {
    let world = World::new().await;
    let check = async |response: Response, status: u16, kind: &str, found: &str| {
        assert_eq!(response.status(), status);
        let id = header(&response, "request-id").to_owned();
        let error = json_of(response).await;
        assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!(kind)));
        assert_eq!(error["request_id"], id.as_str());
        assert!(error["error"]["message"].as_str().unwrap().contains(found), "{error}");
    };
    let bad = "invalid_request_error";
    check(world.post("/v1/messages", body(&json!({}))).await, 400, bad, "anthropic-version").await;
    check(call(&world, &json!({"max_tokens": null})).await, 400, bad, "max_tokens: Field required").await;
    check(call(&world, &json!({"messages": []})).await, 400, bad, "at least one message").await;
    let system = json!([{"role": "system", "content": "x"}]);
    check(call(&world, &json!({"messages": system})).await, 400, bad, "messages.0.role").await;
    let orphan = json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]);
    check(call(&world, &json!({"messages": orphan})).await, 400, bad, "tool_use_id").await;
    let empty = json!([{"role": "user", "content": [{"type": "text", "text": ""}]}]);
    check(call(&world, &json!({"messages": empty})).await, 400, bad, "non-empty").await;
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    check(call(&world, &json!({"thinking": thinking})).await, 400, bad, "greater than").await;
    let thread = json!({"thread": {"type": "create"}});
    check(call(&world, &thread).await, 400, bad, "holds no conversations").await;
    let error = json_of(call(&world, &thread).await).await;
    assert_eq!(error["error"]["details"]["error_code"], "thread_unsupported_request");
    check(call(&world, &json!({"model": "x"})).await, 404, "not_found_error", "x").await;
    check(world.get("/v1/messages").await, 405, bad, "GET").await;
    world.control().update(|faults| {
        faults.error_rate = 1.0;
        faults.error_status = 529.try_into().unwrap();
    });
    check(call(&world, &json!({})).await, 529, "overloaded_error", "overloaded").await;
}

#[tokio::test]
async fn limits_are_told_with_instants_and_a_refusal_in_seconds() {
    let limits = SimulatedLimits {
        requests_per_minute: Some(60),
        tokens_per_minute: Some(6_000),
        input_tokens_per_minute: Some(5_000),
        output_tokens_per_minute: Some(1_000),
        ..SimulatedLimits::default()
    };
    let world = World::limited(limits).await;
    let response = call(&world, &json!({})).await;
    for (name, limit) in
        [("requests", 60), ("tokens", 6_000), ("input-tokens", 5_000), ("output-tokens", 1_000)]
    {
        let of = |part: &str| header(&response, &format!("anthropic-ratelimit-{name}-{part}")).to_owned();
        assert_eq!(of("limit"), limit.to_string());
        let remaining = of("remaining").parse::<u64>().unwrap();
        // Tokens are rounded to the thousand, requests are not.
        assert!(if name == "requests" { remaining == 59 } else { remaining == limit }, "{name} {remaining}");
        assert!(of("reset").starts_with("20") && of("reset").ends_with('Z'), "{}", of("reset"));
    }
    assert!(response.headers().keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
    world.control().set_limits(SimulatedLimits { requests_per_minute: Some(1), ..Default::default() });
    call(&world, &json!({})).await;
    let refused = call(&world, &json!({})).await;
    assert_eq!(refused.status(), 429);
    assert!((1..=60).contains(&header(&refused, "retry-after").parse::<u64>().unwrap()));
    assert!(refused.headers().get("retry-after-ms").is_none());
    assert_eq!(json_of(refused).await["error"]["type"], "rate_limit_error");
    assert_eq!(world.control().stats().limited, 1);
}

#[tokio::test]
async fn a_cap_is_not_charged() {
    let limits = SimulatedLimits { tokens_per_minute: Some(100), ..SimulatedLimits::default() };
    let world = World::limited(limits).await;
    assert_eq!(call(&world, &json!({"max_tokens": 100_000})).await.status(), 200);
    assert_eq!(world.control().stats().tokens_charged, 5 + 40);
}

#[tokio::test]
async fn a_stream_breaks_in_its_own_words() {
    let world = World::new().await;
    world.control().set(Faults {
        error_event_after_chunks: Some(4),
        error_kind: Some("overloaded_error".to_owned()),
        error_message: Some("Overloaded".to_owned()),
        ..Faults::default()
    });
    let events = named_events_of(call(&world, &json!({"stream": true})).await).await;
    assert_eq!(events.len(), 5);
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert_eq!(events[4], ("error".to_owned(), error));
    world.control().set(Faults { no_done: true, ..Faults::default() });
    assert_eq!(streamed(&world, json!({})).await.last().unwrap()["type"], "message_delta");
}

#[tokio::test]
async fn noise_is_comments_and_pings_and_changes_nothing() {
    let world = World::new().await;
    let quiet = told(&streamed(&world, json!({})).await);
    world.control().set(Faults { noise: true, ..Faults::default() });
    let text = call(&world, &json!({"stream": true})).await.text().await.unwrap();
    assert!(text.starts_with(": keep-alive\n\nevent: ping\n"), "{text}");
    assert_eq!(told(&streamed(&world, json!({})).await)["content"], quiet["content"]);
}

#[tokio::test]
async fn usage_may_be_wrong_zero_or_missing() {
    let world = World::new().await;
    world.control().set(Faults { wrong_usage: Some(3.0), ..Faults::default() });
    let usage = whole(&world, &json!({})).await["usage"].take();
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(15), &json!(120)));
    world.control().set(Faults { zero_usage: true, ..Faults::default() });
    assert_eq!(whole(&world, &json!({})).await["usage"]["output_tokens"], 0);
    world.control().set(Faults { no_usage: true, ..Faults::default() });
    assert!(whole(&world, &json!({})).await.get("usage").is_none());
    let events = streamed(&world, json!({})).await;
    assert!(events.iter().all(|event| !event.to_string().contains("usage")));
}

#[tokio::test]
async fn batches_are_remembered_and_a_greeting_is_answered() {
    let world = World::new().await;
    let made =
        post(&world, "/v1/messages/batches", r#"{"requests":[{"custom_id":"a","params":{}}]}"#.to_owned());
    let made = json_of(made.await).await;
    assert_eq!((&made["type"], &made["request_counts"]["processing"]), (&json!("message_batch"), &json!(1)));
    let path = format!("/v1/messages/batches/{}", made["id"].as_str().unwrap());
    assert_eq!(json_of(world.get(&path).await).await, made);
    assert_eq!(json_of(world.get("/v1/messages/batches").await).await["data"], json!([made]));
    assert_eq!(world.get("/v1/messages/batches/msgbatch_no").await.status(), 404);
    assert_eq!(world.get("/api/hello").await.status(), 200);
    assert_eq!(world.request(Method::HEAD, "/api/hello").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn models_are_listed_as_each_client_reads_them() {
    let world = World::new().await;
    let asked = world.request(Method::GET, "/v1/models?limit=1000").header("anthropic-version", "2023-06-01");
    let list = json_of(asked.send().await.unwrap()).await;
    assert_eq!((&list["data"][0]["type"], &list["data"][0]["id"]), (&json!("model"), &json!("sim")));
    assert_eq!(list["has_more"], false);
    assert_eq!(json_of(world.get("/v1/models").await).await["object"], "list");
}

#[tokio::test]
async fn the_systems_later_words_are_taken_and_deferred_tools_left_alone() {
    let world = World::new().await;
    let mut tools = tools(&["later", "now"]);
    tools[0]["defer_loading"] = json!(true);
    let messages =
        json!([{"role": "user", "content": "use the tool"}, {"role": "system", "content": "Be quick."}]);
    let answer = whole(&world, &json!({"tools": tools, "messages": messages})).await;
    assert_eq!(answer["content"][0]["name"], "now", "{answer}");
    let first = json!({"messages": [{"role": "system", "content": "x"}]});
    assert_eq!(call(&world, &first).await.status(), 400);
}
