//! When a target counts as sick, and how attempts are spaced.

use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; at least 1.
    pub failures: u32,
    /// How long it stays open the first time. Each failed probe doubles the wait.
    pub open_for: Duration,
    /// The longest that it stays open.
    pub open_for_max: Duration,
    /// How long a probe may take before another exchange may probe; a probe without a deadline would
    /// shut the target for ever when its client goes away.
    pub probe_timeout: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        BreakerPolicy {
            failures: 3,
            open_for: Duration::from_secs(30),
            open_for_max: Duration::from_secs(300),
            probe_timeout: Duration::from_secs(60),
        }
    }
}

/// How attempts at the same target are spaced when the provider does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most upstream attempts for one exchange; attempts that ended in a 429 do not count, because
    /// they wait for room like everything else.
    pub attempts_max: u32,
    /// The first delay of the backoff; each further one doubles, with full jitter.
    pub delay: Duration,
    /// The longest delay of the backoff.
    pub delay_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { attempts_max: 4, delay: Duration::from_millis(500), delay_max: Duration::from_secs(8) }
    }
}
