//! The shape of a file: its size, its heading, and the words and attributes that may not stand in it.

use super::source::{Kind, Source, group_end, item_end};
use super::{Violation, is_test_file};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Parts of a name that say nothing of what the thing is.
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Util", "Handler"];

/// Every file that is out of shape.
pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    let rules = [heading, size, functions, macros, attributes, names, comments];
    sources.iter().flat_map(|source| rules.iter().flat_map(|rule| rule(source))).collect()
}

fn heading(source: &Source) -> Vec<Violation> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Violation::new(
        &source.path,
        1,
        "begins without `//!`: what it is, what it refuses to know, its invariant",
    )]
}

fn size(source: &Source) -> Vec<Violation> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![Violation::new(&source.path, lines, format!("has {lines} lines, {FILE_LINES_MAX} are allowed"))]
}

fn functions(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for at in 0..source.code.len() {
        // `fn(u8)` is a type; a function has a name.
        if source.at(at) == "fn" && source.at(at + 1) != "(" {
            let end = item_end(&source.code, at);
            let (first, last) = (source.code[at].line, source.code[end - 1].line);
            if last - first + 1 > FUNCTION_LINES_MAX {
                let lines = last - first + 1;
                let name = source.at(at + 1);
                let reason = format!("`{name}` has {lines} lines, {FUNCTION_LINES_MAX} are allowed");
                found.push(Violation::new(&source.path, first, reason));
            }
        }
    }
    found
}

fn macros(source: &Source) -> Vec<Violation> {
    let all_test = is_test_file(&source.path);
    let mut found = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        let word = source.at(at);
        if ["todo", "unimplemented", "dbg"].contains(&word) && source.at(at + 1) == "!" {
            found.push(Violation::new(&source.path, token.line, format!("`{word}!` is unfinished work")));
        }
        if word == "sleep"
            && source.at(at + 1) == "("
            && (all_test || source.in_test[at])
            && source.at(at - 1) != "fn"
        {
            let reason =
                "a test that sleeps is slow and still guesses; wait for an event, or use paused time";
            found.push(Violation::new(&source.path, token.line, reason));
        }
    }
    found
}

fn attributes(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        let open = at + 1 + usize::from(source.at(at + 1) == "!");
        if source.at(at) != "#" || source.at(open) != "[" {
            continue;
        }
        let end = group_end(&source.code, open);
        let has = |word: &str| (open..end).any(|at| source.at(at) == word);
        if source.at(open + 1) == "ignore" || (source.at(open + 1) == "cfg_attr" && has("ignore")) {
            found.push(Violation::new(&source.path, token.line, "an ignored test promises nothing"));
        }
        if ["allow", "expect"].contains(&source.at(open + 1)) && !has("reason") {
            found.push(Violation::new(
                &source.path,
                token.line,
                "a lint is silenced without `reason = \"...\"`",
            ));
        }
    }
    found
}

fn names(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        if ["struct", "enum", "trait", "type", "mod"].contains(&source.at(at)) {
            let name = source.at(at + 1);
            let is_empty = |part: &&&str| {
                name.ends_with(**part)
                    || name == part.to_lowercase()
                    || name == format!("{}s", part.to_lowercase())
            };
            if let Some(part) = EMPTY_NAMES.iter().find(is_empty) {
                let reason =
                    format!("`{name}`: `{part}` does not say what it is; take a word of docs/LEXICON.md");
                found.push(Violation::new(&source.path, token.line, reason));
            }
        }
    }
    found
}

/// Comments and printed texts outlive the day on which they were written.
fn comments(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for comment in &source.comments {
        for word in ["TODO", "FIXME", "XXX"] {
            if comment.text.contains(word) {
                found.push(Violation::new(
                    &source.path,
                    comment.line,
                    format!("`{word}` is unfinished work"),
                ));
            }
        }
    }
    let texts = source.code.iter().zip(&source.in_test);
    let texts = texts
        .filter(|(token, in_test)| token.kind == Kind::Text && !**in_test && !is_test_file(&source.path));
    for token in source.comments.iter().chain(texts.map(|(token, _)| token)) {
        for (line, part) in token.text.lines().enumerate() {
            if let Some(reason) = rots(part) {
                found.push(Violation::new(&source.path, token.line + line, reason));
            }
        }
    }
    found
}

