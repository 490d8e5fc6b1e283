//! The configuration file as it is written: every section, every key, each optional, each with its place.
//!
//! Mirrors the file and knows no meaning, no default and no relation between keys. A key exists by standing
//! here; `config/tidegate.toml` must name it too, which a test holds.

use super::reading::{Bytes, Named, Numbers, Pairs, Reader, Section, Unread, Value, Verbatim};
use crate::secret::Secret;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// Declares a section: a struct of optional, placed values, the list of its keys, and how it is read.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name { $(pub(super) $key: Option<Spanned<$type>>,)* }

        impl Section for $name {
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            fn set(&mut self, key: &str, value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> bool {
                match key {
                    $(stringify!($key) => {
                        let read = <$type as Value>::read(value, at, reader);
                        self.$key = read.map(|read| Spanned::new(value.span(), read));
                    })*
                    _ => return false,
                }
                true
            }
        }

        impl Value for $name {
            fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<$name> {
                reader.table(value, at).map(|table| reader.section(table, at))
            }
        }
    };
}

section! {
    /// The whole file.
    Raw {
        server: RawServer,
        queue: RawQueue,
        retry: RawRetry,
        estimate: RawEstimate,
        breaker: RawBreaker,
        store: RawStore,
        log: RawLog,
        provider: Vec<Named<RawProvider>>,
        group: Vec<Named<RawGroup>>,
        route: Vec<Named<RawRoute>>,
    }
}

section! {
    /// `[server]`.
    RawServer {
        listen: Vec<Spanned<String>>,
        allow_remote: bool,
        hosts: Vec<Spanned<String>>,
        workers: u64,
        body_max: Bytes,
        bodies_max: Bytes,
        head_timeout: Duration,
        body_idle_timeout: Duration,
        write_timeout: Duration,
        connections_max: u64,
        drain: Duration,
        default_provider: String,
    }
}

section! {
    /// `[queue]`.
    RawQueue {
        max_wait: Duration,
        max_depth: u64,
        patience: Duration,
        ageing: Duration,
        reserve_percent: u64,
        keepalive_after: Duration,
        keepalive_every: Duration,
        weights: Numbers,
    }
}

section! {
    /// `[retry]`.
    RawRetry { attempts_max: u64, delay: Duration, delay_max: Duration, }
}

section! {
    /// `[estimate]`.
    RawEstimate { output_guess: u64, output_percentile: u64, learn: bool, memo_entries: u64, }
}

section! {
    /// `[breaker]`, and `breaker = { ... }` of one provider.
    RawBreaker { failures: u64, open_for: Duration, open_for_max: Duration, probe_timeout: Duration, }
}

section! {
    /// `[store]`.
    RawStore { enabled: bool, path: String, checkpoint_every: Duration, }
}

section! {
    /// `[log]`.
    RawLog { level: String, format: String, exchanges_kept: u64, }
}

section! {
    /// `[provider.NAME]`.
    RawProvider {
        vendor: String,
        dialect: String,
        base_url: String,
        api_key: Secret,
        api_key_file: String,
        api_key_command: Verbatim,
        api_key_credential: String,
        accounts: Vec<Named<RawAccount>>,
        auth: String,
        dialects: Vec<Spanned<String>>,
        paths: RawPaths,
        query: String,
        headers: Pairs,
        counting: RawCounting,
        models: Vec<Spanned<String>>,
        limits: RawLimits,
        cache_life: Duration,
        breaker: RawBreaker,
        connect_timeout: Duration,
        first_byte_timeout: Duration,
        idle_timeout: Duration,
    }
}

section! {
    /// `paths = { ... }` of one provider: by dialect.
    RawPaths {
        chat: String,
        completions: String,
        embeddings: String,
        responses: String,
        messages: String,
        gemini: String,
        gemini_embed: String,
        gemini_batch_embed: String,
    }
}

section! {
    /// `counting = { ... }` of one provider.
    RawCounting { output: String, cached_input: bool, gives_back: bool, }
}

section! {
    /// One of `accounts = { ... }` of one provider.
    RawAccount {
        api_key: Secret,
        api_key_file: String,
        api_key_command: Verbatim,
        api_key_credential: String,
        limits: RawLimits,
    }
}

