//! Where the configuration and the state lie.
//!
//! Works on the environment as a value and asks only whether a file exists. Relative paths in the XDG variables
//! are ignored, as the XDG base directory specification demands.

use super::env::Env;
use std::path::{Path, PathBuf};

/// Where a system keeps state that no user owns.
const SYSTEM_STATE: &str = "/var/lib/tidegate";

/// A configuration file, and how it came to be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPlace {
    /// The file.
    pub path: PathBuf,
    /// Who named it.
    pub chosen: Chosen,
}

/// Who named a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The command line.
    Given,
    /// The variable `TIDEGATE_CONFIG`.
    Variable,
    /// Nobody; it lies at a usual place.
    Usual,
}

/// The configuration file to read: the given one, else the one that `$TIDEGATE_CONFIG` names, both whether
/// they exist or not, else the first that exists at the usual places. `None` if there is none.
pub fn config_place(given: Option<&Path>, env: &Env) -> Option<ConfigPlace> {
    if let Some(path) = given {
        return Some(ConfigPlace { path: path.to_owned(), chosen: Chosen::Given });
    }
    if let Some(path) = env.get("TIDEGATE_CONFIG") {
        return Some(ConfigPlace { path: path.into(), chosen: Chosen::Variable });
    }
    let mut usual = usual_config_places(env).into_iter();
    usual.find(|path| path.is_file()).map(|path| ConfigPlace { path, chosen: Chosen::Usual })
}

/// The usual places of a configuration file, best first.
pub fn usual_config_places(env: &Env) -> Vec<PathBuf> {
    let mut places = Vec::new();
    places.extend(directory(env, "XDG_CONFIG_HOME").map(|base| base.join("tidegate/config.toml")));
    if let Some(home) = directory(env, "HOME") {
        places.push(home.join(".config/tidegate/config.toml"));
        if cfg!(target_os = "macos") {
            places.push(home.join("Library/Application Support/tidegate/config.toml"));
        }
    }
    places.push("/etc/tidegate/config.toml".into());
    places
}

/// The directory that keeps state over a restart: what systemd gave, else what
/// `$XDG_STATE_HOME` names, else the user's own, or the system's for root.
pub fn state_directory(env: &Env) -> PathBuf {
    // Several directories may be given, parted by colons; the unit lists ours first.
    let given = env.get("STATE_DIRECTORY").and_then(|list| list.split(':').next()).map(PathBuf::from);
    if let Some(given) = given.filter(|path| path.is_absolute()) {
        return given;
    }
    let own = directory(env, "XDG_STATE_HOME").map(|base| base.join("tidegate"));
    let home =
        || directory(env, "HOME").filter(|_| !env.is_root()).map(|home| home.join(".local/state/tidegate"));
    own.or_else(home).unwrap_or_else(|| SYSTEM_STATE.into())
}

/// A path as people write it: absolute, or under the home directory as `~/...`. `None` for any other.
pub(super) fn absolute(text: &str, env: &Env) -> Option<PathBuf> {
    match text.strip_prefix("~/") {
        Some(under_home) => directory(env, "HOME").map(|home| home.join(under_home)),
        None => Some(PathBuf::from(text)).filter(|path| path.is_absolute()),
    }
}

fn directory(env: &Env, name: &str) -> Option<PathBuf> {
    env.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn the_command_line_goes_before_the_variable_and_that_before_the_usual_places() {
        let directory = tempfile::tempdir().unwrap();
        let usual = directory.path().join("tidegate/config.toml");
        let home = directory.path().to_str().unwrap();
        let named = env(&[("TIDEGATE_CONFIG", "/named"), ("XDG_CONFIG_HOME", home)]);
        let place = |path: &Path, chosen| Some(ConfigPlace { path: path.to_owned(), chosen });
        assert_eq!(config_place(Some(Path::new("given")), &named), place(Path::new("given"), Chosen::Given));
        assert_eq!(config_place(None, &named), place(Path::new("/named"), Chosen::Variable));
        let unnamed = env(&[("TIDEGATE_CONFIG", ""), ("XDG_CONFIG_HOME", home)]);
        std::fs::create_dir(usual.parent().unwrap()).unwrap();
        std::fs::write(&usual, "").unwrap();
        assert_eq!(config_place(None, &unnamed), place(&usual, Chosen::Usual));
    }

    #[test]
    fn usual_places_are_the_users_before_the_systems() {
        let places = usual_config_places(&env(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/x")]));
        assert_eq!(places.first(), Some(&"/x/tidegate/config.toml".into()));
        assert_eq!(places.get(1), Some(&"/home/a/.config/tidegate/config.toml".into()));
        assert_eq!(places.last(), Some(&"/etc/tidegate/config.toml".into()));
        assert_eq!(usual_config_places(&env(&[("XDG_CONFIG_HOME", "relative")])).len(), 1);
    }

    #[test]
    fn state_lies_where_systemd_says_else_with_the_user_else_with_the_system() {
        let user = [("HOME", "/home/a")];
        let check = |env: Env, expected: &str| assert_eq!(state_directory(&env), PathBuf::from(expected));
        check(env(&[("STATE_DIRECTORY", "/s/a:/s/b"), ("HOME", "/home/a")]), "/s/a");
        check(env(&[("XDG_STATE_HOME", "/x"), ("HOME", "/home/a")]), "/x/tidegate");
        check(env(&user), "/home/a/.local/state/tidegate");
        check(env(&user).as_root(), "/var/lib/tidegate");
        check(env(&[]), "/var/lib/tidegate");
    }

    #[test]
    fn a_path_is_absolute_or_under_the_home_directory() {
        let env = env(&[("HOME", "/home/a")]);
        assert_eq!(absolute("~/k", &env), Some("/home/a/k".into()));
        assert_eq!(absolute("/k", &env), Some("/k".into()));
        assert_eq!(absolute("k", &env), None);
        assert_eq!(absolute("sk-canary", &env), None);
    }
}
