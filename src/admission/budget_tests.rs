//! What a budget promises.

use super::*;
use std::num::NonZeroU32;

fn at(seconds: f64) -> Moment {
    Moment::START + Duration::from_secs_f64(seconds)
}

fn limits(requests: u32, tokens: u32) -> Limits {
    Limits {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU32::new(tokens),
        ..Limits::default()
    }
}

fn cost(input: u64, output: u64) -> Cost {
    Cost { input: Tokens(input), output: Tokens(output), output_is_guess: false }
}

fn level(budget: &Budget, dimension: Dimension, now: Moment) -> i64 {
    let found = budget.levels(now).find(|(known, ..)| *known == dimension);
    found.expect("the test's budget has this limit").2
}

#[test]
fn nothing_is_taken_from_any_bucket_if_one_refuses() {
    let mut budget = Budget::new(limits(600, 60));
    assert!(budget.take(cost(5, 5), at(0.0)).is_some());
    assert!(budget.take(cost(5, 5), at(0.0)).is_none(), "the tokens are gone");
    assert_eq!(level(&budget, Dimension::RequestsPerMinute, at(0.0)), 99);
    assert_eq!(budget.open(), 1);
}

#[test]
fn a_settled_call_gives_tokens_back_but_not_its_request() {
    let mut budget = Budget::new(limits(60, 600));
    let mut taken = budget.take(cost(40, 60), at(0.0)).expect("it is full");
    budget.correct(&mut taken, cost(0, 0), at(0.0));
    budget.close();
    assert_eq!(level(&budget, Dimension::TokensPerMinute, at(0.0)), 100);
    assert_eq!(level(&budget, Dimension::RequestsPerMinute, at(0.0)), 9);
}

#[test]
fn a_call_that_cost_more_than_it_held_leaves_debt() {
    let mut budget = Budget::new(limits(60, 600));
    let mut taken = budget.take(cost(40, 60), at(0.0)).expect("it is full");
    budget.correct(&mut taken, cost(40, 200), at(0.0));
    assert_eq!(level(&budget, Dimension::TokensPerMinute, at(0.0)), -140);
}

#[test]
fn what_exceeds_the_limit_itself_can_never_be_served() {
    let budget = Budget::new(limits(60, 600));
    let room = budget.room(cost(500, 101), Ahead::default(), at(0.0));
    assert_eq!(room, Room::Never(TooLarge { dimension: Dimension::TokensPerMinute, limit: 600, asked: 601 }));
    assert_eq!(budget.room(cost(500, 100), Ahead::default(), at(0.0)), Room::Now);
}

#[test]
fn a_guess_is_cut_to_what_the_limit_can_hold_and_a_promise_is_not() {
    let budget = Budget::new(limits(60, 600));
    let guess = Cost { output_is_guess: true, ..cost(100, 1_024) };
    assert_eq!(budget.fitted(guess).output, Tokens(500));
    assert_eq!(budget.fitted(cost(100, 1_024)).output, Tokens(1_024));
    let hopeless = Cost { output_is_guess: true, ..cost(601, 10) };
    assert!(matches!(budget.room(budget.fitted(hopeless), Ahead::default(), at(0.0)), Room::Never(_)));
}

#[test]
fn what_waits_ahead_is_counted_into_the_wait() {
    let mut budget = Budget::new(limits(60, 600));
    assert!(budget.take(cost(100, 0), at(0.0)).is_some());
    let mut ahead = Ahead::default();
    assert_eq!(budget.room(cost(10, 0), ahead, at(0.0)), Room::At(at(1.0)));
    ahead.add(cost(20, 10));
    assert_eq!(budget.room(cost(10, 0), ahead, at(0.0)), Room::At(at(4.0)));
}

#[test]
fn a_crowded_provider_has_room_when_one_ends() {
    let mut budget = Budget::new(Limits { concurrent: NonZeroU32::new(1), ..Limits::default() });
    assert!(budget.take(cost(1, 1), at(0.0)).is_some());
    assert_eq!(budget.room(cost(1, 1), Ahead::default(), at(0.0)), Room::WhenOneEnds);
    assert!(budget.take(cost(1, 1), at(0.0)).is_none());
    budget.close();
    assert!(budget.take(cost(1, 1), at(0.0)).is_some());
}

#[test]
fn a_pause_is_only_ever_extended_and_ends_without_a_rush() {
    let mut budget = Budget::new(limits(600, 6_000));
    budget.pause(at(10.0), cost(30, 20), at(0.0));
    budget.pause(at(5.0), cost(30, 20), at(0.0));
    assert!(budget.take(cost(1, 0), at(9.9)).is_none());
    assert!(budget.take(cost(30, 20), at(10.0)).is_some(), "the call that was refused fits");
    assert!(budget.take(cost(30, 20), at(10.0)).is_none(), "and no second one");
}

