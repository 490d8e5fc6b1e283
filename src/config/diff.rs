//! What a reload changes, in words, and what of it only a restart can change.
//!
//! Invariant: names keys and providers, never a value, so that no key gets into a log.

use super::settings::Settings;
use crate::exchange::{Group, Provider, Route};

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys whose new values hold only after a restart.
    pub restart_needed: Vec<&'static str>,
    /// Every other change, one phrase each: `provider openai: limits changed`.
    pub summary: Vec<String>,
}

impl Changes {
    /// Whether the two configurations mean the same.
    pub fn is_empty(&self) -> bool {
        self.restart_needed.is_empty() && self.summary.is_empty()
    }
}

/// What changes when `new` takes the place of `old`.
pub fn diff(old: &Settings, new: &Settings) -> Changes {
    let mut changes = Changes { restart_needed: restart_needed(old, new), summary: Vec::new() };
    let say = &mut changes.summary;
    let (was, is) = (&old.exchange, &new.exchange);
    say.extend(told("provider", &was.providers, &is.providers, |one| one.id.as_str(), provider_parts));
    say.extend(told("group", &was.groups, &is.groups, |one| one.name.as_str(), group_parts));
    say.extend(told("route", &was.routes, &is.routes, |one| one.name.as_str(), route_parts));
    let others = [
        ("default provider", was.default_provider != is.default_provider),
        ("queue", (was.queue, was.keepalive, &was.weights) != (is.queue, is.keepalive, &is.weights)),
        ("retry", was.retry != is.retry),
        ("exchanges kept", was.exchanges_kept != is.exchanges_kept),
        ("estimate", (was.output_guess, was.learning) != (is.output_guess, is.learning)),
    ];
    say.extend(named_changes(others).into_iter().map(|part| format!("{part} changed")));
    changes
}

fn restart_needed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let (was, is) = (&old.server, &new.server);
    named_changes([
        ("server.listen", was.listen != is.listen),
        ("server.workers", was.workers != is.workers),
        ("server.hosts", was.hosts != is.hosts),
        ("server.body_max", was.body_max != is.body_max),
        ("server.bodies_max", was.bodies_max != is.bodies_max),
        ("server.head_timeout", was.head_timeout != is.head_timeout),
        ("server.body_idle_timeout", was.body_idle_timeout != is.body_idle_timeout),
        ("server.write_timeout", was.write_timeout != is.write_timeout),
        ("server.connections_max", was.connections_max != is.connections_max),
        ("server.drain", was.drain != is.drain),
        ("store.path", old.store.path != new.store.path),
        ("store.checkpoint_every", old.store.checkpoint_every != new.store.checkpoint_every),
        ("log.level", old.log.level != new.log.level),
        ("log.format", old.log.format != new.log.format),
    ])
}

fn provider_parts(was: &Provider, is: &Provider) -> Vec<&'static str> {
    let (before, after) = (&was.upstream, &is.upstream);
    let timeouts = |provider: &Provider| {
        let upstream = &provider.upstream;
        (upstream.connect_timeout, upstream.first_byte_timeout, upstream.idle_timeout)
    };
    named_changes([
        ("dialects", was.family != is.family || before.spoken != after.spoken),
        ("address", before.base_url != after.base_url || before.query != after.query),
        ("headers", before.headers != after.headers),
        ("key", before.credential != after.credential),
        ("timeouts", timeouts(was) != timeouts(is)),
        ("limits", was.limits != is.limits || was.day_end != is.day_end),
        ("counting", was.counting != is.counting),
        ("cache life", was.cache_life != is.cache_life),
        ("breaker", was.breaker != is.breaker),
        ("models", was.models != is.models || was.claims != is.claims),
    ])
}

fn group_parts(was: &Group, is: &Group) -> Vec<&'static str> {
    named_changes([
        ("members", was.members != is.members),
        ("limits", was.limits != is.limits || was.day_end != is.day_end),
        ("learning", was.learn_together != is.learn_together),
    ])
}

fn route_parts(was: &Route, is: &Route) -> Vec<&'static str> {
    named_changes([("targets", was.targets != is.targets), ("priority", was.priority != is.priority)])
}

