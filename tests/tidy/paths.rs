//! Every path that a file names, made absolute: `use` trees, bodies, attributes and macros alike.
//!
//! Knows how Rust resolves the head of a path, not what the path means. Scopes inside a file are not
//! told apart: an alias made in one function counts in the whole file, which can only report too much.

use super::source::{Source, Token, item_end};
use std::collections::{BTreeMap, BTreeSet};

/// A path that begins with `crate` or with the name of an external crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub path: Vec<String>,
    pub line: usize,
    pub in_test: bool,
}

/// All modules of the crate, each as its path from the root: `["admission", "desk"]`.
pub(crate) type Modules = BTreeSet<Vec<String>>;

/// The module that a file holds; empty for the roots.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let stem = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    // `foo_tests.rs` is `#[cfg(test)] #[path = "foo_tests.rs"] mod tests;` inside of `foo`.
    if let Some(tested) = parts.last().and_then(|last| last.strip_suffix("_tests")).map(str::to_owned) {
        parts.pop();
        parts.extend([tested, "tests".to_owned()]);
    }
    parts
}

/// What the file names.
pub(crate) fn named(source: &Source, modules: &Modules) -> Vec<Named> {
    let file = module_of(&source.path);
    let scopes = scopes(source, &file);
    let resolve = |segments: &[String], at: usize| absolute(segments, &scopes[at], modules);
    let mut found = Vec::new();
    let mut aliases = BTreeMap::new();
    let mut in_use = vec![false; source.code.len()];
    let mut at = 0;
    while at < source.code.len() {
        let end = item_end(&source.code, at);
        // `use<'a>` in a return type is no import.
        if source.at(at) == "use" && source.at(at + 1) != "<" && source.at(end - 1) == ";" {
            in_use[at..end].fill(true);
            for (segments, alias, leaf) in use_tree(&source.code, at + 1, end - 1) {
                let path = resolve(&segments, at);
                aliases.insert(alias, path.clone());
                found.push(Named { path, line: source.code[leaf].line, in_test: source.in_test[at] });
            }
            at = end;
        } else {
            at += 1;
        }
    }
    for (at, segments) in body_paths(source).filter(|(at, _)| !in_use[*at]) {
        let path = match aliases.get(&segments[0]) {
            Some(whole) => whole.iter().chain(&segments[1..]).cloned().collect(),
            None => resolve(&segments, at),
        };
        found.push(Named { path, line: source.code[at].line, in_test: source.in_test[at] });
    }
    found.sort_by_key(|named| named.line);
    found
}

/// The module around each token, inline modules included.
fn scopes(source: &Source, file: &[String]) -> Vec<Vec<String>> {
    let mut open: Vec<(usize, Vec<String>)> = vec![(usize::MAX, file.to_vec())];
    let mut scopes = Vec::with_capacity(source.code.len());
    for at in 0..source.code.len() {
        while open.last().is_some_and(|(end, _)| *end <= at) {
            open.pop();
        }
        let mut here = open.last().map(|(_, module)| module.clone()).unwrap_or_default();
        scopes.push(here.clone());
        if source.at(at) == "mod" && source.at(at + 2) == "{" {
            here.push(source.at(at + 1).to_owned());
            open.push((item_end(&source.code, at), here));
        }
    }
    scopes
}

/// The leaves of a use tree: segments as written, the name bound, and the token of the leaf.
fn use_tree(code: &[Token], from: usize, end: usize) -> Vec<(Vec<String>, String, usize)> {
    let mut leaves = Vec::new();
    let mut prefix: Vec<Vec<String>> = vec![Vec::new()];
    let mut segments: Vec<String> = Vec::new();
    let mut alias = None;
    let mut leaf = from;
    let mut at = from;
    while at <= end {
        let text = if at < end { code[at].text.as_str() } else { "," };
        match text {
            "{" => prefix.push(std::mem::take(&mut segments)),
            "," | "}" => {
                if !segments.is_empty() {
                    let mut whole: Vec<String> = prefix.iter().flatten().chain(&segments).cloned().collect();
                    if whole.len() > 1 && whole.last().is_some_and(|last| last == "self") {
                        whole.pop();
                    }
                    let bound = alias.take().or_else(|| whole.last().cloned()).unwrap_or_default();
                    leaves.push((whole, bound, leaf));
                    segments.clear();
                }
                if text == "}" {
                    prefix.pop();
                }
            }
            "as" => {
                alias = code.get(at + 1).map(|token| token.text.clone());
                at += 1;
            }
            // A leading `::` names an external crate whatever modules there are.
            "::" if segments.is_empty() && prefix.iter().all(Vec::is_empty) => segments.push("::".to_owned()),
            "::" => {}
            _ => {
                segments.push(text.to_owned());
                leaf = at;
            }
        }
        at += 1;
    }
    leaves
}

