//! How far our counts are off: the ratio of what providers counted to what we estimated.
//!
//! Learned a provider, a model there, and a kind of content, each leaning on the one before until it has seen
//! enough itself; before anything was seen, the tables of the families stand as they are. The ratio is kept as a
//! logarithm, so that half and double are equally far. Invariant: whatever a provider reports, no factor leaves
//! [`FACTOR_MIN`] to [`FACTOR_MAX`], and one report moves none by more than [`STEP_MAX`] allows.

use super::generations::{Generations, key_of};
use super::kind::Kind;
use crate::ids::{ModelName, ProviderId};
use crate::units::Tokens;
use serde::{Deserialize, Serialize};

/// The bounds of a factor, in thousandths. A vocabulary that nobody knows is within them; what is not is no
/// count of this text.
pub const FACTOR_MIN: u64 = 250;
/// See [`FACTOR_MIN`].
pub const FACTOR_MAX: u64 = 4_000;
/// The same as logarithms, either way.
const LOG_MAX: f64 = 1.386_294_361_119_890_6;

/// How far from what is believed one report is heard: half or double. What is farther counts as that far.
const STEP_MAX: f64 = std::f64::consts::LN_2;
/// What a new report weighs against all before it, once there are many: some twenty count.
const PACE: f64 = 0.1;
/// How much a level leans on the one above: as if that had been seen so often here.
const LEAN: f64 = 2.0;
/// Tokens at which a report weighs half. In short calls the frames and hidden prompts of a provider hide what
/// the ratio of its text is.
const HALF_WEIGHT: f64 = 64.0;

/// Standard deviations above the mean that are reserved: nine calls of ten cost less.
const RESERVED_DEVIATIONS: f64 = 1.28;
/// The most that is reserved above the mean, as a logarithm: a quarter. Wider spreads are mixtures, and would
/// keep out more than they protect.
const MARGIN_MAX: f64 = 0.223;

/// Entries: the models of every provider and their kinds. Models are named by clients.
const ENTRIES_MAX: usize = 4_096;
/// Entries that are saved, those that have seen most: some 60 bytes each.
const SAVED_MAX: usize = 512;

/// What to multiply an estimate by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// In thousandths.
    mean: u64,
    high: u64,
}

impl Correction {
    /// None at all.
    pub const NONE: Correction = Correction { mean: 1_000, high: 1_000 };

    /// What to expect of an estimate of so many tokens.
    pub fn mean(self, estimated: Tokens) -> Tokens {
        scaled(estimated, self.mean)
    }

    /// What nine of ten stay below.
    pub fn high(self, estimated: Tokens) -> Tokens {
        scaled(estimated, self.high)
    }

    /// The factor to expect, in thousandths.
    pub fn permille(self) -> u64 {
        self.mean
    }
}

/// Tokens times thousandths, to the nearest.
fn scaled(tokens: Tokens, permille: u64) -> Tokens {
    let product = (u128::from(tokens.0) * u128::from(permille) + 500) / 1_000;
    Tokens(u64::try_from(product).unwrap_or(u64::MAX))
}

/// What was learned of every provider.
#[derive(Debug)]
pub struct Corrections {
    levels: Generations<u64, Level>,
}

/// One level, as it stands on disk: key, weight, mean, variance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedLevel(u64, f32, f32, f32);

/// What was seen at one level, in logarithms of truth by estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Level {
    weight: f64,
    mean: f64,
    variance: f64,
}

/// What is believed: a mean and a variance.
#[derive(Clone, Copy, Debug, Default)]
struct Belief {
    mean: f64,
    variance: f64,
}

impl Level {
    /// What to believe here, where `above` is believed one level up.
    fn believed(&self, above: Belief) -> Belief {
        let lean = |own: f64, above: f64| (self.weight * own + LEAN * above) / (self.weight + LEAN);
        Belief { mean: lean(self.mean, above.mean), variance: lean(self.variance, above.variance) }
    }

