//! Who is next among equals: start-time fair queueing, by tokens, between clients.
//!
//! Each call gets a start tag: the virtual time at which its client's share reaches it, its start. Goyal, Vin and Cheng,
//! "Start-time Fair Queuing" (SIGCOMM 1996): a client's next call starts where its last one ends, or now if that is
//! later; virtual time is the tag of the call in service. Refuses to know budgets, classes and moments: there is one
//! of these for each order of service.
//!
//! Invariants: virtual time never goes back; who has nothing waiting is owed nothing; only what is served is charged.

use super::ask::Share;
use crate::units::Tokens;
use std::collections::HashMap;

/// The most clients whose last tag is remembered. One that is forgotten starts now, as a newcomer does.
const FLOWS_MAX: usize = 10_000;

/// No call is worth more: no limit is larger. One absurd number would otherwise put virtual time at its end.
const TOKENS_MAX: u64 = u32::MAX as u64;

/// Each call is worth so many tokens beyond its own, or a flood of empty calls would be free.
const CALL: u64 = 16;

/// The parts of a token in virtual time, for one of the usual weight a thousand: so that weights and shares divide well.
const PARTS: u128 = 1_000_000;

/// The fractional part of the golden ratio, of 2^32: multiples of it spread evenly over the unit interval (Knuth, The
/// Art of Computer Programming 3, 6.4).
const GOLDEN: u64 = 2_654_435_769;

/// One order of service.
#[derive(Debug, Default)]
pub(super) struct Fair {
    time: u64,
    /// Where each client's last call ends.
    ends: HashMap<u64, u64>,
    /// How many calls of each program wait.
    waiting: HashMap<(u64, u64), usize>,
    /// How many programs of each payer have calls that wait.
    programs: HashMap<u64, u64>,
    /// Clients that began to wait, so far.
    begun: u64,
}

/// What a call that waits was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// When its client's share reaches it.
    pub(super) start: u64,
    /// What its client is charged for it.
    pub(super) size: u64,
}

impl Fair {
    /// The tag of one more call of this size, which begins to wait.
    pub(super) fn enter(&mut self, share: Share, tokens: Tokens) -> Tag {
        let crowded = !self.waiting.is_empty();
        self.wait(share);
        let programs = self.programs.get(&share.payer).copied().unwrap_or(1);
        let tokens = u128::from(tokens.0.min(TOKENS_MAX) + CALL);
        let size = tokens * u128::from(programs) * PARTS / u128::from(share.weight.max(1));
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let key = key(share);
        let start = match self.ends.get(&key).copied().filter(|end| *end > self.time) {
            Some(end) => end,
            None => self.time.saturating_add(if crowded { self.phase(size) } else { 0 }),
        };
        if self.ends.len() >= FLOWS_MAX {
            let time = self.time;
            self.ends.retain(|_, end| *end > time);
        }
        if self.ends.len() < FLOWS_MAX || self.ends.contains_key(&key) {
            self.ends.insert(key, start.saturating_add(size));
        }
        Tag { start, size }
    }

    /// A call of this client is not served after all: its next one starts so much earlier.
    pub(super) fn refund(&mut self, share: Share, size: u64) {
        if let Some(end) = self.ends.get_mut(&key(share)) {
            *end = end.saturating_sub(size);
        }
    }

    /// One more call of this client waits, which has its turn already.
    pub(super) fn wait(&mut self, share: Share) {
        let calls = self.waiting.entry((share.payer, share.flow)).or_insert(0);
        *calls += 1;
        if *calls == 1 {
            *self.programs.entry(share.payer).or_insert(0) += 1;
        }
    }

    /// One call of this client waits no more.
    pub(super) fn leave(&mut self, share: Share) {
        let Some(calls) = self.waiting.get_mut(&(share.payer, share.flow)) else { return };
        *calls -= 1;
        if *calls > 0 {
            return;
        }
        self.waiting.remove(&(share.payer, share.flow));
        if let Some(programs) = self.programs.get_mut(&share.payer) {
            *programs -= 1;
            if *programs == 0 {
                self.programs.remove(&share.payer);
            }
        }
    }

    /// The call that starts then is served.
    pub(super) fn serve(&mut self, start: u64) {
        self.time = self.time.max(start);
    }

    /// The start of a call that is served without having waited, or that is put before all others.
    pub(super) fn now(&self) -> u64 {
        self.time
    }

    /// A client that begins to wait among others starts within its first call's length from now. Clients with
    /// large calls that began together would otherwise be served together for ever, and everybody else would wait
    /// for all of them in a row.
    fn phase(&mut self, size: u64) -> u64 {
        self.begun = self.begun.wrapping_add(1);
        let part = self.begun.wrapping_mul(GOLDEN) & 0xffff_ffff;
        u64::try_from((u128::from(size) * u128::from(part)) >> 32).unwrap_or(u64::MAX)
    }

    pub(super) fn is_consistent(&self) -> bool {
        let programs: u64 = self.programs.values().sum();
        programs == self.waiting.len() as u64 && self.waiting.values().all(|calls| *calls > 0)
    }
}

/// Programs of one payer share its weight, but each has its own tag: one with many calls does not hold the others up.
fn key(share: Share) -> u64 {
    share.payer.rotate_left(32) ^ share.flow
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
