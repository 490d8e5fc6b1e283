//! Edges of messages that whole conversations do not show.

use super::super::hub::{
    Answer, Event, Format, Media, Opened, Part, Reasoning, Request, Role, Seal, Spent, Stop, Thought, Tool,
    ToolCall, ToolChoice, Turn,
};
use super::super::{Losses, Scene};
use super::*;
use crate::dialect::Dialect;
use serde_json::{Value, json};

const MODEL: &str = "claude-sonnet-4-5";

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts }
}

fn call(id: &str, input: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: "get".to_owned(), input: input.to_owned(), ..ToolCall::default() }
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult { id: id.to_owned(), name: None, parts, is_error: false, free_text: false }
}

fn seal(by: Dialect, redacted: bool) -> Seal {
    Seal { by, data: "c2VhbA==".to_owned(), redacted }
}

fn written(request: &Request, model: &str) -> (Value, String) {
    let mut losses = Losses::default();
    let body = write_request(request, model, &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), losses.show().unwrap_or_default())
}

fn refused(turns: Vec<Turn>) -> String {
    let request = Request { turns, ..Request::default() };
    write_request(&request, MODEL, &mut Losses::default()).unwrap_err().what.into_owned()
}

fn read(body: &Value) -> (Result<Request, String>, String) {
    let mut losses = Losses::default();
    let request = read_request(body.to_string().as_bytes(), &mut losses);
    (request.map_err(|unfit| unfit.what.into_owned()), losses.show().unwrap_or_default())
}

fn scene() -> Scene {
    Scene { id: "s1".to_owned(), model: "asked".to_owned(), ..Scene::default() }
}

fn stream(events: &[Event]) -> String {
    let mut writer = StreamWriter::new(scene());
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    String::from_utf8(out).unwrap()
}

fn read_stream(events: &[Value]) -> Vec<Event> {
    let mut reader = StreamReader::default();
    let mut out = Vec::new();
    events.iter().for_each(|event| reader.on_event(event.to_string().as_bytes(), &mut out));
    reader.finish(&mut out);
    out
}

#[test]
fn a_conversation_begins_with_the_user_and_no_text_is_blank() {
    let model_first = vec![turn(Role::Assistant, vec![text("hello  ")])];
    let (body, _) = written(&Request { turns: model_first, ..Request::default() }, MODEL);
    let wanted = json!([{"role": "user", "content": "."}, {"role": "assistant", "content": "hello"}]);
    assert_eq!(body["messages"], wanted);
    let blanks = Request {
        system: vec![text("s"), text(" ")],
        turns: vec![
            turn(Role::User, vec![text("a"), text("\n")]),
            turn(Role::Assistant, vec![text(" ")]),
            turn(Role::User, vec![text("b")]),
        ],
        ..Request::default()
    };
    let (body, _) = written(&blanks, MODEL);
    let texts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(body["messages"], json!([{"role": "user", "content": texts}]));
    assert_eq!(body["system"], "s");
    assert_eq!(written(&Request::default(), MODEL).0["messages"], json!([{"role": "user", "content": "."}]));
}

#[test]
fn tools_that_were_called_are_declared_even_where_the_client_has_taken_them_away() {
    let turns = vec![
        turn(Role::User, vec![text("a")]),
        turn(Role::Assistant, vec![Part::ToolCall(call("toolu_1", "{}"))]),
        turn(Role::User, vec![result("toolu_1", vec![text("b")])]),
    ];
    let (body, losses) = written(&Request { turns, ..Request::default() }, "claude-sonnet-4-5");
    assert_eq!(body["tools"][0]["name"], body["messages"][1]["content"][0]["name"]);
    assert_eq!((&body["tools"][1], &body["tool_choice"]["type"]), (&Value::Null, &json!("none")));
    assert_eq!(losses, "");
}

#[test]
fn ids_are_rewritten_alike_in_call_and_result_and_stay_apart() {
    let turns = vec![
        turn(Role::User, vec![text("q")]),
        turn(Role::Assistant, ["a.b", "a:b", "a_b", ""].map(|id| Part::ToolCall(call(id, ""))).to_vec()),
        turn(Role::User, ["", "a_b", "a:b", "a.b"].map(|id| result(id, vec![text("r")])).to_vec()),
    ];
    let (body, _) = written(&Request { turns, ..Request::default() }, MODEL);
    let ids = |at: usize, key: &str| -> Vec<String> {
        let blocks = body["messages"][at]["content"].as_array().unwrap().iter();
        blocks.map(|block| block[key].as_str().unwrap().to_owned()).collect()
    };
    let mut calls = ids(1, "id");
    assert_eq!(calls, ["a_b", "a_b_2", "a_b_3", "call"]);
    calls.reverse();
    assert_eq!(ids(2, "tool_use_id"), calls);
}

