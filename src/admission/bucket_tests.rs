//! What a bucket promises, in exact time.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const MINUTE: Duration = Duration::from_secs(60);

fn rate(limit: u32, burst: u32) -> Rate {
    let not_zero = |number| NonZeroU32::new(number).expect("a test names no zero");
    Rate { limit: not_zero(limit), window: MINUTE, burst: not_zero(burst) }
}

fn at(seconds: f64) -> Moment {
    Moment::START + Duration::from_secs_f64(seconds)
}

#[test]
fn a_full_bucket_grants_its_burst_and_then_the_rate() {
    let mut bucket = Bucket::new(rate(600, 100));
    assert_eq!(bucket.take(100, 1, at(0.0)), Ok(()));
    assert_eq!(bucket.take(1, 1, at(0.0)), Err(NotBefore(at(0.1))));
    assert_eq!(bucket.take(1, 1, at(0.1)), Ok(()));
    assert_eq!(bucket.take(50, 1, at(0.1)), Err(NotBefore(at(5.1))));
    assert_eq!(bucket.level(at(5.1)), 50);
}

#[test]
fn a_refund_is_exact_and_never_overfills() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.take(80, 1, at(0.0)).expect("it is full");
    bucket.refund(30, 1, at(0.0));
    assert_eq!(bucket.level(at(0.0)), 50);
    bucket.refund(1_000, 1, at(0.0));
    assert_eq!(bucket.level(at(0.0)), 100);
    assert_eq!(bucket.take(101, 1, at(0.0)), Ok(()), "a call above the burst takes a full bucket");
}

#[test]
fn a_call_above_the_burst_waits_for_a_full_bucket_and_leaves_it_in_debt() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.take(10, 1, at(0.0)).expect("it is full");
    assert_eq!(bucket.take(300, 1, at(0.0)), Err(NotBefore(at(1.0))));
    assert_eq!(bucket.take(300, 1, at(1.0)), Ok(()));
    assert_eq!(bucket.level(at(1.0)), -200);
    assert_eq!(bucket.ready_at(1, 0, at(1.0)), at(21.1));
}

#[test]
fn a_charge_goes_into_debt_that_is_paid_off_at_the_rate() {
    let mut bucket = Bucket::new(rate(60, 10));
    bucket.charge(25, 1, at(0.0));
    assert_eq!(bucket.level(at(0.0)), -15);
    assert_eq!(bucket.level(at(15.0)), 0);
    assert_eq!(bucket.level(at(100.0)), 10);
}

#[test]
fn a_drained_bucket_holds_what_the_provider_left_at_that_moment() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.drain_until(at(10.0), 30, 1, at(0.0));
    assert_eq!(bucket.level(at(10.0)), 30);
    bucket.drain_until(at(1.0), 100, 2, at(0.0));
    assert_eq!(bucket.level(at(10.0)), 30, "a shorter wait does not cut a longer one short");
}

#[test]
fn the_fill_survives_a_change_of_rate() {
    let mut old = Bucket::new(rate(600, 100));
    old.take(75, 1, at(0.0)).expect("it is full");
    let mut new = Bucket::new(rate(6_000, 1_000));
    new.set_fill(old.fill(at(0.0)), at(0.0));
    assert_eq!(new.level(at(0.0)), 250);
    new.set_fill(f64::NAN, at(0.0));
    assert_eq!(new.level(at(0.0)), 0);
}

#[test]
fn time_without_the_process_refills() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.charge(120, 1, at(0.0));
    bucket.rest(Duration::from_secs(5), at(0.0));
    assert_eq!(bucket.level(at(0.0)), 30);
    bucket.rest(Duration::MAX, at(0.0));
    assert_eq!(bucket.level(at(0.0)), 100);
}

#[test]
fn the_fastest_limit_is_kept_to_a_thousandth() {
    let mut bucket = Bucket::new(rate(1_000_000_000, 1));
    let mut now = at(0.0);
    let mut taken = 0_u64;
    while now < at(0.001) {
        match bucket.take(1, 1, now) {
            Ok(()) => taken += 1,
            Err(NotBefore(next)) => now = next,
        }
    }
    let allowed = 1_000_000_000 / 60 / 1_000;
    assert!((allowed * 97 / 100..=allowed + 1).contains(&taken), "{taken} of {allowed}");
}

#[test]
fn nothing_overflows_at_the_ends_of_the_scale() {
    let mut bucket = Bucket::new(rate(1, 1));
    let end = Moment::from_nanos(u64::MAX);
    bucket.charge(u64::MAX, 1, at(0.0));
    assert!(bucket.level(at(0.0)) < 0);
    assert!(bucket.ready_at(u64::MAX, u64::MAX, end) >= end);
    bucket.drain_until(end, u64::MAX, 2, end);
    bucket.refund(u64::MAX, 1, at(0.0));
    assert_eq!(bucket.take(0, 1, end), Ok(()));
}

