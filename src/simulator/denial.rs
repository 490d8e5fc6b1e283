//! Why an account lets a request not in, as facts, and the sentence that says so.

use super::account::Kind;
use super::limit_headers::go_duration;
use super::refusal::Refusal;
use std::time::Duration;

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// As many requests run as may.
    Crowded {
        /// How many may.
        limit: u64,
        /// How many do.
        busy: u64,
    },
    /// It asks for more than there ever is.
    TooLarge {
        /// Of which limit.
        kind: Kind,
        /// The most there ever is.
        limit: u64,
        /// What it asks.
        asked: u64,
    },
    /// A limit is reached.
    Reached {
        /// Which.
        kind: Kind,
        /// Its size.
        limit: u64,
        /// What of it is used.
        used: u64,
        /// What it asks.
        asked: u64,
        /// How long until there would be room, in whole milliseconds.
        wait: Duration,
    },
}

impl Denial {
    /// When to come back; `None` if waiting is no use, or nobody can say.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Denial::Reached { wait, .. } => Some(*wait),
            Denial::Crowded { .. } | Denial::TooLarge { .. } => None,
        }
    }

    /// The refusal of a request for this model; whether it says when to come back may be chosen.
    pub(super) fn refusal(&self, model: &str, tells_wait: bool) -> Refusal {
        let wait = self.wait().filter(|_| tells_wait);
        let (kind, message) = match *self {
            Denial::Crowded { limit, busy } => (
                Kind::Requests,
                format!(
                    "Rate limit reached for {model} in organization org-sim on concurrent requests: Limit {limit}, \
                     Used {busy}, Requested 1. Please try again when a request has finished."
                ),
            ),
            Denial::TooLarge { kind, limit, asked } => (
                kind,
                format!(
                    "Request too large for {model} in organization org-sim on {}: Limit {limit}, Requested {asked}. \
                     The input or output tokens must be reduced in order to run successfully.",
                    phrase(kind)
                ),
            ),
            Denial::Reached { kind, limit, used, asked, .. } => {
                let when = wait.map(|wait| format!(" Please try again in {}.", go_duration(wait)));
                let message = format!(
                    "Rate limit reached for {model} in organization org-sim on {}: Limit {limit}, Used {used}, \
                     Requested {asked}.{}",
                    phrase(kind),
                    when.unwrap_or_default()
                );
                (kind, message)
            }
        };
        Refusal::limited(message, kind, wait)
    }
}

fn phrase(kind: Kind) -> &'static str {
    match kind {
        Kind::Requests => "requests per min (RPM)",
        Kind::Tokens => "tokens per min (TPM)",
        Kind::Input => "input tokens per min (ITPM)",
        Kind::Output => "output tokens per min (OTPM)",
        Kind::DailyRequests => "requests per day (RPD)",
        Kind::DailyTokens => "tokens per day (TPD)",
    }
}
