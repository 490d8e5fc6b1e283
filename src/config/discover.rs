//! Providers without a file: from the usual variables, and from servers that run on this machine.
//!
//! The environment comes in as a value; only [`answering`] touches the network, and only addresses that it
//! was given. Invariant: notes name variables and hosts, never keys, and never an address as it was written,
//! because keys hide in addresses.

mod probe;

use super::base_url::{BadBaseUrl, BaseUrl};
use super::env::Env;
use super::vendors::{VENDORS, Vendor};
use crate::exchange::Provider;
use crate::ids::ModelName;
use crate::routing::BreakerPolicy;
use crate::secret::Secret;
use crate::server::ServerSettings;
use crate::upstream::Credential;
use std::time::Duration;

/// The longest that a start waits for servers on this machine, all of them together.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// Providers that were found, and what a person should know about the search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In the order of the table of vendors: the first takes models that nobody claims.
    pub providers: Vec<Provider>,
    /// One sentence each, without a full stop.
    pub notes: Vec<String>,
}

/// A place where a local server may run.
#[derive(Clone, Debug)]
pub struct Candidate {
    vendor: &'static Vendor,
    base: BaseUrl,
}

/// A local server that answered.
#[derive(Clone, Debug)]
pub struct Answer {
    candidate: Candidate,
    /// The status of its answer to `GET {base_url}/models`.
    pub status: u16,
    /// The models that it lists; `None` if the answer is no such list.
    pub models: Option<Vec<ModelName>>,
}

impl Candidate {
    /// The vendor's name and the address that is asked.
    pub fn place(&self) -> (&'static str, &str) {
        (self.vendor.name, self.base.as_str())
    }
}

/// Searches the environment and this machine. Takes 300 ms at most.
pub async fn discover(env: &Env, server: &ServerSettings) -> Found {
    let mut found = from_environment(env, server);
    found.add(answering(local_candidates(env, server)).await);
    found
}

/// The providers whose keys stand in the environment, or whose address there is one of this machine.
pub fn from_environment(env: &Env, server: &ServerSettings) -> Found {
    let mut found = Found::default();
    for vendor in VENDORS.iter().filter(|vendor| vendor.is_searched) {
        let base = named_base_url(vendor, env, server, &mut found.notes)
            .or_else(|| vendor.own_base(env).map(|base| (base, false)));
        let key = key_from_environment(vendor, env);
        found.notes.extend(unused_key(vendor, env, key.is_some(), base.is_some()));
        let Some((base, from_variable)) = base else { continue };
        let is_wanted = key.is_some() || (from_variable && base.is_loopback());
        if !is_wanted {
            if from_variable
                && let (Some(address), Some(key)) = (base_url_name(vendor, env), vendor.key_names.first())
            {
                found
                    .notes
                    .push(format!("{address} is ignored: it is not on this machine, and {key} is not set"));
            }
            continue;
        }
        if key.is_some() && !base.is_encrypted() && !base.is_loopback() {
            let note =
                format!("{} is not used: its key would go unencrypted to {}", vendor.name, base.host());
            found.notes.push(note);
            continue;
        }
        let credential = key.map(|key| Credential { scheme: vendor.scheme, key });
        found.providers.push(provider(vendor, &base, credential));
    }
    found
}

/// Why a key that stands in the environment is not used: people wonder otherwise why nothing was found.
fn unused_key(vendor: &Vendor, env: &Env, is_sendable: bool, has_address: bool) -> Option<String> {
    let name =
        vendor.key_names.iter().find(|name| env.get(name).is_some_and(|key| !key.trim().is_empty()))?;
    let address = vendor.region_names.first().or(vendor.base_url_names.last());
    match (is_sendable, has_address, address) {
        (false, ..) => Some(format!("{name} is ignored: it holds characters that no header can carry")),
        (true, false, Some(address)) => Some(format!("{name} is ignored: {address} gives it no address")),
        _ => None,
    }
}

/// The vendor's key, if the environment holds one that can be sent.
pub(super) fn key_from_environment(vendor: &Vendor, env: &Env) -> Option<Secret> {
    let mut keys = vendor.key_names.iter().filter_map(|name| env.get(name)).map(str::trim);
    let key = keys.find(|key| !key.is_empty())?;
    is_sendable(key).then(|| Secret::new(key.to_owned()))
}

