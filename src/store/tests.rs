//! The store as its callers see it, on real directories.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::{TempDir, tempdir};

fn settings(path: &Path) -> StoreSettings {
    StoreSettings { path: Some(path.to_owned()), checkpoint_every: Duration::from_secs(1) }
}

fn opened(path: &Path) -> Opened {
    open(&settings(path)).unwrap()
}

/// A directory with one complete store in it, closed again.
fn saved() -> TempDir {
    let folder = tempdir().unwrap();
    let opened = opened(folder.path());
    assert_eq!(opened.warning, None);
    opened.store.save(&[("limits", b"five".to_vec()), ("breakers", b"shut".to_vec())]).unwrap();
    folder
}

fn aside(path: &Path) -> usize {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("state.corrupt-")).count()
}

/// A damaged store is moved aside, a fresh one works in its place and is found at the next start.
fn check_replaced(folder: &TempDir) {
    let first = opened(folder.path());
    let Some(StoreWarning::MovedAside { to, cause }) = &first.warning else {
        panic!("no warning but {:?}", first.warning);
    };
    assert!(to.join("db").exists() && !cause.is_empty());
    assert_eq!(aside(folder.path()), 1);
    assert_eq!(first.store.load("limits").unwrap(), None);
    first.store.save(&[("limits", b"new".to_vec())]).unwrap();
    drop(first);
    let second = opened(folder.path());
    assert_eq!(second.warning, None);
    assert_eq!(second.store.load("limits").unwrap(), Some(b"new".to_vec()));
}

/// The store works, but in memory, and says so.
fn check_degraded(path: &Path) {
    let opened = opened(path);
    assert!(
        matches!(&opened.warning, Some(StoreWarning::NotKept { path: at, .. }) if at == path),
        "{opened:?}"
    );
    opened.store.save(&[("a", vec![1])]).unwrap();
    assert_eq!(opened.store.load("a").unwrap(), Some(vec![1]));
}

#[test]
fn records_survive_a_restart() {
    let folder = saved();
    for round in 0..5_u8 {
        let opened = opened(folder.path());
        assert_eq!(opened.warning, None);
        if round == 0 {
            assert_eq!(opened.store.load("limits").unwrap(), Some(b"five".to_vec()));
        } else {
            assert_eq!(opened.store.load("limits").unwrap(), Some(vec![round - 1]));
        }
        assert_eq!(opened.store.load("breakers").unwrap(), Some(b"shut".to_vec()));
        assert_eq!(opened.store.load("else").unwrap(), None);
        opened.store.save(&[("limits", vec![9; 1000])]).unwrap();
        opened.store.save(&[("limits", vec![round])]).unwrap();
    }
}

#[test]
fn without_a_path_records_are_forgotten() {
    let nowhere = StoreSettings { path: None, checkpoint_every: Duration::from_secs(1) };
    let opened = open(&nowhere).unwrap();
    assert_eq!(opened.warning, None);
    opened.store.save(&[("a", vec![1]), ("a", vec![2])]).unwrap();
    assert_eq!(opened.store.load("a").unwrap(), Some(vec![2]));
    assert_eq!(open(&nowhere).unwrap().store.load("a").unwrap(), None);
}

#[test]
fn a_save_that_is_too_large_changes_nothing() {
    let folder = saved();
    let nowhere = StoreSettings { path: None, checkpoint_every: Duration::from_secs(1) };
    for settings in [settings(folder.path()), nowhere] {
        let store = open(&settings).unwrap().store;
        store.save(&[("a", vec![1])]).unwrap();
        let large = store.save(&[("a", vec![2]), ("b", vec![0; RECORDS_BYTES_MAX])]);
        assert_eq!(large, Err(StoreError::TooLarge { bytes: RECORDS_BYTES_MAX + 3 }));
        assert_eq!((store.load("a").unwrap(), store.load("b").unwrap()), (Some(vec![1]), None));
        store.save(&[("b", vec![0; RECORDS_BYTES_MAX - 1])]).unwrap();
    }
}

#[test]
fn a_missing_directory_is_made_for_its_owner_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("not/yet");
    let opened = opened(&path);
    assert_eq!(opened.warning, None);
    for made in [folder.path().join("not"), path.clone(), path.join("state")] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_second_opener_is_told_that_the_store_is_in_use() {
    let folder = saved();
    let first = opened(folder.path());
    let locked = OpenError::Locked { path: folder.path().to_owned() };
    assert_eq!(open(&settings(folder.path())).unwrap_err(), locked);
    // Nor does damage that the second one sees make it take the directory from the first.
    fs::write(folder.path().join("state/conf"), "garbage garbage garbage").unwrap();
    assert_eq!(open(&settings(folder.path())).unwrap_err(), locked);
    assert_eq!(aside(folder.path()), 0);
    assert_eq!(first.store.load("limits").unwrap(), Some(b"five".to_vec()));
}

#[test]
fn a_store_can_be_opened_right_after_it_was_dropped() {
    let folder = saved();
    for _ in 0..20 {
        assert!(open(&settings(folder.path())).is_ok());
    }
}

#[test]
fn garbage_in_any_file_moves_the_store_aside() {
    for (file, garbage) in [
        ("conf", &b"garbage garbage garbage"[..]),
        ("db", b"garbage"),
        ("db", b""),
        ("db", &[0; 100_000]),
        ("db", &[0xA5; 100_000]),
    ] {
        let folder = saved();
        fs::write(folder.path().join("state").join(file), garbage).unwrap();
        check_replaced(&folder);
    }
    let folder = saved();
    fs::write(folder.path().join("state/db"), vec![0x5A; 3 << 20]).unwrap();
    check_replaced(&folder);
}

#[test]
fn any_damaged_byte_leaves_records_of_before_or_a_fresh_store() {
    let folder = saved();
    let data = folder.path().join("state/db");
    let sound = fs::read(&data).unwrap();
    let end = sound.iter().rposition(|byte| *byte != 0).unwrap();
    for at in (0..=end).step_by(end / 40 + 1) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xFF;
        fs::write(&data, damaged).unwrap();
        let opened = opened(folder.path());
        let limits = opened.store.load("limits").unwrap();
        assert!(limits.is_none_or(|limits| limits == b"five"), "damaged at {at}");
        assert!(!matches!(opened.warning, Some(StoreWarning::NotKept { .. })), "damaged at {at}");
        opened.store.save(&[("limits", b"five".to_vec())]).unwrap();
        drop(opened);
        assert!(aside(folder.path()) <= 3);
    }
}

#[test]
fn a_start_that_was_cut_short_is_no_damage() {
    let folder = tempdir().unwrap();
    drop(opened(folder.path()));
    fs::remove_file(folder.path().join("state/complete")).unwrap();
    fs::write(folder.path().join("state/db"), "").unwrap();
    assert_eq!(opened(folder.path()).warning, None);
}

#[test]
fn a_place_that_cannot_be_written_degrades_to_memory() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    check_degraded(&file);
    check_degraded(&file.join("below"));
    assert_eq!(fs::read(&file).unwrap(), b"not a directory");
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("state/db")).unwrap();
    check_degraded(&taken);
    check_degraded(Path::new("/proc/self/nothing"));
}

#[test]
fn warnings_and_refusals_are_sentences() {
    let path = PathBuf::from("/var/lib/x");
    let locked = OpenError::Locked { path: path.clone() };
    assert_eq!(locked.to_string(), "/var/lib/x is in use by another process");
    let kept = StoreWarning::NotKept { path, cause: "disk full".to_owned() };
    assert_eq!(kept.to_string(), "state cannot be kept in /var/lib/x and will be forgotten: disk full");
}
