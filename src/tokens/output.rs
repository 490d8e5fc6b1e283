//! How long answers are: a quantile of what a client got of a model.
//!
//! Kept as weights of ranges that grow with the length, four to each doubling, in which older answers fade. That is
//! DDSketch's idea (Masson, Rim, Lee, VLDB 2019): any quantile within a fifth, from one small array. P2 (Jain and
//! Chlamtac, 1985) is smaller, but knows one quantile, cannot forget and cannot be asked for another after a reload.
//! Invariant: a bounded number of arrays, and no length beyond the last range.

use super::generations::{Generations, key_of};
use crate::ids::ModelName;
use crate::units::Tokens;
use serde::{Deserialize, Serialize};

/// Ranges a doubling, and in all: up to a million tokens, more than any model writes.
const RANGES_A_DOUBLING: f64 = 4.0;
const RANGES: usize = 80;
/// What is left of the weight of earlier answers at each further one: some hundred count.
const KEPT: f32 = 0.99;
/// The weight from which a client's own answers are relied on, and then those of all to a model.
const ENOUGH: f32 = 5.0;
/// Entries of 324 bytes: clients, each with its models, and the models. Both are named by clients.
const ENTRIES_MAX: usize = 1_024;
/// Entries that are saved, those that have seen most: at most 1 kB each.
const SAVED_MAX: usize = 96;

/// What was learned of the length of answers.
#[derive(Debug)]
pub struct OutputLengths {
    seen: Generations<u64, Lengths>,
}

/// One entry, as it stands on disk: key, and each range that holds something with its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedLengths(u64, Vec<(u8, f32)>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Lengths {
    weights: [f32; RANGES],
    total: f32,
}

impl Default for Lengths {
    fn default() -> Self {
        Lengths { weights: [0.0; RANGES], total: 0.0 }
    }
}

impl Lengths {
    fn add(&mut self, length: Tokens) {
        self.weights.iter_mut().for_each(|weight| *weight *= KEPT);
        self.weights[range_of(length)] += 1.0;
        self.total = self.total * KEPT + 1.0;
    }

    /// The end of the range in which the quantile lies.
    fn quantile(&self, percentile: u8) -> Tokens {
        let wanted = self.weights.iter().sum::<f32>() * f32::from(percentile.min(100)) / 100.0;
        let mut sum = 0.0;
        let reaches = |weight: &f32| {
            sum += weight;
            sum >= wanted && sum > 0.0
        };
        let range = self.weights.iter().position(reaches).unwrap_or(RANGES - 1);
        end_of(range)
    }
}

impl Default for OutputLengths {
    fn default() -> Self {
        OutputLengths { seen: Generations::new(ENTRIES_MAX) }
    }
}

impl OutputLengths {
    /// The length that this part of the answers stays below: of this client's at this model, else of everybody's at
    /// it. `None` if too few were seen.
    pub fn quantile(&mut self, client: u64, model: &ModelName, percentile: u8) -> Option<Tokens> {
        keys(client, model).into_iter().find_map(|key| {
            let lengths = self.seen.get(key)?;
            (lengths.total >= ENOUGH).then(|| lengths.quantile(percentile))
        })
    }

    /// Learns the length of one complete answer. Nothing teaches nothing.
    pub fn teach(&mut self, client: u64, model: &ModelName, length: Tokens) {
        if length > Tokens::ZERO {
            keys(client, model).into_iter().for_each(|key| self.seen.update(key, |seen| seen.add(length)));
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is worth keeping, what has seen most first.
    pub fn save(&self) -> Vec<SavedLengths> {
        let mut all: Vec<(u64, &Lengths)> = self.seen.iter().collect();
        all.sort_unstable_by(|(a, one), (b, other)| other.total.total_cmp(&one.total).then(a.cmp(b)));
        all.truncate(SAVED_MAX);
        let saved = |(key, lengths): (u64, &Lengths)| {
            let ranges = (0_u8..).zip(lengths.weights).map(|(range, weight)| (range, hundredths(weight)));
            SavedLengths(key, ranges.filter(|(_, weight)| *weight > 0.0).collect())
        };
        all.into_iter().map(saved).collect()
    }

    /// Takes over what was saved. What makes no sense is left out.
    pub fn restore(&mut self, saved: &[SavedLengths]) {
        for SavedLengths(key, ranges) in saved.iter().take(SAVED_MAX) {
            let mut lengths = Lengths::default();
            for (range, weight) in ranges.iter().take(RANGES) {
                if let Some(known) = lengths.weights.get_mut(usize::from(*range))
                    && (0.0..=1.0 / (1.0 - KEPT) + 1.0).contains(weight)
                {
                    *known = *weight;
                }
            }
            lengths.total = lengths.weights.iter().sum();
            self.seen.insert(*key, lengths);
        }
    }
}

/// The entries that have a say, the narrowest first.
fn keys(client: u64, model: &ModelName) -> [u64; 2] {
    let of_model = key_of(&[model.as_str()]);
    [key_of(&[model.as_str(), &client.to_string()]), of_model]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a logarithm of a count is small and not negative"
)]
fn range_of(length: Tokens) -> usize {
    (((length.0.max(1) as f64).log2() * RANGES_A_DOUBLING) as usize).min(RANGES - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most a million"
)]
fn end_of(range: usize) -> Tokens {
    Tokens(((range + 1) as f64 / RANGES_A_DOUBLING).exp2() as u64)
}

/// To two digits behind the point: what is below faded long ago.
fn hundredths(weight: f32) -> f32 {
    (weight * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
