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
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 3] = [Dialect::Chat, Dialect::Completions, Dialect::Embeddings];

    /// The path under a provider's base URL, with its leading slash.
    pub const fn path(self) -> &'static str {
        match self {
            Dialect::Chat => "/chat/completions",
            Dialect::Completions => "/completions",
            Dialect::Embeddings => "/embeddings",
        }
    }

    /// The short name used in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Chat => "chat",
            Dialect::Completions => "completions",
            Dialect::Embeddings => "embeddings",
        }
    }

    /// Whether an answer may come as a stream of events.
    pub const fn streams(self) -> bool {
        !matches!(self, Dialect::Embeddings)
    }

    /// Whether a model writes tokens in answer; embeddings are input alone.
    pub const fn has_output(self) -> bool {
        !matches!(self, Dialect::Embeddings)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The dialects that a provider speaks, as `dialect = "..."` in its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's paths and shapes under the base URL; most vendors offer them.
    #[default]
    OpenAi,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 1] = [Family::OpenAi];

    /// The word used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Family::OpenAi => "openai",
        }
    }
}
