//! Whatever an operator can see or set is written down, and what is written down exists.
//!
//! Reads names out of code and documents as text. Where a file does not exist there is nothing to hold;
//! where it exists and no name can be read from it, that is a violation too, or the rule would go blind
//! without a word.

use super::Violation;
use super::shape::rots;
use super::source::{Kind, Source, group_end};

const METRICS: &str = "src/observe/metrics.rs";
const OPERATIONS: &str = "docs/OPERATIONS.md";
const EXAMPLE: &str = "config/tidegate.toml";
const PREFIX: &str = "tidegate_";
/// What the text format adds to a registered name.
const SUFFIXES: &[&str] = &["_total", "_bucket", "_sum", "_count", "_info"];

/// A document: its path and its text.
pub(crate) type Document = (String, String);

/// Everything undocumented, documented in vain, or bound to one machine.
pub(crate) fn check(sources: &[Source], documents: &[Document]) -> Vec<Violation> {
    let document =
        |path: &str| documents.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str());
    let mut found = Vec::new();
    if let Some(metrics) = sources.iter().find(|source| source.path == METRICS) {
        found.extend(metrics_are_documented(metrics, document(OPERATIONS).unwrap_or_default()));
    }
    let raw: Vec<&Source> = sources.iter().filter(|source| is_raw(&source.path)).collect();
    if !raw.is_empty() {
        found.extend(keys_are_documented(&raw, document(EXAMPLE).unwrap_or_default()));
    }
    for (path, text) in documents {
        for (at, line) in text.lines().enumerate() {
            found.extend(rots(line).map(|reason| Violation::new(path, at + 1, reason)));
        }
    }
    found
}

/// The files that mirror the configuration file.
fn is_raw(path: &str) -> bool {
    (path == "src/config/raw.rs" || path.starts_with("src/config/raw/")) && !super::is_test_file(path)
}

fn metrics_are_documented(metrics: &Source, operations: &str) -> Vec<Violation> {
    let names = metric_names(metrics);
    let documented = documented_metrics(operations);
    if names.is_empty() {
        return vec![Violation::new(METRICS, 1, "no metric name can be read from it")];
    }
    let bare = |name: &str| {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned()
    };
    let missing =
        names.iter().filter(|(name, _)| !documented.iter().any(|(known, _)| bare(known) == bare(name)));
    let missing = missing.map(|(name, line)| {
        Violation::new(METRICS, *line, format!("metric `{name}` has no row in {OPERATIONS}"))
    });
    let vain =
        documented.iter().filter(|(known, _)| !names.iter().any(|(name, _)| bare(name) == bare(known)));
    let vain = vain.map(|(known, line)| {
        Violation::new(OPERATIONS, *line, format!("`{known}` is not registered in {METRICS}"))
    });
    missing.chain(vain).collect()
}

/// The first text behind `register(` and its kin, and every text that begins with the prefix.
fn metric_names(metrics: &Source) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    for (at, token) in metrics.code.iter().enumerate().filter(|(at, _)| !metrics.in_test[*at]) {
        let registered = at >= 2 && metrics.at(at - 1) == "(" && metrics.at(at - 2).starts_with("register");
        let shaped = token.text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let prefixed = token.text.starts_with(PREFIX) && token.text != PREFIX;
        if token.kind == Kind::Text && shaped && (registered || prefixed) {
            names.push((token.text.clone(), token.line));
        }
    }
    names
}

fn documented_metrics(operations: &str) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    for (at, line) in operations.lines().enumerate() {
        // Rows of the table; prose may shorten a name.
        let name = line.strip_prefix("| `").and_then(|cell| cell.split(['`', '{']).next());
        names.extend(name.filter(|name| name.starts_with(PREFIX)).map(|name| (name.to_owned(), at + 1)));
    }
    names
}

fn keys_are_documented(raw: &[&Source], example: &str) -> Vec<Violation> {
    let keys: Vec<_> = raw.iter().flat_map(|source| config_keys(source)).collect();
    if keys.is_empty() {
        return vec![Violation::new(&raw[0].path, 1, "no configuration key can be read from it")];
    }
    let missing = keys.into_iter().filter(|(_, key, _)| !has_key(example, key));
    missing
        .map(|(path, key, line)| {
            Violation::new(&path, line, format!("key `{key}` is not shown in {EXAMPLE}"))
        })
        .collect()
}

/// The keys of a raw file, under the names that the file uses: (path, key, line). They stand as the fields of
/// a struct or in the `section!` that makes one.
fn config_keys(source: &Source) -> Vec<(String, String, usize)> {
    let mut keys = Vec::new();
    for at in (0..source.code.len()).filter(|at| !source.in_test[*at]) {
        let inside = match (source.at(at), source.at(at + 1)) {
            ("struct", _) => at,
            ("section", "!") => at + 3,
            _ => continue,
        };
        let Some(open) = (inside..source.code.len()).find(|at| ["{", "(", ";"].contains(&source.at(*at)))
        else {
            break;
        };
        if source.at(open) == "{" {
            let end = group_end(&source.code, open) - 1;
            fields(source, open + 1, end, &mut keys);
        }
    }
    keys
}

