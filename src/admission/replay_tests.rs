//! What a replay promises.

use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

const RETURNS: Manner = Manner::Returns(&[Duration::from_millis(500), Duration::from_secs(1)]);

fn at(millis: u64) -> Moment {
    Moment::START + Duration::from_millis(millis)
}

fn past(millis: u64, tokens: u64) -> Past {
    let cost = Cost { input: Tokens(tokens), ..Cost::default() };
    Past {
        at: at(millis),
        held: cost,
        charged: cost,
        lasted: Some(Duration::from_secs(1)),
        priority: Priority::Normal,
        share: Share::default(),
    }
}

/// 60 tokens a minute, 10 of them at once.
fn small() -> Limits {
    Limits { tokens_per_minute: NonZeroU32::new(60), burst_tokens: NonZeroU32::new(10), ..Limits::default() }
}

fn replayed(limits: Limits, manner: Manner, past: impl IntoIterator<Item = Past>) -> Replayed {
    let mut replay = Replay::new(limits, QueueSettings::default(), manner);
    past.into_iter().for_each(|past| replay.arrive(past));
    replay.finish()
}

#[test]
fn what_finds_no_room_waits_as_long_as_it_would_at_the_desk() {
    let replayed = replayed(small(), Manner::Waits, [past(0, 10), past(0, 5), past(1_000, 5)]);
    assert_eq!((replayed.granted, replayed.refused()), (3, 0));
    assert_eq!(replayed.waits.waited(), 2);
    assert_eq!(replayed.waits.percentile(50), Duration::from_secs(5));
    assert_eq!(replayed.waits.longest().as_secs(), 9);
    let used =
        Use { dimension: Dimension::TokensPerMinute, limit: 60, mean_permille: 333, busiest_permille: 333 };
    assert_eq!(replayed.uses, [used]);
}

#[test]
fn a_window_that_has_only_begun_counts_as_one() {
    // The second minute has one second; both are used alike.
    let came = [past(0, 6), past(60_000, 6)];
    let used = &replayed(small(), Manner::Waits, came).uses[0];
    assert_eq!((used.mean_permille, used.busiest_permille), (100, 100));
}

#[test]
fn who_has_no_gateway_is_turned_away_and_comes_again() {
    let came = [past(0, 10), past(0, 1), past(0, 9)];
    let replayed = replayed(small(), RETURNS, came);
    assert_eq!((replayed.granted, replayed.too_late), (2, 1));
    assert_eq!(replayed.turned_away, 5, "twice who comes in the end, three times who gives up");
}

#[test]
fn each_refusal_has_its_reason() {
    let mut replay = Replay::new(
        small(),
        QueueSettings { max_wait: Duration::from_secs(9), max_depth: 1, ..QueueSettings::default() },
        Manner::Waits,
    );
    for tokens in [61, 10, 5, 1, 60] {
        replay.arrive(past(0, tokens));
    }
    let replayed = replay.finish();
    assert_eq!((replayed.too_large, replayed.queue_full, replayed.too_late), (1, 1, 1));
    assert_eq!(replayed.granted, 2);
}

#[test]
fn what_was_held_too_much_comes_back_when_it_ends() {
    let held = Cost { output: Tokens(9), ..Cost::default() };
    let charged = Cost { output: Tokens(1), ..Cost::default() };
    let large = Past { held, charged, ..past(0, 0) };
    let replayed = replayed(small(), Manner::Waits, [large.clone(), large]);
    assert_eq!(replayed.waits.longest(), Duration::from_secs(1), "as soon as the first has ended");
    assert_eq!(replayed.tokens, Tokens(2));
}

#[test]
fn one_of_whom_no_length_is_known_lasts_as_long_as_the_others() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let refused = Past { lasted: None, ..past(2_000, 1) };
    let came = [past(0, 1), Past { lasted: Some(Duration::from_secs(3)), ..past(0, 1) }, refused, past(0, 1)];
    let replayed = replayed(limits, Manner::Waits, came);
    assert_eq!(replayed.open_max, 1);
    assert_eq!(replayed.waits.longest().as_secs(), 4, "after one of 3 s and one of 2 s");
}

