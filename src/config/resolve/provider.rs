//! Providers: address, credential and limits of each.
//!
//! Invariants: a key goes nowhere unencrypted but to this machine; no address holds a credential or leads
//! back to the gateway.

use super::super::base_url::{BadBaseUrl, BaseUrl};
use super::super::mistake::{named, nearest};
use super::super::raw::RawProvider;
use super::super::reading::Named;
use super::super::vendors::{VENDORS, Vendor, vendor};
use super::accounts::Accounts;
use super::key::KeySources;
use super::limits::Allowance;
use super::{Resolver, filled, route};
use crate::admission::Slices;
use crate::exchange::Provider;
use crate::ids::{ModelName, ProviderId};
use crate::routing::BreakerPolicy;
use crate::server::ServerSettings;
use crate::upstream::{Credential, UpstreamSettings};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// The longest name of a provider, in bytes; it stands in headers, metrics and log lines.
const NAME_MAX: usize = 64;

/// The most providers; each has its budget, and each target is looked up among them.
const PROVIDERS_MAX: usize = 1_000;

/// The most models that a provider lists.
const MODELS_MAX: usize = 10_000;

/// The providers of the file.
pub(super) struct Providers {
    /// Those that could be resolved; in the place of one that has several accounts, each of these.
    pub(super) resolved: Vec<Provider>,
    /// The names of all and of their accounts, so that one mistake in a provider is not repeated by each of its
    /// routes.
    pub(super) names: Vec<String>,
}

