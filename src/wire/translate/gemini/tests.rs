//! Edges of Gemini that whole conversations do not show.

use super::super::hub::{
    Event, Format, Media, Opened, Part, Reasoning, Request, Role, Seal, Spent, Stop, Thought, ToolCall,
    ToolChoice, Turn,
};
use super::super::{Losses, Scene};
use super::*;
use crate::dialect::Dialect;
use serde_json::{Value, json};

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn call(id: &str, name: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), input: "{}".to_owned(), ..ToolCall::default() }
}

fn result(id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::ToolResult { id: id.to_owned(), name: None, parts, is_error, free_text: false }
}

fn seal(by: Dialect, data: &str) -> Option<Seal> {
    Some(Seal { by, data: data.to_owned(), redacted: false })
}

fn read(body: &Value) -> (Result<Request, String>, String) {
    let mut losses = Losses::default();
    let request = read_request(body.to_string().as_bytes(), false, &mut losses);
    (request.map_err(|unfit| unfit.what.into_owned()), losses.show().unwrap_or_default())
}

/// The contents that turns become for a model, and what got lost.
fn contents(turns: Vec<(Role, Vec<Part>)>, model: &str) -> (Value, String) {
    let turns = turns.into_iter().map(|(role, parts)| Turn { role, parts }).collect();
    let mut losses = Losses::default();
    let body = write_request(&Request { turns, ..Request::default() }, model, &mut losses);
    let body = match body {
        Ok(body) => serde_json::from_slice::<Value>(&body).unwrap()["contents"].take(),
        Err(unfit) => json!(unfit.what),
    };
    (body, losses.show().unwrap_or_default())
}

fn stream(events: &[Event], json_array: bool) -> String {
    let scene = Scene { id: "s1".to_owned(), model: "asked".to_owned(), json_array, ..Scene::default() };
    let mut writer = StreamWriter::new(scene);
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    String::from_utf8(out).unwrap()
}

fn read_stream(chunks: &[Value]) -> Vec<Event> {
    let mut reader = StreamReader::default();
    let mut out = Vec::new();
    chunks.iter().for_each(|chunk| reader.on_event(chunk.to_string().as_bytes(), &mut out));
    reader.finish(&mut out);
    out
}

fn chunk(parts: &Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}}], "responseId": "r1",
        "modelVersion": "gemini-3-flash"})
}

fn delta(text: &str) -> Event {
    Event::Delta(text.to_owned())
}

#[test]
fn calls_without_ids_are_paired_with_their_responses_by_name_and_order() {
    let called = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let told = |name: &str, n: u8| json!({"function_response": {"name": name, "response": {"result": n.to_string()}}});
    let body = json!({"contents": [
        {"role": "model", "parts": [called("a"), called("b"), called("a")]},
        {"parts": [told("b", 1), told("a", 2), told("a", 3), told("never", 4)]},
        {"role": "model", "parts": [{"functionCall": {"id": "own", "name": "a"}}]},
        {"parts": [{"functionResponse": {"id": "own", "name": "a", "response": {"error": "no"}}}]}]});
    let request = read(&body).0.unwrap();
    let ids = |turn: usize| -> Vec<&str> {
        let ids = request.turns[turn].parts.iter().map(|part| match part {
            Part::ToolCall(call) => call.id.as_str(),
            Part::ToolResult { id, .. } => id.as_str(),
            _ => "",
        });
        ids.collect()
    };
    assert_eq!(ids(0), ["call_1", "call_2", "call_3"]);
    assert_eq!(ids(1), ["call_2", "call_1", "call_3", "call_4"]);
    assert_eq!((ids(2), ids(3)), (vec!["own"], vec!["own"]));
    let name = Some("a".to_owned());
    let failed = Part::ToolResult {
        id: "own".to_owned(),
        name,
        parts: vec![text("no")],
        is_error: true,
        free_text: false,
    };
    assert_eq!(request.turns[3].parts, [failed]);
}

