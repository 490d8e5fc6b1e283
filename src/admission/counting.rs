//! What an exchange holds and settles under a provider's rules of counting.
//!
//! Pure arithmetic over [`Cost`]; the desk knows none of it and holds what it is told to hold. Invariant: what
//! is settled on is never below what the rules say that the provider has charged.

use super::budget::Cost;
use super::limits::{Counting, OutputCounts};
use crate::units::Tokens;

impl Counting {
    /// What to hold for a call of this estimate. `guess` is held of output that counts only as it is produced.
    pub fn reserved(&self, estimate: Cost, guess: Tokens) -> Cost {
        match self.output {
            OutputCounts::AtAdmission => estimate,
            // Holding the whole cap would keep out what the provider lets in; holding nothing would let in all
            // at once what it refuses a moment later. No promise of the client is in it, so it may be cut.
            OutputCounts::AsProduced => {
                Cost { output: estimate.output.min(guess), output_is_guess: true, ..estimate }
            }
            OutputCounts::Never => Cost { output: Tokens::ZERO, ..estimate },
        }
    }

    /// What to settle on, where `held` was held and `truth` is what the call has used, `cached` of its input
    /// read from the provider's cache.
    pub fn settled(&self, held: Cost, truth: Cost, cached: Tokens) -> Cost {
        let input = if self.cached_input { truth.input } else { truth.input - cached };
        let output = match self.output {
            // A guess was ours, and a provider cannot have charged it.
            OutputCounts::AtAdmission if held.output_is_guess => truth.output,
            OutputCounts::AtAdmission => self.kept(held.output, truth.output),
            // Nothing was charged ahead, so there is nothing to keep.
            OutputCounts::AsProduced => truth.output,
            OutputCounts::Never => Tokens::ZERO,
        };
        // What we held of input was our own estimate. The provider charges what it counts, and has told it.
        let input = if truth.input > Tokens::ZERO { input } else { self.kept(held.input, input) };
        Cost { input, output, ..truth }
    }

    /// The truth, or what was charged ahead of it and is not given back.
    fn kept(&self, held: Tokens, truth: Tokens) -> Tokens {
        if self.gives_back { truth } else { truth.max(held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(input: u64, output: u64) -> Cost {
        Cost { input: Tokens(input), output: Tokens(output), output_is_guess: false }
    }

    fn counting(output: OutputCounts) -> Counting {
        Counting { output, ..Counting::USUAL }
    }

    #[test]
    fn a_guess_is_never_kept() {
        let keeps = Counting { gives_back: false, ..Counting::USUAL };
        let guessed = Cost { output_is_guess: true, ..cost(10, 500) };
        assert_eq!(keeps.settled(guessed, cost(12, 40), Tokens::ZERO), cost(12, 40));
        assert_eq!(keeps.settled(cost(10, 500), cost(12, 40), Tokens::ZERO), cost(12, 500));
    }

    #[test]
    fn the_usual_rules_hold_the_estimate_and_settle_on_the_truth() {
        let usual = Counting::default();
        assert_eq!(usual.reserved(cost(10, 500), Tokens(100)), cost(10, 500));
        assert_eq!(usual.settled(cost(10, 500), cost(12, 40), Tokens(5)), cost(12, 40));
        let guessed = Cost { output_is_guess: true, ..cost(10, 500) };
        assert_eq!(usual.reserved(guessed, Tokens(100)), guessed);
    }

    #[test]
    fn what_is_not_given_back_stays_counted_and_what_came_above_it_counts_too() {
        let counting = Counting { gives_back: false, ..Counting::USUAL };
        assert_eq!(counting.settled(cost(10, 500), cost(12, 40), Tokens::ZERO), cost(12, 500));
        assert_eq!(counting.settled(cost(20, 30), cost(0, 0), Tokens::ZERO), cost(20, 30));
    }

    #[test]
    fn input_that_was_counted_is_what_was_charged_however_much_we_had_held() {
        let counting = Counting { gives_back: false, ..Counting::USUAL };
        assert_eq!(counting.settled(cost(20, 30), cost(12, 40), Tokens::ZERO), cost(12, 40));
    }

    #[test]
    fn output_that_counts_as_it_is_produced_is_held_as_a_guess_and_settled_as_it_was() {
        for gives_back in [true, false] {
            let counting = Counting { gives_back, ..counting(OutputCounts::AsProduced) };
            let held = counting.reserved(cost(10, 64_000), Tokens(1_000));
            assert_eq!(held, Cost { output_is_guess: true, ..cost(10, 1_000) });
            assert_eq!(counting.reserved(cost(10, 5), Tokens(1_000)).output, Tokens(5));
            assert_eq!(counting.settled(held, cost(10, 40), Tokens::ZERO), cost(10, 40));
        }
    }

    #[test]
    fn output_that_never_counts_is_neither_held_nor_settled() {
        let counting = counting(OutputCounts::Never);
        assert_eq!(counting.reserved(cost(10, 500), Tokens(100)), cost(10, 0));
        assert_eq!(counting.settled(cost(10, 0), cost(12, 40), Tokens::ZERO), cost(12, 0));
    }

    #[test]
    fn input_from_the_cache_is_free_where_it_is_and_never_below_nothing() {
        let counting = Counting { cached_input: false, ..Counting::USUAL };
        assert_eq!(counting.settled(cost(100, 0), cost(100, 7), Tokens(90)), cost(10, 7));
        assert_eq!(counting.settled(cost(100, 0), cost(100, 7), Tokens(101)), cost(0, 7));
    }

    proptest! {
        #[test]
        fn no_settlement_is_below_what_the_rules_charge_or_above_what_anybody_named(
            output in prop::sample::select(OutputCounts::ALL.to_vec()),
            (cached_input, gives_back) in any::<(bool, bool)>(),
            (estimate, truth) in any::<((u64, u64), (u64, u64))>(),
            (guess, cached) in any::<(u64, u64)>(),
        ) {
            let counting = Counting { output, cached_input, gives_back, ..Counting::USUAL };
            let (estimate, truth) = (cost(estimate.0, estimate.1), cost(truth.0, truth.1));
            let held = counting.reserved(estimate, Tokens(guess));
            let settled = counting.settled(held, truth, Tokens(cached));
            prop_assert_eq!(held.input, estimate.input);
            prop_assert!(held.output <= estimate.output);
            let free = if cached_input { 0 } else { cached };
            prop_assert!(settled.input >= truth.input - Tokens(free));
            prop_assert!(settled.input <= truth.input.max(held.input));
            let charged = if output == OutputCounts::Never { Tokens::ZERO } else { truth.output };
            prop_assert!(settled.output >= charged && settled.output <= charged.max(held.output));
            prop_assert!(gives_back || truth.input > Tokens::ZERO || settled.input >= held.input);
            let again = counting.settled(settled, truth, Tokens(cached));
            prop_assert_eq!(again, settled, "settling twice changes nothing");
        }
    }
}
