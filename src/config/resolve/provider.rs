//! Providers: address, credential and limits of each.
//!
//! Invariants: a key goes nowhere unencrypted but to this machine; no address holds a credential or leads
//! back to the gateway; a burst is not larger than what it is a burst of.

use super::super::base_url::{BadBaseUrl, BaseUrl};
use super::super::discover::{is_sendable, key_from_environment};
use super::super::mistake::{named, nearest};
use super::super::raw::{RawLimitTable, RawLimits, RawProvider};
use super::super::reading::Named;
use super::super::secret_source::SecretSource;
use super::super::vendors::{VENDORS, Vendor, vendor};
use super::{Resolver, filled, route};
use crate::admission::Limits;
use crate::exchange::Provider;
use crate::ids::ModelName;
use crate::routing::BreakerPolicy;
use crate::secret::Secret;
use crate::server::ServerSettings;
use crate::upstream::{Credential, UpstreamSettings};
use std::num::NonZeroU32;
use std::ops::Range;
use toml::Spanned;

/// The longest name of a provider, in bytes; it stands in headers, metrics and log lines.
const NAME_MAX: usize = 64;

/// The most providers; each has its budget, and each target is looked up among them.
const PROVIDERS_MAX: usize = 1_000;

/// The most models that a provider lists.
const MODELS_MAX: usize = 10_000;

/// The providers of the file.
pub(super) struct Providers {
    /// Those that could be resolved.
    pub(super) resolved: Vec<Provider>,
    /// The names of all, so that one mistake in a provider is not repeated by each of its routes.
    pub(super) names: Vec<String>,
}

