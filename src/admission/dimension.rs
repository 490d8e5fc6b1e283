//! What limits count: the dimensions, what a call weighs in each, and the rate that limits give there.
//!
//! Refuses to know how much is used. Invariant: a rate's burst is at least 1 and not more than its limit.

use super::bucket::Rate;
use super::limits::{Limits, Slices};
use crate::units::Tokens;
use std::num::NonZeroU32;
use std::time::Duration;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// What a call is expected to cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Input tokens.
    pub input: Tokens,
    /// Output tokens.
    pub output: Tokens,
    /// Whether `output` is a guess and no promise of the client: then it is cut to what a limit can
    /// ever hold, so that a small limit does not refuse for ever what it could serve.
    pub output_is_guess: bool,
}

impl Cost {
    /// Input and output together.
    pub fn total(self) -> Tokens {
        self.input + self.output
    }
}

/// What a limit counts, and over what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Requests a minute.
    RequestsPerMinute,
    /// Requests a day.
    RequestsPerDay,
    /// All tokens a minute.
    TokensPerMinute,
    /// All tokens a day.
    TokensPerDay,
    /// Input tokens a minute.
    InputTokensPerMinute,
    /// Output tokens a minute.
    OutputTokensPerMinute,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Dimension; 6] = [
        Dimension::RequestsPerMinute,
        Dimension::RequestsPerDay,
        Dimension::TokensPerMinute,
        Dimension::TokensPerDay,
        Dimension::InputTokensPerMinute,
        Dimension::OutputTokensPerMinute,
    ];

    /// The name used in configuration, in saved state, in `/health` and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::RequestsPerMinute => "requests_per_minute",
            Dimension::RequestsPerDay => "requests_per_day",
            Dimension::TokensPerMinute => "tokens_per_minute",
            Dimension::TokensPerDay => "tokens_per_day",
            Dimension::InputTokensPerMinute => "input_tokens_per_minute",
            Dimension::OutputTokensPerMinute => "output_tokens_per_minute",
        }
    }

    /// Whether requests are counted, not tokens.
    pub const fn counts_requests(self) -> bool {
        matches!(self, Dimension::RequestsPerMinute | Dimension::RequestsPerDay)
    }

    /// Whether the limit is over a day, not over a minute.
    pub const fn is_daily(self) -> bool {
        matches!(self, Dimension::RequestsPerDay | Dimension::TokensPerDay)
    }

    /// The time that the limit is over.
    pub(super) const fn window(self) -> Duration {
        if self.is_daily() { DAY } else { MINUTE }
    }

    /// What `cost` weighs here.
    pub(super) fn weigh(self, cost: Cost) -> u64 {
        Sums::of(1, cost).units(self)
    }

    /// The rate that `limits` give here.
    pub(super) fn rate(self, limits: &Limits) -> Option<Rate> {
        let (limit, burst) = match self {
            Dimension::RequestsPerMinute => (limits.requests_per_minute, limits.burst_requests),
            Dimension::TokensPerMinute => (limits.tokens_per_minute, limits.burst_tokens),
            Dimension::InputTokensPerMinute => (limits.input_tokens_per_minute, limits.burst_tokens),
            Dimension::OutputTokensPerMinute => (limits.output_tokens_per_minute, limits.burst_tokens),
            Dimension::RequestsPerDay => (limits.requests_per_day, None),
            Dimension::TokensPerDay => (limits.tokens_per_day, None),
        };
        let rate = self.rate_of(limit?, limits.slices);
        let burst = burst.map_or(rate.burst, |burst| burst.min(rate.limit));
        Some(Rate { burst, ..rate })
    }

    /// The rate of a limit, with what one slice of its window holds as the burst.
    pub(super) fn rate_of(self, limit: NonZeroU32, slices: Slices) -> Rate {
        let slice = match self {
            Dimension::RequestsPerMinute => slices.requests,
            // A day's allowance may be spent at any time of the day, so all of it may pass at once.
            Dimension::RequestsPerDay | Dimension::TokensPerDay => DAY,
            _ => slices.tokens,
        };
        let window = self.window();
        let units = (u128::from(limit.get()) * slice.min(window).as_nanos()).div_ceil(window.as_nanos());
        let burst = u32::try_from(units).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Rate { limit, window, burst: burst.min(limit) }
    }
}

/// Requests and tokens added up. Sums wrap, so that one nonsensical usage does not stop them from counting: only
/// the difference of two means anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    requests: u64,
    input: u64,
    output: u64,
}

impl Sums {
    /// So many requests and one cost.
    pub(super) fn of(requests: u64, cost: Cost) -> Sums {
        Sums { requests, input: cost.input.0, output: cost.output.0 }
    }

    /// In units of this dimension.
    pub(super) fn units(self, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::RequestsPerMinute | Dimension::RequestsPerDay => self.requests,
            Dimension::TokensPerMinute | Dimension::TokensPerDay => self.input.saturating_add(self.output),
            Dimension::InputTokensPerMinute => self.input,
            Dimension::OutputTokensPerMinute => self.output,
        }
    }

    /// What has been added since `earlier`.
    pub(super) fn since(self, earlier: Sums) -> Sums {
        self.zip(earlier, u64::wrapping_sub)
    }

    pub(super) fn plus(self, other: Sums) -> Sums {
        self.zip(other, u64::wrapping_add)
    }

    /// Without `other`, each part down to nothing at most.
    pub(super) fn less(self, other: Sums) -> Sums {
        self.zip(other, u64::saturating_sub)
    }

    fn zip(self, other: Sums, join: impl Fn(u64, u64) -> u64) -> Sums {
        Sums {
            requests: join(self.requests, other.requests),
            input: join(self.input, other.input),
            output: join(self.output, other.output),
        }
    }
}

/// A call that no rest of the bucket would make room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The limit that is too small.
    pub dimension: Dimension,
    /// The limit.
    pub limit: u64,
    /// What the call would take.
    pub asked: u64,
}
