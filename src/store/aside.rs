//! Puts a store that cannot be read out of the way, where a person can look at it.
//!
//! Knows names only, nothing of what a store holds. At most [`KEPT`] are kept, so that a disk that
//! fails at every start does not fill up.

use crate::units::WallTime;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How many stores that were moved aside are kept, the newest.
const KEPT: usize = 3;

/// Renames `NAME` to `NAME.corrupt-SECONDS` beside it and removes the oldest such.
pub(super) fn move_aside(directory: &Path, now: WallTime) -> io::Result<PathBuf> {
    let parent = directory.parent().unwrap_or(Path::new("."));
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.corrupt-");
    let mut seconds = now.0 / 1000;
    while parent.join(format!("{prefix}{seconds}")).exists() {
        seconds += 1;
    }
    let to = parent.join(format!("{prefix}{seconds}"));
    fs::rename(directory, &to)?;
    File::open(parent)?.sync_all()?;
    for old in moved(parent, &prefix)?.into_iter().skip(KEPT) {
        // What cannot be removed today is tried again next time; it must not stop the start.
        let _ = fs::remove_dir_all(parent.join(format!("{prefix}{old}")));
    }
    Ok(to)
}

/// The seconds of those that were moved aside, newest first.
fn moved(parent: &Path, prefix: &str) -> io::Result<Vec<u64>> {
    let mut found: Vec<u64> = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let seconds = name.to_str().and_then(|name| name.strip_prefix(prefix));
        found.extend(seconds.and_then(|seconds| seconds.parse::<u64>().ok()));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_three_are_kept_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("state");
        let other = folder.path().join("state.corrupt-by-hand");
        fs::create_dir(&other).unwrap();
        let mut last = PathBuf::new();
        for second in [10, 9, 10, 11, 40] {
            fs::create_dir(&directory).unwrap();
            last = move_aside(&directory, WallTime(second * 1000 + 999)).unwrap();
        }
        assert_eq!(last, folder.path().join("state.corrupt-40"));
        assert!(!directory.exists() && other.exists());
        assert_eq!(moved(folder.path(), "state.corrupt-").unwrap(), [40, 12, 11]);
    }

    #[test]
    fn what_cannot_be_renamed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(move_aside(&folder.path().join("state"), WallTime(0)).is_err());
    }
}