#[test]
fn at_most_the_last_four_marks_are_kept_and_none_is_on_a_thought() {
    let thought = Thought { text: "t".to_owned(), seal: Some(seal(Dialect::Messages, false)) };
    let request = Request {
        system: vec![text("s"), Part::CacheMark],
        turns: vec![
            turn(Role::User, vec![text("1"), Part::CacheMark, text("2"), Part::CacheMark]),
            turn(Role::Assistant, vec![text("3"), Part::Thought(thought), Part::CacheMark]),
            turn(Role::User, vec![text("4"), Part::CacheMark]),
        ],
        ..Request::default()
    };
    let (body, losses) = written(&request, MODEL);
    assert_eq!((body["system"].as_str(), losses.as_str()), (Some("s"), ""));
    assert_eq!(body.to_string().matches("cache_control").count(), 4);
    assert_eq!(body["messages"][1]["content"][0]["cache_control"], json!({"type": "ephemeral"}));
    assert!(body["messages"][1]["content"][1].get("cache_control").is_none());
}

#[test]
fn thinking_is_dropped_where_anthropic_refuses_it() {
    let mut request = Request {
        turns: vec![
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![Part::ToolCall(call("1", "{}"))]),
            turn(Role::User, vec![result("1", Vec::new())]),
        ],
        reasoning: Some(Reasoning { effort: Some("low".to_owned()), budget: None, shown: false }),
        tools: vec![Tool { name: "get".to_owned(), description: None, schema: None, strict: Some(true) }],
        ..Request::default()
    };
    let (body, losses) = written(&request, MODEL);
    assert_eq!((body.get("thinking"), losses.as_str()), (None, "reasoning, tools.strict"));
    let schema =
        json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
    assert_eq!(body["tools"][0]["input_schema"], schema);
    // Since 4.6 a turn need not begin with a thought.
    let (body, _) = written(&request, "claude-opus-4-6");
    assert_eq!(body["thinking"]["type"], "adaptive");
    request.tool_choice = Some(ToolChoice::Any);
    request.parallel_tools = Some(false);
    let (body, _) = written(&request, "claude-opus-4-6");
    assert_eq!(body.get("thinking"), None);
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    request.tool_choice = None;
    request.turns[1]
        .parts
        .insert(0, Part::Thought(Thought { text: String::new(), seal: Some(seal(Dialect::Messages, true)) }));
    let (body, _) = written(&request, MODEL);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 6_400}));
    assert_eq!(body["messages"][1]["content"][0], json!({"type": "redacted_thinking", "data": "c2VhbA=="}));
}

#[test]
fn a_foreign_thought_is_a_loss_and_sound_no_request() {
    let thought = Thought { text: "t".to_owned(), seal: Some(seal(Dialect::Gemini, false)) };
    let turns = vec![turn(Role::User, vec![text("q")]), turn(Role::Assistant, vec![Part::Thought(thought)])];
    let (body, losses) = written(&Request { turns, ..Request::default() }, MODEL);
    assert_eq!((body["messages"].as_array().unwrap().len(), losses.as_str()), (1, "thinking"));
    let inline = |kind: &str| Media::Inline { kind: kind.to_owned(), data: "AAAA".to_owned() };
    assert_eq!(refused(vec![turn(Role::User, vec![Part::Audio(inline("audio/wav"))])]), "audio input");
    let tiff = Part::Image(inline("image/tiff"));
    assert_eq!(refused(vec![turn(Role::User, vec![tiff])]), "a picture that is no JPEG, PNG, GIF or WebP");
    let zip = Part::File { media: inline("application/zip"), name: None };
    assert_eq!(refused(vec![turn(Role::User, vec![zip])]), "a file that is neither PDF nor text");
}

#[test]
fn a_schema_is_enforced_closed_or_told_in_words() {
    let schema = json!({"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 1},
        "list": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {}}}}});
    let mut request = Request {
        format: Format::Schema { name: None, schema: schema.clone(), strict: None },
        ..Request::default()
    };
    let (body, losses) = written(&request, MODEL);
    let closed = json!({"type": "object", "properties": {"minimum": {"type": "integer"},
        "list": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": false}}},
        "additionalProperties": false});
    assert_eq!(body["output_config"], json!({"format": {"type": "json_schema", "schema": closed}}));
    assert_eq!(losses, "response_format.minItems, response_format.minimum");
    let (body, losses) = written(&request, "claude-3-7-sonnet-latest");
    assert!(body["system"].as_str().unwrap().ends_with(&schema.to_string()));
    assert_eq!((body.get("output_config"), losses.as_str()), (None, "response_format"));
    request.format = Format::Json;
    assert!(written(&request, MODEL).0["system"].as_str().unwrap().contains("one JSON object"));
}

