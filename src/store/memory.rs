//! Records that live as long as the process.
//!
//! What a store is where no directory is configured, or none can be written.

use super::{Store, StoreError, check_size};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;

/// Forgets everything when dropped. The lock guards the records, for a copy's time.
#[derive(Default)]
pub(super) struct MemoryStore {
    records: Mutex<HashMap<String, Vec<u8>>>,
}

impl Store for MemoryStore {
    fn load(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records.lock().get(key).cloned())
    }

    fn save(&self, records: &[(&str, Vec<u8>)]) -> Result<(), StoreError> {
        check_size(records)?;
        let mut kept = self.records.lock();
        for (key, value) in records {
            kept.insert((*key).to_owned(), value.clone());
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}
