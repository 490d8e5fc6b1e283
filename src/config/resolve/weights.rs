//! How much room each client gets beside others.
//!
//! Invariant: every weight is within its range, and there are not more than can be looked through.

use super::super::mistake::named;
use super::super::reading::Numbers;
use super::Resolver;
use std::collections::BTreeMap;
use toml::Spanned;

/// The most weights. Whoever has more clients than this to tell apart gives groups of them one name.
const WEIGHTS_MAX: usize = 1_000;

/// A client with less would wait for ever beside others; one with more would leave them nothing.
const WEIGHT: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// The longest name in bytes: of what clients say of themselves no more is looked at.
const NAME_MAX: usize = 512;

impl Resolver<'_> {
    /// The weights in thousandths, by name.
    pub(super) fn weights(&mut self, written: Option<Spanned<Numbers>>) -> BTreeMap<String, u32> {
        let mut weights = BTreeMap::new();
        let Some(written) = written else { return weights };
        if written.get_ref().0.len() > WEIGHTS_MAX {
            let wrong = format!("there are more than {WEIGHTS_MAX} weights");
            self.mistake(written.span(), "queue.weights", wrong, "write fewer");
            return weights;
        }
        for (name, weight) in written.into_inner().0 {
            let key = format!("queue.weights.{}", named(name.get_ref()));
            if name.get_ref().trim() != name.get_ref() || !(1..=NAME_MAX).contains(&name.get_ref().len()) {
                let wrong = format!(
                    "the name of a client must have from 1 to {NAME_MAX} bytes, without spaces around"
                );
                self.mistake(name.span(), &key, wrong, "write the name as the client sends it");
            }
            if !WEIGHT.contains(weight.get_ref()) {
                let wrong = format!("a weight must be from {} to {}", WEIGHT.start(), WEIGHT.end());
                self.mistake(
                    weight.span(),
                    &key,
                    wrong,
                    "write 2.0 for twice the usual room, 0.5 for half of it",
                );
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is within its range"
            )]
            let thousandths =
                (weight.get_ref().clamp(*WEIGHT.start(), *WEIGHT.end()) * 1_000.0).round() as u32;
            weights.insert(name.into_inner(), thousandths);
        }
        weights
    }
}
