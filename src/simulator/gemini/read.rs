//! What a Gemini body asks for; strict where Google is. Both spellings of a name are taken, as by protocol buffers.

use crate::simulator::ask::{Ask, Shape, choices, json_length, read};
use crate::simulator::count::{PART_TOKENS, message_tokens, text_tokens};
use crate::simulator::refusal::Refusal;
use crate::simulator::tools::{self, Conversation, Input, Tool};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    contents: Option<Vec<Content>>,
    #[serde(alias = "system_instruction")]
    system_instruction: Option<Content>,
    tools: Option<Vec<Value>>,
    #[serde(alias = "tool_config")]
    tool_config: Option<ToolConfig>,
    #[serde(default, alias = "generation_config")]
    generation_config: GenerationConfig,
}

/// A turn, or anything else that has parts.
#[derive(Deserialize)]
pub(super) struct Content {
    role: Option<String>,
    #[serde(default)]
    parts: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig {
    #[serde(alias = "function_calling_config")]
    function_calling_config: Option<CallingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallingConfig {
    mode: Option<String>,
    #[serde(default, alias = "allowed_function_names")]
    allowed_function_names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<i64>,
    #[serde(default, alias = "stop_sequences")]
    stop_sequences: Vec<String>,
    #[serde(alias = "candidate_count")]
    candidate_count: Option<i64>,
    #[serde(alias = "response_mime_type")]
    response_mime_type: Option<String>,
    #[serde(alias = "response_schema")]
    response_schema: Option<Value>,
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    response_json_schema: Option<Value>,
    #[serde(alias = "thinking_config")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(alias = "include_thoughts")]
    include_thoughts: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountRequest {
    generate_content_request: Option<Request>,
}

/// Reads a request for an answer; the path names the model.
pub(super) fn generate(body: &[u8], model: &str) -> Result<Ask, Refusal> {
    let request: Request = read(body)?;
    let contents = request.checked()?;
    let question: Arc<str> = last_user_text(contents).into();
    let config = &request.generation_config;
    // Zero is as good as absent where a protocol buffer is read.
    let cap = match config.max_output_tokens {
        None | Some(0) => None,
        Some(cap) => {
            let cap = u64::try_from(cap);
            Some(cap.map_err(|_| Refusal::invalid("max_output_tokens must be positive."))?)
        }
    };
    let count = choices("candidate_count", config.candidate_count)?;
    let thinks = config.thinking_config.as_ref().and_then(|thinking| thinking.include_thoughts);
    Ok(Ask {
        model: model.to_owned(),
        stream: false,
        prompt_tokens: request.tokens(),
        shape: request.shape(contents, &question),
        questions: vec![question; count],
        thinks: thinks.unwrap_or(false),
        cap,
        stop: request.generation_config.stop_sequences,
    })
}

/// Reads a request for a count: bare contents, or a whole request within.
pub(super) fn counted(body: &[u8]) -> Result<u64, Refusal> {
    let within: CountRequest = read(body)?;
    let request = match within.generate_content_request {
        Some(request) => request,
        None => read(body)?,
    };
    request.checked()?;
    Ok(request.tokens())
}

impl Request {
    /// The contents, if Google would take them.
    fn checked(&self) -> Result<&[Content], Refusal> {
        let contents = self.contents.as_deref().unwrap_or_default();
        if contents.is_empty() {
            let text = "* GenerateContentRequest.contents: contents is not specified\n";
            return Err(Refusal::invalid(text));
        }
        let mut called = 0;
        for content in contents {
            if !["user", "model", "function"].contains(&content.role.as_deref().unwrap_or("user")) {
                return Err(Refusal::invalid("Please use a valid role: user, model."));
            }
            if content.parts.is_empty() {
                return Err(Refusal::invalid(
                    "* GenerateContentRequest.contents.parts: contents.parts must not be empty.\n",
                ));
            }
            let answered = content.count("functionResponse", "function_response");
            if answered > 0 && answered != called {
                return Err(Refusal::invalid(
                    "Please ensure that the number of function response parts is equal to the number of function \
                     call parts of the function call turn.",
                ));
            }
            called = content.count("functionCall", "function_call");
        }
        self.functions().try_for_each(|function| match function.get("parameters") {
            Some(schema) => check_schema(schema),
            None => Ok(()),
        })?;
        Ok(contents)
    }

    fn tokens(&self) -> u64 {
        let tools = self.tools.iter().flatten().map(|tool| text_tokens(json_length(tool))).sum::<u64>();
        let contents = self.contents.iter().flatten().chain(&self.system_instruction);
        tools + contents.map(Content::tokens).sum::<u64>()
    }

    fn functions(&self) -> impl Iterator<Item = &Value> {
        let declared = |tool| field(tool, "functionDeclarations", "function_declarations")?.as_array();
        self.tools.iter().flatten().filter_map(declared).flatten()
    }

    fn shape(&self, contents: &[Content], question: &str) -> Shape {
        let tools = self.functions().filter_map(|function| {
            let schema = function.get("parameters");
            let schema = schema.or(field(function, "parametersJsonSchema", "parameters_json_schema"));
            let name = function.get("name")?.as_str()?.to_owned();
            Some(Tool { name, input: Input::Schema(schema.cloned().unwrap_or_default()) })
        });
        let mut tools: Vec<_> = tools.collect();
        let calling = self.tool_config.as_ref().and_then(|config| config.function_calling_config.as_ref());
        if let Some(names) = calling.map(|calling| &calling.allowed_function_names)
            && !names.is_empty()
        {
            tools.retain(|tool| names.contains(&tool.name));
        }
        let choice = match calling.and_then(|calling| calling.mode.as_deref()) {
            Some("ANY") => tools::Choice::Any,
            Some("NONE") => tools::Choice::Never,
            _ => tools::Choice::Auto,
        };
        let last = contents.last();
        let answered = last.is_some_and(|last| last.count("functionResponse", "function_response") > 0);
        let talk = Conversation { question, answered, parallel: true };
        if let Some(calls) = tools::called(tools, &choice, talk) {
            return calls;
        }
        let config = &self.generation_config;
        match config.response_json_schema.as_ref().or(config.response_schema.as_ref()) {
            Some(schema) => Shape::Schema(schema.clone()),
            None if config.response_mime_type.as_deref() == Some("application/json") => Shape::Json,
            None => Shape::Text,
        }
    }
}

impl Content {
    /// All its words.
    pub(super) fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| part.get("text")?.as_str());
        texts.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn tokens(&self) -> u64 {
        let (mut bytes, mut others) = (0, 0);
        for part in &self.parts {
            let told = ["functionCall", "function_call", "functionResponse", "function_response"];
            match (part.get("text").and_then(Value::as_str), told.iter().find_map(|name| part.get(name))) {
                (Some(text), _) => bytes += text.len(),
                (None, Some(call)) => bytes += json_length(call),
                (None, None) => others += PART_TOKENS,
            }
        }
        message_tokens(bytes) + others
    }

    fn count(&self, camel: &str, snake: &str) -> usize {
        self.parts.iter().filter(|part| field(part, camel, snake).is_some()).count()
    }
}

/// A schema of Google's own kind, which knows fewer words than JSON Schema and refuses the others.
fn check_schema(schema: &Value) -> Result<(), Refusal> {
    for word in ["$schema", "$ref", "$defs", "additionalProperties"] {
        if schema.get(word).is_some() {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"{word}\" at \
                 'tools[0].function_declarations[0].parameters': Cannot find field."
            );
            return Err(Refusal::invalid(message));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let either = field(schema, "anyOf", "any_of").and_then(Value::as_array);
    let within = properties.into_iter().flat_map(|properties| properties.values());
    within.chain(schema.get("items")).chain(either.into_iter().flatten()).try_for_each(check_schema)
}

fn field<'a>(value: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    value.get(camel).or_else(|| value.get(snake))
}

/// The text of the last turn of the user that has any.
fn last_user_text(contents: &[Content]) -> String {
    let users = contents.iter().rev().filter(|content| content.role.as_deref() != Some("model"));
    users.map(Content::text).find(|text| !text.is_empty()).unwrap_or_default()
}