/// Whether a key can stand in a header: visible ASCII, as RFC 9110 section 5.5 has it, and not empty.
pub(super) fn is_sendable(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The address that the environment names for a vendor, completed; `true` tells that it comes from there.
fn named_base_url(
    vendor: &Vendor,
    env: &Env,
    server: &ServerSettings,
    notes: &mut Vec<String>,
) -> Option<(BaseUrl, bool)> {
    let name = base_url_name(vendor, env)?;
    let written = env.get(name)?;
    let problem = match BaseUrl::parse(written) {
        Ok(base) if base.is_gateway(server) => "it points at this gateway itself",
        Ok(base) => return Some((vendor.completed(base), true)),
        Err(BadBaseUrl::NotHttp) => "it is no http or https address",
        Err(BadBaseUrl::UserInfo) => "it holds a user or a password",
        Err(BadBaseUrl::Query) => "it holds a query or a fragment",
    };
    notes.push(format!("{name} is ignored: {problem}"));
    None
}

/// The variable that names another address for a vendor.
fn base_url_name(vendor: &Vendor, env: &Env) -> Option<&'static str> {
    vendor.base_url_names.iter().copied().find(|name| env.get(name).is_some())
}

/// Where local servers may run: the usual ports of this machine, and what `OLLAMA_HOST` names. Our own
/// addresses are left out.
pub fn local_candidates(env: &Env, server: &ServerSettings) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for vendor in VENDORS.iter().filter(|vendor| vendor.probe.is_some()) {
        let named = if vendor.name == "ollama" { env.get("OLLAMA_HOST").and_then(ollama_host) } else { None };
        let base = named.or_else(|| vendor.own_base(env));
        candidates.extend(
            base.filter(|base| !base.is_gateway(server) && !base.is_encrypted())
                .map(|base| Candidate { vendor, base }),
        );
    }
    candidates
}

/// `OLLAMA_HOST` as Ollama itself reads it: scheme and port may be missing, and an address to listen on
/// everywhere is reached on this machine.
fn ollama_host(written: &str) -> Option<BaseUrl> {
    let written = written.trim().trim_end_matches('/');
    let (scheme, rest) = written.split_once("://").unwrap_or(("", written));
    let authority = rest.split('/').next().unwrap_or_default();
    // A lone IPv6 address needs its brackets before it can be told from a port.
    let authority = match authority.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => authority.to_owned(),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.to_owned()),
        _ => {
            let port = match scheme {
                "http" => 80,
                "https" => 443,
                _ => 11_434,
            };
            (authority.as_str(), port.to_string())
        }
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let scheme = if scheme.is_empty() { "http" } else { scheme };
    BaseUrl::parse(&format!("{scheme}://{host}:{port}/v1")).ok()
}

/// Asks every candidate for its models, all at once and for 300 ms at most, and returns those that speak
/// HTTP, in the order given.
pub async fn answering(candidates: Vec<Candidate>) -> Vec<Answer> {
    answering_within(PROBE_TIMEOUT, candidates).await
}

async fn answering_within(timeout: Duration, candidates: Vec<Candidate>) -> Vec<Answer> {
    let asked = candidates.into_iter().map(|candidate| async {
        let asked = tokio::time::timeout(timeout, probe::models(&candidate.base)).await;
        let reply = asked.ok()?.ok()?;
        Some(Answer { candidate, status: reply.status, models: reply.models })
    });
    futures_util::future::join_all(asked).await.into_iter().flatten().collect()
}

impl Found {
    /// Adds local servers. One that answers without a list of models is named in a note and left out:
    /// anything may stand on such ports, and prompts must not go to it.
    pub fn add(&mut self, answers: Vec<Answer>) {
        for Answer { candidate, status, models } in answers {
            let Candidate { vendor, base } = candidate;
            // The environment may have led to the same server under another vendor's name.
            if self.providers.iter().any(|known| known.upstream.base_url == base.as_str()) {
                continue;
            }
            match models {
                Some(models) => {
                    self.providers.push(Provider { models, ..provider(vendor, &base, None) });
                }
                None => self.notes.push(format!(
                    "{}:{} answers with status {status} and no list of models; it is not used as {}",
                    base.host(),
                    base.port(),
                    vendor.name
                )),
            }
        }
    }
}

fn provider(vendor: &Vendor, base: &BaseUrl, credential: Option<Credential>) -> Provider {
    let allowance = vendor.allowance();
    Provider {
        id: vendor.name.into(),
        account_of: None,
        family: vendor.family(),
        upstream: vendor.upstream(base, credential),
        limits: allowance.limits,
        counting: vendor.counting,
        day_end: allowance.day_end,
        cache_life: Provider::CACHE_LIFE,
        breaker: BreakerPolicy::default(),
        models: Vec::new(),
        claims: vendor.claims(),
    }
}

#[cfg(test)]
mod tests;