    /// Takes one report in: a mean and a variance in which the older weigh less (West, 1979).
    fn hear(&mut self, log: f64, weight: f64, above: Belief) {
        let believed = self.believed(above).mean;
        let heard = log.clamp(believed - STEP_MAX, believed + STEP_MAX).clamp(-LOG_MAX, LOG_MAX);
        self.weight = self.weight * (1.0 - PACE * weight) + weight;
        let share = weight / self.weight;
        let distance = heard - self.mean;
        self.mean += share * distance;
        self.variance = (1.0 - share) * (self.variance + share * distance * distance);
    }
}

impl Default for Corrections {
    fn default() -> Self {
        Corrections { levels: Generations::new(ENTRIES_MAX) }
    }
}

impl Corrections {
    /// The factor for content of this kind at this model.
    pub fn of(&mut self, provider: &ProviderId, model: &ModelName, kind: Kind) -> Correction {
        self.at(&keys(provider, model, kind))
    }

    /// The factor for what nobody has seen at this provider.
    pub fn of_provider(&mut self, provider: &ProviderId) -> Correction {
        self.at(&[key_of(&[provider.as_str()])])
    }

    /// Learns that what was estimated, without any correction, was counted as `truth`. Nothing teaches nothing.
    pub fn teach(
        &mut self,
        provider: &ProviderId,
        model: &ModelName,
        kind: Kind,
        estimated: Tokens,
        truth: Tokens,
    ) {
        if estimated == Tokens::ZERO || truth == Tokens::ZERO {
            return;
        }
        let (estimated, truth) = (as_f64(estimated), as_f64(truth));
        let log = (truth / estimated).ln();
        let weight = estimated / (estimated + HALF_WEIGHT);
        let mut above = Belief::default();
        for key in keys(provider, model, kind) {
            self.levels.update(key, |level| {
                let before = above;
                above = level.believed(above);
                level.hear(log, weight, before);
            });
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is worth keeping, what has seen most first.
    pub fn save(&self) -> Vec<SavedLevel> {
        #[expect(clippy::cast_possible_truncation, reason = "three digits are more than is known")]
        let saved = |(key, level): (u64, &Level)| {
            SavedLevel(key, level.weight as f32, level.mean as f32, level.variance as f32)
        };
        let mut all: Vec<SavedLevel> = self.levels.iter().map(saved).collect();
        all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(SAVED_MAX);
        all
    }

    /// Takes over what was saved. What makes no sense is left out.
    pub fn restore(&mut self, saved: &[SavedLevel]) {
        for SavedLevel(key, weight, mean, variance) in saved.iter().take(SAVED_MAX).copied() {
            let level = Level { weight: weight.into(), mean: mean.into(), variance: variance.into() };
            let makes_sense = (0.0..=1.01 / PACE).contains(&level.weight)
                && (-LOG_MAX - 1e-3..=LOG_MAX + 1e-3).contains(&level.mean)
                && (0.0..=4.0 * LOG_MAX * LOG_MAX).contains(&level.variance);
            if makes_sense {
                self.levels.insert(key, level);
            }
        }
    }

    fn at(&mut self, keys: &[u64]) -> Correction {
        let mut belief = Belief::default();
        for key in keys {
            let Some(level) = self.levels.get(*key) else { break };
            belief = level.believed(belief);
        }
        let margin = (RESERVED_DEVIATIONS * belief.variance.sqrt()).min(MARGIN_MAX);
        Correction { mean: permille(belief.mean), high: permille(belief.mean + margin) }
    }
}

/// The levels that have a say, the widest first.
fn keys(provider: &ProviderId, model: &ModelName, kind: Kind) -> [u64; 3] {
    let (provider, model) = (provider.as_str(), model.as_str());
    [key_of(&[provider]), key_of(&[provider, model]), key_of(&[provider, model, kind.name()])]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was clamped just before")]
fn permille(log: f64) -> u64 {
    (log.clamp(-LOG_MAX, LOG_MAX).exp() * 1_000.0).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "for a ratio")]
fn as_f64(tokens: Tokens) -> f64 {
    tokens.0 as f64
}

#[cfg(test)]
mod tests;
