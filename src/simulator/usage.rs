//! What a call used, and what the simulated provider says of it, which a fault may make another thing.
//!
//! Neutral in language: input is everything that was sent, cached or not, and output everything written, thoughts
//! included. Each dialect splits them as its provider does.

use super::faults::Faults;

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) input: u64,
    /// Of the input, what was read from the cache.
    pub(super) cache_read: u64,
    /// Of the input, what was put into the cache.
    pub(super) cache_write: u64,
    pub(super) output: u64,
    /// Of the output, what was thought.
    pub(super) thoughts: u64,
}

impl Used {
    pub(super) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The input that has nothing to do with the cache.
    pub(super) fn uncached(self) -> u64 {
        self.input.saturating_sub(self.cache_read).saturating_sub(self.cache_write)
    }
}

/// Tells what was used, as truly as the faults allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    used: Used,
    silent: bool,
    factor: f64,
}

impl Meter {
    pub(super) fn new(used: Used, faults: &Faults) -> Meter {
        let factor = if faults.zero_usage { 0.0 } else { faults.wrong_usage.unwrap_or(1.0) };
        Meter { used, silent: faults.no_usage, factor }
    }

    /// What is said at the end.
    pub(super) fn told(&self) -> Option<Used> {
        self.told_of(self.used)
    }

    /// What is said when this much has been written.
    pub(super) fn told_so_far(&self, output: u64, thoughts: u64) -> Option<Used> {
        self.told_of(Used { output, thoughts, ..self.used })
    }

    fn told_of(&self, used: Used) -> Option<Used> {
        (!self.silent).then(|| Used {
            input: scaled(used.input, self.factor),
            cache_read: scaled(used.cache_read, self.factor),
            cache_write: scaled(used.cache_write, self.factor),
            output: scaled(used.output, self.factor),
            thoughts: scaled(used.thoughts, self.factor),
        })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a cast of a float stops at the bounds of the integer, which is what a wild factor deserves"
)]
fn scaled(tokens: u64, factor: f64) -> u64 {
    (tokens as f64 * factor).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_makes_every_number_wrong_and_none_of_them_wild() {
        let used = Used { input: 10, cache_read: 4, output: 5, ..Used::default() };
        let told = |factor: f64| {
            Meter::new(used, &Faults { wrong_usage: Some(factor), ..Faults::default() }).told().unwrap()
        };
        assert_eq!((told(1.5).input, told(1.5).cache_read, told(1.5).output), (15, 6, 8));
        assert_eq!(told(-1.0), Used::default());
        assert_eq!(told(f64::NAN), Used::default());
        assert_eq!(told(f64::INFINITY).input, u64::MAX);
    }
}
