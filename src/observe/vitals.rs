//! What the daemon tells of itself while it runs: its phase, its store, its last reload.
//!
//! Written by the daemon, read by whoever shows it. Waiting for a phase is an event, not a poll.

use super::status::{Phase, StoreStatus};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The state of one daemon that is not the exchanges'.
#[derive(Debug)]
pub struct Vitals {
    phase: watch::Sender<Phase>,
    /// Guards the words alone; held to read or replace them.
    words: Mutex<Words>,
}

#[derive(Clone, Debug)]
struct Words {
    store: StoreStatus,
    reload_error: Option<String>,
}

impl Default for Vitals {
    fn default() -> Self {
        Vitals::new()
    }
}

impl Vitals {
    /// A daemon that is starting.
    pub fn new() -> Vitals {
        let store = StoreStatus { healthy: true, detail: "not opened yet".to_owned() };
        Vitals {
            phase: watch::Sender::new(Phase::Starting),
            words: Mutex::new(Words { store, reload_error: None }),
        }
    }

    /// Where the daemon is in its life.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Follows the phase from now on.
    pub fn follow(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// How the store is.
    pub fn store(&self) -> StoreStatus {
        self.words.lock().store.clone()
    }

    /// Tells how the store is.
    pub fn set_store(&self, store: StoreStatus) {
        self.words.lock().store = store;
    }

    /// Why the last reload changed nothing, if it did not.
    pub fn reload_error(&self) -> Option<String> {
        self.words.lock().reload_error.clone()
    }

    /// Tells how the last reload went.
    pub fn set_reload_error(&self, error: Option<String>) {
        self.words.lock().reload_error = error;
    }
}
