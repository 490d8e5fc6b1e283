//! Who may name whom: the arrows between the folders, and the doors to the outside.
//!
//! The tables here are the rule itself; the prose of it is in `ARCHITECTURE.md`.

use super::paths::{Modules, Named, module_of, named};
use super::source::Source;
use super::{Violation, is_test_file};
use std::collections::BTreeSet;

/// The words that everything shares.
const WORDS: &[&str] = &["units", "ids", "dialect", "secret"];
/// Shared as well, but never by a pure folder: they touch time and the runtime.
const DOORS_TO_TIME: &[&str] = &["clock", "tasks"];
/// Pure folders: no socket, no clock read, no randomness, no log.
const PURE: &[&str] = &["wire", "tokens", "access", "routing", "admission"];

/// What a folder may name besides itself and the shared words; `settings` only takes settings types.
struct Arrows {
    from: &'static str,
    to: &'static [&'static str],
}

#[rustfmt::skip]
const ARROWS: &[Arrows] = &[
    Arrows { from: "wire",      to: &[] },
    Arrows { from: "tokens",    to: &["wire"] },
    Arrows { from: "access",    to: &[] },
    Arrows { from: "routing",   to: &[] },
    Arrows { from: "admission", to: &[] },
    Arrows { from: "observe",   to: &[] },
    Arrows { from: "upstream",  to: &["observe"] },
    Arrows { from: "store",     to: &["observe"] },
    Arrows { from: "ledger",    to: &["observe", "store"] },
    Arrows { from: "simulator", to: &["observe", "wire"] },
    Arrows { from: "exchange",  to: &["observe", "upstream", "store", "ledger", "simulator", "wire", "tokens", "access", "routing", "admission"] },
    Arrows { from: "server",    to: &["observe", "exchange"] },
    // Settings types alone, see `is_settings`.
    Arrows { from: "config",    to: &[] },
    Arrows { from: "daemon",    to: &["config", "server", "exchange", "upstream", "store", "ledger", "simulator", "observe", "wire", "tokens", "access", "routing", "admission"] },
    // The status view of `observe` too, see `may_name`.
    Arrows { from: "cli",       to: &["daemon", "config"] },
];

/// The files whose types `config` may name: each part owns its settings, and config fills them in.
const SETTINGS_FILES: &[&str] = &["settings.rs", "policy.rs", "limits.rs"];

/// An external path that has one door.
struct Door {
    path: &'static [&'static str],
    /// The files and folders (with a closing `/`) that may name it.
    only: &'static [&'static str],
    why: &'static str,
}

#[rustfmt::skip]
const DOORS: &[Door] = &[
    Door { path: &["axum"],                        only: &["src/server/", "src/simulator/"], why: "the web framework stays at the edge" },
    Door { path: &["reqwest"],                     only: &["src/upstream/"],                 why: "one door to providers" },
    Door { path: &["sled"],                        only: &["src/store/sled.rs"],             why: "one file knows the engine, so that it can be exchanged" },
    Door { path: &["std", "env"],                  only: &["src/config/", "src/cli/"],       why: "everything else receives settings" },
    Door { path: &["tokio", "spawn"],              only: &["src/tasks.rs"],                  why: "`Tasks::spawn` names the task and waits for it at drain" },
    Door { path: &["tokio", "task", "spawn"],      only: &["src/tasks.rs"],                  why: "`Tasks::spawn` names the task and waits for it at drain" },
    Door { path: &["tokio", "task", "spawn_local"], only: &["src/tasks.rs"],                 why: "`Tasks::spawn` names the task and waits for it at drain" },
];

/// What a pure folder never names. Seeded randomness is allowed in its tests.
const IMPURE: &[&[&str]] = &[
    &["tokio"],
    &["tokio_util"],
    &["tracing"],
    &["tracing_subscriber"],
    &["log"],
    &["fastrand"],
    &["rand"],
    &["uuid"],
    &["hyper"],
    &["hyper_util"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["governor", "clock", "DefaultClock"],
    &["governor", "clock", "MonotonicClock"],
    &["governor", "clock", "SystemClock"],
    &["governor", "clock", "QuantaClock"],
];

/// Every arrow that must not exist.
pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    let sources: Vec<&Source> = sources.iter().filter(|source| source.path.starts_with("src/")).collect();
    let modules: Modules = sources.iter().map(|source| module_of(&source.path)).collect();
    let settings = settings_types(&sources);
    let mut found = Vec::new();
    for source in sources {
        let all_test = is_test_file(&source.path);
        for mut named in named(source, &modules) {
            named.in_test |= all_test;
            let reason = if named.path[0] == "crate" {
                inward(source, &named, &settings)
            } else {
                outward(source, &named)
            };
            if let Some(reason) = reason {
                found.push(Violation::new(&source.path, named.line, reason));
            }
        }
    }
    found
}

