//! What a chat or completions request asks for, read from its body as OpenAI reads it: strict about what it knows,
//! deaf to what it does not.

use crate::simulator::ask::{Ask, CHOICES_MAX, OneOrMore, Shape, at_least_one, choices, read};
use crate::simulator::count::{PART_TOKENS, message_tokens, text_tokens};
use crate::simulator::prompt::Prompt;
use crate::simulator::refusal::Refusal;
use crate::simulator::tools::{self, Conversation, Input, Tool};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What was asked, and what only these endpoints can be asked.
#[derive(Debug)]
pub(super) struct ChatAsk {
    pub(super) ask: Ask,
    /// Whether a stream was asked to report what it used.
    pub(super) include_usage: bool,
}

/// What both kinds of body have. Everything is optional so that what is missing gets its own message.
#[derive(Deserialize)]
struct Common {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    n: Option<i64>,
    stop: Option<OneOrMore<String>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Chat {
    messages: Option<Vec<Message>>,
    tools: Option<Box<RawValue>>,
    tool_choice: Option<ToolChoice>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<ResponseFormat>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Offered {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    parameters: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToolChoice {
    Mode(String),
    Named { function: ToolName },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct ToolName {
    name: String,
}

#[derive(Deserialize)]
struct ResponseFormat {
    r#type: String,
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    #[serde(default)]
    schema: Value,
}

#[derive(Deserialize)]
struct Completions {
    prompt: Option<Prompt>,
}

/// Reads a chat body; a model that the path names stands for the body's.
pub(super) fn chat(body: &[u8], model: Option<String>) -> Result<ChatAsk, Refusal> {
    let mut common: Common = read(body)?;
    common.model = model.or(common.model);
    let chat: Chat = read(body)?;
    let messages = chat.messages.as_deref().ok_or_else(|| Refusal::missing("messages"))?;
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
        return Err(Refusal::parameter("messages", "empty_array", message));
    }
    let question = last_user_text(messages);
    let tools_size = chat.tools.as_ref().map_or(0, |tools| tools.get().len());
    let prompt_tokens = text_tokens(tools_size) + messages.iter().map(Message::tokens).sum::<u64>();
    let choices = choices("n", common.n)?;
    let shape = shape(&chat, messages, &question)?;
    common.into_ask(prompt_tokens, vec![question.into(); choices], shape)
}

/// Reads a completions body.
pub(super) fn completions(body: &[u8]) -> Result<ChatAsk, Refusal> {
    let common: Common = read(body)?;
    let completions: Completions = read(body)?;
    let prompts = completions.prompt.ok_or_else(|| Refusal::missing("prompt"))?.texts();
    let each = choices("n", common.n)?;
    if prompts.len().saturating_mul(each) > CHOICES_MAX {
        let message = format!("Invalid 'prompt': at most {CHOICES_MAX} choices in one answer.");
        return Err(Refusal::parameter("prompt", "array_above_max_length", message));
    }
    let prompt_tokens = prompts.iter().map(|(_, tokens)| tokens).sum();
    let questions = prompts.into_iter().flat_map(|(text, _)| vec![Arc::from(text); each]).collect();
    common.into_ask(prompt_tokens, questions, Shape::Text)
}

impl Common {
    fn into_ask(
        self,
        prompt_tokens: u64,
        questions: Vec<Arc<str>>,
        shape: Shape,
    ) -> Result<ChatAsk, Refusal> {
        let mut cap = None;
        for (name, value) in
            [("max_tokens", self.max_tokens), ("max_completion_tokens", self.max_completion_tokens)]
        {
            if let Some(value) = value {
                cap = cap.max(Some(at_least_one(name, value)?));
            }
        }
        let ask = Ask {
            model: self.model.ok_or_else(|| Refusal::missing("model"))?,
            stream: self.stream.unwrap_or(false),
            prompt_tokens,
            questions,
            shape,
            thinks: false,
            cap,
            stop: self.stop.map(OneOrMore::list).unwrap_or_default(),
        };
        let include_usage = self.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
        Ok(ChatAsk { ask, include_usage })
    }
}

impl Message {
    fn tokens(&self) -> u64 {
        let calls = self.tool_calls.as_ref().map_or(0, |calls| calls.get().len());
        let mut bytes = calls;
        let mut others = 0;
        match &self.content {
            None => {}
            Some(Content::Text(text)) => bytes += text.len(),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    match &part.text {
                        Some(text) => bytes += text.len(),
                        None => others += PART_TOKENS,
                    }
                }
            }
        }
        message_tokens(bytes) + others
    }

    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                parts.iter().filter_map(|part| part.text.as_deref()).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn last_user_text(messages: &[Message]) -> String {
    messages.iter().rev().find(|message| message.role == "user").map(Message::text).unwrap_or_default()
}

fn shape(chat: &Chat, messages: &[Message], question: &str) -> Result<Shape, Refusal> {
    let offered: Vec<Offered> = match &chat.tools {
        Some(tools) => read(tools.get().as_bytes())?,
        None => Vec::new(),
    };
    let functions = offered.into_iter().filter_map(|tool| tool.function);
    let tools = functions.map(|tool| Tool { name: tool.name, input: Input::Schema(tool.parameters) });
    let choice = match &chat.tool_choice {
        Some(ToolChoice::Named { function }) => tools::Choice::Named(function.name.clone()),
        Some(ToolChoice::Mode(mode)) if mode == "required" => tools::Choice::Any,
        Some(ToolChoice::Mode(mode)) if mode == "none" => tools::Choice::Never,
        _ => tools::Choice::Auto,
    };
    let answered = messages.last().is_some_and(|message| message.role == "tool");
    let parallel = chat.parallel_tool_calls.unwrap_or(true);
    if let Some(calls) =
        tools::called(tools.collect(), &choice, Conversation { question, answered, parallel })
    {
        return Ok(calls);
    }
    Ok(match &chat.response_format {
        Some(format) if format.r#type == "json_object" => Shape::Json,
        Some(ResponseFormat { json_schema: Some(json), .. }) => Shape::Schema(json.schema.clone()),
        _ => Shape::Text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::refusal_shapes::openai;

    fn check(body: &str, found: &str) {
        let ask = chat(body.as_bytes(), None);
        let refusal = openai(&ask.expect_err(body)).to_string();
        assert!(refusal.contains(found), "{body}: {refusal}");
    }

    #[test]
    fn mistakes_are_named_as_openai_names_them() {
        check("{", "We could not parse the JSON body");
        check("[]", "Invalid request body");
        check(r#"{"model":"sim"}"#, "Missing required parameter: 'messages'.");
        check(r#"{"messages":[{"role":"user","content":"x"}]}"#, "Missing required parameter: 'model'.");
        check(r#"{"model":"sim","messages":[]}"#, "empty_array");
        let with = |more: &str| format!(r#"{{"model":"sim","messages":[{{"role":"user"}}],{more}}}"#);
        check(&with(r#""max_tokens":-3"#), "integer_below_min_value");
        check(&with(r#""n":17"#), "integer_above_max_value");
        check(&with(r#""stream":"yes""#), "Invalid request body");
    }

    #[test]
    fn the_prompt_is_counted_by_the_written_rule() {
        let body = br#"{"model":"sim","messages":[{"role":"system","content":"12345678"},
            {"role":"user","content":[{"type":"text","text":"12345"},{"type":"image_url","image_url":{}}]}]}"#;
        let ask = chat(body, None).unwrap().ask;
        assert_eq!(ask.prompt_tokens, (2 + 3) + (2 + 3 + PART_TOKENS));
        assert_eq!(&*ask.questions[0], "12345");
    }

    #[test]
    fn a_tool_is_called_when_asked_for_and_not_again_once_it_answered() {
        let call = |choice: &str, text: &str, last: &str| {
            let body = format!(
                r#"{{"model":"sim","messages":[{{"role":"user","content":"{text}"}}{last}],"tool_choice":{choice},
                "tools":[{{"type":"function","function":{{"name":"a"}}}},{{"type":"function","function":{{"name":"b"}}}}]}}"#
            );
            match chat(body.as_bytes(), None).unwrap().ask.shape {
                Shape::Calls(tools) => tools[0].name.clone(),
                _ => String::new(),
            }
        };
        let result = r#",{"role":"tool","tool_call_id":"x","content":"1"}"#;
        assert_eq!(call("null", "use the Tool", ""), "a");
        assert_eq!(call("null", "use the tool", result), "");
        assert_eq!(call(r#""auto""#, "hello", ""), "");
        assert_eq!(call(r#""none""#, "use the tool", ""), "");
        assert_eq!(call(r#""required""#, "hello", result), "a");
        assert_eq!(call(r#"{"type":"function","function":{"name":"b"}}"#, "hello", ""), "b");
    }
}
