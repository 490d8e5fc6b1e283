//! Records on disk. The only file that names sled.
//!
//! What sled 0.34 does not do by itself is done here. Its flush is no fsync on Linux, so a second
//! handle on its file is synced after each. A damaged file opens as if it were new, so a mark on either
//! side of it tells loss from beginning. It panics on some errors, so that every call is caught. Its
//! lock is an error without a kind, told by its text.

use super::{Store, StoreError, check_size};
use parking_lot::Mutex;
use sled::{Batch, Config, Db, Mode};
use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The records are a few kilobytes.
const CACHE_BYTES: u64 = 1024 * 1024;

/// Values above a quarter of a segment go to files of their own, which nobody syncs; with this size
/// everything that may be saved stays in the one file.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// The file that holds the records.
const DATA: &str = "db";

/// A file beside the data, and a record in it, that both exist once a store is complete. The file
/// without the record means that the data was lost.
const MARK_FILE: &str = "complete";
const MARK_KEY: &str = "\0complete";

/// Why a store did not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another process has it open.
    Locked,
    /// What is there is no store, or was one.
    Corrupt(String),
    /// The place fails, whatever is there.
    Unusable(String),
}

/// Records in a directory, open as long as every save succeeds. The lock guards both handles, so that
/// saves are synced in turn.
pub(super) struct SledStore {
    directory: PathBuf,
    open: Mutex<Option<Handles>>,
}

struct Handles {
    db: Db,
    data: File,
}

impl SledStore {
    /// Opens the store in `directory`, or begins one there, for the owner's eyes only.
    pub(super) fn open(directory: &Path) -> Result<SledStore, Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // Asked before sled is, because sled finds fault with a file before it asks who owns it, and a
        // store in use must not be moved aside.
        if is_locked(&directory.join(DATA)) {
            return Err(Failure::Locked);
        }
        let handles = Handles::open(directory)?;
        let store = SledStore { directory: directory.to_owned(), open: Mutex::new(Some(handles)) };
        store.complete()?;
        Ok(store)
    }

    /// Tells a lost store from a new one, and marks a new one as complete.
    fn complete(&self) -> Result<(), Failure> {
        let mark = self.directory.join(MARK_FILE);
        let recorded = self.load(MARK_KEY).map_err(|error| Failure::Corrupt(error.to_string()))?.is_some();
        match (mark.exists(), recorded) {
            (true, true) => return Ok(()),
            (true, false) => return Err(Failure::Corrupt("its records are gone".to_owned())),
            (false, _) => {}
        }
        self.save(&[(MARK_KEY, Vec::new())]).map_err(|error| Failure::Unusable(error.to_string()))?;
        fs::write(&mark, "")?;
        for entry in fs::read_dir(&self.directory)? {
            File::open(entry?.path())?.sync_all()?;
        }
        for folder in self.directory.ancestors().take(2) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Handles {
    fn open(directory: &Path) -> Result<Handles, Failure> {
        let config = Config::new()
            .path(directory)
            .mode(Mode::LowSpace)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None);
        let db = guarded(|| config.open())?;
        Ok(Handles { db, data: File::open(directory.join(DATA))? })
    }

    fn save(&self, records: &[(&str, Vec<u8>)]) -> Result<(), String> {
        let mut batch = Batch::default();
        for (key, value) in records {
            batch.insert(*key, value.as_slice());
        }
        guarded(|| {
            self.db.apply_batch(batch)?;
            self.db.flush()
        })
        .map_err(|error| error.to_string())?;
        self.data.sync_all().map_err(|error| error.to_string())
    }

    /// Sled syncs once more when dropped, and panics if it cannot.
    fn close(self) {
        let Handles { db, data } = self;
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
        drop(data);
    }
}

impl Store for SledStore {
    fn load(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let open = self.open.lock();
        let handles = open.as_ref().ok_or(StoreError::Closed)?;
        let found = guarded(|| handles.db.get(key)).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn save(&self, records: &[(&str, Vec<u8>)]) -> Result<(), StoreError> {
        check_size(records)?;
        let mut open = self.open.lock();
        let saved = open.as_ref().ok_or(StoreError::Closed)?.save(records);
        saved.map_err(|cause| {
            if let Some(handles) = open.take() {
                handles.close();
            }
            StoreError::Failed(cause)
        })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Some(handles) = self.open.get_mut().take() {
            handles.close();
        }
    }
}

impl fmt::Debug for SledStore {
    /// Sled's own would print every record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SledStore").field(&self.directory).finish()
    }
}

/// Calls sled so that a panic inside it is an error. What it left behind is never used again: a store
/// that fails to open is moved aside, one that fails to save is closed.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> sled::Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(sled::Error::ReportableBug("it panicked".to_owned())))
}

/// Whether another handle holds the lock on this file; sled's lock is an `flock` too.
fn is_locked(data: &Path) -> bool {
    File::open(data).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Failure {
        match error {
            sled::Error::Io(error) => Failure::from(error),
            other => Failure::Corrupt(other.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Other if text.starts_with("could not acquire lock") && text.contains("WouldBlock") => {
                Failure::Locked
            }
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Failure::Corrupt(text),
            _ => Failure::Unusable(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    #[test]
    fn sleds_own_lock_error_is_told_from_others() {
        let folder = tempdir().unwrap();
        let first = Handles::open(folder.path()).unwrap();
        assert_eq!(Handles::open(folder.path()).err(), Some(Failure::Locked));
        assert!(is_locked(&folder.path().join(DATA)));
        first.close();
        let denied = Failure::from(io::Error::from(ErrorKind::PermissionDenied));
        assert!(matches!(denied, Failure::Unusable(_)), "{denied:?}");
    }

    #[test]
    fn a_failed_sync_closes_the_store_and_frees_the_lock() {
        let folder = tempdir().unwrap();
        let store = SledStore::open(folder.path()).unwrap();
        // Syncing a device that cannot be synced is an error.
        store.open.lock().as_mut().unwrap().data = File::open("/dev/null").unwrap();
        let failed = store.save(&[("a", vec![1])]);
        assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
        assert_eq!(store.save(&[("a", vec![1])]), Err(StoreError::Closed));
        assert_eq!(store.load("a"), Err(StoreError::Closed));
        assert!(super::super::open_patiently(folder.path()).is_ok());
    }

    #[test]
    fn a_panic_inside_sled_is_an_error() {
        assert!(guarded::<()>(|| panic!("meant")).is_err());
    }

    #[test]
    fn the_largest_save_stays_in_the_synced_file() {
        let folder = tempdir().unwrap();
        let store = SledStore::open(folder.path()).unwrap();
        for round in 0..40_u8 {
            store.save(&[("a", vec![round; 300 * 1024]), ("b", vec![round; 80 * 1024])]).unwrap();
        }
        let data = fs::metadata(folder.path().join(DATA)).unwrap().len();
        assert_eq!(fs::read_dir(folder.path().join("blobs")).unwrap().count(), 0);
        assert!(data <= 16 * SEGMENT_BYTES as u64, "40 saves of 380 KiB left {data} bytes");
    }
}
