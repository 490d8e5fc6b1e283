//! What a client asks for next, and when it asks again: as the official SDKs, without a clock or a socket.

use crate::scenario::{FIRST_TOKEN, Group, TOKEN};
use std::time::Duration;
use tidegate::simulator::{Demand, message_tokens};

/// Two retries, from half a second to eight, less up to a quarter at random.
const RETRIES: u32 = 2;
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// A longer wait than this is not heeded by the SDKs.
const HEEDED_MAX: Duration = Duration::from_secs(60);

/// How long a client rests after a call that has failed for good.
pub(crate) const REST_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The cap that every call sets, and the shortest answer.
const CAP: u64 = 120;
const ANSWER_MIN: u64 = 20;

/// One call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    pub(crate) prompt_bytes: usize,
    pub(crate) cap: u64,
    /// The length of the answer that it gets; a cap is rarely reached.
    pub(crate) output: u64,
}

impl Call {
    pub(crate) fn draw(group: &Group, random: &mut fastrand::Rng) -> Call {
        Call {
            prompt_bytes: random.usize(group.prompt_bytes.clone()),
            cap: CAP,
            output: random.u64(ANSWER_MIN..=CAP),
        }
    }

    /// What it is to the provider.
    pub(crate) fn demand(&self) -> Demand {
        Demand {
            input: message_tokens(self.prompt_bytes),
            cap: Some(self.cap),
            output: self.output,
            ..Demand::default()
        }
    }

    /// How long an answer takes that does not wait.
    pub(crate) fn takes(&self) -> Duration {
        FIRST_TOKEN + TOKEN * u32::try_from(self.output).unwrap_or(u32::MAX)
    }
}

/// How long a client waits before it asks again after so many retries; `None` if it gives up.
pub(crate) fn retry_after(
    retries: u32,
    told: Option<Duration>,
    random: &mut fastrand::Rng,
) -> Option<Duration> {
    let own = BACKOFF.saturating_mul(1 << retries.min(8)).min(BACKOFF_MAX).mul_f64(1.0 - random.f64() / 4.0);
    let heeded = told.filter(|wait| !wait.is_zero() && *wait <= HEEDED_MAX);
    (retries < RETRIES).then(|| heeded.unwrap_or(own))
}
