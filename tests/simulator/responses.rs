//! OpenAI's Responses.

use crate::world::{World, header, json_of, named_events_of};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tidegate::simulator::Faults;

/// A body that says hello, its keys replaced by or joined with these.
fn body(more: &Value) -> String {
    let mut body = json!({"model": "sim", "input": "hello"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

async fn call(world: &World, more: &Value) -> Response {
    world.post("/v1/responses", body(more)).await
}

async fn whole(world: &World, more: &Value) -> Value {
    let response = call(world, more).await;
    assert_eq!(response.status(), 200);
    json_of(response).await
}

/// The events of a stream, whose names and numbers must be right.
async fn streamed(world: &World, mut more: Value) -> Vec<Value> {
    more["stream"] = json!(true);
    let events = named_events_of(call(world, &more).await).await;
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
    }
    events.into_iter().map(|(_, data)| data).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    let mut names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    names.dedup();
    names
}

fn functions(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| {
            json!({"type": "function", "name": name, "parameters": {
                "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
        })
        .collect()
}

#[tokio::test]
async fn an_answer_has_everything_that_the_sdks_read() {
    let world = World::new().await;
    let response = call(&world, &json!({"instructions": "1234", "metadata": {"a": "b"}})).await;
    assert!(header(&response, "x-request-id").starts_with("req_"));
    let answer = json_of(response).await;
    assert!(answer["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&answer["model"], &answer["instructions"]), (&json!("sim"), &json!("1234")));
    assert_eq!(answer["metadata"], json!({"a": "b"}));
    for key in ["created_at", "parallel_tool_calls", "tool_choice", "tools", "error", "incomplete_details"] {
        assert!(answer.get(key).is_some(), "{key}");
    }
    let message = &answer["output"][0];
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
    let part = &message["content"][0];
    assert_eq!((&part["type"], &part["annotations"]), (&json!("output_text"), &json!([])));
    assert!(part["text"].as_str().unwrap().contains("You said: hello"));
    let usage = json!({
        "input_tokens": 5 + 4, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 40, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 49,
    });
    assert_eq!(answer["usage"], usage);
}

#[tokio::test]
async fn a_stream_opens_fills_and_closes_a_message() {
    let world = World::new().await;
    let events = streamed(&world, json!({})).await;
    let wanted = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names(&events), wanted);
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], text.as_str());
    assert_eq!(last["usage"]["output_tokens"], 40);
    let item = &events[events.len() - 2]["item"];
    assert_eq!(*item, last["output"][0]);
    assert!(events[0]["response"]["usage"].is_null());
    let added = &events[2]["item"];
    assert_eq!((&added["status"], &added["id"]), (&json!("in_progress"), &item["id"]));
    assert!(events[4..].iter().all(|event| event.get("delta").is_none() || event["item_id"] == item["id"]));
}

#[tokio::test]
async fn calls_stream_their_arguments_two_at_once_if_asked() {
    let world = World::new().await;
    let more = json!({"tools": functions(&["a", "b"]), "input": "use two tools"});
    let events = streamed(&world, more.clone()).await;
    assert!(names(&events).contains(&"response.function_call_arguments.delta"));
    let output = events.last().unwrap()["response"]["output"].clone();
    for (at, name) in ["a", "b"].into_iter().enumerate() {
        let call = &output[at];
        assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!(name)));
        assert!(call["call_id"].as_str().unwrap().starts_with("call_"));
        let of = |event: &&Value| event["output_index"] == at;
        let deltas: Vec<_> = events.iter().filter(of).filter_map(|event| event["delta"].as_str()).collect();
        assert!(deltas.len() > 3);
        assert_eq!(call["arguments"], deltas.concat());
        assert_eq!(deltas.concat(), r#"{"city":"simulated"}"#);
    }
    assert_ne!(output[0]["call_id"], output[1]["call_id"]);
    let mut once = more;
    once["parallel_tool_calls"] = json!(false);
    assert_eq!(whole(&world, &once).await["output"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_custom_tool_gets_a_text() {
    let world = World::new().await;
    let more = json!({"tools": [{"type": "custom", "name": "patch"}], "input": "use the tool"});
    let call = whole(&world, &more).await["output"][0].take();
    assert_eq!((&call["type"], &call["name"]), (&json!("custom_tool_call"), &json!("patch")));
    assert_eq!(call["input"], "simulated: use the tool");
    let events = streamed(&world, more).await;
    let done = events.iter().find(|event| event["type"] == "response.custom_tool_call_input.done").unwrap();
    assert_eq!(done["input"], "simulated: use the tool");
}

#[tokio::test]
async fn a_result_is_answered_in_words_and_must_be_of_a_call() {
    let world = World::new().await;
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "1"});
    let items = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "use the tool"}]},
        {"type": "function_call", "call_id": "c", "name": "a", "arguments": "{}"},
        output,
    ]);
    let answer = whole(&world, &json!({"tools": functions(&["a"]), "input": items})).await;
    assert_eq!(answer["output"][0]["type"], "message");
    let refused = call(&world, &json!({"input": [output]})).await;
    assert_eq!(refused.status(), 400);
    let error = json_of(refused).await["error"].take();
    assert!(error["message"].as_str().unwrap().starts_with("No tool call found"), "{error}");
}