#[test]
fn a_wait_is_kept_to_three_digits_and_its_percentiles_are_of_all() {
    let mut waits = Waits::default();
    assert_eq!(waits.percentile(99), Duration::ZERO);
    (0..99).for_each(|_| waits.add(Duration::ZERO));
    waits.add(Duration::from_micros(12_345_678));
    assert_eq!(waits.percentile(99), Duration::ZERO);
    assert_eq!(waits.percentile(100), Duration::from_millis(12_300));
    assert_eq!(waits.longest(), Duration::from_micros(12_345_678));
    waits.add(Duration::from_nanos(1));
    assert_eq!(waits.waited(), 2);
    (0..200_000).for_each(|n| waits.add(Duration::from_millis(n)));
    assert!(waits.counts.len() < 4_000, "{}", waits.counts.len());
    waits.add(Duration::MAX);
}

fn some_past() -> impl Strategy<Value = Vec<Past>> {
    let one = (0_u64..600_000, 0_u64..80, 0_u64..80, prop::option::of(0_u64..30_000), 0_usize..3);
    prop::collection::vec(one, 0..80).prop_map(|all| {
        let one = |(millis, held, charged, lasted, class): (u64, u64, u64, Option<u64>, usize)| Past {
            charged: Cost { input: Tokens(charged), ..Cost::default() },
            lasted: lasted.map(Duration::from_millis),
            priority: Priority::ALL[class],
            ..past(millis, held)
        };
        all.into_iter().map(one).collect()
    })
}

proptest! {
    #[test]
    fn every_exchange_is_granted_or_refused_once(
        came in some_past(),
        (tokens, requests, concurrent) in (1_u32..200, 1_u32..50, 1_u32..5),
        (max_wait, max_depth) in (0_u64..200, 0_usize..20),
        returns in any::<bool>(),
    ) {
        let limits = Limits {
            tokens_per_minute: NonZeroU32::new(tokens),
            requests_per_minute: NonZeroU32::new(requests),
            concurrent: NonZeroU32::new(concurrent),
            ..Limits::default()
        };
        let max_wait = Duration::from_secs(max_wait);
        let settings = QueueSettings { max_wait, max_depth, ..QueueSettings::default() };
        let manner = if returns { RETURNS } else { Manner::Waits };
        let mut replay = Replay::new(limits, settings, manner);
        came.iter().cloned().for_each(|past| replay.arrive(past));
        let replayed = replay.finish();
        prop_assert_eq!(replayed.granted + replayed.refused(), came.len() as u64);
        prop_assert_eq!(replayed.exchanges, came.len() as u64);
        prop_assert!(replayed.open_max <= u64::from(concurrent));
        let longest = if returns { Duration::from_millis(1_500) } else { max_wait };
        prop_assert!(replayed.waits.longest() <= longest);
        prop_assert!(returns || replayed.turned_away == 0);
    }

    #[test]
    fn under_limits_above_the_traffic_nothing_waits(mut came in some_past()) {
        let most = NonZeroU32::new(80 * 80 * 6);
        let limits = Limits { tokens_per_minute: most, requests_per_minute: most, ..Limits::default() };
        // Held or charged, whatever is more: a charge beyond what was held is a debt.
        for past in &mut came {
            past.held.input = past.held.input.max(past.charged.input);
        }
        for manner in [Manner::Waits, RETURNS] {
            let replayed = replayed(limits, manner, came.clone());
            prop_assert_eq!(replayed.granted, came.len() as u64);
            prop_assert_eq!((replayed.waits.waited(), replayed.turned_away), (0, 0));
        }
    }

    #[test]
    fn no_minute_is_granted_more_than_the_limit_a_burst_and_one_debt(came in some_past()) {
        let held_to_the_end = came.into_iter().map(|past| Past { charged: past.held, ..past });
        for used in replayed(small(), Manner::Waits, held_to_the_end).uses {
            // A call that is larger than the burst may leave a debt of its own size.
            prop_assert!(used.busiest_permille <= 1_000 * (60 + 10 + 60) / 60, "{used:?}");
            prop_assert!(used.mean_permille <= 2 * used.busiest_permille);
        }
    }
}