impl Resolver<'_> {
    pub(super) fn providers(
        &mut self,
        written: Vec<Named<RawProvider>>,
        breaker: BreakerPolicy,
        server: &ServerSettings,
    ) -> Providers {
        if written.is_empty() {
            let instead = "add [provider.openai] with api_key = \"${OPENAI_API_KEY}\" below it, or start without a \
                           file to use what the environment and this machine offer";
            self.mistake(0..0, "", "there is no provider, so nothing could be served", instead);
        }
        if let Some(one_more) = written.get(PROVIDERS_MAX) {
            let wrong = format!("there are more than {PROVIDERS_MAX} providers");
            self.mistake(one_more.name.span(), "provider", wrong, "write fewer");
        }
        let written: Vec<_> = written.into_iter().take(PROVIDERS_MAX).collect();
        let mut names: Vec<String> = written.iter().map(|provider| provider.name.get_ref().clone()).collect();
        for Named { name, section } in &written {
            let accounts = section.accounts.iter().flat_map(Spanned::get_ref);
            let provider = ProviderId::from(name.get_ref().as_str());
            names.extend(accounts.map(|account| provider.account(account.name.get_ref()).to_string()));
        }
        let resolved =
            written.into_iter().flat_map(|provider| self.provider(provider, breaker, server)).collect();
        Providers { resolved, names }
    }

    fn provider(
        &mut self,
        Named { name, section: mut raw }: Named<RawProvider>,
        breaker: BreakerPolicy,
        server: &ServerSettings,
    ) -> Vec<Provider> {
        let at = format!("provider.{}", named(name.get_ref()));
        let key = |key: &str| format!("{at}.{key}");
        self.check_name(&name, &at);
        let vendor = self.vendor(raw.vendor.take(), name.get_ref(), &key("vendor"));
        let speech = self.speech(&mut raw, vendor, &at);
        let has_address = filled_at(&raw.base_url);
        let (sources, accounts) = (KeySources::of_provider(&mut raw), raw.accounts.take());
        let usual_limits = vendor.map_or(Allowance::open(Slices::default(), None), Vendor::allowance);
        let (written_key, accounts) = match accounts {
            None => (self.key(sources, &at, vendor.filter(|_| !has_address)), None),
            Some(accounts) => (None, Some(self.accounts(accounts, &sources, &at, usual_limits))),
        };
        let base = self.base_url(raw.base_url, &name, vendor, server);
        let of_accounts = accounts.iter().flat_map(Accounts::keys);
        if let (Some(base), Some(key)) = (&base, written_key.iter().chain(of_accounts).next()) {
            self.check_secrecy(base, &key.span, &at);
        }
        let breaker = match raw.breaker {
            Some(own) => self.breaker(own.into_inner(), &key("breaker"), breaker),
            None => breaker,
        };
        let Allowance { limits, day_end } = self.limits(raw.limits, &key("limits"), usual_limits);
        let cache_life =
            self.duration(raw.cache_life, &key("cache_life"), Provider::CACHE_LIFE, Duration::ZERO);
        let models = self.models(raw.models, &key("models"));
        let credential = written_key.map(|written| Credential { scheme: speech.scheme, key: written.key });
        let usual = UpstreamSettings::new(base.as_ref().map_or("", BaseUrl::as_str), credential);
        let upstream = UpstreamSettings {
            spoken: speech.spoken,
            query: speech.query,
            headers: speech.headers,
            connect_timeout: self.wait(raw.connect_timeout, &key("connect_timeout"), usual.connect_timeout),
            first_byte_timeout: self.wait(
                raw.first_byte_timeout,
                &key("first_byte_timeout"),
                usual.first_byte_timeout,
            ),
            idle_timeout: self.wait(raw.idle_timeout, &key("idle_timeout"), usual.idle_timeout),
            ..usual
        };
        if base.is_none() {
            return Vec::new();
        }
        let claims = vendor.map(Vendor::claims).unwrap_or_default();
        let provider = Provider {
            id: name.into_inner().into(),
            account_of: None,
            family: speech.family,
            upstream,
            limits,
            day_end,
            counting: speech.counting,
            cache_life,
            breaker,
            models,
            claims,
        };
        match accounts {
            None => vec![provider],
            Some(accounts) => accounts.of(&provider, speech.scheme),
        }
    }

    fn check_name(&mut self, name: &Spanned<String>, at: &str) {
        if !is_plain_name(name.get_ref()) {
            let wrong = "a provider's name may hold letters, digits, `-`, `_` and `.`, at most 64";
            self.mistake(name.span(), at, wrong, "write [provider.gpu-box]");
        }
    }

    fn vendor(&mut self, written: Option<Spanned<String>>, name: &str, key: &str) -> Option<&'static Vendor> {
        let known: Vec<_> = VENDORS.iter().map(|vendor| (vendor.name, vendor)).collect();
        if written.as_ref().is_none_or(|written| written.get_ref().is_empty()) {
            return vendor(name);
        }
        self.choice(written, key, &known)
    }

    fn base_url(
        &mut self,
        written: Option<Spanned<String>>,
        name: &Spanned<String>,
        vendor: Option<&'static Vendor>,
        server: &ServerSettings,
    ) -> Option<BaseUrl> {
        let at = format!("provider.{}", named(name.get_ref()));
        let Some(written) = filled(written) else {
            let usual = vendor.and_then(|vendor| vendor.own_base(self.env));
            let at_fault = [format!("{at}.base_url"), format!("{at}.vendor")];
            if usual.is_none() && !at_fault.iter().any(|key| self.is_wrong(key)) {
                let (wrong, instead) = no_address(name.get_ref(), vendor);
                self.mistake(name.span(), &at, wrong, instead);
            }
            return usual;
        };
        let (wrong, instead) = match BaseUrl::parse(written.get_ref()) {
            Ok(base) if base.is_gateway(server) => (
                "`base_url` is the address of this gateway itself, which would send each request round for ever",
                "write the address of the provider",
            ),
            Ok(base) => {
                return Some(match vendor {
                    Some(vendor) => vendor.trimmed(base),
                    None => base,
                });
            }
            Err(BadBaseUrl::NotHttp) => (
                "`base_url` must be an http or https address",
                "write it in full, such as \"https://api.openai.com/v1\"",
            ),
            Err(BadBaseUrl::UserInfo) => (
                "`base_url` must not hold a user or a password",
                "put the key into `api_key` or one of its kin, where it is never shown",
            ),
            Err(BadBaseUrl::Query) => (
                "`base_url` must not have a query or a fragment",
                "end it with its path; a key belongs into `api_key` or one of its kin, where it is never shown",
            ),
        };
        self.mistake(written.span(), &format!("{at}.base_url"), wrong, instead);
        None
    }

    fn check_secrecy(&mut self, base: &BaseUrl, span: &Range<usize>, at: &str) {
        if !base.is_encrypted() && !base.is_loopback() {
            let wrong = "this key would go over the network unencrypted";
            let instead = "write base_url = \"https://...\", or no key if the server wants none";
            self.mistake(span.clone(), at, wrong, instead);
        }
    }

    fn models(&mut self, written: Option<Spanned<Vec<Spanned<String>>>>, key: &str) -> Vec<ModelName> {
        let Some(written) = written else { return Vec::new() };
        if written.get_ref().len() > MODELS_MAX {
            let wrong = format!("`models` must hold at most {MODELS_MAX} names");
            self.mistake(written.span(), key, wrong, "write fewer");
        }
        let mut models = Vec::new();
        for name in written.into_inner() {
            if !route::is_model_name(name.get_ref()) {
                let instead = "write it on one line, from 1 to 256 bytes";
                self.mistake(name.span(), key, "this is no name of a model", instead);
            }
            models.push(ModelName::from(name.into_inner()));
        }
        models
    }
}

/// What is wrong where a provider has no address, and what to write.
fn no_address(name: &str, vendor: Option<&Vendor>) -> (&'static str, String) {
    if let Some(Vendor { base_url: Some(url), region_names: [region, ..], .. }) = vendor {
        let url = url.replace("{region}", "REGION");
        return (
            "this provider has no region to make its address of",
            format!("set {region}, or write base_url = \"{url}\" with your region"),
        );
    }
    let known = VENDORS.iter().filter(|vendor| vendor.base_url.is_some()).map(|vendor| vendor.name);
    let instead = match nearest(name, known) {
        Some(near) if vendor.is_none() => {
            format!("did you mean [provider.{near}]? Else write base_url = \"https://.../v1\"")
        }
        _ => "write base_url = \"https://.../v1\"; only known vendors can do without".to_owned(),
    };
    ("this provider has no `base_url`", instead)
}

/// Whether this can be the name of a provider, an account or a group: it stands in headers, metrics and log lines.
pub(super) fn is_plain_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_plain)
}

fn filled_at(written: &Option<Spanned<String>>) -> bool {
    written.as_ref().is_some_and(|text| !text.get_ref().trim().is_empty())
}