#[test]
fn what_only_anthropic_has_is_named_or_refused() {
    let body = json!({"model": "m", "max_tokens": 5, "service_tier": "auto", "mcp_servers": [{"name": "x"}],
        "context_management": {"edits": []}, "betas": [], "unknown key": 1, "metadata": {"user_id": "u", "x": 1},
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc=1"}, {"type": "text", "text": "s"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"},
            {"name": "get", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}]}]});
    let (request, losses) = read(&body);
    let request = request.unwrap();
    assert_eq!(
        losses,
        "context_management, mcp_servers, metadata.x, other, server_tool_use, service_tier, \
         system.billing_header, tools.cache_control, tools.web_search_20250305, web_search_tool_result"
    );
    assert_eq!((request.system, request.tools.len()), (vec![text("s")], 1));
    assert_eq!(request.user.as_deref(), Some("u"));
    let file = json!([{"type": "image", "source": {"type": "file", "file_id": "f"}}]);
    for (body, wanted) in [
        (json!({"container": "c"}), "container"),
        (json!({"thread": {"type": "create"}, "messages": []}), "thread"),
        (json!({"max_tokens": "5"}), "max_tokens of an unknown kind"),
        (json!({"messages": [{"role": "tool", "content": ""}]}), "a message of an unknown role"),
        (json!({"messages": [{"role": "user", "content": file}]}), "image by file id"),
        (json!([]), "a body that is no JSON object"),
    ] {
        assert_eq!(read(&body).0.unwrap_err(), wanted);
    }
}

#[test]
fn thinking_and_effort_are_read_together() {
    let reasoning = |body: Value| read(&body).0.unwrap().reasoning;
    let of = |effort: Option<&str>, budget, shown| {
        Some(Reasoning { effort: effort.map(str::to_owned), budget, shown })
    };
    assert_eq!(reasoning(json!({})), None);
    let enabled = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}});
    assert_eq!(reasoning(enabled), of(None, Some(2_000), true));
    let adaptive =
        json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}});
    assert_eq!(reasoning(adaptive), of(Some("max"), None, false));
    assert_eq!(reasoning(json!({"thinking": {"type": "disabled"}})), of(Some("none"), None, false));
    assert_eq!(reasoning(json!({"output_config": {"effort": "low"}})), of(Some("low"), None, false));
}

#[test]
fn a_written_answer_has_objects_for_inputs_and_a_thought_for_a_seal() {
    let answer = Answer {
        id: "chatcmpl-1".to_owned(),
        model: String::new(),
        parts: vec![
            Part::Thought(Thought { text: "t".to_owned(), seal: None }),
            Part::Thought(Thought::default()),
            Part::ToolCall(ToolCall { seal: Some(seal(Dialect::Gemini, false)), ..call("", "[1") }),
        ],
        stop: Stop::Sequence(Some("x".to_owned())),
        usage: Some(Spent { input: 10, cached: 4, cache_written: 5, output: 3, thought: 1 }),
    };
    let body: Value = serde_json::from_slice(&write_answer(&answer, &scene())).unwrap();
    let wanted = json!({"id": "msg_chatcmpl-1", "type": "message", "role": "assistant", "model": "asked",
        "content": [
            {"type": "thinking", "thinking": "t", "signature": ""},
            {"type": "thinking", "thinking": "", "signature": "tidegate:gemini:c2VhbA=="},
            {"type": "tool_use", "id": "toolu_s1_2", "name": "get", "input": {"input": "[1"}}],
        "stop_reason": "stop_sequence", "stop_sequence": "x",
        "usage": {"input_tokens": 1, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 4,
            "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 1}}});
    assert_eq!(body, wanted);
}

#[test]
fn the_pieces_of_an_input_are_one_object_whatever_they_were() {
    for (pieces, free_text, wanted) in [
        (&[][..], false, json!({})),
        (&[" ", "\n"], false, json!({})),
        (&[" {\"a\"", ":1}"], false, json!({"a": 1})),
        (&["say \"", "hi\"\n"], false, json!({"input": "say \"hi\"\n"})),
        (&["{\"a\"", ":1}"], true, json!({"input": "{\"a\":1}"})),
        (&[], true, json!({"input": ""})),
    ] {
        let mut events = vec![
            Event::Begin { id: String::new(), model: String::new(), usage: None },
            Event::Open(Opened::ToolCall(ToolCall { free_text, ..call("c", "") })),
        ];
        events.extend(pieces.iter().map(|piece| Event::Delta((*piece).to_owned())));
        events.extend([Event::Close, Event::End { stop: Stop::ToolUse, usage: None }]);
        let written = stream(&events);
        let data = written.lines().filter_map(|line| line.strip_prefix("data: "));
        let values = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
        let input: String =
            values.filter_map(|value| Some(value["delta"]["partial_json"].as_str()?.to_owned())).collect();
        assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), wanted, "{pieces:?}");
    }
}

#[test]
fn a_failure_ends_the_stream_in_anthropics_words() {
    for (kind, code, wanted) in [
        (Some("overloaded_error"), None, "overloaded_error"),
        (Some("UNAVAILABLE"), Some("503"), "overloaded_error"),
        (Some("RESOURCE_EXHAUSTED"), Some("429"), "rate_limit_error"),
        (Some("tokens"), Some("rate_limit_exceeded"), "rate_limit_error"),
        (Some("invalid_request_error"), None, "invalid_request_error"),
        (None, None, "api_error"),
    ] {
        let (kind, code) = (kind.map(str::to_owned), code.map(str::to_owned));
        let failed = Event::Failed { message: "m".to_owned(), kind, code };
        let written = stream(&[failed.clone(), failed, Event::Ping]);
        let error = format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{wanted}\",\"message\":\"m\"}}}}\n\n"
        );
        assert!(written.starts_with("event: message_start\n") && written.ends_with(&error), "{written}");
        assert_eq!(written.matches("event: error").count(), 1);
    }
}