#[test]
fn new_limits_keep_the_fill_and_the_open_reservations() {
    let mut budget = Budget::new(limits(60, 600));
    assert!(budget.take(cost(25, 25), at(0.0)).is_some());
    budget.retune(limits(60, 6_000), at(0.0));
    assert_eq!(level(&budget, Dimension::TokensPerMinute, at(0.0)), 500);
    assert_eq!(budget.open(), 1);
    budget.retune(Limits::default(), at(0.0));
    assert_eq!(budget.room(cost(1_000_000, 0), Ahead::default(), at(0.0)), Room::Now);
}

#[test]
fn a_restored_budget_has_refilled_for_as_long_as_it_was_away() {
    let mut before = Budget::new(limits(60, 600));
    assert!(before.take(cost(100, 0), at(100.0)).is_some());
    before.pause(at(104.0), cost(100, 0), at(100.0));
    let saved = before.save(at(100.0));
    let mut after = Budget::new(limits(60, 600));
    after.restore(&saved, Duration::from_secs(3), at(0.0));
    assert_eq!(after.paused_until(), at(1.0));
    let mut late = Budget::new(limits(60, 600));
    late.restore(&saved, Duration::from_secs(3_600), at(0.0));
    assert_eq!(level(&late, Dimension::TokensPerMinute, at(0.0)), 100);
}

#[test]
fn a_saved_pause_of_a_century_is_held_to_a_day() {
    let saved = SavedBudget {
        paused_ms: u64::MAX,
        fill: [("tokens_per_minute".into(), f64::NEG_INFINITY)].into(),
        ..SavedBudget::default()
    };
    let mut budget = Budget::new(limits(60, 600));
    budget.restore(&saved, Duration::ZERO, at(0.0));
    assert_eq!(budget.paused_until(), at(86_400.0));
}

#[test]
fn a_refusal_for_a_minute_does_not_cost_the_day() {
    let limits = Limits {
        requests_per_day: NonZeroU32::new(1_000),
        tokens_per_day: NonZeroU32::new(1_000_000),
        ..Limits::default()
    };
    let mut budget = Budget::new(limits);
    budget.pause(at(1.0), cost(30, 20), at(0.0));
    assert_eq!(level(&budget, Dimension::RequestsPerDay, at(1.0)), 1_000);
    assert_eq!(level(&budget, Dimension::TokensPerDay, at(1.0)), 1_000_000);
}

#[test]
fn what_was_never_sent_is_undone_with_its_request() {
    let mut budget = Budget::new(limits(60, 600));
    let taken = budget.take(cost(40, 60), at(0.0)).expect("it is full");
    budget.undo(&taken, at(0.0));
    assert_eq!(level(&budget, Dimension::TokensPerMinute, at(0.0)), 100);
    assert_eq!(level(&budget, Dimension::RequestsPerMinute, at(0.0)), 10);
    assert_eq!(budget.open(), 0);
}

#[test]
fn a_limit_that_came_later_gives_nothing_back_that_was_not_taken_from_it() {
    let mut budget = Budget::new(Limits::default());
    let mut early = budget.take(cost(90, 0), at(0.0)).expect("nothing is limited");
    budget.retune(limits(60, 600), at(0.0));
    assert!(budget.take(cost(90, 0), at(0.0)).is_some());
    budget.correct(&mut early, cost(0, 0), at(0.0));
    assert_eq!(level(&budget, Dimension::TokensPerMinute, at(0.0)), 10);
}

#[test]
fn a_reload_without_a_change_leaves_the_bucket_and_its_reservations_alone() {
    let mut budget = Budget::new(limits(60, 600));
    let mut taken = budget.take(cost(90, 0), at(0.0)).expect("it is full");
    budget.retune(limits(60, 600), at(0.0));
    budget.correct(&mut taken, cost(0, 0), at(0.0));
    assert_eq!(level(&budget, Dimension::TokensPerMinute, at(0.0)), 100);
}

#[test]
fn what_was_taken_beyond_the_truth_while_it_came_is_given_back() {
    let check = |settled: f64, expected: i64| {
        let mut budget = Budget::new(Limits {
            output_tokens_per_minute: NonZeroU32::new(600),
            burst_tokens: NonZeroU32::new(600),
            ..Limits::default()
        });
        let mut taken = budget.take(cost(0, 10), at(0.0)).expect("it is full");
        for (nth, output) in (20..=400).step_by(4).enumerate() {
            budget.correct(&mut taken, cost(0, output), at(0.001 * nth as f64));
        }
        budget.correct(&mut taken, cost(0, 300), at(settled));
        let left = level(&budget, Dimension::OutputTokensPerMinute, at(settled));
        assert_eq!(left, expected, "settled after {settled} s");
    };
    check(0.15, 600 - 300 + 1);
    check(20.0, 600 - 300 + 200);
    // Full again, it would have been full anyway.
    check(60.0, 600);
}