/// The public items of settings files, as (folder, name).
fn settings_types(sources: &[&Source]) -> BTreeSet<(String, String)> {
    let mut types = BTreeSet::new();
    for source in sources {
        let module = module_of(&source.path);
        if module.len() == 2 && SETTINGS_FILES.iter().any(|file| source.path.ends_with(&format!("/{file}"))) {
            for at in 0..source.code.len() {
                let item = source.at(at + 1);
                if source.at(at) == "pub" && ["struct", "enum", "type", "const", "fn"].contains(&item) {
                    types.insert((module[0].clone(), source.at(at + 2).to_owned()));
                }
            }
        }
    }
    types
}

fn inward(source: &Source, named: &Named, settings: &BTreeSet<(String, String)>) -> Option<String> {
    let module = module_of(&source.path);
    // `lib.rs` lists the modules; `main.rs` hands over to the command line.
    let from =
        module.first().map_or(if source.path == "src/main.rs" { "main" } else { "lib" }, String::as_str);
    let to = named.path.get(1)?.as_str();
    if from == "lib" || from == to || (from == "main" && to == "cli") {
        return None;
    }
    let shared = WORDS.contains(&to) || (DOORS_TO_TIME.contains(&to) && !PURE.contains(&from));
    if shared || may_name(from, named, settings) {
        return None;
    }
    // A test may drive the part that it tests with the built-in provider; that is what it is for.
    if named.in_test && to == "simulator" && !PURE.contains(&from) {
        return None;
    }
    let whole = named.path[1..].join("::");
    Some(match from {
        "config" => format!("`config` may name only settings types of `{to}`, not `{whole}`"),
        _ => format!("`{from}` must not name `{to}` (here `{whole}`)"),
    })
}

fn may_name(from: &str, named: &Named, settings: &BTreeSet<(String, String)>) -> bool {
    let to = named.path[1].as_str();
    let item = named.path.get(2).map(String::as_str);
    match from {
        "config" => match item {
            // The folder alone; what is taken from it is seen where it is used.
            None => !matches!(to, "daemon" | "cli"),
            Some(item) => settings.contains(&(to.to_owned(), item.to_owned())),
        },
        "cli" if to == "observe" => item.is_none_or(|item| item.starts_with("Status")),
        _ => ARROWS.iter().any(|arrows| arrows.from == from && arrows.to.contains(&to)),
    }
}

