//! The environment of the process, read once and handed around as a value.
//!
//! Refuses to know what the variables mean. Its debug print names the variables and never shows a
//! value, because keys live here.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables, and whether the process runs as root.
#[derive(Clone, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
    root: bool,
}

impl Env {
    /// What this process was started with. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Env {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Env { variables, root: runs_as_root() }
    }

    /// An environment of just these variables, for an ordinary user.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Env {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Env { variables, root: false }
    }

    /// The same environment, as root sees it.
    #[must_use]
    pub fn as_root(mut self) -> Env {
        self.root = true;
        self
    }

    /// Whether the process runs as root, and so keeps its state where the system does.
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// The value of a variable; `None` if it is unset or empty, which people use as the same thing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_even_empty(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable, an empty one included.
    pub fn get_even_empty(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("names", &self.variables.keys().collect::<Vec<_>>())
            .field("root", &self.root)
            .finish()
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library offers no user id, and /proc is not everywhere")]
fn runs_as_root() -> bool {
    // SAFETY: `geteuid` takes no argument, touches no memory of ours and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(not(unix))]
fn runs_as_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_print_names_variables_and_shows_no_value() {
        let shown = format!("{:?}", Env::from_pairs([("OPENAI_API_KEY", "sk-canary")]));
        assert!(shown.contains("OPENAI_API_KEY") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = Env::from_pairs([("A", ""), ("B", "b")]);
        assert_eq!((env.get("A"), env.get("B"), env.get("C")), (None, Some("b"), None));
        assert_eq!(env.get_even_empty("A"), Some(""));
    }
}
