//! Promises of the dialects that no vendor shares, Anthropic's and Google's, over many requests and over anything.
//!
//! What both hub and dialect can say comes back as it was, and no bytes whatever make a reader or a writer panic.

use super::hub::{
    Event, Format, Media, Part, Request, Role, Seal, Thought, Tool, ToolCall, ToolChoice, Turn,
};
use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NATIVE: [Dialect; 2] = [Dialect::Messages, Dialect::Gemini];

/// Words that both dialects, or one of them, have for keys and values.
const WORDS: [&str; 48] = [
    "messages",
    "contents",
    "role",
    "user",
    "assistant",
    "model",
    "content",
    "parts",
    "type",
    "text",
    "thought",
    "thinking",
    "signature",
    "thoughtSignature",
    "redacted_thinking",
    "data",
    "tool_use",
    "tool_result",
    "id",
    "name",
    "input",
    "functionCall",
    "function_response",
    "response",
    "args",
    "inlineData",
    "mime_type",
    "source",
    "base64",
    "candidates",
    "finishReason",
    "STOP",
    "usageMetadata",
    "promptTokenCount",
    "usage",
    "input_tokens",
    "content_block_start",
    "content_block_delta",
    "content_block",
    "delta",
    "text_delta",
    "input_json_delta",
    "partial_json",
    "message_start",
    "message_stop",
    "error",
    "tools",
    "generationConfig",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => ".{0,6}"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
        Just(json!("{\"a\":")),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|keys| Value::Object(keys.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Reads bytes as everything that a dialect has, and writes what was read in every dialect.
fn feed(from: Dialect, pieces: &[Vec<u8>]) {
    let scene = Scene { id: "s1".to_owned(), ..Scene::default() };
    let mut reader = StreamReader::new(from).unwrap();
    let mut events = Vec::new();
    for body in pieces {
        let mut losses = Losses::default();
        if let Ok(request) = read_request(from, body, false, &mut losses) {
            for to in Dialect::CONVERSATIONS {
                if let Ok(written) = write_request(&request, to, "claude-sonnet-4-5", &mut losses) {
                    serde_json::from_slice::<Value>(&written).unwrap();
                }
            }
        }
        if let Ok(answer) = read_answer(from, body) {
            for to in Dialect::CONVERSATIONS {
                serde_json::from_slice::<Value>(&write_answer(&answer, to, &scene)).unwrap();
            }
        }
        reader.on_event(body, &mut events);
    }
    reader.finish(&mut events);
    for (place, event) in events.iter().enumerate() {
        assert_eq!(matches!(event, Event::Begin { .. }), place == 0, "{events:?}");
        let last = matches!(event, Event::End { .. } | Event::Failed { .. });
        assert!(!last || place + 1 == events.len(), "{events:?}");
    }
    for to in Dialect::CONVERSATIONS {
        let mut writer = StreamWriter::new(to, scene.clone()).unwrap();
        let mut written = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut written));
        assert!(std::str::from_utf8(&written).is_ok());
    }
}

fn text() -> impl Strategy<Value = Part> {
    "[a-zé\\n\"]{0,8}[a-z]".prop_map(Part::Text)
}

fn seal(by: Dialect, redacted: bool) -> Option<Seal> {
    Some(Seal { by, data: "c2VhbA==".to_owned(), redacted })
}

fn media() -> impl Strategy<Value = Part> {
    let inline = |kind: &str| Media::Inline { kind: kind.to_owned(), data: "AAAA".to_owned() };
    prop_oneof![
        Just(Part::Image(inline("image/png"))),
        Just(Part::Image(Media::Url("https://x.test/a.png".to_owned()))),
        Just(Part::File { media: inline("application/pdf"), name: None }),
    ]
}

/// The model's words, calls of tools, and their results.
fn exchange(by: Dialect, number: usize) -> impl Strategy<Value = Vec<Turn>> {
    let said = (prop::option::of(text()), any::<bool>(), 0..3_usize, prop::collection::vec(media(), 0..2));
    (said, text(), any::<bool>(), "[a-z]{1,9}").prop_map(
        move |((words, thinks, calls, media), user, failed, told)| {
            let mut parts = Vec::new();
            if thinks {
                parts.push(Part::Thought(Thought { text: "t".to_owned(), seal: seal(by, false) }));
            }
            parts.extend(words);
            let mut answers = Vec::new();
            for call in 0..calls {
                let (id, name) = (format!("call_{number}_{call}"), format!("tool{call}"));
                let input = r#"{"z":1,"a":[null,"x"]}"#.to_owned();
                // Only Gemini signs calls.
                let own = if by == Dialect::Gemini && call == 0 { seal(by, false) } else { None };
                parts.push(Part::ToolCall(ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    input,
                    free_text: false,
                    seal: own,
                }));
                let name = (by == Dialect::Gemini).then_some(name);
                let parts = vec![Part::Text(told.clone())];
                answers.push(Part::ToolResult { id, name, parts, is_error: failed, free_text: false });
            }
            if parts.is_empty() {
                parts.push(Part::Text("ok".to_owned()));
            }
            answers.extend(media);
            answers.push(user);
            vec![Turn { role: Role::Assistant, parts }, Turn { role: Role::User, parts: answers }]
        },
    )
}

