//! The course of one exchange: which targets are left, and what follows from how an attempt ended.
//!
//! Knows no breaker, no budget and no body; the caller leaves sick targets out, asks the desk and sends.
//! Invariants: it ends, whatever the providers answer; a struck target is never named again; after an end
//! there is no further try.

use super::backoff::{backoff, part};
use super::outcome::{Outcome, Window};
use super::policy::RetryPolicy;
use crate::ids::TargetId;
use crate::units::Moment;
use std::time::Duration;

/// The most 429s that one exchange waits out. They are paced by the desk, so this is only reached when a
/// provider refuses at once each time that it has promised room.
const WAITS_MAX: u32 = 1_000;

/// What the caller does after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The provider serves: relay its answer.
    Done,
    /// The target has no room, which the caller has told the desk: ask it again with all that remain.
    WaitForRoom,
    /// Ask the desk again at once with what remains.
    MoveOn,
    /// Ask the desk again with what remains, but not before then.
    RetryAt(Moment),
    /// The end: the provider's answer goes to the client unchanged.
    GiveBack,
    /// The end: nobody could serve and there is no answer worth giving back.
    Exhausted,
}

impl Next {
    /// Whether nothing more is tried.
    pub const fn is_end(self) -> bool {
        matches!(self, Next::Done | Next::GiveBack | Next::Exhausted)
    }
}

/// The targets that an exchange may try, and how often it still may.
#[derive(Clone, Debug)]
pub struct Plan {
    targets: Vec<TargetId>,
    /// Those that have failed since the last [`Next::RetryAt`]; all of them are in `targets` too, at its end.
    failed: Vec<TargetId>,
    policy: RetryPolicy,
    deadline: Moment,
    attempts: u32,
    waits: u32,
    rounds: u32,
    /// The latest moment that a failed target asked for in this round.
    not_before: Moment,
    end: Option<Next>,
}

impl Plan {
    /// May try `targets` in this order, each named once; no wait of it goes beyond `deadline`.
    pub fn new(targets: Vec<TargetId>, policy: RetryPolicy, deadline: Moment) -> Plan {
        let mut once: Vec<TargetId> = Vec::with_capacity(targets.len());
        for target in targets {
            if !once.contains(&target) {
                once.push(target);
            }
        }
        Plan {
            targets: once,
            failed: Vec::new(),
            policy,
            deadline,
            attempts: 0,
            waits: 0,
            rounds: 0,
            not_before: Moment::START,
            end: None,
        }
    }

    /// The targets that may still be tried, in order; those that failed last.
    pub fn remaining(&self) -> &[TargetId] {
        if self.end.is_some() { &[] } else { &self.targets }
    }

    /// Attempts that have ended; 429s and what was never sent are not counted.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// An attempt at `target` has ended. `random` is in `[0, 1)`. After an end, the same end again.
    pub fn on(&mut self, target: &TargetId, outcome: &Outcome, now: Moment, random: f64) -> Next {
        if let Some(end) = self.end {
            return end;
        }
        if !matches!(outcome, Outcome::RateLimited { .. } | Outcome::Unfit) {
            self.attempts += 1;
        }
        let next = match *outcome {
            Outcome::Served => Next::Done,
            Outcome::Rejected => Next::GiveBack,
            Outcome::RateLimited { retry_after, window: Window::Minute | Window::Ramp } => {
                self.wait_for_room(target, now + retry_after.unwrap_or_default())
            }
            Outcome::RateLimited { window: Window::Day, .. }
            | Outcome::TooLarge
            | Outcome::ModelMissing
            | Outcome::Unfit
            | Outcome::Forbidden => {
                self.strike(|other| other == target);
                self.go_on(outcome, now, random)
            }
            // Key and money belong to the account, so its other models fail the same way.
            Outcome::CredentialRefused | Outcome::OutOfMoney => {
                self.strike(|other| other.provider == target.provider);
                self.go_on(outcome, now, random)
            }
            Outcome::Overloaded { retry_after }
            | Outcome::ServerError { retry_after }
            | Outcome::Conflict { retry_after } => self.put_back(target, outcome, retry_after, now, random),
            Outcome::Unreachable | Outcome::Unsent | Outcome::TimedOut => {
                self.put_back(target, outcome, None, now, random)
            }
        };
        self.end = next.is_end().then_some(next);
        debug_assert!(self.failed.iter().all(|failed| self.targets.contains(failed)));
        next
    }

    /// Another target may have room at once, however long this one has none.
    fn wait_for_room(&mut self, target: &TargetId, room_at: Moment) -> Next {
        self.waits += 1;
        let other = self.targets.iter().any(|other| other != target);
        if self.waits <= WAITS_MAX && (other || room_at < self.deadline) {
            Next::WaitForRoom
        } else {
            Next::Exhausted
        }
    }

    /// The target may recover: it is tried again after all others have failed too. One that fails a second
    /// time before that is not tried again at once.
    fn put_back(
        &mut self,
        target: &TargetId,
        outcome: &Outcome,
        asked: Option<Duration>,
        now: Moment,
        random: f64,
    ) -> Next {
        let asked = asked.unwrap_or_default();
        if now + asked >= self.deadline {
            self.strike(|other| other == target);
            return self.go_on(outcome, now, random);
        }
        self.not_before = self.not_before.max(now + asked);
        let twice = self.failed.contains(target);
        if let Some(at) = self.targets.iter().position(|other| other == target) {
            let target = self.targets.remove(at);
            if !twice {
                self.failed.push(target.clone());
            }
            self.targets.push(target);
        }
        if twice { self.retry(outcome, now, random) } else { self.go_on(outcome, now, random) }
    }

    fn strike(&mut self, out: impl Fn(&TargetId) -> bool) {
        self.targets.retain(|target| !out(target));
        self.failed.retain(|target| !out(target));
    }

    /// At once if a target is left that has not failed, else after a while.
    fn go_on(&mut self, outcome: &Outcome, now: Moment, random: f64) -> Next {
        if self.targets.is_empty() || self.attempts >= self.policy.attempts_max {
            return end(outcome);
        }
        if self.targets.len() > self.failed.len() { Next::MoveOn } else { self.retry(outcome, now, random) }
    }

    /// A new round over all that remain, when the backoff is over and every provider's own wait, which is
    /// spread a little, because all exchanges were told the same moment.
    fn retry(&mut self, outcome: &Outcome, now: Moment, random: f64) -> Next {
        let at = if self.not_before > now {
            self.not_before + part(self.policy.delay, random)
        } else {
            now + backoff(&self.policy, self.rounds, random)
        };
        if self.attempts >= self.policy.attempts_max || at >= self.deadline {
            return end(outcome);
        }
        self.rounds += 1;
        self.failed.clear();
        self.not_before = Moment::START;
        Next::RetryAt(at)
    }
}

fn end(outcome: &Outcome) -> Next {
    if outcome.has_answer() { Next::GiveBack } else { Next::Exhausted }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