fn outward(source: &Source, named: &Named) -> Option<String> {
    let folder = module_of(&source.path).first().cloned().unwrap_or_default();
    let whole = named.path.join("::");
    let begins =
        |with: &[&str]| with.iter().enumerate().all(|(i, part)| named.path.get(i).is_some_and(|p| p == part));
    if let Some(door) = DOORS.iter().find(|door| begins(door.path))
        && !door
            .only
            .iter()
            .any(|only| source.path == *only || (only.ends_with('/') && source.path.starts_with(only)))
    {
        return Some(format!("`{whole}` belongs in {} alone: {}", door.only.join(" and "), door.why));
    }
    if let [.., kind, "now"] = named.path.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && matches!(kind, "Instant" | "SystemTime")
        && source.path != "src/clock.rs"
    {
        return Some(format!(
            "`{whole}` reads a clock; only src/clock.rs does, everything else receives `now`"
        ));
    }
    if PURE.contains(&folder.as_str()) && IMPURE.iter().any(|impure| begins(impure)) {
        let seeded = named.in_test && ["fastrand", "rand"].contains(&named.path[0].as_str());
        return (!seeded).then(|| format!("`{folder}` is pure and must not name `{whole}`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The violations of one fake file among a few others, as `line: reason`.
    fn found(path: &str, text: &str) -> Vec<String> {
        let others = [
            ("src/admission/mod.rs", "pub use limits::Limits;"),
            ("src/admission/limits.rs", "pub struct Limits; pub enum Priority { A }"),
            ("src/admission/desk.rs", "pub struct Desk;"),
            ("src/store/sled.rs", "sled::open(); use crate::observe::X;"),
        ];
        let mut sources: Vec<Source> = others.iter().map(|(path, text)| Source::new(path, text)).collect();
        sources.retain(|source| source.path != path);
        sources.push(Source::new(path, text));
        check(&sources)
            .into_iter()
            .map(|violation| format!("{}: {}", violation.line, violation.reason))
            .collect()
    }

    #[track_caller]
    fn refused(path: &str, text: &str, part: &str) {
        let found = found(path, text);
        assert!(found.iter().any(|violation| violation.contains(part)), "{path} `{text}` gave {found:?}");
    }

    #[track_caller]
    fn allowed(path: &str, text: &str) {
        assert_eq!(found(path, text), Vec::<String>::new(), "{path} `{text}`");
    }

    #[test]
    fn every_forbidden_arrow_is_found() {
        refused("src/admission/desk.rs", "use crate::routing::Plan;", "`admission` must not name `routing`");
        refused("src/routing/plan.rs", "\nfn f() { crate::admission::x() }", "2: `routing` must not name");
        refused("src/routing/plan.rs", "use crate::{units, wire::{Call}};", "must not name `wire`");
        refused("src/upstream/client.rs", "use super::super::routing::Outcome;", "`upstream` must not name");
        refused("src/exchange/mod.rs", "use crate::config::X;", "must not name `config`");
        refused("src/exchange/mod.rs", "use crate::server;", "must not name `server`");
        refused("src/server/proxy.rs", "use crate::routing::Plan;", "must not name `routing`");
        refused("src/admission/desk.rs", "use crate::clock::Clock;", "must not name `clock`");
        refused("src/cli/run.rs", "use crate::exchange::Gateway;", "`cli` must not name");
        refused("src/cli/run.rs", "use crate::observe::Metrics;", "`cli` must not name");
        refused("src/main.rs", "fn main() { tidegate::daemon::run() }", "`main` must not name `daemon`");
        refused("src/units.rs", "use crate::wire::Call;", "`units` must not name `wire`");
    }

    #[test]
    fn every_arrow_of_the_table_is_allowed() {
        for arrows in ARROWS {
            for to in arrows.to {
                let folder = arrows.from;
                allowed(
                    &format!("src/{folder}/part.rs"),
                    &format!("use crate::{to}::Thing; use crate::units::X;"),
                );
            }
        }
        allowed("src/cli/status.rs", "use crate::observe::StatusView;");
        allowed("src/server/mod.rs", "#[cfg(test)] mod t { use crate::simulator::Simulator; }");
        allowed("src/main.rs", "fn main() { tidegate::cli::main() }");
    }

    #[test]
    fn config_names_settings_types_and_nothing_else() {
        allowed(
            "src/config/resolve.rs",
            "use crate::admission::{self, Limits, Priority}; fn f() { admission::Priority::A }",
        );
        refused("src/config/resolve.rs", "use crate::admission::Desk;", "only settings types");
        refused(
            "src/config/resolve.rs",
            "use crate::admission; fn f() { admission::Desk::new() }",
            "only settings types",
        );
        refused("src/config/resolve.rs", "use crate::daemon;", "only settings types");
    }

    #[test]
    fn each_door_is_the_only_one() {
        refused("src/exchange/mod.rs", "fn f() { axum::x() }", "`axum::x` belongs in");
        refused("src/server/mod.rs", "use reqwest::Client;", "belongs in src/upstream/");
        refused("src/store/mod.rs", "use ::sled::Db;", "belongs in src/store/sled.rs");
        allowed("src/store/mod.rs", "mod sled; pub use sled::SledStore;");
        refused("src/daemon/mod.rs", "use std::env; fn f() { env::var(K) }", "`std::env::var` belongs in");
        refused(
            "src/daemon/mod.rs",
            "use tokio::{self, task}; fn f() { task::spawn(x) }",
            "`tokio::task::spawn`",
        );
        refused("src/daemon/mod.rs", "fn f() { tokio::spawn(x) }", "`Tasks::spawn`");
        allowed("src/tasks.rs", "fn f() { tokio::spawn(x) }");
    }

    #[test]
    fn clocks_are_read_in_one_file() {
        refused("src/server/mod.rs", "use std::time::Instant; fn f() { Instant::now() }", "reads a clock");
        refused("src/server/mod.rs", "fn f() { tokio::time::Instant::now() }", "reads a clock");
        refused("src/wire/mod.rs", "use std::time::*; fn f() { SystemTime::now() }", "reads a clock");
        allowed("src/clock.rs", "fn f() { SystemTime::now(); Instant::now() }");
        allowed("src/server/mod.rs", "fn f(clock: Clock) { clock.now() }");
    }

    #[test]
    fn pure_folders_name_no_runtime_log_or_chance() {
        refused("src/wire/sse.rs", "use tokio::sync::mpsc;", "`wire` is pure");
        refused("src/routing/plan.rs", "fn f() { tracing::info!(x) }", "`routing` is pure");
        refused("src/routing/backoff.rs", "fn f() { fastrand::u64(..) }", "`routing` is pure");
        allowed("src/routing/backoff.rs", "#[cfg(test)] mod tests { use fastrand::Rng; }");
        allowed("src/routing/backoff_tests.rs", "use fastrand::Rng;");
        refused("src/routing/backoff_tests.rs", "use tokio::test;", "`routing` is pure");
        refused("src/admission/bucket.rs", "use governor::clock::DefaultClock;", "`admission` is pure");
        allowed("src/admission/bucket.rs", "use governor::clock::{Clock, Reference};");
    }
}
