//! Vendors as data: what a known name spares a person from writing.
//!
//! A new vendor is a row of the table, or a section of somebody's file. Knows no file, no environment but as a
//! value, and no network.

mod table;

pub(super) use table::VENDORS;

use super::base_url::BaseUrl;
use super::env::Env;
use super::resolve::Allowance;
use crate::admission::{Counting, Slices};
use crate::dialect::{Dialect, Family};
use crate::exchange::DayEnd;
use crate::upstream::{AuthScheme, Credential, DefaultHeaders, Spoken, UpstreamSettings};

/// What is known about a vendor.
#[derive(Debug)]
pub(super) struct Vendor {
    /// The word used in configuration, and the name of the provider that is found without one.
    pub(super) name: &'static str,
    /// Where it is. `None` where every account has its own place; `{region}` where every region has.
    pub(super) base_url: Option<&'static str>,
    /// Other addresses that mean the same.
    pub(super) spellings: &'static [&'static str],
    /// Variables that may hold the key; the first one set counts.
    pub(super) key_names: &'static [&'static str],
    /// Variables that may hold another address; the first one set counts.
    pub(super) base_url_names: &'static [&'static str],
    /// Variables that may hold the region; the first one set counts.
    pub(super) region_names: &'static [&'static str],
    /// What the path of such an address must end in. People set these variables for the vendor's own SDK, which
    /// appends this itself. Empty: the address is taken as it stands.
    pub(super) tail: &'static [&'static str],
    /// What the path of an address may end in and must not: it belongs to the paths of what is spoken.
    pub(super) excess: Option<&'static str>,
    /// The header that carries the key.
    pub(super) scheme: AuthScheme,
    /// What it speaks, the best first; never empty.
    pub(super) spoken: &'static [Way],
    /// What every request's query must hold.
    pub(super) query: Option<&'static str>,
    /// Headers that a request must have, where the client sends none such.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// What it charges against its limits.
    pub(super) counting: Counting,
    /// The slices of a minute that it checks.
    pub(super) slices: Slices,
    /// When a day's limits come back, where they do so all at once.
    pub(super) day_end: Option<DayEnd>,
    /// How its models' names begin, where the name alone tells whose they are.
    pub(super) claims: &'static [&'static str],
    /// The port on this machine where it answers if it runs. `None` for what is far away.
    pub(super) probe: Option<u16>,
    /// Whether it is looked for without a file.
    pub(super) is_searched: bool,
}

/// What a row says of a dialect: [`Spoken`] as a constant.
#[derive(Debug)]
pub(super) struct Way {
    dialect: Dialect,
    path: &'static str,
    scheme: Option<AuthScheme>,
}

impl Way {
    /// The dialect under its usual path.
    const fn usual(dialect: Dialect) -> Way {
        Way { dialect, path: dialect.path(), scheme: None }
    }

    /// The dialect under a path of its own, and with the header for the key that it wants there.
    const fn at(dialect: Dialect, path: &'static str, scheme: Option<AuthScheme>) -> Way {
        Way { dialect, path, scheme }
    }

    fn spoken(&self) -> Spoken {
        Spoken { dialect: self.dialect, path: self.path.to_owned(), auth: self.scheme }
    }
}

/// The vendor with this name.
pub(super) fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

/// What is known of a server of which only the family is known. It has no name and no address.
pub(super) fn unknown(family: Family) -> &'static Vendor {
    let [openai, anthropic, gemini] = &table::UNKNOWN;
    match family {
        Family::OpenAi => openai,
        Family::Anthropic => anthropic,
        Family::Gemini => gemini,
    }
}

impl Vendor {
    /// The names of its models, as a provider keeps them.
    pub(super) fn claims(&self) -> Vec<String> {
        self.claims.iter().map(|&prefix| prefix.to_owned()).collect()
    }

    /// How limits work there, none of which is known.
    pub(super) fn allowance(&self) -> Allowance {
        Allowance::open(self.slices, self.day_end)
    }

    /// Whose formats it offers in the main.
    pub(super) fn family(&self) -> Family {
        self.spoken.first().map_or(Family::default(), |way| way.dialect.family())
    }

    /// What it speaks, the best first.
    pub(super) fn spoken(&self) -> Vec<Spoken> {
        self.spoken.iter().map(Way::spoken).collect()
    }

    /// The headers that it wants.
    pub(super) fn headers(&self) -> DefaultHeaders {
        let mut headers = DefaultHeaders::default();
        for (name, value) in self.headers {
            let added = headers.add(name, value);
            debug_assert!(added.is_ok(), "the row of {} has a header that cannot be sent: {name}", self.name);
        }
        headers
    }

    /// How it is reached at this address, as far as its row tells.
    pub(super) fn upstream(&self, base: &BaseUrl, credential: Option<Credential>) -> UpstreamSettings {
        UpstreamSettings {
            spoken: self.spoken(),
            query: self.query.map(str::to_owned),
            headers: self.headers(),
            ..UpstreamSettings::new(base.as_str(), credential)
        }
    }

    /// Its own address, if it has one and the environment names the region that this may need.
    pub(super) fn own_base(&self, env: &Env) -> Option<BaseUrl> {
        let url = self.base_url?;
        if self.region_names.is_empty() {
            return BaseUrl::parse(url).ok();
        }
        let region = self.region_names.iter().find_map(|name| env.get(name))?.trim();
        // Anything else could make another host of it, and the key would go there.
        let is_plain = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_region = is_plain && (1..=REGION_MAX).contains(&region.len());
        is_region.then(|| BaseUrl::parse(&url.replace("{region}", region)).ok())?
    }

