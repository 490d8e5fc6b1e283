//! What a pool makes of readings.

use super::*;
use crate::admission::budget::{Ahead, Cost, Dimension, Room};
use crate::admission::gauge::{Known, Level};
use crate::admission::heard::{Meaning, Shortage};
use crate::admission::limits::Limits;
use crate::admission::strict::{Kind, Strict};
use crate::units::Tokens;
use proptest::prelude::*;
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

fn tokens(limit: u64, remaining: u64) -> Reading {
    Reading {
        dimension: Dimension::TokensPerMinute,
        limit: Some(limit),
        remaining: Some(remaining),
        full_in: None,
        grain: 1,
    }
}

fn take(budget: &mut Budget, tokens: u64, now: Moment) -> Taken {
    budget.take(cost(tokens), now).expect("the test leaves room for it")
}

#[track_caller]
fn check(budget: &Budget, now: Moment, limit: u64, level: i64) {
    let levels: Vec<_> = budget.levels(now).collect();
    assert_eq!(levels, [(Dimension::TokensPerMinute, limit, level)]);
}

fn view(budget: &Budget, now: Moment) -> Level {
    budget.views(now).next().expect("the test's pool knows a limit")
}

#[test]
fn a_pool_is_open_until_the_first_reading_which_is_adopted() {
    let mut pool = pool();
    let first = take(&mut pool, 100, at(0.0));
    let second = take(&mut pool, 200, at(0.0));
    assert_eq!(pool.levels(at(0.0)).count(), 0);
    pool.hear(&first, &[tokens(6_000, 5_000)], at(0.0));
    check(&pool, at(0.0), 6_000, 700);
    pool.hear(&second, &[tokens(6_000, 500)], at(0.0));
    check(&pool, at(0.0), 6_000, 500);
}

#[test]
fn what_is_left_is_compared_with_the_level_when_the_call_was_sent() {
    let mut pool = pool();
    let first = take(&mut pool, 100, at(0.0));
    pool.hear(&first, &[tokens(6_000, 5_900)], at(0.0));
    let second = take(&mut pool, 100, at(10.0));
    take(&mut pool, 300, at(11.0));
    pool.hear(&second, &[tokens(6_000, 400)], at(12.0));
    // 400 were left at ten seconds, 300 went since, and two seconds brought 200.
    check(&pool, at(12.0), 6_000, 300);
}

#[test]
fn a_second_reading_of_the_same_shortage_lowers_nothing_twice() {
    let mut pool = pool();
    let [first, second, third] = [0.0, 0.0, 0.0].map(|now| take(&mut pool, 100, at(now)));
    pool.hear(&first, &[tokens(6_000, 500)], at(0.0));
    check(&pool, at(0.0), 6_000, 300);
    pool.hear(&second, &[tokens(6_000, 400)], at(0.0));
    pool.hear(&third, &[tokens(6_000, 300)], at(0.0));
    check(&pool, at(0.0), 6_000, 300);
}

#[test]
fn readings_of_calls_that_were_sent_earlier_are_ignored() {
    let mut pool = pool();
    let [first, second] = [0.0, 0.0].map(|now| take(&mut pool, 100, at(now)));
    pool.hear(&second, &[tokens(6_000, 5_800)], at(0.0));
    pool.hear(&first, &[tokens(600, 0)], at(0.0));
    check(&pool, at(0.0), 6_000, 900);
}

#[test]
fn a_level_that_is_too_low_is_raised_only_by_a_reading_of_the_same_limit() {
    let raised = |limit: u64| {
        let mut pool = pool();
        let first = take(&mut pool, 100, at(0.0));
        pool.hear(&first, &[tokens(6_000, 0)], at(0.0));
        let second = take(&mut pool, 100, at(2.0));
        pool.hear(&second, &[tokens(limit, 5_500)], at(2.0));
        view(&pool, at(2.0)).level
    };
    assert_eq!(raised(6_000), 500, "500 are missing at the provider, and so they are in a smaller bucket");
    assert_eq!(raised(7_000), 100);
}

