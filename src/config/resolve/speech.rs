//! What a provider speaks and how it is spoken to: dialects, paths, query, headers, counting.
//!
//! What is written stands over what the vendor's row says, and that over what the family says. Knows no address
//! and no key. Invariants: a provider speaks something; no path leads out of its base URL; no credential stands
//! in a query or a header here.

use super::super::mistake::nearest;
use super::super::raw::{RawCounting, RawPaths, RawProvider};
use super::super::reading::Pairs;
use super::super::vendors::{Vendor, unknown};
use super::{Resolver, filled};
use crate::admission::{Counting, OutputCounts};
use crate::dialect::{Dialect, Family};
use crate::upstream::{AuthScheme, BadHeader, DefaultHeaders, Spoken, UpstreamSettings};
use std::ops::Range;
use toml::Spanned;

/// The most headers of a provider's own, each of which is looked up with every request.
const HEADERS_MAX: usize = 32;

/// How a provider is spoken to.
pub(super) struct Speech {
    pub(super) family: Family,
    pub(super) scheme: AuthScheme,
    pub(super) spoken: Vec<Spoken>,
    pub(super) query: Option<String>,
    pub(super) headers: DefaultHeaders,
    pub(super) counting: Counting,
}

impl Resolver<'_> {
    pub(super) fn speech(&mut self, raw: &mut RawProvider, vendor: Option<&Vendor>, at: &str) -> Speech {
        let key = |key: &str| format!("{at}.{key}");
        let families = Family::ALL.map(|family| (family.name(), family));
        let family = self.choice(raw.dialect.take(), &key("dialect"), &families);
        let dialects = self.dialects(raw.dialects.take(), &key("dialects"));
        let schemes = AuthScheme::ALL.map(|scheme| (scheme.name(), scheme));
        let scheme = self.choice(raw.auth.take(), &key("auth"), &schemes);
        let mut speech =
            usual(vendor, family.or(dialects.as_deref().and_then(family_of).filter(|_| vendor.is_none())));
        if let Some(dialects) = dialects {
            let row = vendor.map(Vendor::spoken).unwrap_or_default();
            let known = |dialect: &Dialect| row.iter().find(|spoken| spoken.dialect == *dialect).cloned();
            let spoken =
                dialects.iter().map(|dialect| known(dialect).unwrap_or_else(|| Spoken::usual(*dialect)));
            speech.spoken = spoken.collect();
            speech.family = family.or(family_of(&dialects)).unwrap_or(speech.family);
        }
        if let Some(paths) = raw.paths.take() {
            self.paths(paths.into_inner(), &mut speech.spoken, &key("paths"));
        }
        if let Some(scheme) = scheme {
            speech.scheme = scheme;
            speech.spoken.iter_mut().for_each(|spoken| spoken.auth = None);
        }
        speech.query = self.query(raw.query.take(), &key("query")).or(speech.query);
        if let Some(headers) = raw.headers.take() {
            speech.headers = self.headers(&headers, speech.headers, &key("headers"));
        }
        if let Some(counting) = raw.counting.take() {
            speech.counting = self.counting(counting.into_inner(), speech.counting, &key("counting"));
        }
        speech
    }

    /// The dialects of a list; `None` if none is written, so that an empty list counts as not written.
    fn dialects(
        &mut self,
        written: Option<Spanned<Vec<Spanned<String>>>>,
        key: &str,
    ) -> Option<Vec<Dialect>> {
        let mut dialects = Vec::new();
        for word in written?.into_inner() {
            let text = word.get_ref().trim();
            let (wrong, instead) = match Dialect::ALL.into_iter().find(|dialect| dialect.name() == text) {
                Some(twice) if dialects.contains(&twice) => (
                    "this dialect is named twice",
                    "keep the first: the order is the order of preference".to_owned(),
                ),
                Some(dialect) => {
                    dialects.push(dialect);
                    continue;
                }
                None => {
                    let names = Dialect::ALL.map(Dialect::name);
                    let instead = match nearest(text, names) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("write some of {}", names.join(", ")),
                    };
                    ("this is no dialect", instead)
                }
            };
            self.mistake(word.span(), key, wrong, instead);
        }
        (!dialects.is_empty()).then_some(dialects)
    }

    fn paths(&mut self, raw: RawPaths, spoken: &mut [Spoken], at: &str) {
        let beside = |key: &str| format!("{}{key}", at.trim_end_matches("paths"));
        for (dialect, written) in by_dialect(raw) {
            let Some(written) = filled(written) else { continue };
            let (name, path) = (dialect.name(), written.get_ref().trim());
            let key = format!("{at}.{name}");
            if let Some((wrong, instead)) = bad_path(dialect, path) {
                self.mistake(written.span(), &key, wrong, instead);
                continue;
            }
            match spoken.iter_mut().find(|spoken| spoken.dialect == dialect) {
                Some(spoken) => spoken.path = path.to_owned(),
                // What it speaks is not known then.
                None if ["vendor", "dialect", "dialects"].iter().any(|key| self.is_wrong(&beside(key))) => {}
                None => {
                    let names = spoken.iter().map(|spoken| format!("\"{}\"", spoken.dialect));
                    let names: Vec<String> = names.chain([format!("\"{name}\"")]).collect();
                    let wrong = format!("this provider does not speak `{name}`");
                    let instead = format!("write dialects = [{}] too, or no path for it", names.join(", "));
                    self.mistake(written.span(), &key, wrong, instead);
                }
            }
        }
    }

    fn query(&mut self, written: Option<Spanned<String>>, key: &str) -> Option<String> {
        let written = filled(written)?;
        let query = written.get_ref().trim();
        let is_plain = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let (wrong, instead) = if query.starts_with(['?', '&']) {
            ("`query` begins with a sign that joins it to the path", "write the names and values alone")
        } else if !is_plain {
            (
                "`query` holds a `#`, a space or another sign that no query can have",
                "percent-encode it: `%23`, `%20`",
            )
        } else if UpstreamSettings::holds_credential(query) {
            (
                "`query` looks as if it held a key, and queries end up in logs",
                "put the key into `api_key` or one of its kin; `auth` names the header that carries it",
            )
        } else {
            return Some(query.to_owned());
        };
        self.mistake(written.span(), key, wrong, instead);
        None
    }

    /// The written headers, and those of the vendor that they do not name.
    fn headers(&mut self, written: &Spanned<Pairs>, usual: DefaultHeaders, at: &str) -> DefaultHeaders {
        let Pairs(pairs) = written.get_ref();
        if pairs.len() > HEADERS_MAX {
            let wrong = format!("`headers` must hold at most {HEADERS_MAX}");
            self.mistake(written.span(), at, wrong, "write fewer");
        }
        let mut headers = DefaultHeaders::default();
        for (name, value) in pairs.iter().take(HEADERS_MAX) {
            if let Err(bad) = headers.add(name.get_ref(), value.get_ref()) {
                let (span, wrong, instead) = bad_header(bad, name.span(), value.span());
                self.mistake(span, at, wrong, instead);
            }
        }
        headers.or(usual)
    }

    fn counting(&mut self, raw: RawCounting, usual: Counting, at: &str) -> Counting {
        let ways = OutputCounts::ALL.map(|output| (output.name(), output));
        let output = self.choice(raw.output, &format!("{at}.output"), &ways);
        Counting {
            output: output.unwrap_or(usual.output),
            cached_input: raw.cached_input.map_or(usual.cached_input, Spanned::into_inner),
            gives_back: raw.gives_back.map_or(usual.gives_back, Spanned::into_inner),
            ..usual
        }
    }
}

