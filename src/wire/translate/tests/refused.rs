//! Requests that providers refuse (400), and what is written in their place; answers that would be refused when they
//! come back.

use super::*;
use serde_json::{Value, json};

/// What a request in one dialect becomes for a model of another, and what got lost.
fn through(from: Dialect, to: Dialect, model: &str, body: &Value) -> (Value, String) {
    let mut losses = Losses::default();
    let request = read_request(from, body.to_string().as_bytes(), false, &mut losses).unwrap();
    let written = write_request(&request, to, model, &mut losses).unwrap();
    (serde_json::from_slice(&written).unwrap(), losses.show().unwrap_or_default())
}

fn unfit(from: Dialect, to: Dialect, model: &str, body: &Value) -> String {
    let mut losses = Losses::default();
    let request = read_request(from, body.to_string().as_bytes(), false, &mut losses).unwrap();
    write_request(&request, to, model, &mut losses).unwrap_err().to_string()
}

#[test]
fn models_of_openai_that_think_are_not_told_how_to_sample() {
    let body = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 99, "temperature": 0.5,
        "top_p": 0.9, "stop_sequences": ["y"]});
    for to in [Dialect::Chat, Dialect::Responses] {
        let (written, lost) = through(Dialect::Messages, to, "gpt-5-mini", &body);
        for key in ["temperature", "top_p", "stop"] {
            assert_eq!(written[key], Value::Null, "{to}");
        }
        assert_eq!(lost, "stop, temperature, top_p", "{to}");
    }
    let usual = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 99, "temperature": 1});
    let (written, lost) = through(Dialect::Messages, Dialect::Chat, "o3", &usual);
    assert_eq!((&written["temperature"], lost.as_str()), (&Value::Null, ""));
    let (written, _) = through(Dialect::Messages, Dialect::Chat, "gpt-4o", &body);
    assert_eq!(written["temperature"], 0.5);
}

#[test]
fn a_user_whose_name_is_too_long_goes_unnamed() {
    let name = format!("user_{}_account__session_x", "0".repeat(64));
    let body = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "metadata": {"user_id": name}});
    for to in [Dialect::Chat, Dialect::Responses] {
        let (written, lost) = through(Dialect::Messages, to, "gpt-4o", &body);
        assert_eq!((&written["user"], lost.as_str()), (&Value::Null, "user"), "{to}");
    }
    let body = json!({"messages": [{"role": "user", "content": "x"}], "user": "a@example.org"});
    let (written, lost) = through(Dialect::Chat, Dialect::Messages, "claude-sonnet-4-5", &body);
    assert_eq!((&written["metadata"], lost.as_str()), (&Value::Null, "user"));
}

#[test]
fn a_tool_without_properties_has_an_empty_list_of_them() {
    let body = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 9,
        "tools": [{"name": "now", "input_schema": {"type": "object"}}]});
    let (written, _) = through(Dialect::Messages, Dialect::Chat, "gpt-4o", &body);
    assert_eq!(written["tools"][0]["function"]["parameters"], json!({"type": "object", "properties": {}}));
    let (written, _) = through(Dialect::Messages, Dialect::Responses, "gpt-4o", &body);
    assert_eq!(written["tools"][0]["parameters"], json!({"type": "object", "properties": {}}));
}

#[test]
fn a_tool_whose_name_openai_refuses_skips_openai() {
    let name = "x".repeat(65);
    let body = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 9,
        "tools": [{"name": name, "input_schema": {"type": "object"}}]});
    for to in [Dialect::Chat, Dialect::Responses] {
        assert_eq!(unfit(Dialect::Messages, to, "gpt-4o", &body), "a tool's name");
    }
    through(Dialect::Messages, Dialect::Chat, "qwen3", &body);
}