#[tokio::test]
async fn thoughts_are_summed_up_where_a_summary_is_asked_for_and_sealed_where_wanted() {
    let world = World::new().await;
    let more = json!({"reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"]});
    let answer = whole(&world, &more).await;
    let thought = &answer["output"][0];
    assert_eq!(
        (&thought["type"], &thought["summary"][0]["type"]),
        (&json!("reasoning"), &json!("summary_text"))
    );
    assert!(!thought["encrypted_content"].as_str().unwrap().is_empty());
    assert!(answer["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    let events = streamed(&world, more).await;
    let wanted = [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ];
    assert_eq!(names(&events)[3..7], wanted);
    let silent = whole(&world, &json!({"reasoning": {"effort": "low"}})).await;
    assert_eq!(silent["output"][0]["type"], "message");
}

#[tokio::test]
async fn a_schema_is_satisfied_and_a_cap_makes_it_incomplete() {
    let world = World::new().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let format = json!({"format": {"type": "json_schema", "name": "x", "schema": schema}});
    let answer = whole(&world, &json!({"text": format})).await;
    assert_eq!(answer["output"][0]["content"][0]["text"], r#"{"n":1}"#);
    let capped = whole(&world, &json!({"max_output_tokens": 3})).await;
    assert_eq!(capped["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(
        (&capped["status"], &capped["output"][0]["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
    let events = streamed(&world, json!({"max_output_tokens": 3})).await;
    assert_eq!(events.last().unwrap()["type"], "response.incomplete");
    assert_eq!(world.control().stats().tokens_charged, (5 + 1) + (5 + 3) * 2);
}

#[tokio::test]
async fn answers_are_remembered_gone_on_from_cancelled_and_deleted() {
    let world = World::new().await;
    let first = whole(&world, &json!({})).await;
    let id = first["id"].as_str().unwrap();
    let path = format!("/v1/responses/{id}");
    assert_eq!(json_of(world.get(&path).await).await, first);
    let second = whole(&world, &json!({"previous_response_id": id})).await;
    assert_eq!((&second["previous_response_id"], &second["usage"]["input_tokens"]), (&json!(id), &json!(50)));
    let cancelled = json_of(world.post(&format!("{path}/cancel"), "").await).await;
    assert_eq!(cancelled["status"], "cancelled");
    let deleted = world.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(json_of(deleted).await, json!({"id": id, "object": "response", "deleted": true}));
    assert_eq!(world.get(&path).await.status(), 404);
    let unknown = call(&world, &json!({"previous_response_id": id})).await;
    assert_eq!(json_of(unknown).await["error"]["code"], "previous_response_not_found");
    let forgotten = whole(&world, &json!({"store": false})).await;
    let path = format!("/v1/responses/{}", forgotten["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.status(), 404);
}

#[tokio::test]
async fn a_streamed_answer_is_remembered_too() {
    let world = World::new().await;
    let events = streamed(&world, json!({})).await;
    let last = &events.last().unwrap()["response"];
    let path = format!("/v1/responses/{}", last["id"].as_str().unwrap());
    assert_eq!(json_of(world.get(&path).await).await, *last);
}

#[tokio::test]
async fn tokens_are_counted_and_a_conversation_is_compacted() {
    let world = World::new().await;
    let counted = json_of(world.post("/v1/responses/input_tokens", body(&json!({}))).await).await;
    assert_eq!(counted, json!({"object": "response.input_tokens", "input_tokens": 5}));
    assert_eq!(world.control().stats().tokens_charged, 0);
    let compacted = json_of(world.post("/v1/responses/compact", body(&json!({}))).await).await;
    assert_eq!(compacted["object"], "response.compaction");
    assert_eq!(compacted["output"][0]["content"][0]["text"], "hello");
    assert_eq!(compacted["output"][1]["type"], "compaction");
    assert_eq!(whole(&world, &json!({"input": compacted["output"]})).await["status"], "completed");
}

#[tokio::test]
async fn a_stream_breaks_in_its_own_words() {
    let world = World::new().await;
    world.control().set(Faults {
        error_event_after_chunks: Some(5),
        error_kind: Some("rate_limit_exceeded".to_owned()),
        error_message: Some("Please try again in 12s.".to_owned()),
        ..Faults::default()
    });
    let events = streamed(&world, json!({})).await;
    assert_eq!(events.len(), 6);
    assert_eq!(
        (&events[5]["type"], &events[5]["response"]["status"]),
        (&json!("response.failed"), &json!("failed"))
    );
    let error = json!({"code": "rate_limit_exceeded", "message": "Please try again in 12s."});
    assert_eq!(events[5]["response"]["error"], error);
    world.control().set(Faults { no_done: true, ..Faults::default() });
    assert_eq!(streamed(&world, json!({})).await.last().unwrap()["type"], "response.output_item.done");
    world.control().set(Faults { noise: true, ..Faults::default() });
    assert_eq!(streamed(&world, json!({})).await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn usage_may_be_wrong_or_missing() {
    let world = World::new().await;
    world.control().set(Faults { wrong_usage: Some(0.5), ..Faults::default() });
    assert_eq!(whole(&world, &json!({})).await["usage"]["output_tokens"], 20);
    world.control().set(Faults { no_usage: true, ..Faults::default() });
    assert!(whole(&world, &json!({})).await["usage"].is_null());
}

#[tokio::test]
async fn a_tool_that_comes_in_an_item_is_called() {
    let world = World::new().await;
    let group =
        |name: &str, tool: &str| json!({"type": "namespace", "name": name, "tools": functions(&[tool])});
    let tools = json!([group("others", "a"), group("functions", "b")]);
    let input = json!([{"type": "additional_tools", "role": "developer", "tools": tools},
        {"role": "user", "content": "use the tool"}]);
    let answer = whole(&world, &json!({"input": input})).await;
    assert_eq!(answer["output"][0]["name"], "b", "{answer}");
}
