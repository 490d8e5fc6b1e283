//! What a Messages body asks for, and what of it was marked for the cache; strict where Anthropic is.
//!
//! Counted by the rule of `count`: every block by itself, 3 more for every message and for the system's.

use super::prefix::{Mark, Prefix};
use crate::simulator::ask::{Ask, Shape, json_length, read};
use crate::simulator::count::{PART_TOKENS, message_tokens, text_tokens};
use crate::simulator::refusal::Refusal;
use crate::simulator::refusal_shapes::THREAD_UNSUPPORTED;
use crate::simulator::tools::{self, Conversation, Input, Tool};
use serde::Deserialize;
use serde_json::{Value, json};

/// What was asked.
#[derive(Debug)]
pub(super) struct MessagesAsk {
    pub(super) ask: Ask,
    pub(super) marks: Vec<Mark>,
    /// Whether the text of a thought is shown, or its signature alone.
    pub(super) shows_thoughts: bool,
}

/// What was counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) model: String,
    pub(super) tokens: u64,
}

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    messages: Option<Vec<Message>>,
    system: Option<Content>,
    max_tokens: Option<i64>,
    stream: Option<bool>,
    stop_sequences: Option<Vec<String>>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<ToolChoice>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
    output_format: Option<Format>,
    thread: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Value>),
}

#[derive(Deserialize)]
struct ToolChoice {
    r#type: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct Thinking {
    r#type: String,
    budget_tokens: Option<i64>,
    display: Option<String>,
}

#[derive(Deserialize)]
struct OutputConfig {
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    schema: Value,
}

/// Reads a request for an answer.
pub(super) fn messages(body: &[u8]) -> Result<MessagesAsk, Refusal> {
    let request: Request = read(body)?;
    let messages = request.checked()?;
    let (prompt_tokens, marks) = request.prompt(messages);
    let cap = request.max_tokens.ok_or_else(|| required("max_tokens"))?;
    let cap = u64::try_from(cap).ok().filter(|cap| *cap > 0);
    let cap =
        cap.ok_or_else(|| Refusal::invalid("max_tokens: Input should be greater than or equal to 1"))?;
    let thinks = request.thinks(cap)?;
    let question = last_user_text(messages);
    let shape = request.shape(messages, &question);
    let shows_thoughts = request.thinking.is_some_and(|it| it.display.as_deref() != Some("omitted"));
    let ask = Ask {
        model: request.model.ok_or_else(|| required("model"))?,
        stream: request.stream.unwrap_or(false),
        prompt_tokens,
        questions: vec![question.into()],
        shape,
        thinks,
        cap: Some(cap),
        stop: request.stop_sequences.unwrap_or_default(),
    };
    Ok(MessagesAsk { ask, marks, shows_thoughts })
}

/// Reads a request for a count.
pub(super) fn counted(body: &[u8]) -> Result<Counted, Refusal> {
    let request: Request = read(body)?;
    let (tokens, _) = request.prompt(request.checked()?);
    Ok(Counted { model: request.model.ok_or_else(|| required("model"))?, tokens })
}

fn required(name: &str) -> Refusal {
    Refusal::invalid(format!("{name}: Field required"))
}

impl Request {
    /// The messages, if Anthropic would take them.
    fn checked(&self) -> Result<&[Message], Refusal> {
        let messages = self.messages.as_deref().ok_or_else(|| required("messages"))?;
        if messages.is_empty() {
            return Err(Refusal::invalid("messages: at least one message is required"));
        }
        if self.thread.is_some() {
            let text = "thread: this provider holds no conversations";
            return Err(Refusal::parameter("thread", THREAD_UNSUPPORTED, text));
        }
        for (at, message) in messages.iter().enumerate() {
            // Claude Code puts its system's later words between the messages.
            let later_words = message.role == "system" && at > 0;
            if !["user", "assistant"].contains(&message.role.as_str()) && !later_words {
                let text = format!("messages.{at}.role: Input should be 'user' or 'assistant'");
                return Err(Refusal::invalid(text));
            }
            let before = at.checked_sub(1).map(|before| &messages[before]);
            check_blocks(at, message, before)?;
        }
        Ok(messages)
    }

    /// The tokens of the prompt in the order in which Anthropic caches it: tools, system, messages.
    fn prompt(&self, messages: &[Message]) -> (u64, Vec<Mark>) {
        let mut prefix = Prefix::new();
        for tool in self.tools.iter().flatten() {
            add(&mut prefix, tool, text_tokens(json_length(tool)));
        }
        if let Some(system) = &self.system {
            add_message(&mut prefix, "system", system);
        }
        for message in messages {
            add_message(&mut prefix, &message.role, &message.content);
        }
        prefix.end()
    }

    fn thinks(&self, cap: u64) -> Result<bool, Refusal> {
        let Some(thinking) = &self.thinking else { return Ok(false) };
        match thinking.r#type.as_str() {
            "adaptive" => Ok(true),
            "disabled" => Ok(false),
            "enabled" => {
                let budget =
                    thinking.budget_tokens.ok_or_else(|| required("thinking.enabled.budget_tokens"))?;
                let budget = u64::try_from(budget).ok().filter(|budget| *budget >= 1_024);
                let budget = budget.ok_or_else(|| {
                    let text =
                        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
                    Refusal::invalid(text)
                })?;
                match budget < cap {
                    true => Ok(true),
                    false => {
                        Err(Refusal::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"))
                    }
                }
            }
            _ => Err(Refusal::invalid("thinking: Input should be 'adaptive', 'enabled' or 'disabled'")),
        }
    }

