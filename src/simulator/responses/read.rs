//! What a Responses body asks for; strict where OpenAI is.

use crate::simulator::ask::{Ask, Shape, at_least_one, json_length, read};
use crate::simulator::count::{PART_TOKENS, message_tokens, text_tokens};
use crate::simulator::refusal::Refusal;
use crate::simulator::tools::{self, Conversation, Tool};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What was asked.
#[derive(Debug)]
pub(super) struct ResponsesAsk {
    pub(super) ask: Ask,
    /// What the answer repeats of the request.
    pub(super) echo: Map<String, Value>,
    /// Whether the answer shall be remembered.
    pub(super) store: bool,
    /// The answer that it goes on from.
    pub(super) previous: Option<String>,
    /// Whether thoughts shall come sealed, for the client to keep.
    pub(super) encrypts: bool,
}

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    input: Option<Input>,
    instructions: Option<String>,
    stream: Option<bool>,
    max_output_tokens: Option<i64>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    text: Option<Text>,
    reasoning: Option<Reasoning>,
    store: Option<bool>,
    previous_response_id: Option<String>,
    include: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Value>),
}

#[derive(Deserialize)]
struct Text {
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    r#type: String,
    #[serde(default)]
    schema: Value,
}

#[derive(Deserialize)]
struct Reasoning {
    summary: Option<String>,
    generate_summary: Option<String>,
}

/// What the answer repeats, and what it says where the request says nothing.
fn repeated() -> [(&'static str, Value); 14] {
    [
        ("background", json!(false)),
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("model", Value::Null),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("store", json!(true)),
        ("temperature", json!(1.0)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_p", json!(1.0)),
        ("metadata", json!({})),
    ]
}

/// Reads a request.
pub(super) fn responses(body: &[u8]) -> Result<ResponsesAsk, Refusal> {
    let request: Request = read(body)?;
    let mut raw: Map<String, Value> = read(body)?;
    let items = match request.input.as_ref().ok_or_else(|| Refusal::missing("input"))? {
        Input::Text(text) => vec![json!({"role": "user", "content": text})],
        Input::Items(items) => items.clone(),
    };
    if request.previous_response_id.is_none() {
        check_outputs(&items)?;
    }
    let question = last_user_text(&items);
    let echo = repeated().map(|(name, usual)| {
        let told = raw.remove(name).filter(|told| !told.is_null());
        (name.to_owned(), told.unwrap_or(usual))
    });
    let reasoning = request.reasoning.as_ref();
    let thinks = reasoning.is_some_and(|it| it.summary.is_some() || it.generate_summary.is_some());
    let sealed = "reasoning.encrypted_content";
    let ask = Ask {
        shape: request.shape(&items, &question),
        prompt_tokens: request.tokens(&items),
        model: request.model.ok_or_else(|| Refusal::missing("model"))?,
        stream: request.stream.unwrap_or(false),
        questions: vec![question.into()],
        thinks,
        cap: request.max_output_tokens.map(|cap| at_least_one("max_output_tokens", cap)).transpose()?,
        stop: Vec::new(),
    };
    Ok(ResponsesAsk {
        ask,
        echo: echo.into_iter().collect(),
        store: request.store.unwrap_or(true),
        previous: request.previous_response_id,
        encrypts: request.include.is_some_and(|include| include.iter().any(|name| name == sealed)),
    })
}

impl Request {
    fn tokens(&self, items: &[Value]) -> u64 {
        let tools = self.tools.iter().flatten().map(json_length).sum();
        let instructions = self.instructions.as_ref().map_or(0, |text| message_tokens(text.len()));
        text_tokens(tools) + instructions + items.iter().map(item_tokens).sum::<u64>()
    }

    fn shape(&self, items: &[Value], question: &str) -> Shape {
        // Codex gives its tools in an item, in a group of the name that means none; calls of those in other groups
        // would have to name them.
        let later = items.iter().filter(|item| kind(item) == "additional_tools");
        let groups = later.flat_map(|item| item["tools"].as_array()).flatten();
        let groups = groups.filter(|group| group["name"] == "functions");
        let grouped = groups.flat_map(|group| group["tools"].as_array()).flatten();
        let tools = self.tools.iter().flatten().chain(grouped).filter_map(|tool| {
            let input = match tool["type"].as_str()? {
                "function" => tools::Input::Schema(tool["parameters"].clone()),
                "custom" => tools::Input::Text,
                _ => return None,
            };
            Some(Tool { name: tool["name"].as_str()?.to_owned(), input })
        });
        let choice = self.tool_choice.as_ref().unwrap_or(&Value::Null);
        let choice = match (choice.as_str().or(choice["mode"].as_str()), choice["name"].as_str()) {
            (Some("required"), _) => tools::Choice::Any,
            (Some("none"), _) => tools::Choice::Never,
            (_, Some(name)) => tools::Choice::Named(name.to_owned()),
            _ => tools::Choice::Auto,
        };
        let answered = items.last().is_some_and(|item| kind(item).ends_with("_output"));
        let parallel = self.parallel_tool_calls.unwrap_or(true);
        let talk = Conversation { question, answered, parallel };
        if let Some(calls) = tools::called(tools.collect(), &choice, talk) {
            return calls;
        }
        match self.text.as_ref().and_then(|text| text.format.as_ref()) {
            Some(format) if format.r#type == "json_schema" => Shape::Schema(format.schema.clone()),
            Some(format) if format.r#type == "json_object" => Shape::Json,
            _ => Shape::Text,
        }
    }
}

/// A result must be of a call that stands before it.
fn check_outputs(items: &[Value]) -> Result<(), Refusal> {
    for (at, item) in items.iter().enumerate() {
        let of = match kind(item) {
            "function_call_output" => "function_call",
            "custom_tool_call_output" => "custom_tool_call",
            _ => continue,
        };
        let id = &item["call_id"];
        if id.is_null() || !items[..at].iter().any(|call| kind(call) == of && call["call_id"] == *id) {
            let message =
                format!("No tool call found for {} with call_id {id}.", kind(item).replace('_', " "));
            return Err(Refusal::invalid(message));
        }
    }
    Ok(())
}

/// A message needs no type.
fn kind(item: &Value) -> &str {
    item["type"].as_str().unwrap_or("message")
}

fn item_tokens(item: &Value) -> u64 {
    let content = match kind(item) {
        "message" => &item["content"],
        "function_call_output" | "custom_tool_call_output" => &item["output"],
        _ => return message_tokens(json_length(item)),
    };
    let (mut bytes, mut others) = (0, 0);
    match content {
        Value::String(text) => bytes = text.len(),
        Value::Array(parts) => {
            for part in parts {
                match part["text"].as_str() {
                    Some(text) => bytes += text.len(),
                    None => others += PART_TOKENS,
                }
            }
        }
        _ => {}
    }
    message_tokens(bytes) + others
}

fn last_user_text(items: &[Value]) -> String {
    let last = items.iter().rev().find(|item| kind(item) == "message" && item["role"] == "user");
    match last.map(|item| &item["content"]) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}