/// What holds if nothing more is written: what the vendor's row says; of it, what is of the written family; else
/// what an unknown server of the family speaks. An account is charged alike by whatever way it is reached.
fn usual(vendor: Option<&Vendor>, family: Option<Family>) -> Speech {
    let row = vendor.unwrap_or_else(|| unknown(family.unwrap_or_default()));
    let family = family.unwrap_or(row.family());
    let own: Vec<Spoken> =
        row.spoken().into_iter().filter(|spoken| spoken.dialect.family() == family).collect();
    let (row_of_family, spoken) = match own.is_empty() {
        true => (unknown(family), Spoken::of_family(family)),
        false if family == row.family() => (row, row.spoken()),
        false => (row, own),
    };
    Speech {
        family,
        scheme: row_of_family.scheme,
        spoken,
        query: row.query.map(str::to_owned),
        headers: row_of_family.headers(),
        counting: row.counting,
    }
}

/// Whose the first dialect is, which is the one that is preferred.
fn family_of(dialects: &[Dialect]) -> Option<Family> {
    dialects.first().map(|dialect| dialect.family())
}

fn by_dialect(raw: RawPaths) -> [(Dialect, Option<Spanned<String>>); 8] {
    [
        (Dialect::Chat, raw.chat),
        (Dialect::Completions, raw.completions),
        (Dialect::Embeddings, raw.embeddings),
        (Dialect::Responses, raw.responses),
        (Dialect::Messages, raw.messages),
        (Dialect::Gemini, raw.gemini),
        (Dialect::GeminiEmbed, raw.gemini_embed),
        (Dialect::GeminiBatchEmbed, raw.gemini_batch_embed),
    ]
}