/// The key that a section names, and where.
struct Key {
    span: Range<usize>,
    key: Secret,
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
        let names = written.iter().map(|provider| provider.name.get_ref().clone()).collect();
        let resolved =
            written.into_iter().filter_map(|provider| self.provider(provider, breaker, server)).collect();
        Providers { resolved, names }
    }

    fn provider(
        &mut self,
        Named { name, section: mut raw }: Named<RawProvider>,
        breaker: BreakerPolicy,
        server: &ServerSettings,
    ) -> Option<Provider> {
        let at = format!("provider.{}", named(name.get_ref()));
        let key = |key: &str| format!("{at}.{key}");
        self.check_name(&name, &at);
        let vendor = self.vendor(raw.vendor.take(), name.get_ref(), &key("vendor"));
        let speech = self.speech(&mut raw, vendor, &at);
        let has_address = filled_at(&raw.base_url);
        let written_key = self.key(&mut raw, &at, vendor.filter(|_| !has_address));
        let base = self.base_url(raw.base_url, &name, vendor, server);
        if let (Some(base), Some(key)) = (&base, &written_key) {
            self.check_secrecy(base, &key.span, &at);
        }
        let breaker = match raw.breaker {
            Some(own) => self.breaker(own.into_inner(), &key("breaker"), breaker),
            None => breaker,
        };
        let limits = self.limits(raw.limits, &key("limits"));
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
        base?;
        let claims = vendor.map(Vendor::claims).unwrap_or_default();
        Some(Provider {
            id: name.into_inner().into(),
            family: speech.family,
            upstream,
            limits,
            counting: speech.counting,
            breaker,
            models,
            claims,
        })
    }

    fn check_name(&mut self, name: &Spanned<String>, at: &str) {
        let text = name.get_ref();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if text.is_empty() || text.len() > NAME_MAX || !is_plain {
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

    /// The key, from the one source that is written; from the vendor's usual variable if none is and the key goes
    /// to the vendor's own address.
    fn key(&mut self, raw: &mut RawProvider, at: &str, vendor: Option<&Vendor>) -> Option<Key> {
        let literal = raw.api_key.take();
        let (file, command) = (raw.api_key_file.take(), raw.api_key_command.take());
        let credential = raw.api_key_credential.take();
        if literal.is_none() && file.is_none() && command.is_none() && credential.is_none() {
            let key = vendor.and_then(|vendor| key_from_environment(vendor, self.env))?;
            return Some(Key { span: 0..0, key });
        }
        let mut sources = Vec::new();
        if let Some(literal) = literal.filter(|key| !key.get_ref().expose().trim().is_empty()) {
            let key = Secret::new(literal.get_ref().expose().trim().to_owned());
            sources.push(("api_key", literal.span(), Ok(key)));
        }
        if let Some(path) = filled(file) {
            let key = self.key_file(&path, at).map(SecretSource::File);
            sources.push(("api_key_file", path.span(), Err(key)));
        }
        if let Some(command) = command.filter(|command| !command.get_ref().0.trim().is_empty()) {
            let source = SecretSource::Command(command.get_ref().0.clone());
            sources.push(("api_key_command", command.span(), Err(Some(source))));
        }
        if let Some(name) = filled(credential) {
            let source = SecretSource::Credential(name.get_ref().trim().to_owned());
            sources.push(("api_key_credential", name.span(), Err(Some(source))));
        }
        for (name, span, _) in sources.iter().skip(1) {
            let wrong = format!("there are two keys: `{}` and `{name}`", sources[0].0);
            self.mistake(span.clone(), &format!("{at}.{name}"), wrong, "keep one of them");
        }
        let (name, span, source) = sources.into_iter().next()?;
        let path = format!("{at}.{name}");
        let key = match source {
            Ok(key) => key,
            Err(source) => match (self.fetch)(&source?) {
                Ok(key) => key,
                Err(error) => {
                    self.mistake(span, &path, error.to_string(), error.remedy());
                    return None;
                }
            },
        };
        if !is_sendable(key.expose()) {
            let wrong = "this key holds characters that no header can carry";
            self.mistake(span.clone(), &path, wrong, "give the key alone: no spaces, line ends or accents");
        }
        Some(Key { span, key })
    }

    fn key_file(&mut self, path: &Spanned<String>, at: &str) -> Option<std::path::PathBuf> {
        let absolute = super::paths::absolute(path.get_ref().trim(), self.env);
        if absolute.is_none() {
            let instead = "begin it with `/` or `~/`; a key itself belongs into `api_key`";
            let key = format!("{at}.api_key_file");
            self.mistake(path.span(), &key, "`api_key_file` must be an absolute path", instead);
        }
        absolute
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

    fn limits(&mut self, written: Option<Spanned<RawLimits>>, at: &str) -> Limits {
        let raw = match written.map(Spanned::into_inner) {
            None | Some(RawLimits::Learn) => return Limits::default(),
            Some(RawLimits::Table(raw)) => *raw,
        };
        let RawLimitTable { burst_requests, burst_tokens, .. } = &raw;
        let bursts = [place(burst_requests), place(burst_tokens)];
        let mut limit = |written: Option<Spanned<u64>>, name: &str| {
            let number = self.number(Some(written?), &format!("{at}.{name}"), 1, 1..=u32::MAX.into());
            NonZeroU32::new(super::as_u32(number))
        };
        let limits = Limits {
            requests_per_minute: limit(raw.requests_per_minute, "requests_per_minute"),
            requests_per_day: limit(raw.requests_per_day, "requests_per_day"),
            tokens_per_minute: limit(raw.tokens_per_minute, "tokens_per_minute"),
            tokens_per_day: limit(raw.tokens_per_day, "tokens_per_day"),
            input_tokens_per_minute: limit(raw.input_tokens_per_minute, "input_tokens_per_minute"),
            output_tokens_per_minute: limit(raw.output_tokens_per_minute, "output_tokens_per_minute"),
            burst_requests: limit(raw.burst_requests, "burst_requests"),
            burst_tokens: limit(raw.burst_tokens, "burst_tokens"),
            concurrent: limit(raw.concurrent, "concurrent"),
            ..Limits::default()
        };
        let [requests_at, tokens_at] = bursts;
        self.burst(
            (requests_at, limits.burst_requests),
            &format!("{at}.burst_requests"),
            &[("requests_per_minute", limits.requests_per_minute)],
        );
        self.burst(
            (tokens_at, limits.burst_tokens),
            &format!("{at}.burst_tokens"),
            &[
                ("tokens_per_minute", limits.tokens_per_minute),
                ("input_tokens_per_minute", limits.input_tokens_per_minute),
                ("output_tokens_per_minute", limits.output_tokens_per_minute),
            ],
        );
        limits
    }

    /// A burst fits at least one of the limits that it could be of. One that fits some is right: a bucket that is
    /// smaller than the burst is bounded by its own limit.
    fn burst(
        &mut self,
        (span, burst): (Range<usize>, Option<NonZeroU32>),
        key: &str,
        limits: &[(&str, Option<NonZeroU32>)],
    ) {
        let Some(burst) = burst else { return };
        let name = key.rsplit('.').next().unwrap_or(key);
        let largest = limits.iter().filter_map(|(of, limit)| Some((limit.as_ref()?, of))).max();
        match largest {
            None if limits.iter().any(|(of, _)| self.is_wrong(&key.replace(name, of))) => {}
            None => {
                let wrong = format!("`{name}` has no limit to be a burst of");
                self.mistake(span, key, wrong, format!("write `{}` too", limits[0].0));
            }
            Some((limit, of)) if burst > *limit => {
                let wrong = format!("`{name}` is larger than `{of}`, {limit}");
                self.mistake(span, key, wrong, format!("write {limit} or less"));
            }
            Some(_) => {}
        }
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

fn filled_at(written: &Option<Spanned<String>>) -> bool {
    written.as_ref().is_some_and(|text| !text.get_ref().trim().is_empty())
}

fn place(written: &Option<Spanned<u64>>) -> Range<usize> {
    written.as_ref().map_or(0..0, Spanned::span)
}
