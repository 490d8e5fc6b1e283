//! What a chat or completions request asks for, read from its body as OpenAI reads it: strict about what it knows,
//! deaf to what it does not.

use super::answer::Shape;
use super::count::{PART_TOKENS, message_tokens, text_tokens};
use super::refusal::Refusal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The most choices of one answer.
const CHOICES_MAX: usize = 16;

/// One call for text.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) prompt_tokens: u64,
    /// What each choice answers.
    pub(super) questions: Vec<Arc<str>>,
    pub(super) shape: Shape,
    /// The most tokens of one choice.
    pub(super) cap: Option<u64>,
    pub(super) stop: Vec<String>,
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
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

#[derive(Deserialize)]
struct Chat {
    messages: Option<Vec<Message>>,
    tools: Option<Box<RawValue>>,
    tool_choice: Option<ToolChoice>,
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
struct Tool {
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

/// A text, texts, a text's token ids, or several of these.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Ids(Vec<u32>),
    IdLists(Vec<Vec<u32>>),
}

impl Prompt {
    /// Each text with its tokens; ids are told as such, since nobody here can read them.
    pub(super) fn texts(self) -> Vec<(String, u64)> {
        let counted = |text: String| {
            let tokens = text_tokens(text.len());
            (text, tokens)
        };
        let told = |ids: Vec<u32>| {
            let text: Vec<_> = ids.iter().map(u32::to_string).collect();
            (text.join(" "), u64::try_from(ids.len()).unwrap_or(u64::MAX))
        };
        match self {
            Prompt::Text(text) => vec![counted(text)],
            Prompt::Texts(texts) => texts.into_iter().map(counted).collect(),
            Prompt::Ids(ids) => vec![told(ids)],
            Prompt::IdLists(lists) => lists.into_iter().map(told).collect(),
        }
    }
}

impl Ask {
    /// Reads a chat body.
    pub(super) fn chat(body: &[u8]) -> Result<Ask, Refusal> {
        let common: Common = read(body)?;
        let chat: Chat = read(body)?;
        let messages = chat.messages.as_deref().ok_or_else(|| Refusal::missing("messages"))?;
        if messages.is_empty() {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
            return Err(Refusal::parameter("messages", "empty_array", message));
        }
        let question: Arc<str> = last_user_text(messages).into();
        let tools_size = chat.tools.as_ref().map_or(0, |tools| tools.get().len());
        let prompt_tokens = text_tokens(tools_size) + messages.iter().map(Message::tokens).sum::<u64>();
        let choices = choices(common.n)?;
        common.into_ask(prompt_tokens, vec![question; choices], shape(&chat, messages)?)
    }

    /// Reads a completions body.
    pub(super) fn completions(body: &[u8]) -> Result<Ask, Refusal> {
        let common: Common = read(body)?;
        let completions: Completions = read(body)?;
        let prompts = completions.prompt.ok_or_else(|| Refusal::missing("prompt"))?.texts();
        let each = choices(common.n)?;
        if prompts.len().saturating_mul(each) > CHOICES_MAX {
            let message = format!("Invalid 'prompt': at most {CHOICES_MAX} choices in one answer.");
            return Err(Refusal::parameter("prompt", "array_above_max_length", message));
        }
        let prompt_tokens = prompts.iter().map(|(_, tokens)| tokens).sum();
        let questions = prompts.into_iter().flat_map(|(text, _)| vec![Arc::from(text); each]).collect();
        common.into_ask(prompt_tokens, questions, Shape::Text)
    }
}

impl Common {
    fn into_ask(self, prompt_tokens: u64, questions: Vec<Arc<str>>, shape: Shape) -> Result<Ask, Refusal> {
        let mut cap = None;
        for (name, value) in
            [("max_tokens", self.max_tokens), ("max_completion_tokens", self.max_completion_tokens)]
        {
            if let Some(value) = value {
                cap = cap.max(Some(at_least_one(name, value)?));
            }
        }
        Ok(Ask {
            model: self.model.ok_or_else(|| Refusal::missing("model"))?,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            prompt_tokens,
            questions,
            shape,
            cap,
            stop: match self.stop {
                None => Vec::new(),
                Some(OneOrMore::One(text)) => vec![text],
                Some(OneOrMore::More(texts)) => texts,
            },
        })
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

/// A tool call where one is demanded, or where the user names a tool and has not yet got its result.
fn shape(chat: &Chat, messages: &[Message]) -> Result<Shape, Refusal> {
    let tools: Vec<Tool> = match &chat.tools {
        Some(tools) => read(tools.get().as_bytes())?,
        None => Vec::new(),
    };
    let mut functions = tools.into_iter().filter_map(|tool| tool.function);
    let wanted = match &chat.tool_choice {
        Some(ToolChoice::Named { function }) => functions.find(|tool| tool.name == function.name),
        Some(ToolChoice::Mode(mode)) if mode == "required" => functions.next(),
        Some(ToolChoice::Mode(mode)) if mode == "none" => None,
        _ => {
            let asked = last_user_text(messages).to_lowercase().contains("tool");
            let answered = messages.last().is_some_and(|message| message.role == "tool");
            functions.next().filter(|_| asked && !answered)
        }
    };
    if let Some(Function { name, parameters }) = wanted {
        return Ok(Shape::ToolCall { name, parameters });
    }
    Ok(match &chat.response_format {
        Some(format) if format.r#type == "json_object" => Shape::Json,
        Some(ResponseFormat { json_schema: Some(json), .. }) => Shape::Schema(json.schema.clone()),
        _ => Shape::Text,
    })
}

fn choices(n: Option<i64>) -> Result<usize, Refusal> {
    let n = at_least_one("n", n.unwrap_or(1))?;
    usize::try_from(n).ok().filter(|n| *n <= CHOICES_MAX).ok_or_else(|| {
        let message = format!(
            "Invalid 'n': integer above maximum value. Expected a value <= {CHOICES_MAX}, but got {n} instead."
        );
        Refusal::parameter("n", "integer_above_max_value", message)
    })
}

fn at_least_one(name: &'static str, value: i64) -> Result<u64, Refusal> {
    u64::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| {
        let message = format!(
            "Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
        );
        Refusal::parameter(name, "integer_below_min_value", message)
    })
}

/// Reads JSON; what is no JSON and what is JSON of the wrong kind are told apart.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::invalid(format!("Invalid request body: {error}.")),
        _ => Refusal::invalid(format!("We could not parse the JSON body of your request: {error}.")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, found: &str) {
        let ask = Ask::chat(body.as_bytes());
        let refusal = ask.expect_err(body).body();
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
        let ask = Ask::chat(body).unwrap();
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
            match Ask::chat(body.as_bytes()).unwrap().shape {
                Shape::ToolCall { name, .. } => name,
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
