//! What is logged, and how it looks.

/// How the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [LogFormat; 3] = [LogFormat::Auto, LogFormat::Text, LogFormat::Json];

    /// The word used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            LogFormat::Auto => "auto",
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A filter in the syntax of `RUST_LOG`, for example `info` or `tidegate=debug`.
    pub level: String,
    /// How it looks.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { level: "info".to_owned(), format: LogFormat::Auto }
    }
}
