//! Where dialects meet their limits, and what must survive from one turn to the next.

use super::super::openai::{CALLS_MAX, HELD_MAX};
use super::*;
use serde_json::{Value, json};

fn call(id: &str, seal: Option<Seal>) -> ToolCall {
    let (name, input) = ("shell".to_owned(), "{\"a\":1}".to_owned());
    ToolCall { id: id.to_owned(), name, input, free_text: false, seal }
}

fn seal(by: Dialect, redacted: bool) -> Option<Seal> {
    Some(Seal { by, data: "Ab+/".to_owned(), redacted })
}

#[track_caller]
fn failed(events: &[Event], message: &str) {
    whole(events);
    assert!(matches!(events.first(), Some(Event::Begin { .. })));
    match events.last() {
        Some(Event::Failed { message: told, .. }) => assert!(told.contains(message), "{told}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_responses_client_brings_back_the_seals_of_every_dialect() {
    let thought = |text: &str, seal| Part::Thought(Thought { text: text.to_owned(), seal });
    let parts = vec![
        thought("I ponder.", seal(Dialect::Messages, false)),
        thought("", seal(Dialect::Messages, true)),
        thought("", seal(Dialect::Responses, false)),
        Part::Text("So.".to_owned()),
        Part::ToolCall(call("a", seal(Dialect::Gemini, false))),
        Part::ToolCall(call("b", None)),
    ];
    let answer = Answer { parts: parts.clone(), stop: Stop::ToolUse, ..Answer::default() };
    let written: Value =
        serde_json::from_slice(&write_answer(&answer, Dialect::Responses, &scene())).unwrap();
    let streamed = String::from_utf8(stream(Dialect::Responses, &events_of(answer))).unwrap();
    let last = streamed.trim_end().rsplit("data: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    for output in [&written["output"], &last["response"]["output"]] {
        let next = json!({ "input": output }).to_string();
        let request =
            read_request(Dialect::Responses, next.as_bytes(), false, &mut Losses::default()).unwrap();
        assert_eq!(request.turns, [Turn { role: Role::Assistant, parts: parts.clone() }]);
    }
    assert_eq!(last["response"]["output"], written["output"], "told in pieces or whole");
}

#[test]
fn a_call_into_a_namespace_comes_back_into_it() {
    let body = json!({"input": "x", "tools": [{"type": "namespace", "name": "mcp__files__", "tools": [
        {"type": "function", "name": "read", "parameters": {"type": "object"}}]}]});
    let body = body.to_string();
    let request = read_request(Dialect::Responses, body.as_bytes(), false, &mut Losses::default()).unwrap();
    let name = request.tools[0].name.clone();
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{name}");
    let called = Part::ToolCall(ToolCall { name, ..call("a", None) });
    let answer = Answer { parts: vec![called.clone()], ..Answer::default() };
    let written: Value =
        serde_json::from_slice(&write_answer(&answer, Dialect::Responses, &scene())).unwrap();
    let item = &written["output"][0];
    assert_eq!((&item["namespace"], &item["name"]), (&json!("mcp__files__"), &json!("read")));
    let back = read_answer(Dialect::Responses, written.to_string().as_bytes()).unwrap();
    assert_eq!(back.parts, [called]);
}

#[test]
fn a_tools_failure_is_kept_in_words() {
    let result = Part::ToolResult {
        id: "a".to_owned(),
        name: None,
        parts: vec![Part::Text("no such file".to_owned())],
        is_error: true,
        free_text: false,
    };
    let request =
        Request { turns: vec![Turn { role: Role::User, parts: vec![result] }], ..Request::default() };
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let body = write_request(&request, dialect, "m", &mut Losses::default()).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("\"Error: no such file\""), "{body}");
    }
}