/// Requests of what hub and dialect can both say.
fn request(by: Dialect) -> impl Strategy<Value = Request> {
    let exchanges = (exchange(by, 0), exchange(by, 1), 0..3_usize);
    let knobs = (
        prop::option::of(1..10_000_u64),
        prop::option::of((0..=20_u32).prop_map(|heat| f64::from(heat) / 20.0)),
        prop::option::of(1..99_u64),
    );
    let choice =
        prop_oneof![Just(ToolChoice::Any), Just(ToolChoice::None), "[a-z]{3}".prop_map(ToolChoice::Named)];
    let tools = (any::<bool>(), prop::option::of(choice));
    (text(), exchanges, knobs, tools, any::<[bool; 3]>()).prop_map(
        move |(first, (one, two, count), (cap, heat, top_k), (has_tools, choice), [stream, format, stop])| {
            let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "null"}},
                "additionalProperties": false});
            let tool = Tool {
                name: "tool0".to_owned(),
                description: Some("d".to_owned()),
                schema: Some(schema.clone()),
                strict: None,
            };
            let messages = by == Dialect::Messages;
            let mut turns = vec![Turn { role: Role::User, parts: vec![first] }];
            turns.extend([one, two].into_iter().take(count).flatten());
            // Anthropic takes no call of a tool that is not declared.
            let mut parts = turns.iter().flat_map(|turn| &turn.parts);
            let has_tools = has_tools || messages && parts.any(|part| matches!(part, Part::ToolCall(_)));
            Request {
                stream,
                system: vec![Part::Text("s".to_owned())],
                turns,
                tools: if has_tools { vec![tool] } else { Vec::new() },
                tool_choice: choice.filter(|_| has_tools),
                output_cap: cap.or(messages.then_some(5)),
                temperature: heat,
                top_k,
                stop: if stop { vec!["END".to_owned()] } else { Vec::new() },
                format: if format { Format::Schema { name: None, schema, strict: None } } else { Format::Text },
                user: messages.then(|| "u".to_owned()),
                ..Request::default()
            }
        },
    )
}

fn comes_back(by: Dialect, request: &Request) {
    let mut losses = Losses::default();
    let written = write_request(request, by, "gemini-3-flash", &mut losses).unwrap();
    let back = read_request(by, &written, request.stream, &mut losses).unwrap();
    assert_eq!((&back, losses.show()), (request, None), "{}", String::from_utf8_lossy(&written));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_anthropic_can_say_comes_back(request in request(Dialect::Messages)) {
        comes_back(Dialect::Messages, &request);
    }

    #[test]
    fn what_gemini_can_say_comes_back(request in request(Dialect::Gemini)) {
        comes_back(Dialect::Gemini, &request);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        NATIVE.into_iter().for_each(|from| feed(from, std::slice::from_ref(&bytes)));
    }

    #[test]
    fn any_json_is_survived(values in prop::collection::vec(any_json(), 1..6)) {
        let mut bodies: Vec<Vec<u8>> = values.iter().map(|value| value.to_string().into_bytes()).collect();
        // The same where readers look.
        let value = &values[0];
        bodies.push(json!({"messages": [{"role": "user", "content": [value]}], "tools": value}).to_string().into());
        bodies.push(json!({"contents": [{"parts": [value]}], "generationConfig": value}).to_string().into());
        bodies.push(json!({"candidates": [{"content": {"parts": [value, {"text": value}]}}]}).to_string().into());
        bodies.push(json!({"content": [value], "type": "content_block_start", "content_block": value}).to_string().into());
        bodies.push(json!({"type": "content_block_delta", "delta": value, "usageMetadata": value}).to_string().into());
        NATIVE.into_iter().for_each(|from| feed(from, &bodies));
    }
}

#[test]
fn depth_and_length_are_survived() {
    let deep = "[".repeat(100_000).into_bytes();
    let nested = |depth: usize| {
        let block = "{\"type\":\"tool_result\",\"content\":[".repeat(depth) + &"]}".repeat(depth);
        format!("{{\"messages\":[{{\"role\":\"user\",\"content\":[{block}]}}],\"content\":[{block}]}}")
            .into_bytes()
    };
    let schema = format!("{}1{}", "{\"items\":".repeat(120), "}".repeat(120));
    let schema = format!("{{\"generationConfig\":{{\"responseSchema\":{schema}}}}}").into_bytes();
    let pieces = [deep, nested(50), nested(5_000), schema];
    NATIVE.into_iter().for_each(|from| feed(from, &pieces));
}
