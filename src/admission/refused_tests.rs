//! What a pool makes of refusals.

use super::*;
use crate::admission::budget::{Ahead, Room};
use crate::admission::gauge::Known;
use crate::admission::heard::Reading;
use crate::units::Tokens;
use std::time::Duration;

fn at(seconds: f64) -> Moment {
    Moment::START + Duration::from_secs_f64(seconds)
}

fn cost(tokens: u64) -> Cost {
    Cost { input: Tokens(tokens), output: Tokens::ZERO, output_is_guess: false }
}

fn pool() -> Budget {
    Budget::pool(Slices::default())
}

fn short(until: f64) -> Shortage {
    Shortage { meaning: Meaning::Minute, until: at(until), dimension: None, limit: None }
}

fn take(pool: &mut Budget, tokens: u64, now: f64) -> Taken {
    pool.take(cost(tokens), at(now)).expect("the test leaves room for it")
}

/// The provider refuses this call.
fn refuse(pool: &mut Budget, mut taken: Taken, shortage: Shortage, ceiling: Option<&Limits>, now: f64) {
    pool.correct(&mut taken, Cost::default(), at(now));
    pool.close();
    pool.refused(&taken, &shortage, ceiling, at(now));
}

#[track_caller]
fn check(pool: &Budget, now: f64, expected: &[(Dimension, u64, i64, Known)]) {
    let views = pool.views(at(now));
    let views: Vec<_> = views.map(|level| (level.dimension, level.limit, level.level, level.known)).collect();
    assert_eq!(views, expected);
}

const TOKENS: Dimension = Dimension::TokensPerMinute;
const REQUESTS: Dimension = Dimension::RequestsPerMinute;

#[test]
fn the_first_refusal_tells_the_limit_of_a_bucket_that_was_full() {
    let mut pool = pool();
    for second in 0..30 {
        take(&mut pool, 100, f64::from(second));
    }
    let last = take(&mut pool, 100, 30.0);
    refuse(&mut pool, last, short(32.0), None, 30.0);
    // 3,000 in one minute and a half of refill are 2,000 a minute, less what keeps the next overrun away: but twenty
    // calls like this one pass at least. There is room then for the one that was refused.
    check(&pool, 32.0, &[(TOKENS, 2_000, 100, Known::Found)]);
    assert!(pool.take(cost(100), at(31.9)).is_none());
    assert_eq!(pool.room(cost(100), Ahead::default(), at(31.0)), Room::At(at(32.0)));
    assert!(pool.take(cost(100), at(32.0)).is_some());
    let Room::At(next) = pool.room(cost(100), Ahead::default(), at(32.0)) else { panic!("it is empty") };
    assert!(next > at(34.9) && next < at(35.1), "{next:?}: the pace, from the end of the silence on");
}

#[test]
fn refusals_of_calls_that_were_sent_together_are_one_event_and_were_not_admitted() {
    let mut pool = pool();
    let mut sent: Vec<Taken> = (0..100).map(|_| take(&mut pool, 100, 0.0)).collect();
    for _ in 0..40 {
        let refused = sent.pop().expect("a hundred were sent");
        refuse(&mut pool, refused, short(1.0), None, 0.1);
    }
    let limit = pool.views(at(1.0)).next().expect("it was found").limit;
    assert!((5_800..=6_000).contains(&limit), "{limit} of the 6,000 that were admitted");
}

#[test]
fn between_two_refusals_as_much_was_admitted_as_the_limit_lets_in() {
    let mut pool = pool();
    let calls: Vec<Taken> = (0..61).map(|_| take(&mut pool, 100, 0.0)).collect();
    let last = calls.into_iter().last().expect("some");
    refuse(&mut pool, last, short(0.0), None, 0.0);
    check(&pool, 0.0, &[(TOKENS, 5_910, 100, Known::Found)]);
    let mut now = 0.0;
    for _ in 0..9 {
        now += 2.0;
        take(&mut pool, 190, now);
    }
    let last = take(&mut pool, 190, 20.0);
    refuse(&mut pool, last, short(20.0), None, 20.0);
    // 1,710 came through in twenty seconds.
    check(&pool, 20.0, &[(TOKENS, 5_053, 190, Known::Found)]);
}