fn named_changes<const N: usize>(parts: [(&'static str, bool); N]) -> Vec<&'static str> {
    parts.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
}

/// What became of each section of a kind, by its name: first of those that were, in their order, then of the new ones.
fn told<T>(
    kind: &str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &str,
    parts: impl Fn(&T, &T) -> Vec<&'static str>,
) -> Vec<String> {
    let find = |list: &[T], wanted: &T| list.iter().position(|one| name(one) == name(wanted));
    let mut told = Vec::new();
    for was in old {
        match find(new, was) {
            Some(at) => {
                let parts = parts(was, &new[at]);
                told.extend(parts.into_iter().map(|part| format!("{kind} {}: {part} changed", name(was))));
            }
            None => told.push(format!("{kind} {}: removed", name(was))),
        }
    }
    let added = new.iter().filter(|one| find(old, one).is_none());
    told.extend(added.map(|one| format!("{kind} {}: added", name(one))));
    told
}

#[cfg(test)]
mod tests {
    use super::super::env::Env;
    use super::super::load::load;
    use super::*;

    const BASE: &str = "
        [provider.openai]
        api_key = 'sk-canary-1'
        [provider.local]
        base_url = 'http://127.0.0.1:8000/v1'
        [route.a]
        targets = ['openai/a']
    ";

    fn check(change: impl Fn(&str) -> String, restart: &[&str], summary: &[&str]) {
        let load = |text: &str| load(text, "a.toml", &Env::from_pairs([("HOME", "/home/a")])).unwrap();
        let changes = diff(&load(BASE), &load(&change(BASE)));
        assert_eq!(changes.restart_needed, restart);
        assert_eq!(changes.summary, summary);
        assert!(!format!("{changes:?}").contains("canary"));
    }

    #[test]
    fn nothing_changed_is_nothing_said() {
        check(|text| format!("{text}\n# another comment"), &[], &[]);
    }

    #[test]
    fn what_a_reload_can_change_is_told_by_name_and_never_by_value() {
        check(|text| text.replace("sk-canary-1", "sk-canary-2"), &[], &["provider openai: key changed"]);
        check(
            |text| {
                text.replace(
                    "[provider.local]",
                    "[provider.local]
                     paths = { chat = '/c' }\nquery = 'a=1'\ncounting = { output = 'never' }
                     headers = { x-secret = 'canary' }",
                )
            },
            &[],
            &[
                "provider local: dialects changed",
                "provider local: address changed",
                "provider local: headers changed",
                "provider local: counting changed",
            ],
        );
        check(
            |text| {
                text.replace("[provider.local]", "limits = { concurrent = 2 }\n[provider.near]")
                    .replace("[route.a]", "[route.b]")
            },
            &[],
            &[
                "provider openai: limits changed",
                "provider local: removed",
                "provider near: added",
                "route a: removed",
                "route b: added",
            ],
        );
        check(
            |text| {
                format!(
                    "{text}\npriority = 'batch'\n[queue]\nmax_depth = 1\n[store]\ncheckpoint_every = '2s'"
                )
            },
            &["store.checkpoint_every"],
            &["route a: priority changed", "queue changed"],
        );
    }

    #[test]
    fn a_group_and_an_account_are_told_by_name() {
        let group = "[group.g]\nmembers = ['openai']\nlimits = { concurrent = 1 }";
        check(|text| format!("{text}\n{group}"), &[], &["group g: added"]);
        let key = "api_key = 'sk-canary-1'";
        check(
            |text| text.replace(key, "accounts = { a = { api_key = 'sk-canary-1' } }\ncache_life = '1h'"),
            &[],
            &["provider openai: removed", "provider openai@a: added"],
        );
    }

    #[test]
    fn what_needs_a_restart_is_told_apart() {
        check(
            |text| {
                format!("{text}\n[server]\nworkers = 2\nlisten = ['127.0.0.1:1']\n[store]\nenabled = false")
            },
            &["server.listen", "server.workers", "store.path"],
            &[],
        );
    }
}
