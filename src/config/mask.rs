//! Blanks out of a configuration text whatever may be secret, byte for byte of the same length, so that
//! every span still points to its place.
//!
//! Keeps what is known to be harmless instead of hunting for what looks like a key: the values of known keys
//! but those of `api_key` and its like. Comments go wholly, because old keys are commented out in them.
//! In a text that TOML cannot read, nothing can be told about where a string ends, so that only known
//! words and the lines of harmless keys stay.

use super::raw::{self, Raw};
use super::reading::Section;
use super::vendors::VENDORS;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose values are never shown. A command may carry a token, and people paste keys where the name of a
/// credential is wanted, and into queries and headers.
const SECRET_KEYS: [&str; 5] = ["api_key", "api_key_command", "api_key_credential", "query", "headers"];

/// The text with secrets and comments blanked out.
pub(super) fn mask(text: &str) -> String {
    let masked = match DeTable::parse(text) {
        Ok(table) => mask_document(text, table.get_ref()),
        Err(_) => mask_by_line(text),
    };
    let masked = String::from_utf8(masked).unwrap_or_default();
    let mut calm = String::with_capacity(masked.len());
    for c in masked.chars() {
        // A control character could move the cursor of the terminal that shows a report.
        let is_wild = c.is_control() && c != '\n' && c != '\t';
        (0..c.len_utf8()).filter(|_| is_wild).for_each(|_| calm.push(' '));
        calm.extend((!is_wild).then_some(c));
    }
    calm
}

/// What was found in a well-formed text: strings and keys, which no comment can begin in, and secrets.
#[derive(Default)]
struct Findings {
    opaque: Vec<Range<usize>>,
    secret: Vec<Range<usize>>,
}

fn mask_document(text: &str, table: &DeTable<'_>) -> Vec<u8> {
    let mut found = Findings::default();
    found.table(table, &[], text);
    let mut bytes = text.as_bytes().to_vec();
    for range in found.secret {
        blank_value(&mut bytes[range]);
    }
    found.opaque.sort_by_key(|range| range.start);
    let mut at = 0;
    for range in found.opaque.iter().chain([&(text.len()..text.len())]) {
        if range.start > at {
            blank_comments(&mut bytes[at..range.start]);
        }
        at = at.max(range.end);
    }
    bytes
}

impl Findings {
    fn table(&mut self, table: &DeTable<'_>, path: &[&str], text: &str) {
        for (key, value) in table {
            self.opaque.push(key.span());
            self.value(value, &[path, &[key.get_ref()]].concat(), text);
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &[&str], text: &str) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, path, text),
            DeValue::Array(list) => list.iter().for_each(|item| self.value(item, path, text)),
            _ => {
                self.opaque.push(value.span());
                if !is_harmless(path, text.get(value.span()).unwrap_or_default()) {
                    self.secret.push(value.span());
                }
            }
        }
    }
}

fn is_harmless(path: &[&str], written: &str) -> bool {
    let Some((key, section)) = path.split_last() else { return false };
    let written = written.trim_matches(['"', '\'']);
    match *key {
        key if SECRET_KEYS.contains(&key) => false,
        "api_key_file" => written.starts_with('/') || written.starts_with("~/"),
        "base_url" => !written.contains(['@', '?', '#']),
        _ if section.last() == Some(&"paths") && written.contains(['@', '?', '#']) => false,
        key => raw::keys_at(section).is_some_and(|keys| keys.contains(&key)),
    }
}

/// Stars for everything but the quotes around it and line ends in it.
fn blank_value(bytes: &mut [u8]) {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let start = bytes.iter().position(|byte| !is_quote(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_quote(byte)).map_or(start, |last| last + 1);
    bytes[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
}

/// Spaces from each `#` to the end of its line.
fn blank_comments(bytes: &mut [u8]) {
    let mut in_comment = false;
    for byte in bytes {
        in_comment = (in_comment || *byte == b'#') && *byte != b'\n';
        if in_comment {
            *byte = b' ';
        }
    }
}

/// The fallback for a text that TOML cannot read.
fn mask_by_line(text: &str) -> Vec<u8> {
    let mut masked = Vec::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let from = masked.len();
        masked.extend_from_slice(line.as_bytes());
        if is_header(line) || is_harmless_line(line) {
            blank_comments(&mut masked[from..]);
        } else {
            blank_unknown_words(line, &mut masked[from..]);
        }
    }
    masked
}

fn is_header(line: &str) -> bool {
    let line = line.trim();
    let inside = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    inside.is_some_and(|path| Raw::KEYS.contains(&path.split('.').next().unwrap_or_default()))
}

/// One known key, one `=`, and a value that is no table: `max_wait = 30`.
fn is_harmless_line(line: &str) -> bool {
    let Some((key, value)) = line.split_once('=') else { return false };
    let key = key.trim();
    let risky = SECRET_KEYS.contains(&key) || key.starts_with("api_key") || key == "base_url";
    let known = raw::SECTIONS.iter().any(|(_, keys)| keys.contains(&key));
    known && !risky && !value.contains(['=', '{'])
}

fn blank_unknown_words(line: &str, bytes: &mut [u8]) {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || !byte.is_ascii();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        let word = line.get(at..at + length).unwrap_or_default();
        if !is_known(word) {
            bytes[at..at + length].fill(b'*');
        }
        at += length.max(1);
    }
}