#[test]
fn long_identifiers_are_cut_alike_for_a_call_and_its_result() {
    let id = format!("call_{}", "a1".repeat(40));
    let body = json!({"max_tokens": 9, "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "y"}]}]});
    let (written, _) = through(Dialect::Messages, Dialect::Chat, "gpt-4o", &body);
    let id = written["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((id.len(), &written["messages"][2]["tool_call_id"]), (40, &json!(id)));
    let (written, _) = through(Dialect::Messages, Dialect::Responses, "gpt-4o", &body);
    let id = written["input"][1]["call_id"].as_str().unwrap();
    assert_eq!((id.len() <= 64, &written["input"][2]["call_id"]), (true, &json!(id)));
}

#[test]
fn nothing_stands_between_a_call_and_its_result() {
    let body = json!({"input": [{"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"role": "developer", "content": "Be brief."},
        {"type": "function_call_output", "call_id": "a", "output": "y"}]});
    let (written, _) = through(Dialect::Responses, Dialect::Chat, "llama", &body);
    let roles: Vec<&str> =
        written["messages"].as_array().unwrap().iter().map(|each| each["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "system"]);
}

#[test]
fn newer_claudes_are_not_told_how_to_begin() {
    let body = json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "max_tokens": 9});
    let (written, _) = through(Dialect::Chat, Dialect::Messages, "claude-opus-4-6", &body);
    assert_eq!(written["messages"][2], json!({"role": "user", "content": "."}));
    let (written, _) = through(Dialect::Chat, Dialect::Messages, "claude-sonnet-4-5", &body);
    assert_eq!(written["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn newer_geminis_get_no_penalties() {
    let body = json!({"messages": [{"role": "user", "content": "x"}], "presence_penalty": 0.5, "frequency_penalty": 0});
    let (written, lost) = through(Dialect::Chat, Dialect::Gemini, "gemini-2.5-flash", &body);
    assert_eq!((&written["generationConfig"], lost.as_str()), (&Value::Null, "presence_penalty"));
    let (written, _) = through(Dialect::Chat, Dialect::Gemini, "gemini-2.0-flash", &body);
    assert_eq!(written["generationConfig"]["presencePenalty"], 0.5);
}

#[test]
fn blanks_alone_are_not_told_to_anthropics_clients() {
    let call =
        ToolCall { id: "a".to_owned(), name: "f".to_owned(), input: "{}".to_owned(), ..ToolCall::default() };
    let parts = vec![Part::Text("\n\n".to_owned()), Part::ToolCall(call)];
    let answer = Answer { parts, stop: Stop::ToolUse, ..Answer::default() };
    let written: Value = serde_json::from_slice(&write_answer(&answer, Dialect::Messages, &scene())).unwrap();
    assert_eq!(written["content"].as_array().unwrap().len(), 1);
    let streamed = stream(Dialect::Messages, &events_of(answer));
    let read = whole(&events(Dialect::Messages, streamed));
    assert!(matches!(read.parts.as_slice(), [Part::ToolCall(_)]), "{read:?}");
    let told = Answer { parts: vec![Part::Text("\n a".to_owned())], ..Answer::default() };
    let read = whole(&events(Dialect::Messages, stream(Dialect::Messages, &events_of(told.clone()))));
    assert_eq!(read.parts, told.parts, "blanks before words stay");
}

#[test]
fn pieces_of_a_call_with_other_identifiers_are_one_call() {
    let piece = |call: Value| {
        let chunk = json!({"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
        format!("data: {chunk}\n\n")
    };
    let stream = [
        piece(json!({"index": 0, "id": "one", "function": {"name": "f", "arguments": ""}})),
        piece(json!({"index": 0, "id": "two", "function": {"arguments": "{\"a\""}})),
        piece(json!({"index": 0, "id": "three", "function": {"arguments": ":1}"}})),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n".to_owned(),
    ];
    let answer = whole(&events(Dialect::Chat, stream.concat().into_bytes()));
    let call = ToolCall {
        id: "one".to_owned(),
        name: "f".to_owned(),
        input: "{\"a\":1}".to_owned(),
        ..ToolCall::default()
    };
    assert_eq!(answer.parts, [Part::ToolCall(call)]);
}

#[test]
fn keys_that_some_servers_do_not_know_are_left_out() {
    let body = json!({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"topK": 64, "seed": 7}});
    let (written, lost) = through(Dialect::Gemini, Dialect::Chat, "mistral-large-latest", &body);
    assert_eq!(
        (&written["top_k"], &written["seed"], &written["random_seed"]),
        (&Value::Null, &Value::Null, &json!(7))
    );
    assert_eq!(lost, "top_k");
}