    fn shape(&self, messages: &[Message], question: &str) -> Shape {
        // Tools without a schema run at Anthropic's side, which this provider does not have; deferred ones are known
        // to a model only after a search for them.
        let known = self.tools.iter().flatten().filter(|tool| tool["defer_loading"] != true);
        let tools = known.filter_map(|tool| {
            let name = tool.get("name")?.as_str()?.to_owned();
            Some(Tool { name, input: Input::Schema(tool.get("input_schema")?.clone()) })
        });
        let choice = self.tool_choice.as_ref();
        let named = || choice.and_then(|choice| choice.name.clone()).unwrap_or_default();
        let wanted = match choice.map(|choice| choice.r#type.as_str()) {
            Some("any") => tools::Choice::Any,
            Some("none") => tools::Choice::Never,
            Some("tool") => tools::Choice::Named(named()),
            _ => tools::Choice::Auto,
        };
        let parallel = !choice.and_then(|choice| choice.disable_parallel_tool_use).unwrap_or(false);
        let answered = messages.last().is_some_and(|message| has(&message.content, "tool_result"));
        let talk = Conversation { question, answered, parallel };
        if let Some(calls) = tools::called(tools.collect(), &wanted, talk) {
            return calls;
        }
        let config = self.output_config.as_ref().and_then(|config| config.format.as_ref());
        match config.or(self.output_format.as_ref()) {
            Some(format) => Shape::Schema(format.schema.clone()),
            None => Shape::Text,
        }
    }
}

/// What Anthropic refuses in the blocks of a message.
fn check_blocks(at: usize, message: &Message, before: Option<&Message>) -> Result<(), Refusal> {
    for (number, block) in blocks(&message.content).enumerate() {
        let place = format!("messages.{at}.content.{number}");
        match kind(block) {
            "text" if text_of(block).is_none_or(str::is_empty) => {
                return Err(Refusal::invalid("messages: text content blocks must be non-empty"));
            }
            "thinking" if block["signature"].as_str().is_none_or(str::is_empty) => {
                return Err(Refusal::invalid(format!("{place}: Invalid `signature` in `thinking` block")));
            }
            "tool_use" if !block["input"].is_object() => {
                return Err(Refusal::invalid(format!("{place}.tool_use.input: Input should be an object")));
            }
            "tool_result" => {
                let id = &block["tool_use_id"];
                let mut calls = before.into_iter().flat_map(|message| blocks(&message.content));
                if id.is_null() || !calls.any(|call| kind(call) == "tool_use" && call["id"] == *id) {
                    let text = format!(
                        "{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` \
                         block must have a corresponding `tool_use` block in the previous message."
                    );
                    return Err(Refusal::invalid(text));
                }
            }
            "" => return Err(Refusal::invalid(format!("{place}.type: Field required"))),
            _ => {}
        }
    }
    Ok(())
}

fn add_message(prefix: &mut Prefix, role: &str, content: &Content) {
    prefix.add(role, message_tokens(0));
    match content {
        Content::Text(text) => {
            add(prefix, &json!({"type": "text", "text": text}), text_tokens(text.len()));
        }
        Content::Blocks(blocks) => {
            for block in blocks {
                add(prefix, block, block_tokens(block));
            }
        }
    }
}

fn add(prefix: &mut Prefix, block: &Value, tokens: u64) {
    let mut bare = block.clone();
    // Moving the mark must not make another prefix of the same words.
    let marked = bare.as_object_mut().and_then(|block| block.shift_remove("cache_control"));
    prefix.add(&bare.to_string(), tokens);
    if marked.is_some_and(|mark| !mark.is_null()) {
        prefix.mark();
    }
}

fn block_tokens(block: &Value) -> u64 {
    match (kind(block), text_of(block)) {
        (_, Some(text)) => text_tokens(text.len()),
        ("tool_use" | "thinking" | "redacted_thinking", _) => text_tokens(json_length(block)),
        ("tool_result", _) => match block.get("content") {
            Some(Value::String(text)) => text_tokens(text.len()),
            Some(Value::Array(parts)) => parts.iter().map(block_tokens).sum(),
            _ => 0,
        },
        _ => PART_TOKENS,
    }
}

fn blocks(content: &Content) -> impl Iterator<Item = &Value> {
    match content {
        Content::Text(_) => [].iter(),
        Content::Blocks(blocks) => blocks.iter(),
    }
}

fn kind(block: &Value) -> &str {
    block["type"].as_str().unwrap_or_default()
}

fn text_of(block: &Value) -> Option<&str> {
    block.get("text")?.as_str()
}

fn has(content: &Content, wanted: &str) -> bool {
    blocks(content).any(|block| kind(block) == wanted)
}

/// The text of the last message of the user that has any; one with results alone asks nothing.
fn last_user_text(messages: &[Message]) -> String {
    let users = messages.iter().rev().filter(|message| message.role == "user");
    let texts = users.map(|message| match &message.content {
        Content::Text(text) => text.clone(),
        Content::Blocks(blocks) => blocks.iter().filter_map(text_of).collect::<Vec<_>>().join(" "),
    });
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}