fn is_known(word: &str) -> bool {
    Raw::KEYS.contains(&word)
        || raw::SECTIONS.iter().any(|(_, keys)| keys.contains(&word))
        || VENDORS.iter().any(|vendor| vendor.name == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_everything_else_keeps_its_place() {
        let text =
            "[provider.openai]\napi_key = \"sk-ü\" # old: sk-2\nmodels = [\"a#b\"]\nlimits = \"learn\"\n";
        let expected =
            "[provider.openai]\napi_key = \"*****\"            \nmodels = [\"a#b\"]\nlimits = \"learn\"\n";
        assert_eq!(mask(text), expected);
    }

    #[test]
    fn no_place_of_a_well_formed_file_shows_a_canary() {
        for text in [
            "[provider.a]\napi_key = 'canary'\n",
            "[provider.a]\napi_key = \"\"\"\ncanary\ncanary\"\"\"\n",
            "[provider.a]\napi_key_command = \"echo canary\"\n",
            "[provider.a]\napi_key_credential = \"canary\"\n",
            "[provider.a]\napi_key_file = \"canary\"\n",
            "[provider.a]\napikey = \"canary\"\n",
            "[provider.a]\nbase_url = \"https://canary@host/v1\"\n",
            "[provider.a]\nbase_url = \"https://host/v1?key=canary\"\n",
            "[provider.a]\napi_key = [\"canary\"]\n",
            "[provider.a]\nquery = \"key=canary\"\n",
            "[provider.a]\nheaders = { x = \"canary\", models = \"canary\" }\n",
            "[provider.a.accounts]\nb = { api_key = \"canary\" }\n",
            "[provider.a]\naccounts = { b = { api_key_command = \"canary\", limits = { x = \"canary\" } } }\n",
            "[provider.a]\naccounts = { api_key = \"canary\" }\n",
            "[provider.a.headers]\nmodels = \"canary\"\n",
            "[provider.a]\nheaders = \"canary\"\n",
            "[provider.a]\npaths = { x = \"canary\", chat = \"/x?key=canary\" }\n",
            "[provider.a]\napi_key = { x = \"canary\" }\n",
            "[provider.a]\nlimits = { key = \"canary\" }\n",
            "provider = { a = { api_key = \"canary\" } }\n",
            "provider = \"canary\"\n",
            "[[provider]]\napi_key = \"canary\"\n",
            "a.b.\"c\" = 'canary'\n",
            "# api_key = \"canary\"\n",
            "[server] # canary\nworkers = 1 # canary\n",
            "[server]\nhosts = [ # canary\n \"a\", # canary\n]\n",
        ] {
            let masked = mask(text);
            assert!(!masked.contains("canary") && masked.len() == text.len(), "{masked}");
        }
    }

    #[test]
    fn no_place_of_a_broken_file_shows_a_canary() {
        for text in [
            "[provider.a]\napi_key = canary\n",
            "[provider.a]\napi_key = \"canary\n",
            "[provider.a]\nquery = \"key=canary\n",
            "[provider.a]\nheaders = { \"x\" = \"canary\" \n",
            "[provider.a]\napi_key = \"\"\"\ncanary-1\n[server\n",
            "[provider.a\napi_key = \"canary\"\n",
            "[server]\nworkers = \napi_key_file = \"canary\"\n# canary\n",
            "[server]\nworkers = 1 # canary\n=",
            "provider = { a = { api_key = \"canary\" }\n",
            "[server]\ntargets = [\"a\", api_key = \"canary\"\n",
            "[a]\nbase_url = \"http://canary@x\n",
            "api_key = \"é-canary\n",
        ] {
            let masked = mask(text);
            assert!(!masked.contains("canary") && masked.len() == text.len(), "{masked}");
        }
    }

    #[test]
    fn a_broken_line_of_a_harmless_key_is_still_shown() {
        assert_eq!(mask("[queue]\nmax_wait = 30x\n"), "[queue]\nmax_wait = 30x\n");
    }

    #[test]
    fn a_control_character_never_reaches_the_terminal() {
        assert!(!mask("[server]\nx = \"\u{1b}[2J\"\n").contains('\u{1b}'));
    }
}
