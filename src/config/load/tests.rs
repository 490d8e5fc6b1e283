//! The promises of loading: defaults, secrecy, and calm before any text.

use super::super::secret_source::{SecretError, SecretSource};
use super::*;
use crate::exchange::ExchangeSettings;
use crate::secret::Secret;
use proptest::prelude::*;

const COMMENTED: &str = include_str!("../../../config/tidegate.toml");
const MINIMAL: &str = include_str!("../../../config/minimal.toml");
const TEAM: &str = include_str!("../../../config/team.toml");

/// Loads without running commands or reading files, whatever the text says.
fn load_here(text: &str, pairs: &[(&str, &str)]) -> Result<Settings, Mistakes> {
    let fetch =
        |_: &SecretSource| -> Result<Secret, SecretError> { Ok(Secret::new("sk-fetched".to_owned())) };
    load_with(text, "a.toml", &env(pairs), &fetch)
}

fn env(pairs: &[(&str, &str)]) -> Env {
    Env::from_pairs([("HOME", "/home/a")].iter().chain(pairs).copied())
}

/// The key of the only provider.
fn key(text: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let settings = load_here(text, pairs).unwrap();
    let credential = settings.exchange.providers[0].upstream.credential.as_ref();
    credential.map(|credential| credential.key.expose().to_owned())
}

#[test]
fn the_commented_file_says_what_holds_without_it() {
    let usual = Settings::usual(&env(&[]));
    let loaded = load_here(COMMENTED, &[]).unwrap();
    let providers = &loaded.exchange.providers;
    assert_eq!((&loaded.server, &loaded.store, &loaded.log), (&usual.server, &usual.store, &usual.log));
    let exchange = ExchangeSettings { providers: providers.clone(), ..usual.exchange };
    assert_eq!(loaded.exchange, exchange);
    assert_eq!(providers.len(), 1);
    assert_eq!(providers[0].breaker, crate::routing::BreakerPolicy::default());
}

#[test]
fn what_the_commented_file_has_in_comments_is_right_and_usual() {
    let (before, comments) = COMMENTED.split_once("# Everything else has a default:\n").unwrap();
    let lines = comments.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let is_key = |line: &&str| line.split(" = ").next().is_some_and(|key| !key.contains(' '));
    let provider: Vec<&str> =
        lines.clone().take_while(|line| !line.starts_with('[')).filter(is_key).collect();
    // Neither has a default: there is one account, and nothing is known of its models.
    let is_example = |line: &&str| line.starts_with("models") || line.starts_with("accounts");
    let usual: Vec<&str> = provider.iter().copied().filter(|line| !is_example(line)).collect();
    let written = load_here(&format!("{before}{}", usual.join("\n")), &[]).unwrap();
    assert_eq!(written, load_here(COMMENTED, &[]).unwrap());
    assert!(provider.len() == usual.len() + 2 && provider.len() > 9, "{provider:?}");
    let all = lines.filter(|line| is_key(line) || line.starts_with('['));
    let all: Vec<&str> = all.filter(|line| !line.starts_with("accounts")).collect();
    let others =
        ["limits = \"learn\"\n", ", \"anthropic/claude-sonnet-4-5\"", ", \"anthropic/claude-opus-4*\""];
    let all = others.iter().fold(all.join("\n"), |all, other| all.replace(other, ""));
    let all = load_here(&format!("{before}{all}"), &[])
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
    assert_eq!((all.exchange.routes.len(), all.exchange.groups.len()), (1, 1));
    assert!(all.exchange.providers[0].limits.concurrent.is_some());
}

#[test]
fn the_examples_load_in_an_empty_environment() {
    for text in [COMMENTED, MINIMAL, TEAM] {
        let settings = load(text, "a.toml", &Env::default());
        assert!(settings.is_ok_and(|settings| settings.exchange.providers[0].upstream.credential.is_none()));
    }
}

#[test]
fn a_key_comes_from_where_the_file_says() {
    let openai = |line: &str| format!("[provider.openai]\n{line}\n");
    let usual = [("OPENAI_API_KEY", "sk-env"), ("OTHER", " sk-other ")];
    assert_eq!(key(&openai("api_key = \"${OTHER}\""), &usual).as_deref(), Some("sk-other"));
    assert_eq!(key(&openai("api_key_file = \"/k\""), &usual).as_deref(), Some("sk-fetched"));
    assert_eq!(
        key(&openai("api_key = \"${NONE:-}\"\napi_key_command = \"k\""), &usual).as_deref(),
        Some("sk-fetched")
    );
}

#[test]
fn the_usual_variable_serves_a_vendor_without_a_written_key_at_its_own_address_only() {
    let usual = [("OPENAI_API_KEY", "sk-env")];
    assert_eq!(key("[provider.openai]\n", &usual).as_deref(), Some("sk-env"));
    assert_eq!(key("[provider.second]\nvendor = 'openai'\n", &usual).as_deref(), Some("sk-env"));
    assert_eq!(key("[provider.openai]\napi_key = ''\n", &usual), None);
    assert_eq!(key("[provider.openai]\nbase_url = 'https://far.example'\n", &usual), None);
    assert_eq!(key("[provider.openai]\n", &[]), None);
}

