//! The state of the daemon as one plain value, for `/health` and whoever else shows it.
//!
//! Only numbers, names and words: nothing here can hold a key, a prompt or a URL's query.

use serde::Serialize;
use std::collections::BTreeMap;

/// Where the daemon is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not listening yet.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what runs; takes no more.
    Draining,
}

/// How the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All is well.
    Pass,
    /// It serves, but somebody should look.
    Warn,
    /// It cannot serve.
    Fail,
}

/// What `/health` shows.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// How it is.
    pub status: Health,
    /// Where it is in its life.
    pub phase: Phase,
    /// The version that runs.
    pub version: &'static str,
    /// Since the start.
    pub uptime_seconds: u64,
    /// Exchanges that wait, by class.
    pub queue_depth: BTreeMap<&'static str, usize>,
    /// Each provider; each account of one that has several.
    pub providers: Vec<ProviderStatus>,
    /// Each group of targets that share limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStatus>,
    /// Whether state outlives the process, and if not, why.
    pub store: StoreStatus,
    /// Why the last reload changed nothing, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_error: Option<String>,
}

/// One provider.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Exchanges there now.
    pub open: u32,
    /// How long it has asked for silence, for the model for which it is longest.
    pub paused_ms: u64,
    /// Each configured limit.
    pub budget: BTreeMap<&'static str, LevelStatus>,
    /// What is known of the provider's own limits, by model.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, PoolStatus>,
    /// Each model's breaker that has seen a failure. Absent means closed.
    pub breakers: BTreeMap<String, BreakerStatus>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// One group of targets that share limits.
#[derive(Clone, Debug, Serialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Exchanges at its members now, where it has limits.
    pub open: u32,
    /// Each configured limit.
    pub budget: BTreeMap<&'static str, LevelStatus>,
    /// What is known of the limits that the providers themselves hold its members to, where they learn together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolStatus>,
}

/// What one model's limits at a provider are found to be.
#[derive(Clone, Debug, Serialize)]
pub struct PoolStatus {
    /// How long the provider has asked for silence.
    pub paused_ms: u64,
    /// Each limit that is known.
    pub budget: BTreeMap<&'static str, LevelStatus>,
}

impl PoolStatus {
    /// Whether anything is known.
    pub fn tells_something(&self) -> bool {
        self.paused_ms > 0 || !self.budget.is_empty()
    }
}

/// One limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LevelStatus {
    /// Units in one window.
    pub limit: u64,
    /// Units that could be taken now; negative in debt.
    pub available: i64,
    /// Where the limit is known from: `configured`, `said` by the provider, `found` by its refusals, or `ramp`, held for
    /// a while because traffic grew too fast.
    pub known: &'static str,
    /// Units that somebody else took in the last minute, as far as it shows.
    #[serde(skip_serializing_if = "is_zero")]
    pub used_elsewhere: u64,
}

/// One breaker.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BreakerStatus {
    /// `closed`, `open` or `probing`.
    pub state: &'static str,
    /// How long until it admits somebody.
    pub admits_in_ms: u64,
}

/// What went wrong last at a provider.
#[derive(Clone, Debug, Serialize)]
pub struct LastError {
    /// The kind of failure.
    pub kind: &'static str,
    /// The status of the answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long ago.
    pub seconds_ago: u64,
}

/// Whether state outlives the process.
#[derive(Clone, Debug, Serialize)]
pub struct StoreStatus {
    /// Whether the last checkpoint was written.
    pub healthy: bool,
    /// Where, or why not.
    pub detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