proptest! {
    #[test]
    fn what_is_refused_now_is_granted_at_the_moment_that_was_named(
        limit in 1_u32..5_000_000, part in 1_u32..100, first in 0_u64..100_000, then in 1_u64..100_000,
    ) {
        let burst = (limit / part).max(1);
        let mut bucket = Bucket::new(rate(limit, burst));
        bucket.charge(first, 1, at(1.0));
        if let Err(NotBefore(moment)) = bucket.take(then, 1, at(1.0)) {
            prop_assert!(moment > at(1.0));
            let just_before = Moment::from_nanos(moment.as_nanos() - 1);
            prop_assert!(bucket.take(then, 1, just_before).is_err(), "it would have been granted earlier");
            prop_assert_eq!(bucket.take(then, 1, moment), Ok(()));
        }
    }

    #[test]
    fn never_more_than_the_burst_and_the_rate_whenever_the_rest_is_given_back(
        limit in 60_u32..1_000_000, part in 1_u32..60,
        steps in prop::collection::vec((0_u64..4_000, 1_u64..5_000, 0_u64..=100, 0_usize..6), 1..120),
    ) {
        let burst = (limit / part).max(1);
        let mut bucket = Bucket::new(rate(limit, burst));
        let mut now = at(0.0);
        // What each take has used in the end, and those whose end is still to come.
        let (mut used, mut open) = (Vec::new(), VecDeque::new());
        for (order, (pause, units, unused_percent, open_max)) in (1..).zip(steps) {
            now = now + Duration::from_millis(pause);
            let units = units.min(u64::from(burst));
            if bucket.take(units, order, now).is_ok() {
                let unused = units * unused_percent / 100;
                used.push((now, units - unused));
                open.push_back((order, unused));
            }
            while open.len() > open_max {
                let middle = open.len() / 2;
                let (order, unused) = open.remove(middle).expect("it is within");
                bucket.refund(unused, order, now);
            }
        }
        for (first, (began, _)) in used.iter().enumerate() {
            let mut sum = 0;
            for (taken_at, units) in &used[first..] {
                sum += units;
                let allowed = f64::from(burst) + f64::from(limit) * taken_at.since(*began).as_secs_f64() / 60.0;
                prop_assert!(sum as f64 <= allowed + 1.0, "{sum} of {allowed}");
            }
        }
    }
}

#[test]
fn what_is_given_back_after_the_bucket_was_full_again_runs_over() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.take(100, 1, at(0.0)).expect("it is full");
    bucket.take(100, 2, at(10.0)).expect("it is full again");
    bucket.refund(100, 1, at(10.0));
    assert_eq!(bucket.level(at(10.0)), 0);
    bucket.refund(60, 2, at(12.0));
    assert_eq!(bucket.level(at(12.0)), 80, "what was taken since comes back");
}

#[test]
fn what_is_given_back_is_what_would_still_be_there() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.take(100, 1, at(0.0)).expect("it is full");
    bucket.take(70, 2, at(7.0)).expect("70 have come back");
    bucket.refund(100, 1, at(7.0));
    assert_eq!(bucket.level(at(7.0)), 30, "without the first take 70 of the 100 would have run over");
}

#[test]
fn nothing_flows_back_into_a_bucket_that_the_provider_has_drained_since() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.take(50, 1, at(0.0)).expect("it is full");
    bucket.drain_until(at(10.0), 30, 2, at(1.0));
    bucket.refund(50, 1, at(2.0));
    assert_eq!(bucket.level(at(10.0)), 30);
}

#[test]
fn a_nonsensical_charge_is_forgotten_after_a_hundred_windows() {
    let mut bucket = Bucket::new(rate(600, 100));
    bucket.charge(u64::MAX, 1, at(0.0));
    assert!(bucket.ready_at(1, 0, at(0.0)) <= at(100.0 * 60.0 + 1.0));
}

#[test]
fn a_long_past_is_remembered_in_little() {
    let mut bucket = Bucket::new(rate(4_000_000_000, 4_000_000_000));
    for order in 1..=10 * DIPS_MAX as u64 {
        bucket.take(1_000, order, at(0.0)).expect("it is large");
    }
    assert!(bucket.dips.len() <= DIPS_MAX);
    let before = bucket.level(at(0.0));
    bucket.refund(1_000, 10 * DIPS_MAX as u64, at(0.0));
    assert_eq!(bucket.level(at(0.0)), before + 1_000);
}
