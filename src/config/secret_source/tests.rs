//! The promises of the sources of keys.

use super::*;
use std::os::unix::fs::PermissionsExt;

const KEY: &str = "sk-canary-5177";

fn key_file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key");
    std::fs::write(&path, content).expect("a file in it");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode of our own file");
    (directory, path)
}

/// Fetches and shows the key, or the error and its remedy.
fn fetched(source: &SecretSource, env: &Env) -> Result<String, String> {
    let shown = |error: SecretError| format!("{error}; {}; {error:?}", error.remedy());
    fetch(source, env).map(|key| key.expose().to_owned()).map_err(shown)
}

fn command(text: &str) -> Result<String, String> {
    fetched(&SecretSource::Command(text.to_owned()), &Env::default())
}

#[test]
fn a_file_gives_its_key_without_the_line_end() {
    let (_directory, path) = key_file(&format!("{KEY}\n"), 0o600);
    assert_eq!(fetched(&SecretSource::File(path), &Env::default()).as_deref(), Ok(KEY));
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    for mode in [0o644, 0o640, 0o604, 0o620] {
        let (_directory, path) = key_file(KEY, mode);
        let error = fetched(&SecretSource::File(path), &Env::default()).unwrap_err();
        assert!(error.contains("chmod 600") && !error.contains(KEY), "{error}");
    }
}

#[test]
fn a_missing_or_empty_or_endless_file_is_an_error_that_names_no_content() {
    let (directory, path) = key_file("\n", 0o600);
    let source = |path: &Path| SecretSource::File(path.to_owned());
    assert!(fetched(&source(&path), &Env::default()).unwrap_err().contains("empty"));
    assert!(fetched(&source(directory.path()), &Env::default()).is_err());
    let missing = fetched(&source(&directory.path().join("none")), &Env::default()).unwrap_err();
    assert!(missing.contains("none"), "{missing}");
    assert!(fetched(&source(Path::new("/dev/zero")), &Env::default()).is_err());
    std::fs::write(&path, KEY.repeat(10_000)).unwrap();
    let long = fetched(&source(&path), &Env::default()).unwrap_err();
    assert!(!long.contains(KEY), "{long}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pipe");
    let made = Command::new("mkfifo").args(["-m", "600"]).arg(&path).status();
    assert!(made.expect("a program of every system").success());
    assert!(fetched(&SecretSource::File(path), &Env::default()).unwrap_err().contains("cannot be read"));
}

#[test]
fn a_command_gives_what_it_prints_on_standard_output_alone() {
    assert_eq!(command("echo noise >&2; echo '  sk-canary-5177  '").as_deref(), Ok(KEY));
}

#[test]
fn a_command_that_fails_shows_its_status_and_nothing_that_it_printed() {
    let error = command("echo sk-canary-5177; echo sk-canary-5177 >&2; exit 3").unwrap_err();
    assert!(error.contains('3') && !error.contains(KEY), "{error}");
    assert!(command("true").unwrap_err().contains("empty"));
    assert!(command("yes sk-canary-5177").unwrap_err().contains("too long"));
}

#[test]
fn a_command_that_hangs_is_an_error() {
    let error = run("sleep 1000", Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, SecretError::CommandTimeout));
}

#[test]
fn a_command_ends_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = start(&format!("sleep 1000 > {} & wait", pipe.display())).unwrap();
    // Opens once the grandchild holds the other end, and ends when nobody holds it any more.
    let mut reader = File::open(&pipe).unwrap();
    end(&mut child);
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn a_credential_is_a_name_in_the_directory_of_the_service() {
    let (directory, _path) = key_file(KEY, 0o440);
    let env = Env::from_pairs([("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap())]);
    let credential = |name: &str| SecretSource::Credential(name.to_owned());
    assert_eq!(fetched(&credential("key"), &env).as_deref(), Ok(KEY));
    for name in ["other", "../key", "..", "", "sk-canary"] {
        let error = fetched(&credential(name), &env).unwrap_err();
        assert!(error.contains("no credential") && !error.contains("canary"), "{error}");
    }
    assert!(fetched(&credential("key"), &Env::default()).unwrap_err().contains("CREDENTIALS_DIRECTORY"));
}