#[test]
fn a_pace_that_is_far_too_high_is_measured_anew_in_a_second() {
    let mut pool = pool();
    let calls: Vec<Taken> = (0..61).map(|_| take(&mut pool, 100, 0.0)).collect();
    refuse(&mut pool, calls.into_iter().last().expect("some"), short(0.0), None, 0.0);
    for second in 1..10 {
        take(&mut pool, 190, f64::from(second) * 2.0);
    }
    let second = take(&mut pool, 190, 20.0);
    refuse(&mut pool, second, short(20.0), None, 20.0);
    let sure = pool.views(at(20.0)).next().expect("it was found").limit;
    // From here on one call of ten passes every fifth of a second, 3,000 a minute at most.
    let mut now = 20.0;
    for _ in 0..8 {
        now += 0.2;
        take(&mut pool, 10, now);
        // There is no room for a second one as soon as the pace is right.
        let Some(refused) = pool.take(cost(10), at(now)) else { break };
        refuse(&mut pool, refused, short(now), None, now);
    }
    assert!(now < 21.5, "it took until {now}");
    let limit = pool.views(at(now)).next().expect("it was found").limit;
    assert!(limit < sure * 2 / 3, "{limit} after {sure}");
}

#[test]
fn what_is_refused_at_once_after_a_silence_only_tells_that_it_was_too_short() {
    let mut pool = pool();
    let calls: Vec<Taken> = (0..61).map(|_| take(&mut pool, 100, 0.0)).collect();
    let mut last = calls.into_iter().last().expect("some");
    for second in 0..10 {
        let now = f64::from(second) * 4.0;
        refuse(&mut pool, last, short(now + 1.0), None, now);
        last = take(&mut pool, 100, now + 3.0);
    }
    assert!(pool.views(at(40.0)).next().expect("it was found").limit >= 5_910);
}

#[test]
fn a_refusal_before_anything_was_admitted_is_waited_for_and_teaches_nothing() {
    let mut pool = pool();
    let only = take(&mut pool, 100, 0.0);
    refuse(&mut pool, only, short(5.0), None, 0.0);
    check(&pool, 5.0, &[]);
    assert_eq!(pool.room(cost(1), Ahead::default(), at(0.0)), Room::At(at(5.0)));
}

#[test]
fn under_a_configured_limit_the_first_refusal_drains_and_a_second_one_soon_teaches() {
    let ceiling = Limits { tokens_per_minute: NonZeroU32::new(6_000), ..Limits::default() };
    let after = |second: f64| {
        let mut pool = pool();
        take(&mut pool, 100, 0.0);
        let taken = take(&mut pool, 100, 0.0);
        refuse(&mut pool, taken, short(1.0), Some(&ceiling), 0.0);
        check(&pool, 1.0, &[(TOKENS, 6_000, 100, Known::Found)]);
        for back in (1..=8).rev() {
            take(&mut pool, 500, second - 6.0 * f64::from(back));
        }
        let taken = take(&mut pool, 100, second);
        refuse(&mut pool, taken, short(second), Some(&ceiling), second);
        pool.views(at(second)).next().expect("it is known").limit
    };
    assert_eq!(after(60.0), 5_024, "the most that one refusal takes, and a little more");
    assert_eq!(after(600.0), 6_000);
}

#[test]
fn a_limit_that_the_refusal_names_is_taken_as_it_is() {
    let mut pool = pool();
    let taken = take(&mut pool, 100, 0.0);
    let named = Shortage { dimension: Some(TOKENS), limit: Some(6_000), ..short(2.0) };
    refuse(&mut pool, taken, named, None, 0.0);
    check(&pool, 2.0, &[(TOKENS, 6_000, 100, Known::Said)]);
}

#[test]
fn a_limit_that_headers_have_said_is_drained_and_stays() {
    let mut pool = pool();
    let first = take(&mut pool, 100, 0.0);
    let reading =
        Reading { dimension: TOKENS, limit: Some(6_000), remaining: Some(5_900), full_in: None, grain: 1 };
    pool.hear(&first, &[reading], at(0.0));
    let old = take(&mut pool, 100, 0.0);
    for second in [1.0, 2.0, 3.0] {
        let taken = take(&mut pool, 10, second);
        refuse(&mut pool, taken, short(second), None, second);
    }
    pool.hear(&old, &[reading], at(3.0));
    check(&pool, 3.0, &[(TOKENS, 6_000, 10, Known::Said)]);
}

