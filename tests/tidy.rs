//! The rules of the house that can be a test: who may name whom, how long things may be, and that what
//! an operator sees is documented. A violation is printed with its place and its reason.
//!
//! - `source`: Rust text as tokens.
//! - `paths`: what a file names.
//! - `layers`: what it may name.
//! - `shape`: size, heading, names, unfinished work.
//! - `documented`: metrics, configuration keys, and documents that do not rot.

#[path = "tidy/documented.rs"]
mod documented;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use source::Source;
use std::fmt;
use std::path::{Path, PathBuf};

/// A rule that does not hold: where, and why that matters.
#[derive(Clone, Debug)]
struct Violation {
    path: String,
    line: usize,
    reason: String,
}

impl Violation {
    fn new(path: &str, line: usize, reason: impl Into<String>) -> Violation {
        Violation { path: path.to_owned(), line, reason: reason.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

/// Whether a file holds nothing but tests.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.contains("/tests/")
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<Source> = files(root, &["src", "tests", "benches"], &["rs"])
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the sources were not found");
    let mut documents =
        files(root, &["docs", "config", "deploy"], &["md", "toml", "service", "socket", "plist"]);
    documents.extend(files(root, &[""], &["md"]));
    let mut violations = layers::check(&sources);
    violations.extend(shape::check(&sources));
    violations.extend(documented::check(&sources, &documents));
    let list: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(list.is_empty(), "{} violations:\n{}", list.len(), list.join("\n"));
}

/// The text files with one of these endings under the folders; `""` is the root without its folders.
fn files(root: &Path, folders: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root.join(folder), !folder.is_empty(), &mut paths);
    }
    paths.sort();
    let wanted =
        |path: &PathBuf| path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted));
    let named = paths.into_iter().filter(wanted).map(|path| {
        let name =
            path.strip_prefix(root).expect("found under the root").to_string_lossy().replace('\\', "/");
        (name, std::fs::read_to_string(&path).expect("a readable file"))
    });
    named.collect()
}

fn walk(folder: &Path, deep: bool, paths: &mut Vec<PathBuf>) {
    // A folder that does not exist yet has nothing untidy in it.
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && deep {
            walk(&path, deep, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}
