//! Accounts, groups and days as exchanges find them.

use super::super::settings::{DayEnd, Member, MemberModels, Zone};
use super::*;
use crate::upstream::UpstreamSettings;

const UTC_MIDNIGHT: DayEnd = DayEnd { minute: 0, zone: Zone { ahead: 0, is_american: false } };
const DAY_MS: u64 = 86_400_000;

fn provider(id: &str, day_end: Option<DayEnd>) -> Provider {
    Provider {
        id: id.into(),
        account_of: id.split_once('@').map(|(name, _)| name.into()),
        family: Family::OpenAi,
        upstream: UpstreamSettings::new("http://127.0.0.1:1/v1", None),
        limits: Limits::default(),
        day_end,
        counting: Counting::default(),
        cache_life: Provider::CACHE_LIFE,
        breaker: BreakerPolicy::default(),
        models: vec!["m".into()],
        claims: Vec::new(),
    }
}

fn group(
    name: &str,
    members: &[(&str, MemberModels)],
    limits: Option<Limits>,
    learn_together: bool,
) -> Group {
    let member = |(provider, models): &(&str, MemberModels)| Member {
        provider: (*provider).into(),
        models: models.clone(),
    };
    Group {
        name: name.to_owned(),
        members: members.iter().map(member).collect(),
        limits,
        day_end: None,
        learn_together,
    }
}

fn live() -> Live {
    use MemberModels::{All, Beginning, One};
    // The client is built for TLS even where it speaks none; a second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let some = Some(Limits::default());
    let settings = ExchangeSettings {
        providers: vec![
            provider("ai@a", Some(UTC_MIDNIGHT)),
            provider("ai@b", Some(UTC_MIDNIGHT)),
            provider("other", None),
        ],
        groups: vec![
            group("all", &[("ai", All), ("other", One("m".into()))], some, false),
            group("family", &[("ai", Beginning("opus-4".into())), ("other", One("opus".into()))], None, true),
            group("one", &[("ai@b", One("m".into()))], some, false),
        ],
        ..ExchangeSettings::default()
    };
    Live::new(settings, None).unwrap()
}

fn target(text: &str) -> TargetId {
    let (provider, model) = text.split_once('/').unwrap();
    TargetId { provider: provider.into(), model: model.into() }
}

#[test]
fn a_target_draws_on_its_own_limits_and_on_those_of_its_groups() {
    let live = live();
    for (text, expected, pool) in [
        ("ai@a/m", "ai@a group:all", "ai@a/m"),
        ("ai@b/m", "ai@b group:all group:one", "ai@b/m"),
        ("ai@b/opus-4-5", "ai@b group:all", "group:family/*"),
        ("other/opus", "other", "group:family/*"),
        ("other/opus-4-5", "other", "other/opus-4-5"),
        ("other/m", "other group:all", "other/m"),
    ] {
        let draws = live.draws(&target(text));
        let configured: Vec<&str> = draws.configured.iter().map(BudgetId::as_str).collect();
        assert_eq!(configured.join(" "), expected, "{text}");
        assert_eq!(draws.pool.as_ref().map(BudgetId::as_str), Some(pool), "{text}");
        assert!(draws.configured.iter().all(|id| live.limits().iter().any(|(known, _)| known == id)));
    }
}

#[test]
fn accounts_stand_in_the_place_of_their_provider_with_its_rank() {
    let targets = ["other/m", "ai/m", "ai@a/n"].map(target).to_vec();
    let expanded: Vec<String> =
        live().expanded(targets).iter().map(|(target, rank)| format!("{target} {rank}")).collect();
    assert_eq!(expanded, ["other/m 0", "ai@a/m 1", "ai@b/m 1", "ai@a/n 2"]);
}

#[test]
fn a_provider_with_accounts_stands_for_its_first() {
    let live = live();
    let first = live.provider(&"ai".into()).unwrap();
    assert_eq!(first.id.as_str(), "ai@a");
    assert!(live.names(&target("ai@b/m")) && live.names(&target("ai/m")) && !live.names(&target("ai@b/x")));
    let found = live.catalogue.find("ai@b/x").unwrap();
    assert_eq!(found.targets, [target("ai@b/x")]);
}

#[test]
fn the_day_of_a_budget_ends_where_its_provider_says() {
    let live = live();
    let next = |budget: &str| live.next_day(&budget.into(), WallTime(DAY_MS + 1)).map(|next| next.0);
    assert_eq!(next("ai@a"), Some(2 * DAY_MS));
    assert_eq!(next("ai@b/m/with/slashes"), Some(2 * DAY_MS));
    assert_eq!(next("group:family/*"), Some(2 * DAY_MS), "it learns what its members' providers say");
    assert_eq!(next("group:all"), None, "its own limits, and nothing said of days");
    assert_eq!(next("other/m"), None);
    assert_eq!(next("gone"), None);
}