fn fields(source: &Source, from: usize, end: usize, keys: &mut Vec<(String, String, usize)>) {
    let mut at = from;
    let (mut renamed, mut hidden) = (None, false);
    while at < end {
        match source.at(at) {
            "#" => {
                let close = group_end(&source.code, at + 1);
                for inner in at..close {
                    if source.at(inner) == "rename" && source.at(inner + 1) == "=" {
                        renamed = source.code.get(inner + 2).map(|token| token.text.clone());
                    }
                    hidden |= matches!(source.at(inner), "flatten" | "skip" | "skip_deserializing");
                }
                at = close;
            }
            "pub" => at += 1,
            "(" => at = group_end(&source.code, at),
            name if source.at(at + 1) == ":" => {
                let key = renamed.take().unwrap_or_else(|| name.to_owned());
                if !std::mem::take(&mut hidden) {
                    keys.push((source.path.clone(), key, source.code[at].line));
                }
                at = field_end(source, at, end);
            }
            _ => at += 1,
        }
    }
}

/// Behind the comma that ends a field; commas inside of `<...>` do not.
fn field_end(source: &Source, from: usize, end: usize) -> usize {
    let mut angles = 0_usize;
    let mut at = from;
    while at < end {
        match source.at(at) {
            "<" => angles += 1,
            ">" if source.at(at - 1) != "-" => angles = angles.saturating_sub(1),
            "(" | "[" => {
                at = group_end(&source.code, at);
                continue;
            }
            "," if angles == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    end
}

/// Whether a TOML text, its comments included, sets the key or has a table of that name.
fn has_key(toml: &str, key: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    toml.lines().any(|line| {
        line.match_indices(key).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let behind = &line[at + key.len()..];
            let whole = !before.is_some_and(part) && !behind.starts_with(part);
            let header =
                line.trim_start_matches(['#', ' ']).starts_with('[') && behind.starts_with(['.', ']']);
            whole && (behind.trim_start().starts_with('=') || header)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &[(&str, &str)], documents: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = code.iter().map(|(path, text)| Source::new(path, text)).collect();
        let documents: Vec<Document> =
            documents.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        check(&sources, &documents).into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn a_metric_without_a_row_is_found_and_a_row_without_a_metric_too() {
        let code =
            "fn f() {\nr.register(\"requests\", \"Help.\", m);\n}\nconst D: &str = \"tidegate_queue_depth\";";
        let rows = "| `tidegate_requests_total{provider}` | x |\n| `tidegate_queue_depth` | x |\n";
        assert_eq!(found(&[(METRICS, code)], &[(OPERATIONS, rows)]), Vec::<String>::new());
        let rows = "| `tidegate_requests_total` | x |\n| `tidegate_gone` | x |\n";
        assert_eq!(
            found(&[(METRICS, code)], &[(OPERATIONS, rows)]),
            [
                "src/observe/metrics.rs:4: metric `tidegate_queue_depth` has no row in docs/OPERATIONS.md",
                "docs/OPERATIONS.md:2: `tidegate_gone` is not registered in src/observe/metrics.rs",
            ]
        );
    }

    #[test]
    fn a_rule_that_sees_nothing_says_so() {
        assert_eq!(found(&[], &[]).len(), 0);
        assert_eq!(found(&[(METRICS, "//! M.")], &[]).len(), 1);
        assert_eq!(found(&[("src/config/raw.rs", "//! R.")], &[]).len(), 1);
    }

    #[test]
    fn a_key_that_the_example_does_not_show_is_found() {
        let raw = "struct Raw {\n #[serde(rename = \"listen\")] pub addresses: Map<A, B>,\n pub(super) max_wait: X,\n \
                   #[serde(flatten)] rest: R, queue: Q }\n#[cfg(test)] mod t { struct S { no: u8 } }";
        let all = "[queue]\n# max_wait = \"1s\"\nx = { listen = [] }";
        assert_eq!(found(&[("src/config/raw.rs", raw)], &[(EXAMPLE, all)]), Vec::<String>::new());
        let some = "queue_max_wait = 1\nlisten_on = 2\n[queue]";
        assert_eq!(
            found(&[("src/config/raw.rs", raw)], &[(EXAMPLE, some)]),
            [
                "src/config/raw.rs:2: key `listen` is not shown in config/tidegate.toml",
                "src/config/raw.rs:3: key `max_wait` is not shown in config/tidegate.toml",
            ]
        );
    }

    #[test]
    fn keys_declared_by_a_macro_are_seen() {
        let raw = "macro_rules! section { ($($key:ident: $type:ty,)*) => { struct S { $($key: $type,)* } }; }\n\
                   section! {\n /// `[server]`.\n RawServer { listen: Vec<A, B>, drain: Duration, }\n}";
        assert_eq!(
            found(&[("src/config/raw.rs", raw)], &[(EXAMPLE, "[server]\nlisten = []")]),
            ["src/config/raw.rs:4: key `drain` is not shown in config/tidegate.toml",]
        );
    }

    #[test]
    fn documents_name_nothing_of_one_machine() {
        let found = found(&[], &[("docs/a.md", "fine\nsee #7")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/a.md:2: `#7`"));
    }
}
