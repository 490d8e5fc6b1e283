//! A strict provider for simulations: it refuses what does not fit and takes nothing for it.

use crate::units::Moment;
use std::time::Duration;

/// How a strict provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bucket that holds a minute's worth and refills steadily.
    Steady,
    /// A counter that is forgiven at every full minute.
    Window,
}

/// One limit over a minute.
#[derive(Debug)]
pub(super) struct Strict {
    pub(super) kind: Kind,
    pub(super) limit: f64,
    left: f64,
    seen: Moment,
}

const MINUTE: u64 = 60_000_000_000;

impl Strict {
    pub(super) fn full(kind: Kind, limit: f64) -> Strict {
        Strict { kind, limit, left: limit, seen: Moment::START }
    }

    /// Another limit; what is left stays, as far as it fits.
    pub(super) fn retune(&mut self, limit: f64, now: Moment) {
        self.roll(now);
        self.left = self.left.min(limit);
        self.limit = limit;
    }

    /// Takes it, or says how long until it would fit.
    pub(super) fn admit(&mut self, units: f64, now: Moment) -> Result<(), Duration> {
        self.roll(now);
        if units <= self.left {
            self.left -= units;
            return Ok(());
        }
        Err(match self.kind {
            Kind::Steady => Duration::from_secs_f64((units - self.left) * 60.0 / self.limit),
            Kind::Window => Duration::from_nanos(MINUTE - now.as_nanos() % MINUTE),
        })
    }

    /// Gives back, or takes without asking.
    pub(super) fn change(&mut self, back: f64, now: Moment) {
        self.roll(now);
        self.left = (self.left + back).min(self.limit);
    }

    pub(super) fn left(&mut self, now: Moment) -> f64 {
        self.roll(now);
        self.left
    }

    fn roll(&mut self, now: Moment) {
        match self.kind {
            Kind::Steady => {
                let more = now.since(self.seen).as_secs_f64() * self.limit / 60.0;
                self.left = (self.left + more).min(self.limit);
            }
            Kind::Window if now.as_nanos() / MINUTE > self.seen.as_nanos() / MINUTE => self.left = self.limit,
            Kind::Window => {}
        }
        self.seen = self.seen.max(now);
    }
}
