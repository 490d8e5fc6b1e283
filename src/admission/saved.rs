//! Limiter state as it stands on disk.
//!
//! Holds parts and durations, never moments: a moment means nothing to the next process. What a version
//! does not know is ignored, so that an older binary can start on a newer record.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of every budget at one wall time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedDesk {
    /// The version of this record: 1.
    pub version: u32,
    /// When it was saved, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Those with configured limits, by name.
    pub budgets: BTreeMap<String, SavedBudget>,
    /// Those that learn, by target.
    #[serde(default)]
    pub pools: BTreeMap<String, SavedBudget>,
}

/// The state of one budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedBudget {
    /// How long the provider still refuses everything, in milliseconds.
    #[serde(default)]
    pub paused_ms: u64,
    /// How full each bucket is, by dimension: 1 is full, below 0 is debt. A part and not a number of
    /// tokens, so that it means the same after the limit was changed.
    #[serde(default)]
    pub fill: BTreeMap<String, f64>,
    /// How long each day's limit that comes back all at once still had to go, in milliseconds, by dimension.
    #[serde(default)]
    pub day_left_ms: BTreeMap<String, u64>,
    /// The limits that were learned, by dimension.
    #[serde(default)]
    pub learned: BTreeMap<String, SavedLimit>,
    /// The slices of a minute, for requests and for tokens, of which the learned buckets held as much as they did, in
    /// milliseconds.
    #[serde(default)]
    pub slices_ms: Option<[u64; 2]>,
}

/// A limit that was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedLimit {
    /// Units in one window.
    pub limit: u32,
    /// Whether the provider said it; otherwise refusals showed it.
    #[serde(default)]
    pub said: bool,
    /// How long ago it was last confirmed, in milliseconds.
    #[serde(default)]
    pub age_ms: u64,
}
