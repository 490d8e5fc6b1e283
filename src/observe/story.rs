//! What happened in one exchange, as one plain value for `/admin/exchanges`, headers and `tidegate explain`.
//!
//! Only numbers, names and the gateway's own words: nothing here can hold a key, a prompt or an answer. Knows no part
//! that it tells of. Invariant: every text in it is bounded by whoever writes it down.

use crate::ids::{BudgetId, ModelName, RequestId, TargetId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A word of a closed set.
pub type StatusWord = Cow<'static, str>;

/// The story of one exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusStory {
    /// What it is called.
    pub id: RequestId,
    /// When its last byte had come, in milliseconds since 1970.
    pub arrived_ms: u64,
    /// The client's dialect.
    pub dialect: StatusWord,
    /// What was asked for; absent until the body is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The class in which it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<StatusWord>,
    /// Whose it is, as the operator calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Arc<str>>,
    /// What it may cost, as estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated: Option<StatusTokens>,
    /// Who may serve it, in failover order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetId>,
    /// What happened, in order.
    pub events: Vec<StatusEvent>,
    /// How many events are missing in the middle.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
}

/// Tokens, by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusTokens {
    /// Of the input.
    pub input: u64,
    /// Of the output.
    pub output: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// When, in microseconds since the request had come.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub step: StatusStep,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StatusStep {
    /// A target that cannot be told what is asked is left out.
    Skipped {
        /// Which.
        target: TargetId,
        /// Why, in short words.
        why: Box<str>,
    },
    /// There was no room at once.
    Waiting {
        /// What it waits for.
        reason: StatusReason,
        /// How many waited already, in its class or a higher one.
        before: u32,
    },
    /// There is room.
    Granted {
        /// Where.
        target: TargetId,
        /// Tokens that are held there.
        held: u64,
        /// How long that took.
        waited_us: u64,
    },
    /// The request went out to the target that had room.
    Sent {
        /// Counted from 1.
        attempt: u32,
    },
    /// The target that had room was not asked after all.
    NotSent {
        /// Why.
        why: Box<str>,
    },
    /// An attempt failed.
    Judged {
        /// The status of the answer, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What it came to.
        outcome: StatusWord,
        /// After how long the provider wants to be asked again, if it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told_wait_ms: Option<u64>,
        /// What follows.
        next: StatusNext,
    },
    /// What a provider's headers changed here.
    Heard {
        /// In words.
        what: Box<str>,
    },
    /// The answer has begun.
    Begun {
        /// Its status.
        status: u16,
    },
    /// The answer crosses dialects.
    Translated {
        /// The client's.
        from: StatusWord,
        /// The target's.
        to: StatusWord,
        /// What has no counterpart there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<Box<str>>,
    },
    /// The first byte of the answer's body has come.
    FirstByte,
    /// What was held is replaced by what was used. An end.
    Settled {
        /// What was used.
        #[serde(flatten)]
        used: StatusTokens,
        /// Of the input, what came from the provider's cache.
        cached: u64,
        /// Who counted: `provider` or `tidegate`.
        counted_by: StatusWord,
        /// `complete`, `broke_off` or `client_left`.
        ending: StatusWord,
    },
    /// The client got the provider's own refusal. An end.
    GivenBack {
        /// Its status.
        status: u16,
    },
    /// The client got a refusal of the gateway's. An end.
    Refused {
        /// The word that metrics use.
        reason: StatusWord,
        /// Its status.
        status: u16,
        /// More, in words.
        detail: Box<str>,
    },
    /// The client went away before an answer had begun. An end.
    Left,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusNext {
    /// It waits for room again; the provider is left in peace for so long.
    PausedMs(u64),
    /// It is tried again after so long.
    RetryInMs(u64),
    /// Another target is asked.
    MoveOn,
    /// The provider's answer goes to the client.
    GiveBack,
    /// Nobody is left to ask.
    Exhausted,
}