#[test]
fn requests_are_what_is_short_where_tokens_are_far_below_what_passed_before() {
    let mut pool = pool();
    let calls: Vec<Taken> = (0..61).map(|_| take(&mut pool, 100, 0.0)).collect();
    refuse(&mut pool, calls.into_iter().last().expect("some"), short(0.0), None, 0.0);
    for second in 1..60 {
        take(&mut pool, 5, f64::from(second));
    }
    let last = take(&mut pool, 5, 60.0);
    refuse(&mut pool, last, short(60.0), None, 60.0);
    let known: Vec<Dimension> = pool.views(at(60.0)).map(|level| level.dimension).collect();
    assert_eq!(known, [TOKENS, REQUESTS]);
}

#[test]
fn a_day_that_is_used_up_is_waited_for_and_teaches_no_minute() {
    let mut pool = pool();
    take(&mut pool, 100, 0.0);
    let taken = take(&mut pool, 100, 0.0);
    refuse(&mut pool, taken, Shortage { meaning: Meaning::Day, ..short(9_000.0) }, None, 0.0);
    check(&pool, 0.0, &[]);
    assert_eq!(pool.room(cost(1), Ahead::default(), at(0.0)), Room::At(at(9_000.0)));
    assert!(pool.take(cost(1_000_000), at(9_000.0)).is_some());
}

#[test]
fn traffic_that_grew_too_fast_is_halved_and_recovers_in_a_quarter_of_an_hour() {
    let mut pool = pool();
    for second in 0..60 {
        take(&mut pool, 100, f64::from(second));
    }
    let last = take(&mut pool, 100, 59.0);
    refuse(&mut pool, last, Shortage { meaning: Meaning::Ramp, ..short(61.0) }, None, 59.0);
    check(&pool, 61.0, &[(TOKENS, 3_000, 100, Known::Ramp)]);
    assert_eq!(pool.levels(at(61.0)).count(), 0);
    take(&mut pool, 10, 59.0 + 450.0);
    assert_eq!(pool.views(at(509.0)).next().map(|level| level.limit), Some(4_500));
    take(&mut pool, 10, 59.0 + 900.0);
    check(&pool, 959.0, &[]);
}

#[test]
fn who_was_too_fast_alone_comes_again_when_it_was_told_and_others_after_it() {
    let mut pool = pool();
    let taken = take(&mut pool, 100, 0.0);
    refuse(&mut pool, taken, Shortage { meaning: Meaning::Ramp, ..short(1.0) }, None, 0.0);
    assert_eq!(pool.room(cost(100), Ahead::default(), at(0.0)), Room::At(at(1.0)));
    take(&mut pool, 100, 1.0);
    let Room::At(next) = pool.room(cost(100), Ahead::default(), at(1.0)) else { panic!("one is enough") };
    assert!((3.5..4.5).contains(&next.since(at(0.0)).as_secs_f64()), "{next:?}");
}

#[test]
fn a_limit_that_was_found_grows_only_while_it_holds_traffic_back_and_is_forgotten_after_a_day() {
    let mut pool = pool();
    let calls: Vec<Taken> = (0..61).map(|_| take(&mut pool, 100, 0.0)).collect();
    refuse(&mut pool, calls.into_iter().last().expect("some"), short(0.0), None, 0.0);
    let limit = |pool: &Budget, now: f64| pool.views(at(now)).next().map(|level| level.limit);
    for minute in 1..30 {
        take(&mut pool, 100, f64::from(minute) * 60.0);
    }
    assert_eq!(limit(&pool, 1_800.0), Some(5_910));
    for second in 0..60 {
        let now = 1_800.0 + f64::from(second);
        while pool.take(cost(100), at(now)).is_some() {}
    }
    let grown = limit(&pool, 1_860.0).expect("it is known");
    assert!(grown > 6_200, "{grown}");
    take(&mut pool, 1, 1_860.0 + 90_000.0);
    assert_eq!(limit(&pool, 91_860.0), None);
}
