//! Where state is kept.

use std::path::PathBuf;
use std::time::Duration;

/// Where and how often limiter state is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The directory. `None` keeps nothing over a restart.
    pub path: Option<PathBuf>,
    /// The shortest time between two checkpoints.
    pub checkpoint_every: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings { path: None, checkpoint_every: Duration::from_secs(1) }
    }
}
