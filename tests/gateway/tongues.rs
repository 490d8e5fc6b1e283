//! The four dialects as clients speak them: how each asks, and what each hears in an answer.
//!
//! Reads with a reader of its own, so that a mistake in `wire` cannot hide in both.

#![allow(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use crate::world::{World, events};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tidegate::dialect::Dialect;

/// The most output tokens of every question here.
pub(crate) const CAP: u64 = 24;

/// What is asked in every dialect alike.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Question<'a> {
    pub(crate) text: &'a str,
    pub(crate) stream: bool,
    pub(crate) with_tools: bool,
}

/// What an answer said, whatever the dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    /// Names and parsed inputs.
    pub(crate) calls: Vec<(String, Value)>,
    /// `end`, `length` or `tool`.
    pub(crate) stop: String,
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// A request in a dialect, for this model.
pub(crate) fn ask(world: &World, dialect: Dialect, model: &str, question: Question<'_>) -> RequestBuilder {
    let (path, body) = request(dialect, model, question);
    let request = world.request(Method::POST, &path).json(&body);
    if dialect == Dialect::Messages { request.header("anthropic-version", "2023-06-01") } else { request }
}

/// The path, with its query, and the body.
pub(crate) fn request(dialect: Dialect, model: &str, question: Question<'_>) -> (String, Value) {
    let Question { text, stream, with_tools } = question;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let (path, mut body, tools) = match dialect {
        Dialect::Chat => (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "max_tokens": CAP, "stream": stream,
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}),
            json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]),
        ),
        Dialect::Responses => (
            "/v1/responses".to_owned(),
            json!({"model": model, "max_output_tokens": CAP, "stream": stream, "instructions": "Be brief.",
                "input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}),
            json!([{"type": "function", "name": "weather", "parameters": schema}]),
        ),
        Dialect::Messages => (
            "/v1/messages?beta=true".to_owned(),
            json!({"model": model, "max_tokens": CAP, "stream": stream, "system": "Be brief.",
                "messages": [{"role": "user", "content": text}]}),
            json!([{"name": "weather", "input_schema": schema}]),
        ),
        Dialect::Gemini => (
            format!(
                "/v1beta/models/{model}:{}",
                if stream { "streamGenerateContent?alt=sse" } else { "generateContent" }
            ),
            json!({"contents": [{"role": "user", "parts": [{"text": text}]}],
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "generationConfig": {"maxOutputTokens": CAP}}),
            json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}]}]),
        ),
        other => panic!("{other} holds no conversation"),
    };
    if with_tools {
        body["tools"] = tools;
    }
    (path, body)
}

/// What an answer in one piece said.
pub(crate) fn hear(dialect: Dialect, answer: &Value) -> Heard {
    let mut heard = Heard::default();
    match dialect {
        Dialect::Chat => hear_chat(answer, &mut heard),
        Dialect::Responses => hear_response(answer, &mut heard),
        Dialect::Messages => hear_message(answer, &mut heard),
        Dialect::Gemini => hear_gemini(answer, &mut heard),
        other => panic!("{other} holds no conversation"),
    }
    heard
}

/// What a stream said. A chat's usage is asked for by nobody here and stays 0.
pub(crate) fn hear_stream(dialect: Dialect, stream: &str) -> Heard {
    let data = data_of(stream);
    let mut heard = Heard::default();
    match dialect {
        Dialect::Chat => {
            let mut inputs: Vec<String> = Vec::new();
            for chunk in &data {
                let choice = &chunk["choices"][0];
                heard.text += choice["delta"]["content"].as_str().unwrap_or_default();
                for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                    let at = usize::try_from(call["index"].as_u64().expect("its dialect says so"))
                        .expect("its dialect says so");
                    inputs.resize(inputs.len().max(at + 1), String::new());
                    heard.calls.resize(inputs.len(), (String::new(), Value::Null));
                    heard.calls[at].0 += call["function"]["name"].as_str().unwrap_or_default();
                    inputs[at] += call["function"]["arguments"].as_str().unwrap_or_default();
                }
                heard.stop += stop(choice["finish_reason"].as_str().unwrap_or_default());
            }
            for (call, input) in heard.calls.iter_mut().zip(inputs) {
                call.1 = serde_json::from_str(&input).expect("arguments are JSON");
            }
            assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
        }
        Dialect::Responses => {
            let last = data.last().expect("there are events");
            assert!(
                matches!(last["type"].as_str(), Some("response.completed" | "response.incomplete")),
                "{last}"
            );
            hear_response(&last["response"], &mut heard);
            let said: String = data
                .iter()
                .filter(|event| event["type"] == "response.output_text.delta")
                .map(|event| event["delta"].as_str().expect("its dialect says so"))
                .collect();
            assert_eq!(said, heard.text, "the deltas are the text");
            let numbers: Vec<_> = data
                .iter()
                .map(|event| event["sequence_number"].as_u64().expect("its dialect says so"))
                .collect();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        }
        Dialect::Messages => hear_message_stream(&data, &mut heard),
        Dialect::Gemini => data.iter().for_each(|chunk| hear_gemini(chunk, &mut heard)),
        other => panic!("{other} holds no conversation"),
    }
    heard
}