#[test]
fn results_follow_their_calls_whatever_stands_between() {
    let result = |id: &str, parts| Part::ToolResult {
        id: id.to_owned(),
        name: None,
        parts,
        is_error: false,
        free_text: false,
    };
    let picture = Part::Image(Media::Url("https://a.example/b.png".to_owned()));
    let turns = vec![
        Turn { role: Role::Assistant, parts: vec![Part::ToolCall(call("a", None))] },
        Turn { role: Role::Assistant, parts: vec![Part::ToolCall(call("b", None))] },
        Turn { role: Role::User, parts: vec![Part::Text("Hurry.".to_owned()), result("a", vec![picture])] },
        Turn { role: Role::User, parts: vec![result("b", vec![Part::Text("B".to_owned())])] },
    ];
    let request = Request { turns, ..Request::default() };
    let body = write_request(&request, Dialect::Chat, "m", &mut Losses::default()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user"]);
    assert_eq!(messages[0]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(messages[3]["content"][0]["type"], "image_url");
    assert_eq!(messages[3]["content"][1]["text"], "Hurry.");
}

#[test]
fn a_chat_stream_with_too_many_calls_has_failed() {
    let mut reader = StreamReader::new(Dialect::Chat).unwrap();
    let mut events = Vec::new();
    for index in 0..=CALLS_MAX {
        let call = json!({"index": index, "id": format!("c{index}"), "function": {"name": "f"}});
        let chunk = json!({"choices": [{"delta": {"tool_calls": [call]}}]});
        reader.on_event(chunk.to_string().as_bytes(), &mut events);
    }
    reader.on_event(b"[DONE]", &mut events);
    failed(&events, "too many tools");
}

#[test]
fn a_chat_stream_that_must_hold_too_much_has_failed() {
    let mut reader = StreamReader::new(Dialect::Chat).unwrap();
    let mut events = Vec::new();
    let call = json!([{"index": 0, "id": "c", "function": {"name": "f"}}]);
    reader
        .on_event(json!({"choices": [{"delta": {"tool_calls": call}}]}).to_string().as_bytes(), &mut events);
    let text = "x".repeat(1 << 20);
    let chunk = json!({"choices": [{"delta": {"content": text}}]}).to_string();
    for _ in 0..=HELD_MAX >> 20 {
        reader.on_event(chunk.as_bytes(), &mut events);
    }
    failed(&events, "too long");
}

#[test]
fn a_responses_stream_with_endless_items_has_failed() {
    let mut reader = StreamReader::new(Dialect::Responses).unwrap();
    let mut events = Vec::new();
    for place in 0..2_000 {
        let item = json!({"type": "message", "content": []});
        let event = json!({"type": "response.output_item.done", "output_index": place, "item": item});
        reader.on_event(event.to_string().as_bytes(), &mut events);
    }
    failed(&events, "too long");
}

#[test]
fn a_client_is_told_of_an_answer_that_is_too_long_to_be_told_whole() {
    let mut writer = StreamWriter::new(Dialect::Responses, scene()).unwrap();
    let mut written = Vec::new();
    let begin = Event::Begin { id: String::new(), model: String::new(), usage: None };
    writer.write(&begin, &mut written);
    writer.write(&Event::Open(Opened::Text), &mut written);
    let delta = Event::Delta("x".repeat(1 << 20));
    for _ in 0..=HELD_MAX >> 20 {
        written.clear();
        writer.write(&delta, &mut written);
    }
    assert!(written.starts_with(b"event: response.failed\n"));
    written.clear();
    writer.write(&Event::Close, &mut written);
    assert_eq!(written, b"", "nothing follows a failure");
}

#[test]
fn a_provider_that_is_still_there_is_told_of_in_a_comment() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        assert_eq!(stream(dialect, &[Event::Ping]), b": ping\n\n");
    }
}

#[test]
fn an_answer_is_whole_without_its_last_words_only_where_it_gave_a_reason() {
    let chunk = json!({"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}).to_string();
    for (reason, wanted) in [("\"stop\"", true), ("null", false)] {
        let mut reader = StreamReader::new(Dialect::Chat).unwrap();
        let mut events = Vec::new();
        reader.on_event(chunk.replace("\"stop\"", reason).as_bytes(), &mut events);
        reader.finish(&mut events);
        reader.finish(&mut events);
        let ended = matches!(events.last(), Some(Event::End { .. }));
        assert_eq!(ended, wanted, "{events:?}");
    }
}

#[test]
fn tools_that_come_in_an_item_are_tools_and_those_of_no_namespace_keep_their_names() {
    let group = |name: &str, tool: &str| json!({"type": "namespace", "name": name, "tools": [{"type": "function", "name": tool}]});
    let body = json!({"input": [
        {"type": "additional_tools", "role": "developer", "tools": [group("functions", "wait"), group("clock", "sleep")]},
        {"type": "function_call", "name": "wait", "namespace": "functions", "call_id": "a", "arguments": "{}"}],
        "tools": [{"type": "function", "name": "other"}]});
    let body = body.to_string();
    let request = read_request(Dialect::Responses, body.as_bytes(), false, &mut Losses::default()).unwrap();
    let names: Vec<_> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["wait", "clock__ns__sleep", "other"]);
    assert!(matches!(&request.turns[0].parts[..], [Part::ToolCall(call)] if call.name == "wait"));
}

#[test]
fn a_users_name_that_openai_would_refuse_is_lost() {
    for (length, kept) in [(64, true), (65, false)] {
        let request = Request { user: Some("u".repeat(length)), ..Request::default() };
        for to in [Dialect::Chat, Dialect::Responses] {
            let mut losses = Losses::default();
            let body = write_request(&request, to, "gpt-5.1", &mut losses).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((body["user"].is_string(), losses.show().is_none()), (kept, kept), "{to} {length}");
        }
    }
}