#[test]
fn odd_streams_are_read_to_one_end() {
    let delta =
        |text: &str| json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}});
    let stop =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}});
    let begin = Event::Begin { id: String::new(), model: String::new(), usage: None };
    let opened = [begin, Event::Open(Opened::Text), Event::Delta("a".to_owned()), Event::Close];
    // No start, no stop, and words behind the end.
    let done = json!({"type": "message_stop"});
    let events = read_stream(&[json!({"type": "ping"}), delta("a"), stop, done.clone(), done, delta("b")]);
    let usage = Some(Spent { output: 2, ..Spent::default() });
    assert_eq!(events[..4], opened);
    assert_eq!(events[4..], [Event::End { stop: Stop::End, usage }]);
    // Cut off: what is not whole has no end.
    assert_eq!(read_stream(&[delta("a")]), opened[..3]);
}

#[test]
fn a_seal_of_others_never_ends_an_answer() {
    let sealed = |by| Thought { text: String::new(), seal: Some(seal(by, false)) };
    let streamed = |by, last: &[Event]| {
        let thought = [Event::Open(Opened::Thought), Event::Sealed(seal(by, false)), Event::Close];
        let text = [Event::Open(Opened::Text), Event::Delta("x".to_owned()), Event::Close];
        let end = Event::End { stop: Stop::End, usage: None };
        stream(&[&text[..], &thought, last, &[end]].concat())
    };
    let call = Event::Open(Opened::ToolCall(call("c", "{}")));
    for by in [Dialect::Gemini, Dialect::Responses] {
        assert!(!streamed(by, &[]).contains("thinking"), "{by}");
        // Before a call it is needed.
        assert!(streamed(by, &[call.clone(), Event::Close]).contains("signature_delta"), "{by}");
        let parts = vec![text("x"), Part::Thought(sealed(by))];
        let answer = Answer { parts, ..Answer::default() };
        assert!(!String::from_utf8(write_answer(&answer, &scene())).unwrap().contains("thinking"), "{by}");
    }
    assert!(streamed(Dialect::Messages, &[]).contains("signature_delta"));
}

#[test]
fn a_tool_that_nobody_is_to_call_is_none_elsewhere() {
    let tool = |name: &str, defer: bool| json!({"name": name, "input_schema": {"type": "object"}, "defer_loading": defer});
    let body =
        json!({"tools": [tool("DeferredToolPlaceholder", true), tool("Read", false), tool("Later", true)]});
    let (request, losses) = read(&body);
    let names: Vec<_> = request.unwrap().tools.into_iter().map(|tool| tool.name).collect();
    assert_eq!(
        (names, losses.as_str()),
        (vec!["Read".to_owned(), "Later".to_owned()], "tools.defer_loading")
    );
}