#[test]
fn a_result_is_an_object_that_names_its_function() {
    let picture = Part::Image(Media::Inline { kind: "image/png".to_owned(), data: "AAAA".to_owned() });
    let turns = vec![
        (Role::User, vec![text("q")]),
        (Role::Assistant, vec![Part::ToolCall(call("1", "a")), Part::ToolCall(call("2", "b"))]),
        (Role::User, vec![text("see"), result("2", vec![picture, text("{\"x\":1}")], false)]),
        (Role::User, vec![result("1", vec![text("broken")], true)]),
    ];
    let (written, _) = contents(turns, "gemini-2.5-flash");
    assert_eq!(
        written[2]["parts"],
        json!([
            {"functionResponse": {"id": "2", "name": "b", "response": {"x": 1}}},
            {"functionResponse": {"id": "1", "name": "a", "response": {"error": "broken"}}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"text": "see"}])
    );
    let lone = vec![(Role::User, vec![result("9", Vec::new(), false)])];
    assert_eq!(contents(lone, "gemini-2.5-flash").0, "a tool's result without its call");
}

#[test]
fn the_first_call_of_a_turn_is_signed_where_the_model_demands_it() {
    let turns = |seal: Option<Seal>| {
        let thought = Thought { text: String::new(), seal };
        vec![
            (Role::User, vec![text("q")]),
            (
                Role::Assistant,
                vec![Part::Thought(thought), Part::ToolCall(call("1", "a")), Part::ToolCall(call("2", "b"))],
            ),
        ]
    };
    let signatures = |seal: Option<Seal>, model: &str| {
        let (written, losses) = contents(turns(seal), model);
        let parts = written[1]["parts"].as_array().unwrap().clone();
        assert_eq!(parts.len(), 2);
        (parts.into_iter().map(|mut part| part["thoughtSignature"].take()).collect::<Vec<_>>(), losses)
    };
    let skip = json!("skip_thought_signature_validator");
    let foreign = seal(Dialect::Messages, "bXNn");
    assert_eq!(
        signatures(foreign.clone(), "gemini-3-pro-preview"),
        (vec![skip, Value::Null], "thinking".to_owned())
    );
    assert_eq!(
        signatures(foreign, "gemini-2.5-pro"),
        (vec![Value::Null, Value::Null], "thinking".to_owned())
    );
    // A signature that went through a dialect whose calls have no place for one.
    let own = seal(Dialect::Gemini, "Z2Vt");
    assert_eq!(signatures(own, "gemini-3-pro-preview"), (vec![json!("Z2Vt"), Value::Null], String::new()));
}

#[test]
fn contents_begin_with_the_user() {
    let (written, _) = contents(vec![(Role::Assistant, vec![text("a")])], "m");
    assert_eq!(written[0], json!({"role": "user", "parts": [{"text": "."}]}));
    assert_eq!(contents(Vec::new(), "m").0, json!([{"role": "user", "parts": [{"text": "."}]}]));
}

#[test]
fn an_address_is_carried_where_it_says_its_kind() {
    let url = |url: &str| Part::Image(Media::Url(url.to_owned()));
    let (written, _) = contents(vec![(Role::User, vec![url("https://x.test/a.JPG?size=1")])], "m");
    let data = json!({"mimeType": "image/jpeg", "fileUri": "https://x.test/a.JPG?size=1"});
    assert_eq!(written[0]["parts"], json!([{ "fileData": data }]));
    for odd in ["https://x.test/a", "https://x.test", "", "https://x.test/a.png/b"] {
        assert_eq!(contents(vec![(Role::User, vec![url(odd)])], "m").0, "image by URL", "{odd}");
    }
}