    /// The address without what is no part of it.
    pub(super) fn trimmed(&self, base: BaseUrl) -> BaseUrl {
        let text = match self.excess.and_then(|excess| base.as_str().strip_suffix(excess)?.strip_suffix('/'))
        {
            // The host itself is never cut.
            Some(shorter) if !base.path().is_empty() => shorter,
            _ if self.spellings.contains(&base.as_str()) => self.base_url.unwrap_or(base.as_str()),
            _ => return base,
        };
        BaseUrl::parse(text).unwrap_or(base)
    }

    /// The address, trimmed, with as much of the vendor's tail appended as it lacks: of `openai/v1`, an address
    /// that ends in `/openai` gets `/v1`, one that ends in the last part is complete.
    pub(super) fn completed(&self, base: BaseUrl) -> BaseUrl {
        let base = self.trimmed(base);
        let path: Vec<&str> = base.path().split('/').filter(|part| !part.is_empty()).collect();
        let tail = self.tail;
        if path.last().is_some_and(|last| tail.last() == Some(last)) {
            return base;
        }
        let kept = (0..tail.len()).rev().find(|&kept| path.ends_with(&tail[..kept])).unwrap_or(0);
        let text = tail[kept..].iter().fold(base.as_str().to_owned(), |url, part| format!("{url}/{part}"));
        BaseUrl::parse(&text).unwrap_or(base)
    }
}

/// The longest name of a region, in bytes: one label of a host's name.
const REGION_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, written: &str, expected: &str) {
        let base = BaseUrl::parse(written).unwrap();
        assert_eq!(vendor(name).unwrap().completed(base).as_str(), expected, "{name} at {written}");
    }

    #[test]
    fn an_address_for_the_vendors_own_sdk_gets_what_is_missing() {
        check("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1");
        check("anthropic", "https://proxy.corp/anthropic/", "https://proxy.corp/anthropic/v1");
        check("anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com/v1");
        check("gemini", "https://g.example", "https://g.example/v1beta");
        check("gemini", "https://g.example/v1beta", "https://g.example/v1beta");
        check("gemini-openai", "https://g.example/v1beta", "https://g.example/v1beta/openai");
        check("azure", "https://res.openai.azure.com", "https://res.openai.azure.com/openai/v1");
        check("azure", "https://res.openai.azure.com/openai", "https://res.openai.azure.com/openai/v1");
        check("azure", "https://res.openai.azure.com/openai/v1/", "https://res.openai.azure.com/openai/v1");
        check("openai", "http://127.0.0.1:8000", "http://127.0.0.1:8000");
        check("openai", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1");
    }

    #[test]
    fn an_address_from_before_and_another_spelling_mean_the_same() {
        check("gemini", "https://g.example/v1beta/openai/", "https://g.example/v1beta");
        check("gemini", "https://g.example/openai", "https://g.example/v1beta");
        check("gemini", "https://openai", "https://openai/v1beta");
        check("deepseek", "https://api.deepseek.com/v1/", "https://api.deepseek.com");
        check("deepseek", "https://api.deepseek.com/beta", "https://api.deepseek.com/beta");
        check("deepseek", "http://127.0.0.1:9000/v1", "http://127.0.0.1:9000/v1");
    }

    #[test]
    fn a_region_makes_an_address_and_never_another_host() {
        let base = |name: &str, region: &str| {
            let base = vendor("bedrock").unwrap().own_base(&Env::from_pairs([(name, region)]));
            base.map(|base| base.as_str().to_owned())
        };
        let expected = "https://bedrock-mantle.eu-west-1.api.aws/v1";
        assert_eq!(base("AWS_REGION", " eu-west-1 ").as_deref(), Some(expected));
        assert_eq!(base("AWS_DEFAULT_REGION", "eu-west-1").as_deref(), Some(expected));
        for region in ["", " ", "evil.example/", "a.b", "a@b", "a:1", "é", &"r".repeat(64)] {
            assert_eq!(base("AWS_REGION", region), None, "{region}");
        }
    }

    #[test]
    fn names_are_unique_and_rows_complete() {
        let env = Env::from_pairs([("AWS_REGION", "eu-west-1")]);
        for (nth, vendor) in VENDORS.iter().enumerate() {
            let name = vendor.name;
            assert!(VENDORS[..nth].iter().all(|other| other.name != name), "{name}");
            assert_eq!(vendor.own_base(&env).is_some(), vendor.base_url.is_some(), "{name}");
            if let Some(base) = vendor.own_base(&env) {
                assert_eq!(vendor.completed(base.clone()), base, "{name}");
            }
            assert_eq!(vendor.headers().names().count(), vendor.headers.len(), "{name}");
            for (nth, way) in vendor.spoken.iter().enumerate() {
                let path = way.spoken().path_of("m", true);
                assert!(path.starts_with('/') && !path.contains('{'), "{name} {path}");
                assert!(vendor.spoken[..nth].iter().all(|other| other.dialect != way.dialect), "{name}");
            }
        }
    }

    #[test]
    fn every_vendor_holds_a_conversation_and_an_unknown_one_is_of_its_family() {
        for vendor in &VENDORS {
            assert!(vendor.spoken.iter().any(|way| way.dialect.is_conversation()), "{}", vendor.name);
        }
        for family in Family::ALL {
            let row = unknown(family);
            assert_eq!((row.family(), row.spoken()), (family, Spoken::of_family(family)));
        }
    }

    #[test]
    fn no_prefix_is_claimed_twice_and_no_key_found_twice() {
        let searched = || VENDORS.iter().filter(|vendor| vendor.is_searched);
        let claims = searched().flat_map(|vendor| vendor.claims);
        let words: Vec<&str> =
            claims.chain(searched().flat_map(|vendor| vendor.key_names)).copied().collect();
        for (nth, word) in words.iter().enumerate() {
            assert!(!words[..nth].contains(word), "{word}");
        }
    }
}
