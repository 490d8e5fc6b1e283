//! The wire formats that tidegate understands, and the families that providers speak.
//!
//! Knows names and paths only; how a format is read is in `wire`.

use std::fmt;

/// A wire format that is read, estimated and admitted. Anything else passes through unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI text completions.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI responses.
    Responses,
    /// Anthropic messages.
    Messages,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    Gemini,
    /// Gemini's `embedContent`.
    GeminiEmbed,
    /// Gemini's `batchEmbedContents`.
    GeminiBatchEmbed,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 8] = [
        Dialect::Chat,
        Dialect::Completions,
        Dialect::Embeddings,
        Dialect::Responses,
        Dialect::Messages,
        Dialect::Gemini,
        Dialect::GeminiEmbed,
        Dialect::GeminiBatchEmbed,
    ];

    /// Those that hold a conversation, and can be translated into one another.
    pub const CONVERSATIONS: [Dialect; 4] =
        [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini];

    /// The usual path under a provider's base URL, with its leading slash. `{model}` stands for the model's
    /// name and `{verb}` for [`Dialect::verb`] where a format has them in its path.
    pub const fn path(self) -> &'static str {
        match self {
            Dialect::Chat => "/chat/completions",
            Dialect::Completions => "/completions",
            Dialect::Embeddings => "/embeddings",
            Dialect::Responses => "/responses",
            Dialect::Messages => "/messages",
            Dialect::Gemini | Dialect::GeminiEmbed | Dialect::GeminiBatchEmbed => "/models/{model}:{verb}",
        }
    }

    /// What Gemini's paths end in; empty for the others.
    pub const fn verb(self, stream: bool) -> &'static str {
        match self {
            Dialect::Gemini if stream => "streamGenerateContent",
            Dialect::Gemini => "generateContent",
            Dialect::GeminiEmbed => "embedContent",
            Dialect::GeminiBatchEmbed => "batchEmbedContents",
            _ => "",
        }
    }

    /// The short name used in configuration, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Chat => "chat",
            Dialect::Completions => "completions",
            Dialect::Embeddings => "embeddings",
            Dialect::Responses => "responses",
            Dialect::Messages => "messages",
            Dialect::Gemini => "gemini",
            Dialect::GeminiEmbed => "gemini_embed",
            Dialect::GeminiBatchEmbed => "gemini_batch_embed",
        }
    }

    /// Whose format it is.
    pub const fn family(self) -> Family {
        match self {
            Dialect::Chat | Dialect::Completions | Dialect::Embeddings | Dialect::Responses => Family::OpenAi,
            Dialect::Messages => Family::Anthropic,
            Dialect::Gemini | Dialect::GeminiEmbed | Dialect::GeminiBatchEmbed => Family::Gemini,
        }
    }

    /// Whether it holds a conversation, and so can be translated.
    pub const fn is_conversation(self) -> bool {
        matches!(self, Dialect::Chat | Dialect::Responses | Dialect::Messages | Dialect::Gemini)
    }

    /// Whether an answer may come as a stream of events.
    pub const fn streams(self) -> bool {
        self.is_conversation() || matches!(self, Dialect::Completions)
    }

    /// Whether a stream tells its usage only to who asks for it with `stream_options`.
    pub const fn asks_for_usage(self) -> bool {
        matches!(self, Dialect::Chat | Dialect::Completions)
    }

    /// Whether a model writes tokens in answer; embeddings are input alone.
    pub const fn has_output(self) -> bool {
        self.streams()
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whose paths and shapes a provider offers in the main, as `dialect = "..."` in its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's; most vendors offer them.
    #[default]
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's, for Gemini.
    Gemini,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 3] = [Family::OpenAi, Family::Anthropic, Family::Gemini];

    /// The word used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Family::OpenAi => "openai",
            Family::Anthropic => "anthropic",
            Family::Gemini => "gemini",
        }
    }

    /// What a provider of this family speaks, unless more is known of it. OpenAI's responses are left out: most
    /// servers that call themselves compatible do not have them, and a conversation can be translated.
    pub const fn dialects(self) -> &'static [Dialect] {
        match self {
            Family::OpenAi => &[Dialect::Chat, Dialect::Completions, Dialect::Embeddings],
            Family::Anthropic => &[Dialect::Messages],
            Family::Gemini => &[Dialect::Gemini, Dialect::GeminiEmbed, Dialect::GeminiBatchEmbed],
        }
    }
}