/// The data of every event that has one which is JSON.
pub(crate) fn data_of(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// Whether the end of a stream is the error of its dialect: what a client raises.
pub(crate) fn ends_in_error(dialect: Dialect, stream: &str) -> bool {
    let data = data_of(stream);
    let Some(last) = data.last() else { return false };
    match dialect {
        Dialect::Chat => last["error"].is_object() && events(stream).last().is_some_and(|e| e != "[DONE]"),
        Dialect::Responses => {
            // A provider may leave the second of the two out.
            let of_two = if last["type"] == "error" { data.iter().rev().nth(1) } else { Some(last) };
            of_two.is_some_and(|event| event["type"] == "response.failed")
        }
        Dialect::Messages => {
            last["type"] == "error" && last["error"]["type"].is_string() && stream.contains("event: error\n")
        }
        _ => last["error"]["code"].is_u64() && last["error"]["status"].is_string(),
    }
}

fn stop(reason: &str) -> &'static str {
    match reason {
        "" => "",
        "stop" | "end_turn" | "STOP" | "completed" => "end",
        "length" | "max_tokens" | "MAX_TOKENS" | "incomplete" => "length",
        "tool_calls" | "tool_use" => "tool",
        other => panic!("an answer here does not end with {other}"),
    }
}

fn hear_chat(answer: &Value, heard: &mut Heard) {
    let choice = &answer["choices"][0];
    heard.text += choice["message"]["content"].as_str().unwrap_or_default();
    for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let input = serde_json::from_str(function["arguments"].as_str().expect("its dialect says so"))
            .expect("arguments are JSON");
        heard.calls.push((function["name"].as_str().expect("its dialect says so").to_owned(), input));
    }
    heard.stop = stop(choice["finish_reason"].as_str().expect("its dialect says so")).to_owned();
    heard.input = answer["usage"]["prompt_tokens"].as_u64().unwrap_or_default();
    heard.output = answer["usage"]["completion_tokens"].as_u64().unwrap_or_default();
}

fn hear_response(answer: &Value, heard: &mut Heard) {
    for item in answer["output"].as_array().expect("a response has output") {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().expect("its dialect says so") {
                    heard.text += part["text"].as_str().unwrap_or_default();
                }
            }
            Some("function_call") => {
                let input = serde_json::from_str(item["arguments"].as_str().expect("its dialect says so"))
                    .expect("JSON");
                heard.calls.push((item["name"].as_str().expect("its dialect says so").to_owned(), input));
            }
            _ => {}
        }
    }
    let ended = stop(answer["status"].as_str().expect("its dialect says so"));
    heard.stop = if heard.calls.is_empty() { ended } else { "tool" }.to_owned();
    heard.input = answer["usage"]["input_tokens"].as_u64().unwrap_or_default();
    heard.output = answer["usage"]["output_tokens"].as_u64().unwrap_or_default();
}

fn hear_message(answer: &Value, heard: &mut Heard) {
    for block in answer["content"].as_array().expect("a message has content") {
        match block["type"].as_str() {
            Some("text") => heard.text += block["text"].as_str().expect("its dialect says so"),
            Some("tool_use") => {
                heard.calls.push((
                    block["name"].as_str().expect("its dialect says so").to_owned(),
                    block["input"].clone(),
                ));
            }
            _ => {}
        }
    }
    heard.stop = stop(answer["stop_reason"].as_str().expect("its dialect says so")).to_owned();
    hear_message_usage(&answer["usage"], heard);
}

fn hear_message_usage(usage: &Value, heard: &mut Heard) {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    let input =
        count("input_tokens") + count("cache_read_input_tokens") + count("cache_creation_input_tokens");
    heard.input = heard.input.max(input);
    heard.output = heard.output.max(count("output_tokens"));
}

fn hear_message_stream(data: &[Value], heard: &mut Heard) {
    let mut input = String::new();
    for event in data {
        match event["type"].as_str() {
            Some("message_start") => hear_message_usage(&event["message"]["usage"], heard),
            Some("content_block_start") if event["content_block"]["type"] == "tool_use" => {
                heard.calls.push((
                    event["content_block"]["name"].as_str().expect("its dialect says so").to_owned(),
                    Value::Null,
                ));
                input.clear();
            }
            Some("content_block_delta") => {
                heard.text += event["delta"]["text"].as_str().unwrap_or_default();
                input += event["delta"]["partial_json"].as_str().unwrap_or_default();
            }
            Some("content_block_stop") => {
                if let Some(call) = heard.calls.last_mut().filter(|call| call.1.is_null()) {
                    let whole = if input.is_empty() { "{}" } else { &input };
                    call.1 = serde_json::from_str(whole).expect("input is JSON");
                }
            }
            Some("message_delta") => {
                heard.stop = stop(event["delta"]["stop_reason"].as_str().unwrap_or_default()).to_owned();
                hear_message_usage(&event["usage"], heard);
            }
            _ => {}
        }
    }
    assert_eq!(data.last().expect("there are events")["type"], "message_stop");
}

fn hear_gemini(answer: &Value, heard: &mut Heard) {
    let candidate = &answer["candidates"][0];
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if part["thought"] != true {
            heard.text += part["text"].as_str().unwrap_or_default();
        }
        if let Some(call) = part["functionCall"].as_object() {
            heard
                .calls
                .push((call["name"].as_str().expect("its dialect says so").to_owned(), call["args"].clone()));
        }
    }
    if let Some(reason) = candidate["finishReason"].as_str() {
        heard.stop = if heard.calls.is_empty() { stop(reason) } else { "tool" }.to_owned();
    }
    let usage = &answer["usageMetadata"];
    heard.input = heard.input.max(usage["promptTokenCount"].as_u64().unwrap_or_default());
    let output = usage["candidatesTokenCount"].as_u64().unwrap_or_default()
        + usage["thoughtsTokenCount"].as_u64().unwrap_or_default();
    heard.output = heard.output.max(output);
}