/// Whether a line names what a reader elsewhere, or a year from now, cannot look up.
pub(crate) fn rots(line: &str) -> Option<String> {
    let boundary = |at: Option<char>| at.is_none_or(|c| !c.is_alphanumeric() && !"/._-&:#".contains(c));
    for (at, _) in line.match_indices('#') {
        let behind = &line[at + 1..];
        let digits = behind.chars().take_while(char::is_ascii_digit).count();
        let after = behind[digits..].chars().next();
        // A colour or a hexadecimal format goes on with a letter; an entity begins with `&`.
        if digits > 0
            && boundary(line[..at].chars().next_back())
            && after.is_none_or(|c| !c.is_alphanumeric())
        {
            return Some(format!(
                "`#{}` is a number that nobody can look up; say it in words",
                &behind[..digits]
            ));
        }
    }
    for folder in ["/work", "/tmp"] {
        for (at, _) in line.match_indices(folder) {
            let after = line[at + folder.len()..].chars().next();
            let ends = after.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_');
            if boundary(line[..at].chars().next_back()) && ends {
                return Some(format!("`{folder}` is a path of one machine"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(path: &str, text: &str, part: &str) {
        let found = check(&[Source::new(path, text)]);
        assert!(
            found.iter().any(|violation| violation.to_string().contains(part)),
            "`{text}` gave {found:?}"
        );
    }

    #[track_caller]
    fn allowed(text: &str) {
        let found = check(&[Source::new("src/a.rs", &format!("//! A.\n{text}"))]);
        assert!(found.is_empty(), "`{text}` gave {found:?}");
    }

    #[test]
    fn a_file_without_heading_or_over_its_size_is_found() {
        refused("src/a.rs", "fn f() {}", "src/a.rs:1: begins without");
        refused("src/a.rs", &"//! A.\n".repeat(401), "has 401 lines");
        assert!(check(&[Source::new("src/a.rs", &"//! A.\n".repeat(400))]).is_empty());
    }

    #[test]
    fn a_long_function_is_found_and_a_brace_in_a_string_does_not_end_it() {
        let body = |lines: usize| format!("fn long() {{\n{}}}\n", "let a = \"}\";\n".repeat(lines));
        refused("src/a.rs", &body(69), "src/a.rs:1: `long` has 71 lines");
        allowed(&body(68));
        allowed("trait T { fn f(&self); }\ntype F = fn(u8) -> u8;\n");
    }

    #[test]
    fn unfinished_work_is_found() {
        refused("src/a.rs", "fn f() { todo!() }", "`todo!`");
        refused("src/a.rs", "// TODO: more", "`TODO`");
        allowed("fn todo() -> &'static str { \"todo!\" }");
    }

    #[test]
    fn tests_neither_sleep_nor_are_ignored() {
        refused("src/a.rs", "#[test] #[ignore] fn f() {}", "ignored test");
        refused("src/a.rs", "#[ignore = \"slow\"] fn f() {}", "ignored test");
        refused("tests/a.rs", "fn f() { thread::sleep(d) }", "a test that sleeps");
        refused("src/a/tests.rs", "fn f() { tokio::time::sleep(d) }", "a test that sleeps");
        refused("src/a.rs", "#[cfg(test)] mod t { fn f() { sleep(d) } }", "a test that sleeps");
        allowed("fn f() { clock.sleep_until(d) }");
    }

    #[test]
    fn a_silenced_lint_has_a_reason() {
        refused("src/a.rs", "#[allow(dead_code)] fn f() {}", "without `reason");
        refused("src/a.rs", "#![expect(dead_code)]", "without `reason");
        allowed("#[expect(dead_code, reason = \"shown in the book\")] fn f() {}");
        allowed("#[should_panic(expected = \"x\")] fn f() {}");
    }

    #[test]
    fn names_say_what_a_thing_is() {
        refused("src/a.rs", "pub struct QueueManager;", "`QueueManager`");
        refused("src/a.rs", "mod helpers;", "`helpers`");
        allowed("struct Managed; struct Turnstile;");
    }

    #[test]
    fn numbers_and_paths_of_one_machine_are_found() {
        refused("src/a.rs", "//! A.\n\n/// See #12.", "src/a.rs:3: `#12`");
        refused("src/a.rs", "/* a\n(/work/x) */", "src/a.rs:2: `/work`");
        refused("src/a.rs", "const P: &str = \"/tmp\";", "`/tmp`");
        allowed("#[cfg(test)] mod t { const P: &str = \"/tmp/a\"; }");
        for line in
            ["{:#010x}", "&#39;", "#0a1b2c", "a.md#12", "framework/worker", "/workers", "/var/tmp", "C#7"]
        {
            assert_eq!(rots(line), None, "{line}");
        }
    }
}
