//! How long to wait before the next try when the provider does not say.
//!
//! Knows no randomness: the caller brings a number. Invariant: never longer than the policy's maximum.

use super::policy::RetryPolicy;
use std::time::Duration;

/// Full jitter: a random part of the exponentially growing delay. `attempt` counts from 0; `random` is in
/// `[0, 1)`. Of the usual kinds this one spreads clients that failed together best
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
pub fn backoff(policy: &RetryPolicy, attempt: u32, random: f64) -> Duration {
    debug_assert!((0.0..1.0).contains(&random), "random is {random}");
    let doubled = 1u32.checked_shl(attempt).unwrap_or(u32::MAX);
    part(policy.delay.saturating_mul(doubled).min(policy.delay_max), random)
}

/// The part of `whole` that `random` in `[0, 1)` names.
pub(super) fn part(whole: Duration, random: f64) -> Duration {
    Duration::try_from_secs_f64(whole.as_secs_f64() * random).map_or(whole, |wait| wait.min(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { attempts_max: 4, delay: Duration::from_millis(500), delay_max: Duration::from_secs(8) };

    #[test]
    fn the_ceiling_doubles_up_to_its_maximum() {
        for (attempt, millis) in [(0, 250), (1, 500), (2, 1_000), (4, 4_000), (5, 4_000), (u32::MAX, 4_000)] {
            assert_eq!(backoff(&POLICY, attempt, 0.5), Duration::from_millis(millis), "attempt {attempt}");
        }
    }

    #[test]
    fn the_jitter_covers_everything_below_the_ceiling() {
        assert_eq!(backoff(&POLICY, 3, 0.0), Duration::ZERO);
        assert!(backoff(&POLICY, 3, 0.999_999) > Duration::from_millis(3_999));
        assert!(backoff(&POLICY, 3, 0.999_999) < Duration::from_secs(4));
    }

    #[test]
    fn a_policy_without_bounds_does_not_overflow() {
        let policy = RetryPolicy { delay: Duration::MAX, delay_max: Duration::MAX, ..POLICY };
        assert!(backoff(&policy, 40, 0.999_999_999_999) <= Duration::MAX);
    }
}