/// Why there was no room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StatusReason {
    /// A limit over time is used up.
    Limit {
        /// Whose budget.
        budget: BudgetId,
        /// Which limit, by the name that the configuration uses.
        limit: StatusWord,
    },
    /// As many exchanges as are allowed are there.
    Concurrent {
        /// Whose budget.
        budget: BudgetId,
    },
    /// The provider has asked for silence.
    Paused {
        /// Whose budget.
        budget: BudgetId,
        /// For how long still.
        ms: u64,
    },
    /// Others came first.
    Queue,
}

/// One exchange in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusExchange {
    /// What it is called.
    pub id: RequestId,
    /// When it came, in milliseconds since 1970.
    pub arrived_ms: u64,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Who was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetId>,
    /// See [`StatusStory::state`].
    pub state: StatusWord,
    /// How often somebody was asked.
    pub attempts: u32,
    /// How long it waited for room, in all; what it still waits is not in it.
    pub waited_us: u64,
    /// When the last event was, in microseconds since it came.
    pub last_us: u64,
    /// What was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<StatusTokens>,
}

impl StatusStep {
    /// Whether nothing comes after it.
    pub const fn is_end(&self) -> bool {
        use StatusStep::*;
        matches!(self, Settled { .. } | GivenBack { .. } | Refused { .. } | Left)
    }
}

impl StatusStory {
    /// Where it stands: `arrived`, `waiting`, `asked`, `answering`, or how it ended: `complete`, `broke_off`,
    /// `client_left`, `given_back`, `refused`.
    pub fn state(&self) -> StatusWord {
        use StatusStep::*;
        let told = self.events.iter().rev().find_map(|event| match &event.step {
            Settled { ending, .. } => Some(ending.clone()),
            GivenBack { .. } => Some("given_back".into()),
            Refused { .. } => Some("refused".into()),
            Left => Some("client_left".into()),
            Begun { .. } | FirstByte => Some("answering".into()),
            Sent { .. } => Some("asked".into()),
            Waiting { .. } => Some("waiting".into()),
            // Between two attempts, whatever comes next.
            Granted { .. } | NotSent { .. } | Judged { .. } => Some("waiting".into()),
            Skipped { .. } | Heard { .. } | Translated { .. } => None,
        });
        told.unwrap_or("arrived".into())
    }

    /// Whether nothing comes any more.
    pub fn has_ended(&self) -> bool {
        self.events.iter().rev().any(|event| event.step.is_end())
    }

    /// In short.
    pub fn brief(&self) -> StatusExchange {
        let mut brief = StatusExchange {
            id: self.id.clone(),
            arrived_ms: self.arrived_ms,
            model: self.model.clone(),
            target: None,
            state: self.state(),
            attempts: 0,
            waited_us: 0,
            last_us: self.events.last().map_or(0, |event| event.at_us),
            used: None,
        };
        for event in &self.events {
            match &event.step {
                StatusStep::Granted { target, waited_us, .. } => {
                    brief.target = Some(target.clone());
                    brief.waited_us = brief.waited_us.saturating_add(*waited_us);
                }
                StatusStep::Sent { attempt } => brief.attempts = *attempt,
                StatusStep::Settled { used, .. } => brief.used = Some(*used),
                _ => {}
            }
        }
        brief
    }
}

impl StatusTokens {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// In words, as in `tokens per minute of openai`.
impl fmt::Display for StatusReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatusReason::Limit { budget, limit } => write!(f, "{} of {budget}", limit.replace('_', " ")),
            StatusReason::Concurrent { budget } => write!(f, "exchanges at a time at {budget}"),
            StatusReason::Paused { budget, ms } => {
                let (seconds, tenths) = (ms / 1_000, ms % 1_000 / 100);
                match seconds {
                    0 => write!(f, "a pause of {ms} ms that {budget} asked for"),
                    _ => write!(f, "a pause of {seconds}.{tenths} s that {budget} asked for"),
                }
            }
            StatusReason::Queue => f.write_str("others that came first"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
