//! The hub: a conversation, an answer and a stream as no vendor writes them.
//!
//! Each dialect is read into these types and written from them, so that N dialects need N readers and N
//! writers. Refuses to know any vendor's keys. Invariant: whatever two dialects can both say has a place here;
//! what has none is named in [`super::Losses`] or refuses the translation.

use crate::dialect::Dialect;
use serde_json::Value;

/// What a client asks of a model, whoever that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Whether the answer is to come as events.
    pub stream: bool,
    /// Whether the client itself asked for the usage chunk of a chat stream.
    pub wants_usage: bool,
    /// What stands before the conversation: the system's or the developer's words.
    pub system: Vec<Part>,
    /// The conversation, in order. Two turns of one role may follow one another; writers join them where
    /// their dialect demands it.
    pub turns: Vec<Turn>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<bool>,
    /// The most tokens of the answer.
    pub output_cap: Option<u64>,
    /// Sampling, as every dialect means it.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling from the most likely few.
    pub top_k: Option<u64>,
    /// From -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// From -2 to 2.
    pub presence_penalty: Option<f64>,
    /// For answers that repeat.
    pub seed: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// What the answer must look like.
    pub format: Format,
    /// How much the model thinks before it answers.
    pub reasoning: Option<Reasoning>,
    /// Who asks, as the client names its own user.
    pub user: Option<String>,
}

/// Whose turn it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person, or a tool's result.
    User,
    /// The model.
    Assistant,
    /// The system or the developer, in the middle of the conversation.
    System,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Whose.
    pub role: Role,
    /// What was said, in order.
    pub parts: Vec<Part>,
}

/// A piece of a turn or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// What a model said instead of an answer.
    Refusal(String),
    /// A picture.
    Image(Media),
    /// Sound.
    Audio(Media),
    /// A document, such as a PDF.
    File {
        /// Its contents.
        media: Media,
        /// Its name.
        name: Option<String>,
    },
    /// A call of a tool.
    ToolCall(ToolCall),
    /// What a tool gave.
    ToolResult {
        /// The call it answers.
        id: String,
        /// The tool's name, where the dialect says it; writers that need it look it up by the call.
        name: Option<String>,
        /// What it gave: texts and pictures.
        parts: Vec<Part>,
        /// Whether it failed.
        is_error: bool,
        /// Whether the call was of a tool whose input is free text.
        free_text: bool,
    },
    /// What the model thought.
    Thought(Thought),
    /// Where the client wants a provider to keep a cache up to here.
    CacheMark,
}

/// The bytes of a picture, a sound or a file, or where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// In the request.
    Inline {
        /// Such as `image/png`.
        kind: String,
        /// In base64.
        data: String,
    },
    /// Somewhere else. Never fetched by tidegate.
    Url(String),
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// What its result refers to. Empty where a dialect has none; readers of such a dialect make one up.
    pub id: String,
    /// The tool.
    pub name: String,
    /// A JSON object as text, or whatever text where `free_text`.
    pub input: String,
    /// Whether the tool's input is free text (OpenAI's custom tools).
    pub free_text: bool,
    /// A provider's signature over the thoughts that led to the call (Gemini).
    pub seal: Option<Seal>,
}

/// What the model thought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thought {
    /// In words; empty if the provider keeps them to itself.
    pub text: String,
    /// What the provider wants to see again with the next turn.
    pub seal: Option<Seal>,
}

/// Bytes that only the dialect which made them understands: a signature, or encrypted thoughts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Whose.
    pub by: Dialect,
    /// As that dialect writes it.
    pub data: String,
    /// Whether it is the thought itself, encrypted (Anthropic's `redacted_thinking`), not a signature under it.
    pub redacted: bool,
}

/// Something that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON schema of its input; `None` if its input is free text.
    pub schema: Option<Value>,
    /// Whether the input must keep to the schema.
    pub strict: Option<bool>,
}

/// Whether tools must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Any,
    /// This tool.
    Named(String),
}

/// What an answer must look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    /// Text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that keeps to a schema.
    Schema {
        /// What the schema is called; dialects without names write none.
        name: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether it is enforced.
        strict: Option<bool>,
    },
}

/// How much a model thinks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// In words: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    /// In tokens.
    pub budget: Option<u64>,
    /// Whether the client wants to see it.
    pub shown: bool,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's name for it; may be empty.
    pub id: String,
    /// The model that the provider says it was.
    pub model: String,
    /// What it says: texts, refusals, thoughts, tool calls, pictures.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub stop: Stop,
    /// What it cost, if the provider said so.
    pub usage: Option<Spent>,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// The model was done.
    #[default]
    End,
    /// The output cap, or the end of the context.
    Length,
    /// It waits for a tool.
    ToolUse,
    /// One of the texts that end an answer; which one, if the dialect says it.
    Sequence(Option<String>),
    /// A filter, or the model's own refusal.
    Refused,
    /// The provider paused a long turn, to be sent again (Anthropic).
    Paused,
}

/// What an answer cost. Unlike [`crate::wire::Usage`] it keeps what only clients read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// All input tokens: with those read from a cache and those written to one.
    pub input: u64,
    /// The part of `input` read from a cache.
    pub cached: u64,
    /// The part of `input` written to a cache.
    pub cache_written: u64,
    /// All output tokens, thoughts included.
    pub output: u64,
    /// The part of `output` that was thought.
    pub thought: u64,
}

/// A step of a streamed answer. Parts come one after the other: `Open`, then any number of `Delta`, then
/// `Close`; never two open at a time. Readers hold back what a provider interleaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins. Comes first and once.
    Begin {
        /// The provider's name for it; may be empty.
        id: String,
        /// The model that the provider says it is.
        model: String,
        /// The input, where the provider tells it at the start.
        usage: Option<Spent>,
    },
    /// A part begins.
    Open(Opened),
    /// More of the open part: text, or the text of a tool's input.
    Delta(String),
    /// The provider's signature of the open part.
    Sealed(Seal),
    /// The open part is whole.
    Close,
    /// The provider says that it is still there.
    Ping,
    /// The answer is whole. Comes last and once, unless `Failed` comes in its place.
    End {
        /// Why.
        stop: Stop,
        /// What it cost, if the provider said so.
        usage: Option<Spent>,
    },
    /// The provider failed.
    Failed {
        /// In its words.
        message: String,
        /// Its word for the class, if it has one, such as `overloaded_error`.
        kind: Option<String>,
        /// Its word for the reason, if it has one, such as `rate_limit_exceeded`.
        code: Option<String>,
    },
}

/// What kind of part has begun.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// Text.
    Text,
    /// A refusal.
    Refusal,
    /// A thought.
    Thought,
    /// A tool call, whose `input` follows as deltas and is empty here.
    ToolCall(ToolCall),
    /// A part that comes whole, such as a picture; no delta follows.
    Whole(Part),
}
