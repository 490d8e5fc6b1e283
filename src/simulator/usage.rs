//! What a call used, and what the simulated provider says of it, which a fault may make another thing.
//!
//! Neutral in language: input is everything that was sent, cached or not, and output everything written, thoughts
//! included. Each dialect splits them as its provider does.

use super::account::Demand;
use super::counting::{SimulatedCounting, scaled};
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
    /// The most that could have been written, in the provider's own tokens, where the call says.
    pub(super) cap: Option<u64>,
}

impl Used {
    /// The same in the provider's own count. A cap is in that already, and nothing goes beyond it.
    fn counted(self, counting: &SimulatedCounting) -> Used {
        let most = self.cap.unwrap_or(u64::MAX);
        Used {
            input: counting.counted(self.input),
            cache_read: counting.counted(self.cache_read),
            cache_write: counting.counted(self.cache_write),
            output: counting.counted(self.output).min(most),
            thoughts: counting.counted(self.thoughts).min(most),
            cap: self.cap,
        }
    }

    /// The same as the account takes it.
    pub(super) fn demand(self) -> Demand {
        Demand { input: self.input, cached: self.cache_read, cap: self.cap, output: self.output }
    }

    pub(super) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The input that has nothing to do with the cache.
    pub(super) fn uncached(self) -> u64 {
        self.input.saturating_sub(self.cache_read).saturating_sub(self.cache_write)
    }
}

/// Tells what was used, as truly as the faults allow.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    used: Used,
    counting: SimulatedCounting,
    silent: bool,
    factor: f64,
}

impl Meter {
    pub(super) fn new(used: Used, faults: &Faults, counting: SimulatedCounting) -> Meter {
        let factor = if faults.zero_usage { 0.0 } else { faults.wrong_usage.unwrap_or(1.0) };
        Meter { used, counting, silent: faults.no_usage, factor }
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
        let used = used.counted(&self.counting);
        (!self.silent).then(|| Used {
            input: scaled(used.input, self.factor),
            cache_read: scaled(used.cache_read, self.factor),
            cache_write: scaled(used.cache_write, self.factor),
            output: scaled(used.output, self.factor),
            thoughts: scaled(used.thoughts, self.factor),
            cap: used.cap,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_makes_every_number_wrong_and_none_of_them_wild() {
        let used = Used { input: 10, cache_read: 4, output: 5, ..Used::default() };
        let told = |factor: f64| {
            let faults = Faults { wrong_usage: Some(factor), ..Faults::default() };
            Meter::new(used, &faults, SimulatedCounting::default()).told().unwrap()
        };
        assert_eq!((told(1.5).input, told(1.5).cache_read, told(1.5).output), (15, 6, 8));
        assert_eq!(told(-1.0), Used::default());
        assert_eq!(told(f64::NAN), Used::default());
        assert_eq!(told(f64::INFINITY).input, u64::MAX);
    }

    #[test]
    fn usage_is_in_the_provider_s_own_count_and_never_beyond_the_cap() {
        let used = Used { input: 10, output: 50, thoughts: 10, cap: Some(60), ..Used::default() };
        let counting = SimulatedCounting { count_factor: 1.3, ..SimulatedCounting::default() };
        let meter = Meter::new(used, &Faults::default(), counting);
        let told = meter.told().unwrap();
        assert_eq!((told.input, told.output, told.thoughts), (13, 60, 13));
        assert_eq!(meter.told_so_far(10, 10).unwrap().output, 13);
    }
}