#[test]
fn somebody_else_on_the_account_is_seen_and_forgotten() {
    let mut pool = pool();
    for second in 0..30 {
        let now = at(f64::from(second));
        let taken = take(&mut pool, 10, now);
        // Of 100 that come each second we take 10, and nothing more is ever left.
        pool.hear(&taken, &[tokens(6_000, 500)], now);
    }
    let seen = view(&pool, at(30.0)).used_elsewhere;
    assert!((1_800..2_500).contains(&seen), "{seen}");
    assert_eq!(view(&pool, at(400.0)).used_elsewhere, 0);
}

#[test]
fn a_limit_falls_at_once_and_rises_when_it_was_said_twice() {
    let mut pool = pool();
    let mut now = 0.0;
    let mut hear = |limit: u64| {
        now += 60.0;
        let taken = take(&mut pool, 1, at(now));
        pool.hear(&taken, &[tokens(limit, limit)], at(now));
        view(&pool, at(now)).limit
    };
    let said = [600, 900, 600, 900, 600, 300, 900, 800, 800, u64::MAX, u64::MAX];
    let believed = [600, 600, 600, 600, 600, 300, 300, 800, 800, 800, u64::from(u32::MAX)];
    assert_eq!(said.map(&mut hear), believed);
}

#[test]
fn a_limit_that_is_halved_in_the_middle_leaves_no_more_than_the_provider_has() {
    let mut pool = pool();
    let first = take(&mut pool, 100, at(0.0));
    pool.hear(&first, &[tokens(6_000, 5_900)], at(0.0));
    let second = take(&mut pool, 100, at(10.0));
    take(&mut pool, 50, at(10.0));
    pool.hear(&second, &[tokens(3_000, 200)], at(10.0));
    check(&pool, at(10.0), 3_000, 150);
}

#[test]
fn a_call_above_a_learned_limit_takes_a_full_bucket_and_shows_whether_the_limit_is_right() {
    let mut pool = pool();
    let first = take(&mut pool, 1, at(0.0));
    pool.hear(&first, &[tokens(60, 60)], at(0.0));
    assert_eq!(pool.room(cost(100), Ahead::default(), at(1.0)), Room::Now);
    take(&mut pool, 100, at(1.0));
    check(&pool, at(1.0), 60, -50);
}

#[test]
fn configured_limits_hear_nothing() {
    let mut budget = Budget::new(Limits { tokens_per_minute: NonZeroU32::new(6_000), ..Limits::default() });
    let taken = take(&mut budget, 100, at(0.0));
    budget.hear(&taken, &[tokens(60, 0)], at(0.0));
    check(&budget, at(0.0), 6_000, 900);
}

#[test]
fn what_was_learned_outlives_the_process_for_a_day() {
    let mut before = pool();
    let taken = take(&mut before, 100, at(0.0));
    before.hear(&taken, &[tokens(6_000, 200)], at(0.0));
    let saved = before.save(at(0.0));
    let restored = |hours: f64| {
        let mut after = pool();
        after.restore(&saved, Duration::from_secs_f64(hours * 3_600.0), at(0.0));
        after.views(at(0.0)).next().map(|level| (level.limit, level.level, level.known))
    };
    assert_eq!(restored(0.0), Some((6_000, 200, Known::Said)));
    assert_eq!(restored(23.0), Some((6_000, 1_000, Known::Said)));
    assert_eq!(restored(25.0), None);
}