section! {
    /// `limits = { ... }` of one provider, account or group.
    RawLimitTable {
        requests_per_minute: u64,
        requests_per_day: u64,
        tokens_per_minute: u64,
        tokens_per_day: u64,
        input_tokens_per_minute: u64,
        output_tokens_per_minute: u64,
        burst_requests: u64,
        burst_tokens: u64,
        concurrent: u64,
        slice_requests: Duration,
        slice_tokens: Duration,
        day_resets_at: String,
        day_time_zone: String,
    }
}

section! {
    /// `[group.NAME]`.
    RawGroup { members: Vec<Spanned<String>>, limits: RawLimits, learn_together: bool, }
}

section! {
    /// `[route."NAME"]`.
    RawRoute { targets: Vec<Spanned<String>>, priority: String, }
}

/// `limits`: a table, or the word `learn`.
#[derive(Debug)]
pub(super) enum RawLimits {
    /// Open until the provider tells.
    Learn,
    /// As written.
    Table(Box<RawLimitTable>),
}

impl Value for RawLimits {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<RawLimits> {
        match value.get_ref() {
            DeValue::String(word) if word == "learn" => Some(RawLimits::Learn),
            DeValue::String(_) => {
                let instead = "write `limits = \"learn\"` or `limits = { requests_per_minute = 500 }`";
                reader.mistake(value.span(), at, "`limits` must be a table or the word \"learn\"", instead);
                None
            }
            _ => RawLimitTable::read(value, at, reader).map(|table| RawLimits::Table(Box::new(table))),
        }
    }
}

/// The sections with fixed keys, each as it stands in a header, and their keys. `*` stands for a name.
pub(super) const SECTIONS: [(&[&str], &[&str]); 17] = [
    (&["server"], RawServer::KEYS),
    (&["queue"], RawQueue::KEYS),
    (&["retry"], RawRetry::KEYS),
    (&["estimate"], RawEstimate::KEYS),
    (&["breaker"], RawBreaker::KEYS),
    (&["store"], RawStore::KEYS),
    (&["log"], RawLog::KEYS),
    (&["provider", "*"], RawProvider::KEYS),
    (&["provider", "*", "paths"], RawPaths::KEYS),
    (&["provider", "*", "counting"], RawCounting::KEYS),
    (&["provider", "*", "limits"], RawLimitTable::KEYS),
    (&["provider", "*", "accounts", "*"], RawAccount::KEYS),
    (&["provider", "*", "accounts", "*", "limits"], RawLimitTable::KEYS),
    (&["provider", "*", "breaker"], RawBreaker::KEYS),
    (&["group", "*"], RawGroup::KEYS),
    (&["group", "*", "limits"], RawLimitTable::KEYS),
    (&["route", "*"], RawRoute::KEYS),
];

/// The section where a key that was written elsewhere would be right, as people write it.
pub(super) fn home_of(key: &str) -> Option<String> {
    let (path, _) = SECTIONS.iter().find(|(_, keys)| keys.contains(&key))?;
    Some(path.join(".").replace('*', "NAME"))
}

/// The keys of the section at this path, if there is one.
pub(super) fn keys_at(path: &[&str]) -> Option<&'static [&'static str]> {
    let fits = |pattern: &[&str]| {
        pattern.len() == path.len()
            && pattern.iter().zip(path).all(|(want, have)| *want == "*" || want == have)
    };
    SECTIONS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, keys)| *keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the commented file that stand where a key stands.
    fn keys_written(text: &str) -> Vec<&str> {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect()
    }

    #[test]
    fn every_key_occurs_in_the_commented_file() {
        let text = include_str!("../../config/tidegate.toml");
        let written = keys_written(text);
        let missing = |key: &&&str| !written.contains(*key);
        let all = SECTIONS.iter().flat_map(|(_, keys)| keys.iter()).chain(Raw::KEYS);
        assert_eq!(all.filter(missing).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn the_table_of_sections_holds_every_section() {
        for name in Raw::KEYS {
            assert!(SECTIONS.iter().any(|(path, _)| path[0] == *name), "{name}");
        }
    }

    #[test]
    fn a_misplaced_key_is_shown_home() {
        assert_eq!(home_of("max_wait").as_deref(), Some("queue"));
        assert_eq!(home_of("targets").as_deref(), Some("route.NAME"));
        assert_eq!(home_of("nothing"), None);
    }
}
