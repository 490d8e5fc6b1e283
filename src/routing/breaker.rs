//! Refuses a sick target for a while, then lets one exchange find out whether it has recovered.
//!
//! Knows no statuses and no clock: an attempt has ended well, sick or neither. Asking
//! ([`Breaker::would_admit`]) and taking ([`Breaker::begin`]) are separate, or a plan that is never used would
//! eat the only probe. Invariant: while a target is not closed, at most one attempt is let through for each
//! open time or probe deadline that has passed.

use super::policy::BreakerPolicy;
use crate::units::{Moment, show_duration};
use std::fmt;
use std::time::Duration;

/// What the end of an attempt says about the health of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It served.
    Well,
    /// It failed by its own fault.
    Sick,
    /// It says nothing: a 429, the client's own mistake, a client that left.
    Neutral,
}

/// The health of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Answers in a row that broke off after they had begun. Counted beside the failures, because each of
    /// them began well, and a target that breaks off every answer would otherwise never open.
    cuts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Admits everything; `failures` in a row so far.
    Closed { failures: u32 },
    /// Admits nothing before `until`; `trips` in a row have led here.
    Open { until: Moment, trips: u32 },
    /// One attempt is finding out; nobody else before `deadline`.
    Probing { deadline: Moment, trips: u32 },
}

/// The refusal of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the target is sick")]
pub struct StillOpen {
    /// When it is worth asking again.
    pub until: Moment,
}

/// What changed, for log and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The target is left alone until then.
    Opened {
        /// When one exchange may probe.
        until: Moment,
        /// How many times in a row it has opened.
        trips: u32,
    },
    /// The target is in use again.
    Closed,
}

impl Breaker {
    /// Admits until its policy says otherwise.
    pub fn new(policy: BreakerPolicy) -> Breaker {
        Breaker { policy, state: State::Closed { failures: 0 }, cuts: 0 }
    }

    /// Open for `remaining` more, as it was before a restart. A stay longer than the policy allows is cut.
    pub(super) fn reopened(policy: BreakerPolicy, remaining: Duration, trips: u32, now: Moment) -> Breaker {
        let until = now + remaining.min(policy.open_for_max);
        Breaker { policy, state: State::Open { until, trips: trips.max(1) }, cuts: 0 }
    }

    /// Whether an attempt that started now would be let through. Changes nothing.
    pub fn would_admit(&self, now: Moment) -> bool {
        self.next_admission(now).is_none()
    }

    /// When an attempt would be let through; `None` if it would be now.
    pub fn next_admission(&self, now: Moment) -> Option<Moment> {
        let next = match self.state {
            State::Closed { .. } => return None,
            State::Open { until, .. } => until,
            State::Probing { deadline, .. } => deadline,
        };
        (now < next).then_some(next)
    }

    /// An attempt starts. Takes the probe when the open time is over, or when the last probe never came back.
    ///
    /// # Errors
    /// The target is still open, or somebody else is probing it.
    pub fn begin(&mut self, now: Moment) -> Result<(), StillOpen> {
        if let Some(until) = self.next_admission(now) {
            return Err(StillOpen { until });
        }
        match self.state {
            State::Closed { .. } => {}
            State::Open { trips, .. } | State::Probing { trips, .. } => {
                self.state = State::Probing { deadline: now + self.policy.probe_timeout, trips };
            }
        }
        Ok(())
    }

    /// An attempt has ended. While open, a failure of an attempt from before the opening counts no second
    /// time; a success closes, because the target has just answered.
    pub fn on(&mut self, verdict: Verdict, now: Moment) -> Option<Transition> {
        match (self.state, verdict) {
            (State::Closed { .. }, Verdict::Well) => {
                self.state = State::Closed { failures: 0 };
                None
            }
            (State::Closed { failures }, Verdict::Sick) if failures + 1 < self.policy.failures => {
                self.state = State::Closed { failures: failures + 1 };
                None
            }
            (State::Closed { .. }, Verdict::Sick) => Some(self.open(1, now)),
            (State::Open { .. } | State::Probing { .. }, Verdict::Well) => {
                self.state = State::Closed { failures: 0 };
                Some(Transition::Closed)
            }
            (State::Probing { trips, .. }, Verdict::Sick) => Some(self.open(trips.saturating_add(1), now)),
            // The probe found nothing out, so it is given back: the next exchange may probe.
            (State::Probing { trips, .. }, Verdict::Neutral) => {
                self.state = State::Open { until: now, trips };
                None
            }
            (State::Closed { .. }, Verdict::Neutral)
            | (State::Open { .. }, Verdict::Sick | Verdict::Neutral) => None,
        }
    }

    /// An answer has broken off after it had begun.
    pub fn cut(&mut self, now: Moment) -> Option<Transition> {
        self.cuts = self.cuts.saturating_add(1);
        let opens = matches!(self.state, State::Closed { .. }) && self.cuts >= self.policy.failures;
        opens.then(|| self.open(1, now))
    }

    /// An answer has come to its end.
    pub fn completed(&mut self) {
        self.cuts = 0;
    }

    /// Judges by this policy from now on. An open time that has begun is not changed.
    pub fn set_policy(&mut self, policy: BreakerPolicy) {
        self.policy = policy;
    }

    /// `closed`, `open` or `probing`.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::Probing { .. } => "probing",
        }
    }

    /// How many times in a row it has opened; zero while closed.
    pub fn trips(&self) -> u32 {
        match self.state {
            State::Closed { .. } => 0,
            State::Open { trips, .. } | State::Probing { trips, .. } => trips,
        }
    }

    /// Whether it differs in nothing from a new one.
    pub(super) fn is_spotless(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0 }) && self.cuts == 0
    }

    /// What of the open time is left; `None` while closed. A probe does not outlive the process, so it
    /// leaves none.
    pub(super) fn remaining(&self, now: Moment) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until.since(now)),
            State::Probing { .. } => Some(Duration::ZERO),
        }
    }

    fn open(&mut self, trips: u32, now: Moment) -> Transition {
        let doubled = 1u32.checked_shl(trips.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = self.policy.open_for.saturating_mul(doubled).min(self.policy.open_for_max);
        let until = now + wait;
        self.state = State::Open { until, trips };
        Transition::Opened { until, trips }
    }
}

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |moment: Moment| show_duration(moment.since(Moment::START));
        match self.state {
            State::Closed { failures: 0 } => f.write_str("closed"),
            State::Closed { failures } => write!(f, "closed after {failures} failures"),
            State::Open { until, .. } => write!(f, "open until {}", at(until)),
            State::Probing { deadline, .. } => write!(f, "probing until {}", at(deadline)),
        }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
