//! What outlives the process: a few named records of bytes.
//!
//! Refuses to know what the records mean; their owners version them. A store never stops a start: one
//! that cannot be read is moved aside, one that cannot be written is replaced by memory, and both are
//! told by a [`StoreWarning`]. Only a second process on the same directory is refused. Everything here
//! blocks, so it is called off the async threads.

mod aside;
mod memory;
mod settings;
mod sled;

pub use settings::StoreSettings;

use crate::clock::Clock;
use memory::MemoryStore;
use sled::{Failure, SledStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The most bytes, keys included, of one save. Larger values would leave the one file that is synced.
pub const RECORDS_BYTES_MAX: usize = 384 * 1024;

/// Where inside the configured directory the records are. A directory of its own can be moved aside
/// even where the configured one is a mount or belongs to the service manager.
const DIRECTORY: &str = "state";

/// A process that has just ended, or a store that was just dropped, may hold the lock a little longer.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Named records that outlive the process, or pretend to.
pub trait Store: Send + Sync + fmt::Debug {
    /// The record of this name as last saved; `None` if it never was.
    ///
    /// # Errors
    /// [`StoreError::Failed`] where the disk or the format fails, [`StoreError::Closed`] after a
    /// failed save.
    fn load(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the records, all or none. When it returns they survive a power cut.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`RECORDS_BYTES_MAX`], changing nothing. [`StoreError::Failed`]
    /// where the disk fails: the store is then closed for good, because what the disk holds after a
    /// failed sync is unknown, and every later call is [`StoreError::Closed`].
    fn save(&self, records: &[(&str, Vec<u8>)]) -> Result<(), StoreError>;
}

/// Why records could not be loaded or saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// One save of more than [`RECORDS_BYTES_MAX`].
    #[error("{bytes} bytes of records are more than the {RECORDS_BYTES_MAX} that are kept")]
    TooLarge {
        /// What was to be saved, keys included.
        bytes: usize,
    },
    /// The disk or its contents failed; in the words of whoever noticed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// An earlier save failed.
    #[error("the store is closed since a save failed")]
    Closed,
}

/// Why there is no store at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another process keeps its state there.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The configured directory.
        path: PathBuf,
    },
}

/// What a person should hear about a store that did open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreWarning {
    /// What was there could not be read. A fresh store took its place.
    MovedAside {
        /// Where the old one is now.
        to: PathBuf,
        /// What was wrong with it.
        cause: String,
    },
    /// Nothing can be kept there: this run remembers in memory alone.
    NotKept {
        /// The configured directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl fmt::Display for StoreWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreWarning::MovedAside { to, cause } => {
                write!(f, "saved state could not be read and was moved to {}: {cause}", to.display())
            }
            StoreWarning::NotKept { path, cause } => {
                write!(f, "state cannot be kept in {} and will be forgotten: {cause}", path.display())
            }
        }
    }
}

/// A store, and what was wrong on the way to it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// On disk, or in memory where no path is set or `warning` is [`StoreWarning::NotKept`].
    pub store: Arc<dyn Store>,
    /// To be logged and shown in health.
    pub warning: Option<StoreWarning>,
}

/// Opens the store that the settings describe. Sleeps up to half a second while another process lets go.
///
/// # Errors
/// [`OpenError::Locked`] where another process does not.
pub fn open(settings: &StoreSettings) -> Result<Opened, OpenError> {
    let Some(path) = &settings.path else {
        return Ok(in_memory(None));
    };
    match open_or_replace(&path.join(DIRECTORY)) {
        Ok((store, warning)) => Ok(Opened { store: Arc::new(store), warning }),
        Err(Failure::Locked) => Err(OpenError::Locked { path: path.clone() }),
        Err(Failure::Corrupt(cause) | Failure::Unusable(cause)) => {
            Ok(in_memory(Some(StoreWarning::NotKept { path: path.clone(), cause })))
        }
    }
}

fn in_memory(warning: Option<StoreWarning>) -> Opened {
    Opened { store: Arc::new(MemoryStore::default()), warning }
}

fn open_or_replace(directory: &Path) -> Result<(SledStore, Option<StoreWarning>), Failure> {
    let cause = match open_patiently(directory) {
        Ok(store) => return Ok((store, None)),
        Err(Failure::Corrupt(cause)) => cause,
        Err(other) => return Err(other),
    };
    let to = aside::move_aside(directory, Clock::start().wall())
        .map_err(|error| Failure::Unusable(format!("{cause}; it could not be moved aside: {error}")))?;
    Ok((open_patiently(directory)?, Some(StoreWarning::MovedAside { to, cause })))
}

#[expect(
    clippy::disallowed_methods,
    reason = "opening is documented to block, and runs off the async threads"
)]
fn open_patiently(directory: &Path) -> Result<SledStore, Failure> {
    for _ in 1..LOCK_TRIES {
        match SledStore::open(directory) {
            Err(Failure::Locked) => thread::sleep(LOCK_PAUSE),
            done => return done,
        }
    }
    SledStore::open(directory)
}

fn check_size(records: &[(&str, Vec<u8>)]) -> Result<(), StoreError> {
    let bytes = records.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > RECORDS_BYTES_MAX { Err(StoreError::TooLarge { bytes }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
