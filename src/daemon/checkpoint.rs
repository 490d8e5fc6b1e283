//! Saving what was learned, so that a restart is no amnesty.
//!
//! A store that fails costs the memory of this run and a red line in `/health`, never a request.

use crate::exchange::{Gateway, SavedState};
use crate::observe::{StoreStatus, Vitals};
use crate::store::{Opened, Store, StoreError, StoreSettings, StoreWarning};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The name of the one record.
const RECORD: &str = "state";
/// The version of the record that this build writes and reads.
const VERSION: u32 = 1;

/// Writes the state of a gateway to its store. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    store: Arc<dyn Store>,
    every: Duration,
    gateway: Arc<Gateway>,
    vitals: Arc<Vitals>,
    place: String,
    /// Whether what is saved outlives the process at all.
    keeps: bool,
    failed: Arc<AtomicBool>,
}

impl Checkpoint {
    pub(super) fn new(
        opened: Opened,
        settings: &StoreSettings,
        gateway: Arc<Gateway>,
        vitals: Arc<Vitals>,
    ) -> Checkpoint {
        let place =
            settings.path.as_ref().map_or("memory only".to_owned(), |path| path.display().to_string());
        let keeps = match &opened.warning {
            None => true,
            Some(warning) => {
                tracing::warn!("{warning}");
                !matches!(warning, StoreWarning::NotKept { .. })
            }
        };
        let detail = opened.warning.as_ref().map_or_else(|| place.clone(), ToString::to_string);
        vitals.set_store(StoreStatus { healthy: keeps, detail });
        gateway.metrics().store_healthy.set(i64::from(keeps));
        let failed = Arc::new(AtomicBool::new(!keeps));
        Checkpoint {
            store: opened.store,
            every: settings.checkpoint_every,
            gateway,
            vitals,
            place,
            keeps,
            failed,
        }
    }

    /// Takes over what an earlier process saved. What cannot be read is left alone and said.
    pub(super) async fn restore(&self) {
        let store = Arc::clone(&self.store);
        let loaded = beside(move || store.load(RECORD)).await;
        let state = match loaded {
            Ok(None) => return,
            Ok(Some(bytes)) => {
                serde_json::from_slice::<SavedState>(&bytes).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match state {
            Ok(state) if state.desk.version == VERSION => {
                self.gateway.restore(&state);
                tracing::info!(budgets = state.desk.budgets.len(), "limits restored");
            }
            Ok(state) => tracing::warn!(version = state.desk.version, "saved limits are of another version"),
            Err(error) => tracing::warn!(error, "saved limits cannot be read"),
        }
    }

    /// Saves at most once in every interval, while something has changed, until told to stop.
    pub(super) async fn run(self, stopping: CancellationToken) {
        let mut saved = self.gateway.turnstile().changes();
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let changes = self.gateway.turnstile().changes();
            if changes != saved {
                saved = changes;
                self.save_now().await;
            }
        }
    }

    /// Saves.
    pub(super) async fn save_now(&self) {
        let state = self.gateway.save();
        let store = Arc::clone(&self.store);
        let written = beside(move || {
            let bytes = serde_json::to_vec(&state).map_err(|error| StoreError::Failed(error.to_string()))?;
            store.save(&[(RECORD, bytes)])
        });
        self.tell(written.await);
    }

    fn tell(&self, written: Result<(), StoreError>) {
        match written {
            Ok(()) => {
                self.gateway.metrics().checkpoints.inc();
                if self.keeps && self.failed.swap(false, Ordering::Relaxed) {
                    tracing::info!("limits are saved again");
                    self.vitals.set_store(StoreStatus { healthy: true, detail: self.place.clone() });
                    self.gateway.metrics().store_healthy.set(1);
                }
            }
            Err(error) => {
                if !self.failed.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "limits cannot be saved; a restart will forget them");
                }
                let detail = format!("{}: {error}", self.place);
                self.vitals.set_store(StoreStatus { healthy: false, detail });
                self.gateway.metrics().store_healthy.set(0);
            }
        }
    }
}

async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError::Failed("the store panicked".to_owned())))
}
