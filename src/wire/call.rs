//! What an exchange asks, read from its body.
//!
//! Two values come of one reading: [`Call`], small and owned, which travels with the exchange, and
//! [`Content`], borrowed from the body, which only the estimator looks at. The body itself is never
//! written anew: [`Spans`] tell where the few patched values stand.

use crate::dialect::Dialect;
use crate::ids::ModelName;
use crate::units::Tokens;
use std::borrow::Cow;
use std::ops::Range;

/// What is asked, as far as routing and admission need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The format of the body.
    pub dialect: Dialect,
    /// The model that the client named.
    pub model: ModelName,
    /// Whether the answer is to come as events.
    pub stream: bool,
    /// Whether the client itself asked for the usage chunk of a stream.
    pub wants_usage: bool,
    /// The most output tokens that the client allows for one choice: the largest of `max_tokens`,
    /// `max_completion_tokens` and `max_output_tokens` where a dialect has several, so that a small one cannot
    /// hide a large one.
    pub output_cap: Option<Tokens>,
    /// How many choices are generated: `n`, or `best_of` where that is larger, or `candidateCount`; at least 1.
    pub choices: u32,
    /// For whom it is asked, in the client's own words: `user` and its successors, or `metadata.user_id`. Bounded in
    /// length, and personal: nothing shows it.
    pub user: Option<Box<str>>,
    /// Where the patched values stand in the body.
    pub spans: Spans,
}

/// Byte ranges in the body that a patch may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// The JSON strings that name the model, quotes included, in the order in which they stand. None where the
    /// path names it; several where each part of a batch does.
    pub models: Vec<Range<usize>>,
    /// The value of `stream_options` (an object or `null`), if the key is present.
    pub stream_options: Option<Range<usize>>,
    /// The value of `stream_options.include_usage`, if present.
    pub include_usage: Option<Range<usize>>,
    /// Just behind the body's opening brace: where a new key can be put, followed by a comma.
    pub insert: usize,
}

/// What is to be counted. Texts borrow from the body where they hold no escape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content<'a> {
    /// Every text that the model reads, in order: names, contents, arguments of tool calls. Not the roles.
    pub texts: Vec<Cow<'a, str>>,
    /// Tool and function definitions and response schemas, each as the JSON that stands in the body.
    pub schemas: Vec<&'a str>,
    /// How many of the schemas are tools.
    pub tools: u32,
    /// How many messages the conversation has.
    pub messages: u32,
    /// How many messages carry a `name`.
    pub names: u32,
    /// Pictures.
    pub images: Vec<Image>,
    /// Seconds of audio, as well as the size of the data tells.
    pub audio_seconds: u32,
    /// Tokens that the client has already encoded (embeddings and completions accept arrays of ids).
    pub encoded: Tokens,
}

/// A picture in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Width and height in pixels, where the data is inline and its header could be read.
    pub size: Option<(u32, u32)>,
    /// Whether the client asked for low detail.
    pub low_detail: bool,
}

/// Why a body is no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCall {
    /// Not JSON, or not a JSON object. Carries the parser's words, which name line and column and
    /// never quote the body.
    #[error("the body is not a JSON object: {0}")]
    NotJson(String),
    /// A needed key is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A key has a value that cannot be meant: key, and what it must be.
    #[error("`{key}` must be {must_be}")]
    Wrong {
        /// The key.
        key: &'static str,
        /// What its value must be, for example "a whole number that is not negative".
        must_be: &'static str,
    },
}