#[test]
fn what_was_learned_is_cut_into_the_slices_of_today() {
    let sliced = |seconds: u64| {
        let slice = Duration::from_secs(seconds);
        Slices { requests: slice, tokens: slice }
    };
    let retune = |pool: &mut Budget, seconds: u64| {
        pool.retune(Limits { slices: sliced(seconds), ..Limits::default() }, at(0.0));
    };
    let mut before = Budget::pool(sliced(30));
    let taken = take(&mut before, 600, at(0.0));
    before.hear(&taken, &[tokens(6_000, 2_400)], at(0.0));
    check(&before, at(0.0), 6_000, 2_400);
    let mut after = pool();
    after.restore(&before.save(at(0.0)), Duration::ZERO, at(0.0));
    check(&after, at(0.0), 6_000, 2_400);
    retune(&mut after, 30);
    check(&after, at(0.0), 6_000, 2_400);
    // A tenth of what was there, for a tenth of the time.
    retune(&mut before, 3);
    check(&before, at(0.0), 6_000, 240);
    // Time that passed in between filled what it could of the bucket of then.
    let mut later = pool();
    later.restore(&after.save(at(0.0)), Duration::from_secs(3), at(0.0));
    check(&later, at(0.0), 6_000, 2_700);
}

#[test]
fn a_saved_limit_of_nothing_is_no_limit() {
    let mut pool = pool();
    let learned = [("tokens_per_minute".into(), Default::default())].into();
    let saved = crate::admission::SavedBudget { learned, ..Default::default() };
    pool.restore(&saved, Duration::ZERO, at(0.0));
    assert_eq!(pool.views(at(0.0)).count(), 0);
}

/// A step of a run: milliseconds before it, units asked, the part of them used, and which of the open calls is
/// answered and which settled after it.
type Step = (u64, u64, u64, usize, usize);

/// Runs a pool that hears beside the same budget that does not. The provider's bucket holds the whole limit and is
/// charged and given back to when ours is. Returns the largest distance between the two levels.
fn drift(limit: u32, grain: u64, steps: &[Step]) -> i64 {
    let limits = Limits { tokens_per_minute: NonZeroU32::new(limit), ..Limits::default() };
    let whole = Limits { burst_tokens: limits.tokens_per_minute, ..limits };
    let (mut ours, mut deaf, mut theirs) = (pool(), Budget::new(limits), Budget::new(whole));
    let level = |budget: &Budget, now| budget.levels(now).next().map_or(0, |(_, _, level)| level);
    let (mut now, mut open, mut unheard) = (at(0.0), Vec::new(), Vec::new());
    let mut farthest = 0;
    for (index, (pause, units, part, answered, settled)) in steps.iter().enumerate() {
        now = now + Duration::from_millis(*pause);
        let asked = cost((*units).min(u64::from(limit) / 6).max(1));
        let taken = match (ours.take(asked, now), deaf.take(asked, now)) {
            (Some(mine), Some(other)) => Some((mine, other)),
            (mine, other) => {
                mine.iter().for_each(|taken| ours.undo(taken, now));
                other.iter().for_each(|taken| deaf.undo(taken, now));
                None
            }
        };
        if let Some((mine, other)) = taken {
            let their = theirs.take(asked, now).expect("they hold what we hold and more");
            let left = u64::try_from(level(&theirs, now)).expect("they are never in debt");
            let left = (left + grain / 2) / grain * grain;
            unheard.push((mine.clone(), Reading { grain, ..tokens(limit.into(), left) }));
            open.push((mine, other, their, cost(asked.input.0 * part / 100)));
        }
        // The first answer is heard before anything else, so that both begin at one.
        while !unheard.is_empty() && (index == 0 || unheard.len() > answered % 8) {
            let (taken, reading) = unheard.remove(answered % unheard.len());
            ours.hear(&taken, &[reading], now);
        }
        while index > 0 && open.len() > settled % 8 {
            let (mut mine, mut other, mut their, truth) = open.remove(settled % open.len());
            for (budget, taken) in
                [(&mut ours, &mut mine), (&mut deaf, &mut other), (&mut theirs, &mut their)]
            {
                budget.correct(taken, truth, now);
                budget.close();
            }
        }
        farthest = farthest.max((level(&ours, now) - level(&deaf, now)).abs());
    }
    farthest
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let steps =
        prop::collection::vec((0_u64..3_000, 1_u64..20_000, 0_u64..160, 0_usize..64, 0_usize..64), 2..80);
    // The first call uses what it holds: into a bucket that begins with it nothing flows back from before.
    steps.prop_map(|mut steps| {
        steps[0].2 = 100;
        steps
    })
}