fn bad_path(dialect: Dialect, path: &str) -> Option<(&'static str, &'static str)> {
    let plain = path.replace("{model}", "m").replace("{verb}", "v");
    if !path.starts_with('/') {
        Some(("a path must begin with `/`", "write it as it stands below `base_url`: \"/chat/completions\""))
    } else if plain.contains(['{', '}']) {
        Some(("a path may hold `{model}` and `{verb}`, and no other braces", "write \"/x/{model}/chat\""))
    } else if dialect == Dialect::Gemini && !path.contains("{verb}") {
        Some((
            "this path must hold `{verb}`, which asks for a stream or for none",
            "write \"/models/{model}:{verb}\"",
        ))
    } else if dialect.family() != Family::Gemini && path.contains("{verb}") {
        Some(("only Google's paths hold a `{verb}`", "leave it out"))
    } else if path.contains(['?', '#']) {
        Some(("a path must not have a query or a fragment", "put what follows the `?` into `query`"))
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        Some(("a path must not hold spaces or signs beyond ASCII", "percent-encode them"))
    } else if plain
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .split('/')
        .any(|part| part == "." || part == "..")
    {
        Some(("a path must not climb", "write it without `.` and `..`"))
    } else {
        None
    }
}

fn bad_header(
    bad: BadHeader,
    name: Range<usize>,
    value: Range<usize>,
) -> (Range<usize>, &'static str, &'static str) {
    match bad {
        BadHeader::Name => (name, "this is no name of a header", "write one such as \"anthropic-version\""),
        BadHeader::Value => (
            value,
            "this value is empty or holds what no header can carry",
            "write visible ASCII on one line",
        ),
        BadHeader::Credential => (
            name,
            "this header carries a credential",
            "put the key into `api_key` or one of its kin; `auth` names the header that carries it",
        ),
        BadHeader::Reserved => {
            (name, "this header belongs to the connection, or the gateway sets it", "leave it out")
        }
        BadHeader::Twice => (name, "this header is there twice", "keep one of them"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::reading::Section;
    use super::*;

    #[test]
    fn every_dialect_can_have_a_path() {
        let names = Dialect::ALL.map(Dialect::name);
        assert_eq!(by_dialect(RawPaths::default()).map(|(dialect, _)| dialect.name()), names);
        assert_eq!(RawPaths::KEYS, names);
    }

    #[test]
    fn a_path_stays_below_its_base() {
        for path in ["/chat", "/deployments/{model}/chat", "/a%20b", "/"] {
            assert_eq!(bad_path(Dialect::Chat, path), None, "{path}");
        }
        for path in
            ["", "chat", "/a?b", "/a#b", "/{modle}", "/a}", "/a b", "/é", "/..", "/a/%2E%2e/b", "/.", "/\\x"]
        {
            assert!(bad_path(Dialect::Chat, path).is_some(), "{path}");
        }
        for (dialect, path, is_good) in [
            (Dialect::Gemini, "/models/{model}:{verb}", true),
            (Dialect::Gemini, "/models/{model}:generateContent", false),
            (Dialect::GeminiEmbed, "/models/{model}:embedContent", true),
            (Dialect::GeminiEmbed, "/models/{model}:{verb}", true),
            (Dialect::Chat, "/x/{verb}", false),
        ] {
            assert_eq!(bad_path(dialect, path).is_none(), is_good, "{dialect} {path}");
        }
    }
}
