//! What a day's counter promises.

use super::*;
use crate::admission::budget::{Ahead, Budget, Cost, Dimension, Room};
use crate::admission::limits::{DayReset, Limits};

fn at(hours: f64) -> Moment {
    Moment::START + Duration::from_secs_f64(hours * 3_600.0)
}

fn day(limit: u32) -> Day {
    Day::new(NonZeroU32::new(limit).expect("a test names no zero"))
}

#[test]
fn a_day_that_is_used_up_comes_back_whole_at_its_reset_and_every_day_after() {
    let mut day = day(10);
    day.ends_at(at(5.0), at(0.0));
    assert_eq!(day.take(10, 1, at(1.0)), Ok(()));
    assert_eq!(day.take(1, 2, at(4.9)), Err(NotBefore(at(5.0))));
    assert_eq!(day.take(10, 3, at(5.0)), Ok(()));
    assert_eq!(day.take(1, 4, at(5.1)), Err(NotBefore(at(29.0))));
    assert_eq!(day.level(at(29.0)), 10);
    assert_eq!(day.ready_at(1, 0, at(100.0)), at(100.0));
}

#[test]
fn without_a_told_reset_the_day_begins_with_the_first_take() {
    let mut day = day(10);
    assert_eq!(day.take(10, 1, at(3.0)), Ok(()));
    assert_eq!(day.take(1, 2, at(4.0)), Err(NotBefore(at(27.0))));
    day.ends_at(at(6.0), at(4.0));
    assert_eq!(day.take(1, 3, at(4.0)), Err(NotBefore(at(6.0))));
}

#[test]
fn what_was_taken_before_the_reset_gives_nothing_back_after_it() {
    let mut day = day(10);
    day.ends_at(at(5.0), at(0.0));
    day.charge(8, 1, at(1.0));
    day.refund(2, 1, at(2.0));
    assert_eq!(day.level(at(2.0)), 4);
    day.refund(6, 1, at(6.0));
    day.charge(3, 2, at(6.0));
    day.refund(3, 1, at(6.0));
    assert_eq!(day.level(at(6.0)), 7);
    day.refund(1, 2, at(6.0));
    assert_eq!(day.level(at(6.0)), 8);
}

#[test]
fn a_day_is_restored_as_far_as_it_has_not_ended() {
    let restored = |elapsed: f64| {
        let mut day = day(10);
        day.restore(0.3, Duration::from_secs(3_600), Duration::from_secs_f64(elapsed * 3_600.0), at(0.0));
        (day.level(at(0.0)), day.left(at(0.0)))
    };
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
    assert_eq!(restored(0.0), (3, hours(1)));
    assert_eq!(restored(0.5), (3, Some(Duration::from_secs(1_800))));
    assert_eq!(restored(1.0), (10, hours(24)));
    assert_eq!(restored(26.0), (10, hours(23)));
}

#[test]
fn a_budget_waits_for_the_reset_and_keeps_its_day_over_a_reload_and_a_restart() {
    let limits = |requests| Limits {
        requests_per_day: NonZeroU32::new(requests),
        day: DayReset::AtReset,
        ..Limits::default()
    };
    let mut budget = Budget::new(limits(2));
    budget.day_ends(at(7.0), at(0.0));
    let first = budget.take(Cost::default(), at(1.0)).expect("nothing is used");
    assert!(budget.take(Cost::default(), at(1.0)).is_some());
    assert_eq!(budget.room(Cost::default(), Ahead::default(), at(2.0)), Room::At(at(7.0)));
    budget.pause(at(2.1), Cost::default(), at(2.0));
    budget.retune(limits(3), at(2.1));
    assert_eq!(budget.levels(at(3.0)).next(), Some((Dimension::RequestsPerDay, 3, 1)));
    let mut after = Budget::new(limits(3));
    after.restore(&budget.save(at(3.0)), Duration::from_secs(3_600), at(0.0));
    assert_eq!(after.levels(at(2.9)).next(), Some((Dimension::RequestsPerDay, 3, 1)));
    assert_eq!(after.levels(at(3.0)).next(), Some((Dimension::RequestsPerDay, 3, 3)));
    budget.undo(&first, at(3.0));
    assert_eq!(budget.levels(at(3.0)).next(), Some((Dimension::RequestsPerDay, 3, 2)));
}