#[test]
fn settings_are_read_in_either_spelling() {
    let (request, losses) = read(&json!({
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [{"parts": [{"text": "q"}, {"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}}]}],
        "tools": [{"google_search": {}}, {"function_declarations": [
            {"name": "a", "parameters": {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}},
            {"name": "b", "response": {"type": "STRING"}}, {"name": "c"}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["a", "b"]}},
        "generation_config": {"max_output_tokens": "100", "top_k": 40.0, "response_mime_type": "application/json",
            "response_schema": {"type": "OBJECT"}, "candidate_count": 1, "response_logprobs": true,
            "thinking_config": {"thinking_level": "LOW", "include_thoughts": true}},
        "safety_settings": [{"category": "x"}], "labels": {}}));
    let request = request.unwrap();
    assert_eq!(losses, "responseLogprobs, safetySettings, tools.googleSearch, tools.response");
    assert_eq!((request.system, request.output_cap, request.top_k), (vec![text("s")], Some(100), Some(40)));
    assert_eq!(request.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let schema = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    assert_eq!(request.tools[0].schema, Some(schema));
    assert_eq!(request.tool_choice, Some(ToolChoice::Any));
    let format = Format::Schema { name: None, schema: json!({"type": "object"}), strict: None };
    assert_eq!(request.format, format);
    let reasoning = Reasoning { effort: Some("low".to_owned()), budget: None, shown: true };
    assert_eq!(request.reasoning, Some(reasoning));
    let sound = Media::Inline { kind: "audio/wav".to_owned(), data: "AAAA".to_owned() };
    assert_eq!(request.turns[0].parts, [text("q"), Part::Audio(sound)]);
}

#[test]
fn what_only_google_has_is_refused() {
    let file = json!({"parts": [{"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}}]});
    for (body, wanted) in [
        (json!({"cachedContent": "cachedContents/x"}), "cached content"),
        (json!({"generationConfig": {"candidateCount": 2}}), "candidateCount = 2"),
        (json!({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}), "output other than text"),
        (json!({"generationConfig": {"topP": "x"}}), "topP of an unknown kind"),
        (json!({"contents": [file]}), "a file at Google"),
        (json!({"contents": [{"role": "system", "parts": []}]}), "a content of an unknown role"),
        (json!([1]), "a body that is no JSON object"),
    ] {
        assert_eq!(read(&body).0.unwrap_err(), wanted);
    }
}

#[test]
fn a_stream_is_parts_of_one_kind_each_and_ends_when_it_is_over() {
    let mut last = chunk(&json!([{"text": "", "thoughtSignature": "c2ln"}]));
    last["candidates"][0]["finishReason"] = "STOP".into();
    let usage = json!({"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 4, "totalTokenCount": 17}});
    let events = read_stream(&[
        chunk(&json!([{"text": "hm", "thought": true}])),
        chunk(&json!([{"text": "m", "thought": true}, {"text": "a"}])),
        chunk(&json!([{"text": "b"}])),
        last,
        usage,
    ]);
    let begin = Event::Begin { id: "r1".to_owned(), model: "gemini-3-flash".to_owned(), usage: None };
    let spent = Spent { input: 10, cached: 4, cache_written: 0, output: 7, thought: 2 };
    assert_eq!(
        events,
        [
            begin,
            Event::Open(Opened::Thought),
            delta("hm"),
            delta("m"),
            Event::Close,
            Event::Open(Opened::Text),
            delta("a"),
            delta("b"),
            Event::Close,
            Event::Open(Opened::Thought),
            Event::Sealed(seal(Dialect::Gemini, "c2ln").unwrap()),
            Event::Close,
            Event::End { stop: Stop::End, usage: Some(spent) },
        ]
    );
    // Cut off before a reason: no end.
    assert!(
        !read_stream(&[chunk(&json!([{"text": "a"}]))])
            .iter()
            .any(|event| matches!(event, Event::End { .. }))
    );
    let blocked = read_stream(&[json!({"promptFeedback": {"blockReason": "SAFETY"}})]);
    assert_eq!(blocked[1..], [Event::End { stop: Stop::Refused, usage: None }]);
}

#[test]
fn calls_in_a_stream_get_ids_of_their_own() {
    let called = json!({"functionCall": {"name": "a", "args": {"x": 1}}, "thoughtSignature": "c2ln"});
    let mut last = chunk(&json!([called, {"functionCall": {"name": "a"}}]));
    last["candidates"][0]["finishReason"] = "STOP".into();
    let events = read_stream(&[last]);
    let opened = |id: &str, seal| {
        let call = ToolCall { input: String::new(), seal, ..call(id, "a") };
        Event::Open(Opened::ToolCall(call))
    };
    let wanted = [
        opened("call_r1_1", seal(Dialect::Gemini, "c2ln")),
        delta("{\"x\":1}"),
        Event::Close,
        opened("call_r1_2", None),
        delta("{}"),
        Event::Close,
        Event::End { stop: Stop::ToolUse, usage: None },
    ];
    assert_eq!(events[1..], wanted);
    assert_ne!(answer::made_up_id("", "a", "{}", 1), answer::made_up_id("", "a", "{\"x\":1}", 1));
}

#[test]
fn an_array_is_closed_and_holds_nothing_but_answers() {
    let begin = Event::Begin { id: "i".to_owned(), model: "m".to_owned(), usage: None };
    let opened = Event::Open(Opened::Text);
    let end = Event::End { stop: Stop::Length, usage: None };
    let whole =
        [begin.clone(), Event::Ping, opened.clone(), delta("a"), Event::Close, end.clone(), end.clone()];
    let array = stream(&whole, true);
    let elements: Vec<Value> = serde_json::from_str(&array).unwrap();
    assert_eq!(elements.len(), 2);
    assert_eq!(elements[0]["candidates"][0]["content"]["parts"][0]["text"], "a");
    assert_eq!(elements[1]["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(elements[1]["usageMetadata"]["totalTokenCount"], 0);
    assert!(stream(&whole, false).split_terminator("\n\n").all(|event| event.starts_with("data: {")));
    let failed =
        Event::Failed { message: "m".to_owned(), kind: Some("overloaded_error".to_owned()), code: None };
    let elements: Vec<Value> = serde_json::from_str(&stream(&[begin, failed, end], true)).unwrap();
    assert_eq!(elements, [json!({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}})]);
}

#[test]
fn a_call_is_held_until_it_is_whole_and_within_bounds() {
    let mut events = vec![Event::Open(Opened::ToolCall(ToolCall { input: String::new(), ..call("1", "a") }))];
    events.extend([delta("{\"x\""), delta(":1}")]);
    assert_eq!(stream(&events, false), "");
    events.push(Event::Close);
    assert!(stream(&events, false).contains(r#"{"functionCall":{"id":"1","name":"a","args":{"x":1}},"#));
    let long = delta(&"x".repeat(1 << 20));
    events.pop();
    events.extend([long.clone(), long.clone(), long.clone(), long, Event::Close]);
    let failed = stream(&events, false);
    assert!(failed.starts_with("data: {\"error\":{\"code\":500,") && failed.len() < 200, "{failed}");
}

#[test]
fn a_thought_that_was_streamed_in_pieces_comes_back_as_one() {
    let thought = |text: &str| json!({"text": text, "thought": true});
    // Base64 of `tidegate:messages:bXNn`.
    let signed = json!({"text": "", "thought": true, "thoughtSignature": "dGlkZWdhdGU6bWVzc2FnZXM6YlhObg=="});
    let parts = json!([thought("Two "), thought("calls."), signed, {"text": "I look."}]);
    let request = read(&json!({"contents": [{"role": "model", "parts": parts}]})).0.unwrap();
    let whole = Thought { text: "Two calls.".to_owned(), seal: seal(Dialect::Messages, "bXNn") };
    assert_eq!(request.turns[0].parts, [Part::Thought(whole), text("I look.")]);
}
