//! Days end when the clock on the wall says so.

use super::super::settings::{DayEnd, ExchangeSettings, Provider, Zone};
use super::*;
use crate::admission::{Counting, Limits};
use crate::clock::Clock;
use crate::dialect::Family;
use crate::observe::Metrics;
use crate::routing::BreakerPolicy;
use crate::upstream::UpstreamSettings;
use std::num::NonZeroU32;

const HOUR_MS: u64 = 3_600_000;

/// A gateway to one provider that allows ten requests a day, from midnight to midnight.
fn gateway() -> Gateway {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let provider = Provider {
        id: "a".into(),
        account_of: None,
        family: Family::OpenAi,
        upstream: UpstreamSettings::new("http://127.0.0.1:1/v1", None),
        limits: Limits { requests_per_day: NonZeroU32::new(10), day: DayReset::AtReset, ..Limits::default() },
        day_end: Some(DayEnd { minute: 0, zone: Zone { ahead: 0, is_american: false } }),
        counting: Counting::default(),
        cache_life: Provider::CACHE_LIFE,
        breaker: BreakerPolicy::default(),
        models: vec!["m".into()],
        claims: Vec::new(),
    };
    let settings = ExchangeSettings { providers: vec![provider], ..ExchangeSettings::default() };
    Gateway::new(settings, Clock::start(), Arc::new(Metrics::new())).expect("it can be reached")
}

/// Uses up four requests of the day.
async fn use_four(gateway: &Gateway) {
    use crate::admission::{Ask, Choice, Cost, Draws, Priority, Share};
    for _ in 0..4 {
        let now = gateway.clock.now();
        let target = crate::ids::TargetId { provider: "a".into(), model: "m".into() };
        let draws = Arc::new(Draws { configured: vec!["a".into()], pool: None });
        let choice = Choice { target, draws, cost: Cost::default(), open_from: now };
        let ask = Ask {
            choices: vec![choice],
            priority: Priority::Normal,
            share: Share::default(),
            entered: now,
            turn: None,
            deadline: now,
        };
        let room = gateway.turnstile.enter(ask, |_| ()).await.expect("there are ten");
        room.settle(Cost::default());
    }
}

fn left(gateway: &Gateway) -> i64 {
    gateway.turnstile.view()[0].levels[0].level
}

/// The first of January 2025, at so many hours.
fn hour(hours: u64) -> WallTime {
    WallTime(1_735_689_600_000 + hours * HOUR_MS)
}

async fn pass(hours: u64) {
    tokio::time::advance(Duration::from_millis(hours * HOUR_MS)).await;
}

#[tokio::test(start_paused = true)]
async fn a_days_limit_comes_back_at_midnight_and_not_a_day_after_its_first_call() {
    let gateway = gateway();
    gateway.tell_days_at(hour(22));
    use_four(&gateway).await;
    pass(1).await;
    gateway.tell_days_at(hour(23));
    assert_eq!(left(&gateway), 6);
    pass(1).await;
    assert_eq!(left(&gateway), 10, "nobody had to tell");
    use_four(&gateway).await;
    gateway.tell_days_at(hour(24));
    assert_eq!(left(&gateway), 6, "a reset that has come is not told twice");
    pass(23).await;
    gateway.tell_days_at(hour(47));
    assert_eq!(left(&gateway), 6);
    pass(1).await;
    assert_eq!(left(&gateway), 10);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_was_slept_through_is_told() {
    let gateway = gateway();
    gateway.tell_days_at(hour(20));
    use_four(&gateway).await;
    // Ten hours go by on the wall, of which the process sees one.
    pass(1).await;
    gateway.tell_days_at(hour(30));
    assert_eq!(left(&gateway), 10);
    use_four(&gateway).await;
    gateway.tell_days_at(hour(31));
    assert_eq!(left(&gateway), 6);
}

#[tokio::test(start_paused = true)]
async fn only_a_restart_after_the_reset_begins_afresh() {
    for (down, expected) in [(1, 6), (3, 10)] {
        let before = gateway();
        before.tell_days_at(hour(22));
        use_four(&before).await;
        let mut saved = before.save();
        saved.desk.wall_ms -= down * HOUR_MS;
        let after = gateway();
        after.restore(&saved);
        after.tell_days_at(hour(22 + down));
        assert_eq!(left(&after), expected, "down for {down} hours");
    }
}

#[tokio::test(start_paused = true)]
async fn until_a_reset_is_told_a_day_begins_with_its_first_call() {
    let gateway = gateway();
    pass(5).await;
    use_four(&gateway).await;
    pass(23).await;
    assert_eq!(left(&gateway), 6);
    pass(1).await;
    assert_eq!(left(&gateway), 10);
}

#[tokio::test(start_paused = true)]
async fn a_reload_tells_of_days_and_forgives_nothing() {
    let gateway = gateway();
    use_four(&gateway).await;
    let settings = gateway.live.load().settings.clone();
    gateway.reload(settings).expect("it can be reached");
    assert_eq!(left(&gateway), 6);
    assert_eq!(gateway.days.told.lock().len(), 1);
}