/// Every `a::b` outside of `use`, with the index of its first token.
fn body_paths(source: &Source) -> impl Iterator<Item = (usize, Vec<String>)> + '_ {
    let is_word = |at: usize| source.at(at).starts_with(|c: char| c.is_alphabetic() || c == '_');
    (0..source.code.len()).filter_map(move |at| {
        let continues =
            at > 0 && source.at(at - 1) == "::" && at > 1 && (is_word(at - 2) || source.at(at - 2) == ">");
        if !is_word(at) || continues || source.at(at + 1) != "::" {
            return None;
        }
        let mut segments = Vec::new();
        if at > 0 && source.at(at - 1) == "::" {
            segments.push("::".to_owned());
        }
        segments.push(source.at(at).to_owned());
        let mut next = at + 1;
        while source.at(next) == "::" && is_word(next + 1) {
            segments.push(source.at(next + 1).to_owned());
            next += 2;
        }
        Some((at, segments))
    })
}

/// Resolves the head: `crate`, `self`, any number of `super`, a child module, or an external crate.
fn absolute(segments: &[String], module: &[String], modules: &Modules) -> Vec<String> {
    let root = || vec!["crate".to_owned()];
    let head = segments[0].as_str();
    match head {
        "::" => segments[1..].to_vec(),
        "crate" | "tidegate" => root().into_iter().chain(segments[1..].iter().cloned()).collect(),
        "self" | "super" => {
            let ups = segments.iter().take_while(|s| *s == "super" || *s == "self").count();
            let supers = segments[..ups].iter().filter(|s| *s == "super").count();
            let base = &module[..module.len().saturating_sub(supers)];
            root().into_iter().chain(base.iter().cloned()).chain(segments[ups..].iter().cloned()).collect()
        }
        _ => {
            let child: Vec<String> = module.iter().cloned().chain([head.to_owned()]).collect();
            if modules.contains(&child) {
                root().into_iter().chain(module.iter().cloned()).chain(segments.iter().cloned()).collect()
            } else {
                segments.to_vec()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let modules = [vec!["store"], vec!["store", "sled"], vec!["admission", "desk"]];
        let modules = modules.into_iter().map(|m| m.into_iter().map(str::to_owned).collect()).collect();
        let found: Vec<String> = named(&Source::new(path, text), &modules)
            .into_iter()
            .map(|named| format!("{}:{}", named.line, named.path.join("::")))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn grouped_imports_are_taken_apart() {
        check(
            "src/a.rs",
            "use crate::{a, b::{self, c as d},\n e::*};",
            &["1:crate::a", "1:crate::b", "1:crate::b::c", "2:crate::e::*"],
        );
        check("src/a.rs", "pub use ::sled::{Db, Tree};", &["1:sled::Db", "1:sled::Tree"]);
        check("src/a.rs", "use tokio;", &["1:tokio"]);
    }

    #[test]
    fn paths_in_bodies_attributes_and_macros_are_seen() {
        check(
            "src/a.rs",
            "#[x::y(z)] fn f() { crate::a::b(); <T as p::Q>::r(); v::<u8>::w() }\n$crate::m!(n::o)",
            &["1:x::y", "1:crate::a::b", "1:p::Q", "1:v", "2:crate::m", "2:n::o"],
        );
        check("src/a.rs", "// a::b\n\"c::d\" r#\"e::f\"# /* g::h */", &[]);
        check("src/a.rs", "fn f(&self) -> impl Iterator + use<'_> { a::b }", &["1:a::b"]);
    }

    #[test]
    fn supers_climb_from_files_folders_and_inline_modules() {
        check("src/admission/desk.rs", "use super::super::wire::X;", &["1:crate::wire::X"]);
        check(
            "src/admission/desk_tests.rs",
            "use super::super::queue::Q;",
            &["1:crate::admission::queue::Q"],
        );
        check("src/admission/mod.rs", "use super::wire;", &["1:crate::wire"]);
        check(
            "src/clock.rs",
            "mod tests { use super::super::server::S; self::x() }",
            &["1:crate::server::S", "1:crate::clock::tests::x"],
        );
    }

    #[test]
    fn a_child_module_is_not_the_crate_of_its_name() {
        check("src/store/mod.rs", "pub use sled::SledStore;", &["1:crate::store::sled::SledStore"]);
        check("src/store/sled.rs", "sled::open()", &["1:sled::open"]);
        check("src/store/mod.rs", "::sled::open()", &["1:sled::open"]);
    }

    #[test]
    fn aliases_are_followed() {
        check(
            "src/a.rs",
            "use std::time as t; t::Instant::now()",
            &["1:std::time", "1:std::time::Instant::now"],
        );
        check("src/a.rs", "use std::{env}; env::var(K)", &["1:std::env", "1:std::env::var"]);
    }
}