proptest! {
    #[test]
    fn readings_of_a_provider_that_counts_as_we_do_change_nothing(limit in 600_u32..1_000_000, steps in steps()) {
        prop_assert_eq!(drift(limit, 1, &steps), 0);
    }

    #[test]
    fn rounding_by_a_thousand_drifts_by_a_thousand_at_most(limit in 6_000_u32..1_000_000, steps in steps()) {
        let farthest = drift(limit, 1_000, &steps);
        prop_assert!(farthest <= 1_000, "{farthest}");
    }
}

/// Ours asks for all there is, in calls of 50 tokens that are answered at once; another program takes as much a second as
/// `others` says. Tells what ours was admitted, and how often each was refused, minute by minute.
fn beside(others: impl Fn(u64) -> u64) -> Vec<(f64, u32, u32)> {
    let (mut pool, mut provider) = (pool(), Strict::full(Kind::Steady, 6_000.0));
    // More than ours takes at once, or the other would never be let in.
    provider.change(-4_000.0, at(0.0));
    let mut minutes = vec![(0.0, 0, 0); 12];
    for tick in 0..7_200_u64 {
        let now = at(tick as f64 / 10.0);
        let minute = &mut minutes[usize::try_from(tick / 600).expect("twelve minutes")];
        if tick % 10 == 0 && provider.admit(others(tick / 10) as f64, now).is_err() {
            minute.2 += 1;
        }
        while let Some(mut taken) = pool.take(cost(50), now) {
            match provider.admit(50.0, now) {
                Ok(()) => {
                    minute.0 += 50.0;
                    let left = provider.left(now).floor();
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a bucket's level"
                    )]
                    pool.hear(&taken, &[tokens(6_000, left as u64)], now);
                    pool.close();
                }
                Err(wait) => {
                    minute.1 += 1;
                    pool.correct(&mut taken, Cost::default(), now);
                    pool.close();
                    let until = now + wait;
                    let shortage = Shortage { meaning: Meaning::Minute, until, dimension: None, limit: None };
                    pool.refused(&taken, &shortage, None, now);
                }
            }
        }
    }
    minutes
}

#[test]
fn others_on_the_account_are_left_what_they_take_and_no_more_than_half() {
    let third = beside(|_| 33);
    for (ours, refused, theirs) in &third[1..] {
        assert!(*ours >= 3_700.0 && *refused <= 1 && *theirs <= 1, "{third:?}");
    }
    let greedy = beside(|_| 90);
    for (ours, ..) in &greedy[1..] {
        assert!(*ours >= 2_700.0, "half of it stays ours: {greedy:?}");
    }
    let gone = beside(|second| if second < 240 { 33 } else { 0 });
    let (ours, ..) = gone[10];
    assert!(ours >= 5_800.0, "what was yielded comes back: {gone:?}");
}

#[test]
fn what_was_yielded_comes_back_where_the_provider_says_nothing_more() {
    let mut pool = pool();
    let first = take(&mut pool, 100, at(0.0));
    pool.hear(&first, &[tokens(6_000, 6_000)], at(0.0));
    // Refusals alone, one after the other while there is room by our count.
    for second in 1..=5 {
        let now = at(f64::from(second) * 5.0);
        let mut taken = take(&mut pool, 50, now);
        pool.correct(&mut taken, Cost::default(), now);
        pool.close();
        let shortage = Shortage { meaning: Meaning::Minute, until: now, dimension: None, limit: None };
        pool.refused(&taken, &shortage, None, now);
    }
    let admitted = |pool: &mut Budget, from: u32| {
        let ticks = (from * 10..(from + 60) * 10).map(|tick| at(f64::from(tick) / 10.0));
        ticks.map(|now| (0..).take_while(|_| pool.take(cost(5), now).is_some()).count() * 5).sum::<usize>()
    };
    let (soon, later) = (admitted(&mut pool, 26), admitted(&mut pool, 86));
    assert!(soon < 5_700 && (5_900..=6_100).contains(&later), "{soon} in a minute, then {later}");
}
