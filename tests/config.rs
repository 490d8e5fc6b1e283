//! Golden cases of the configuration: each `tests/golden/config/NAME.toml` beside the report or the settings that
//! it gives, in `NAME.expect`. `UPDATE_GOLDEN=1` writes the latter anew.

use std::fs;
use std::path::{Path, PathBuf};
use tidegate::config::{Env, Settings, load};
use tidegate::exchange::Provider;

#[test]
#[expect(clippy::disallowed_methods, reason = "a person asks for new goldens by a variable")]
fn every_golden_file_gives_what_stands_beside_it() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    let mut different = Vec::new();
    for case in cases {
        let shown = outcome(&case);
        let beside = case.with_extension("expect");
        if update {
            fs::write(&beside, &shown).expect("the folder can be written");
        } else if fs::read_to_string(&beside).ok().as_deref() != Some(&shown) {
            different.push(format!("{}:\n{shown}", case.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn no_golden_report_shows_a_canary() {
    for case in cases() {
        assert!(!outcome(&case).contains("canary"), "{}", case.display());
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config");
    let entries = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("a readable entry").path());
    let mut cases: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    cases.sort();
    cases
}

/// The report of a file with mistakes, else the settings of one without.
fn outcome(case: &Path) -> String {
    let env = Env::from_pairs([
        ("HOME", "/home/ann"),
        ("OPENAI_API_KEY", "sk-canary-openai"),
        ("SECRET", "canary-secret"),
        ("EMPTY", ""),
    ]);
    let text = fs::read_to_string(case).expect("the case was just listed");
    let name = case.file_name().and_then(|name| name.to_str()).expect("the names of cases are UTF-8");
    match load(&text, name, &env) {
        Ok(settings) => show(&settings),
        Err(mistakes) => mistakes.render(false),
    }
}

fn show(settings: &Settings) -> String {
    let Settings { server, exchange, store, log } = settings;
    let mut lines = vec![
        format!("{server:?}"),
        format!("{:?} {:?}", exchange.queue, exchange.weights),
        format!("{:?}", exchange.keepalive),
        format!("{:?}", exchange.retry),
        format!("output_guess {} default {:?}", exchange.output_guess, exchange.default_provider),
    ];
    for provider in &exchange.providers {
        let Provider { id, account_of, family, upstream, limits, day_end, breaker, counting, .. } = provider;
        let Provider { cache_life, models, claims, .. } = provider;
        let of = account_of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
        let ends = day_end.map(|end| format!("\n  {end:?}")).unwrap_or_default();
        lines.push(format!(
            "provider {id}{of} {family:?}\n  {upstream:?}\n  {limits:?}{ends}\n  {breaker:?}\n  {counting:?}"
        ));
        lines.push(format!("  cache {cache_life:?} models {models:?} claims {claims:?}"));
    }
    lines.extend(exchange.groups.iter().map(|group| format!("{group:?}")));
    for route in &exchange.routes {
        lines.push(format!("route {} {:?} {:?}", route.name, route.priority, route.targets));
    }
    lines.extend([format!("{store:?}"), format!("{log:?}\n")]);
    lines.join("\n")
}