#[test]
fn no_mistake_shows_a_key() {
    let canary = "sk-canary-90125";
    let variables = [("SECRET", canary), ("OPENAI_API_KEY", canary)];
    for line in [
        format!("api_key = \"{canary}\"\napi_key_file = \"/k\""),
        format!("api_key = \"{canary} with space\""),
        format!("apikey = \"{canary}\""),
        format!("api_key_file = \"{canary}\""),
        format!("api_key_credential = \"{canary}\"\napi_key = \"a\""),
        format!("api_key = {canary}"),
        format!("api_key = \"{canary}"),
        format!("api_key = \"\\u{{1}}{canary}\""),
        format!("api_key = \"{canary}\"\napi_key = \"{canary}\""),
        format!("api_key = [\"{canary}\"]"),
        format!("api_key = \"{canary}\"\nbase_url = \"http://far.example\""),
        format!("base_url = \"https://u:{canary}@host/v1\""),
        format!("base_url = \"https://host/v1?key={canary}\""),
        "base_url = \"ftp://${SECRET}\"".to_owned(),
        "auth = \"${SECRET}\"\nvendor = \"${SECRET}\"\ndialect = \"${SECRET}\"".to_owned(),
        "connect_timeout = \"${SECRET}\"\nmodels = \"${SECRET}\"".to_owned(),
        "[route.a]\ntargets = [\"${SECRET}\", \"${SECRET}/x\"]\npriority = \"${SECRET}\"".to_owned(),
        "[server]\nlisten = [\"${SECRET}\"]\nhosts = [\"${SECRET} x\"]\ndefault_provider = \"${SECRET}\""
            .to_owned(),
        "[log]\nlevel = \"${SECRET}\"\n[store]\npath = \"${SECRET}\"".to_owned(),
    ] {
        let mistakes =
            load_here(&format!("[provider.openai]\n{line}\n# {canary}\n"), &variables).unwrap_err();
        let shown = format!("{} {mistakes} {mistakes:?}", mistakes.render(true));
        assert!(!shown.contains("canary"), "{shown}");
    }
    let settings = load_here("[provider.openai]\n", &variables).unwrap();
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn a_source_that_fails_is_named_with_its_remedy() {
    let mistakes =
        load("[provider.openai]\napi_key_file = '/nowhere/key'\n", "a.toml", &env(&[])).unwrap_err();
    let shown = mistakes.render(false);
    assert!(shown.contains("/nowhere/key") && shown.contains("provider.openai.api_key_file"), "{shown}");
}

#[test]
fn the_usual_variable_wins_over_the_log_level() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.toml");
    std::fs::write(&file, "[log]\nlevel = 'warn'\n[provider.sim]\nbase_url = 'http://127.0.0.1:1/v1'\n")
        .unwrap();
    let level = |pairs| read(Some(&file), &env(pairs)).unwrap().settings.log.level;
    assert_eq!(level(&[]), "warn");
    assert_eq!(level(&[("RUST_LOG", "tidegate=debug")]), "tidegate=debug");
}

#[test]
fn a_file_is_read_from_where_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    assert_eq!(read(Some(&path), &env(&[])).unwrap_err().exit_code(), 66);
    std::fs::write(&path, MINIMAL).unwrap();
    let named = path.to_str().unwrap();
    let loaded = read(None, &env(&[("TIDEGATE_CONFIG", named)])).unwrap();
    assert!(loaded.origin().ends_with("a.toml (from $TIDEGATE_CONFIG)"), "{}", loaded.origin());
    assert_eq!(loaded.notes, ["provider openai has no key; requests go to it without one"]);
    std::fs::write(&path, "x = 1").unwrap();
    assert_eq!(read(Some(&path), &env(&[])).unwrap_err().exit_code(), 78);
    std::fs::write(&path, [0xff]).unwrap();
    assert!(matches!(read(Some(&path), &env(&[])), Err(ConfigError::NotText(_))));
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(read(Some(&path), &env(&[])), Err(ConfigError::NotText(_))));
    assert_eq!(read(Some(directory.path()), &env(&[])).unwrap_err().exit_code(), 74);
}

/// A text that was well-formed once: pieces removed, doubled, swapped for others, cut anywhere.
fn mangled() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, piece()), 1..12);
    (prop::sample::select(vec![COMMENTED, MINIMAL, TEAM]), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(|line| line.chars().chain(['\n']))
            .collect();
        for (at, removed, piece) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + removed).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

fn piece() -> impl Strategy<Value = String> {
    let known = [
        "",
        "\"",
        "'''",
        "\"\"\"",
        "[",
        "]",
        "{",
        "}",
        "=",
        "#",
        "\n",
        "${",
        "$",
        "é",
        "\u{301}",
        "\u{0}",
        "\r",
        "-1",
        "1e9",
        "0x",
        "nan",
        "99999999999999999999",
        "inf",
        "1979-05-27",
        "[provider.x]\n",
        "[[route]]\n",
        "\u{9b}",
        "limits = 3\n",
        "a.b.c = 1\n",
        "listen = [\"::\", \"unix:\"]\n",
        "\t",
        "字",
        "\u{200d}",
        "true",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "\\PC{0,12}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_loading_panic(text in mangled()) {
        if let Err(mistakes) = load_here(&text, &[("OPENAI_API_KEY", "sk-canary")]) {
            prop_assert!(mistakes.count() > 0);
            prop_assert!(!mistakes.render(false).contains("canary"));
            mistakes.render(true);
        }
    }

    #[test]
    fn no_garbage_makes_loading_panic(text in any::<String>()) {
        if let Err(mistakes) = load_here(&text, &[]) {
            mistakes.render(false);
        }
    }
}
