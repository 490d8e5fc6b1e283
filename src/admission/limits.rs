//! What a provider allows, as its operator wrote it.
//!
//! A limit that is not given is open. Nothing here knows how much is used: that is a budget.

use std::num::NonZeroU32;
use std::time::Duration;

/// The limits of one provider. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Requests a day.
    pub requests_per_day: Option<NonZeroU32>,
    /// Input and output tokens together, a minute.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Input and output tokens together, a day.
    pub tokens_per_day: Option<NonZeroU32>,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<NonZeroU32>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<NonZeroU32>,
    /// Requests that may pass at once after a rest; what one slice holds if not given.
    pub burst_requests: Option<NonZeroU32>,
    /// Tokens that may pass at once after a rest; what one slice holds if not given.
    pub burst_tokens: Option<NonZeroU32>,
    /// Exchanges that may be at the provider at the same time.
    pub concurrent: Option<NonZeroU32>,
    /// How a day's limits come back.
    pub day: DayReset,
    /// The slices of a minute that the provider checks, where no burst is given.
    pub slices: Slices,
}

/// How a day's limits come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DayReset {
    /// Steadily, over the day.
    #[default]
    Rolling,
    /// All at once, at a moment of the day that the desk is told.
    AtReset,
}

/// The slices of a minute that a provider checks: what one slice holds may pass at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    /// Of a limit on requests.
    pub requests: Duration,
    /// Of a limit on tokens.
    pub tokens: Duration,
}

impl Default for Slices {
    /// One sixth of a minute: room for a few calls at once, and five sixths in reserve for what we do not know.
    fn default() -> Self {
        Slices { requests: Duration::from_secs(10), tokens: Duration::from_secs(10) }
    }
}

/// What a provider charges against its limits, when, and what it gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    /// When output counts.
    pub output: OutputCounts,
    /// Whether input that was read from the provider's cache counts.
    pub cached_input: bool,
    /// Whether what was charged at admission beyond the truth is given back once the truth is known.
    pub gives_back: bool,
}

/// When output counts against a provider's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputCounts {
    /// At admission, as much as the call allows.
    #[default]
    AtAdmission,
    /// As it is produced.
    AsProduced,
    /// Never.
    Never,
}

impl OutputCounts {
    /// Every way.
    pub const ALL: [OutputCounts; 3] =
        [OutputCounts::AtAdmission, OutputCounts::AsProduced, OutputCounts::Never];

    /// The word used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            OutputCounts::AtAdmission => "at_admission",
            OutputCounts::AsProduced => "as_produced",
            OutputCounts::Never => "never",
        }
    }
}

impl Counting {
    /// What is assumed of a provider of which nothing is known: all that may come is held, all that came counts.
    pub const USUAL: Counting =
        Counting { output: OutputCounts::AtAdmission, cached_input: true, gives_back: true };
}

impl Default for Counting {
    fn default() -> Self {
        Counting::USUAL
    }
}

/// How exchanges wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The longest that an exchange waits before it is refused.
    pub max_wait: Duration,
    /// The most exchanges that wait at a time.
    pub max_depth: usize,
    /// How long an exchange waits for its first target before any target with room will do.
    pub patience: Duration,
    /// Who has waited so long moves up a class; zero is never.
    pub ageing: Duration,
    /// The part of each burst that is kept for those for whom a person waits, in thousandths, at most 900.
    pub reserve: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            max_wait: Duration::from_secs(120),
            max_depth: 1_000,
            patience: Duration::from_secs(10),
            ageing: Duration::from_secs(60),
            reserve: 0,
        }
    }
}

/// Who goes first. The order of the variants is the order of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A person waits for it.
    Interactive,
    /// The usual case.
    #[default]
    Normal,
    /// Bulk work that takes what is left.
    Batch,
}

impl Priority {
    /// Every class, in order of service.
    pub const ALL: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Batch];

    /// The word used in configuration, in the header and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::Interactive => "interactive",
            Priority::Normal => "normal",
            Priority::Batch => "batch",
        }
    }

    /// The class with this name.
    pub fn from_name(name: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| priority.name() == name)
    }
}
