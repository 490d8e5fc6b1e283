//! Chat completions, in one piece and streamed.

use crate::world::{World, chunks_of, header, json_of};
use serde_json::{Value, json};
use tidegate::clock::Clock;
use tidegate::units::Moment;

fn content(chunks: &[Value], index: u64) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    choices
        .filter(|choice| choice["index"] == index)
        .filter_map(|choice| choice["delta"]["content"].as_str())
        .collect()
}

#[tokio::test]
async fn an_answer_has_everything_that_the_sdks_read() {
    let world = World::new().await;
    let response = world.chat(json!({})).await;
    assert_eq!(response.status(), 200);
    assert!(header(&response, "x-request-id").starts_with("req_"));
    assert!(header(&response, "openai-processing-ms").parse::<u64>().is_ok());
    let answer = json_of(response).await;
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("sim")));
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    assert!(answer["system_fingerprint"].is_string());
    let choice = &answer["choices"][0];
    assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(0), &json!("stop")));
    assert_eq!(choice["message"]["role"], "assistant");
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("This is tidegate's simulated provider. You said: hello"), "{text}");
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], 2 + 3);
    assert_eq!((&usage["completion_tokens"], &usage["total_tokens"]), (&json!(40), &json!(45)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 0);
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_answer_in_one_piece() {
    let world = World::new().await;
    let whole = json_of(world.chat(json!({})).await).await;
    let chunks = chunks_of(world.chat(json!({"stream": true})).await).await;
    assert_eq!(content(&chunks, 0), whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let last = &chunks[chunks.len() - 1]["choices"][0];
    assert_eq!((&last["delta"], &last["finish_reason"]), (&json!({}), &json!("stop")));
    assert!(
        chunks.iter().all(|chunk| chunk.get("usage").is_none() && chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(chunks.len(), 1 + 40 + 1);
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for_and_then_last() {
    let world = World::new().await;
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut chunks = chunks_of(world.chat(asked).await).await;
    let last = chunks.pop().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(45)));
    assert!(chunks.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
}

#[tokio::test]
async fn a_cap_cuts_the_answer_and_says_so() {
    let world = World::new().await;
    for name in ["max_tokens", "max_completion_tokens"] {
        let answer = json_of(world.chat(json!({name: 3})).await).await;
        assert_eq!(answer["choices"][0]["message"]["content"], "This is tidegate's");
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 3);
    }
}

#[tokio::test]
async fn a_length_in_words_is_kept() {
    let world = World::new().await;
    let messages = json!([{"role": "user", "content": "Write 123 words about the sea."}]);
    let answer = json_of(world.chat(json!({"messages": messages})).await).await;
    assert_eq!(answer["usage"]["completion_tokens"], 123);
    world.control().update(|faults| faults.output_tokens = 5);
    let answer = json_of(world.chat(json!({})).await).await;
    assert_eq!(answer["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn a_stop_ends_the_text_before_itself() {
    let world = World::new().await;
    let answer = json_of(world.chat(json!({"stop": " You"})).await).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "This is tidegate's simulated provider.");
}

#[tokio::test]
async fn several_choices_differ_and_all_are_counted() {
    let world = World::new().await;
    let answer = json_of(world.chat(json!({"n": 3})).await).await;
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!((choices.len(), &answer["usage"]["completion_tokens"]), (3, &json!(120)));
    assert_ne!(choices[0]["message"]["content"], choices[1]["message"]["content"]);
    let chunks = chunks_of(world.chat(json!({"n": 3, "stream": true})).await).await;
    for (index, choice) in choices.iter().enumerate() {
        let index = u64::try_from(index).unwrap();
        assert_eq!(content(&chunks, index), choice["message"]["content"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_tool_is_called_with_arguments_that_satisfy_it() {
    let world = World::new().await;
    let call = json!({
        "messages": [{"role": "user", "content": "Use the tool, please."}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"]
        }}}]
    });
    let answer = json_of(world.chat(call.clone()).await).await;
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let made = &choice["message"]["tool_calls"][0];
    assert!(made["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!((&made["type"], &made["function"]["name"]), (&json!("function"), &json!("weather")));
    let arguments = made["function"]["arguments"].as_str().unwrap();
    let values: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(values, json!({"city": "simulated", "days": 1}));

    let mut streamed = call;
    streamed["stream"] = json!(true);
    let chunks = chunks_of(world.chat(streamed).await).await;
    let deltas: Vec<_> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .filter(|delta| !delta.is_null())
        .collect();
    assert_eq!((&deltas[0]["function"]["name"], &deltas[0]["type"]), (&json!("weather"), &json!("function")));
    let pieces: String =
        deltas.iter().map(|delta| delta["function"]["arguments"].as_str().unwrap()).collect();
    assert!(deltas.len() > 3);
    assert_eq!(pieces, arguments);
}

#[tokio::test]
async fn json_is_answered_where_json_is_wanted() {
    let world = World::new().await;
    for format in [
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {
            "type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}}}),
    ] {
        let answer = json_of(world.chat(json!({"response_format": format})).await).await;
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(value["answer"].is_string(), "{text}");
    }
}

#[tokio::test]
async fn the_default_answers_a_newcomer_within_half_a_second_and_visibly_streams() {
    let faults = tidegate::simulator::SimulatorSettings::default().faults;
    let whole = faults.first_token_delay + faults.token_delay * faults.output_tokens;
    assert!(whole.as_millis() < 500 && faults.token_delay.as_millis() >= 10, "{whole:?}");
    let world = World::with(tidegate::simulator::SimulatorSettings::default()).await;
    let began = Clock::start();
    assert_eq!(chunks_of(world.chat(json!({"stream": true})).await).await.len(), 42);
    assert!(began.now().since(Moment::START) >= whole);
    let began = Clock::start();
    assert_eq!(json_of(world.chat(json!({})).await).await["usage"]["completion_tokens"], 40);
    assert!(began.now().since(Moment::START) >= whole);
}

/// The calls of a stream by their index: name and arguments, and the indices in the order of their pieces.
fn streamed_calls(chunks: &[Value]) -> (Vec<(String, String)>, Vec<usize>) {
    let (mut calls, mut order) = (Vec::new(), Vec::new());
    let deltas = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0));
    for delta in deltas {
        let index = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
        let function = &delta["function"];
        match function["name"].as_str() {
            Some(name) => {
                assert_eq!(calls.len(), index);
                calls.push((name.to_owned(), String::new()));
            }
            None => order.push(index),
        }
        calls[index].1.push_str(function["arguments"].as_str().unwrap());
    }
    (calls, order)
}

fn two_tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": parameters}});
    json!({"messages": [{"role": "user", "content": "use two tools"}], "tools": [tool("a"), tool("b")]})
}

#[tokio::test]
async fn two_tools_are_called_at_once_one_after_the_other_or_in_turns() {
    let world = World::new().await;
    let mut more = two_tools();
    let answer = json_of(world.chat(&more).await).await;
    let whole = answer["choices"][0]["message"]["tool_calls"].as_array().unwrap().clone();
    assert_eq!((&whole[0]["function"]["name"], &whole[1]["function"]["name"]), (&json!("a"), &json!("b")));
    assert_ne!(whole[0]["id"], whole[1]["id"]);
    more["stream"] = json!(true);
    for interleave in [false, true] {
        world.control().update(|faults| faults.interleave_tools = interleave);
        let (calls, order) = streamed_calls(&chunks_of(world.chat(&more).await).await);
        for (call, whole) in calls.iter().zip(&whole) {
            assert_eq!(json!(call.0), whole["function"]["name"]);
            assert_eq!(json!(call.1), whole["function"]["arguments"]);
        }
        assert_eq!((calls.len(), order.is_sorted()), (2, !interleave), "{order:?}");
    }
    more["parallel_tool_calls"] = json!(false);
    assert_eq!(streamed_calls(&chunks_of(world.chat(&more).await).await).0.len(), 1);
}

#[tokio::test]
async fn a_deployment_is_the_model_and_needs_a_version() {
    let world = World::new().await;
    let body = r#"{"messages":[{"role":"user","content":"hello"}],"model":"ignored"}"#;
    let path = "/openai/deployments/sim/chat/completions";
    let answer = json_of(world.post(&format!("{path}?api-version=2024-10-21"), body).await).await;
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("sim")));
    assert_eq!(world.post(path, body).await.status(), 404);
    let other = "/openai/deployments/other/chat/completions?api-version=2024-10-21";
    assert_eq!(world.post(other, body).await.status(), 404);
    let path = "/openai/deployments/sim/embeddings?api-version=2024-10-21";
    assert_eq!(json_of(world.post(path, r#"{"input":"hello"}"#).await).await["object"], "list");
}
