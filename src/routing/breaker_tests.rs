//! Every edge of the breaker, and a seeded simulation of its promise.

use super::*;

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

fn policy() -> BreakerPolicy {
    BreakerPolicy {
        failures: 3,
        open_for: Duration::from_secs(10),
        open_for_max: Duration::from_secs(50),
        probe_timeout: Duration::from_secs(5),
    }
}

fn tripped(now: Moment) -> Breaker {
    let mut breaker = Breaker::new(policy());
    for _ in 0..3 {
        breaker.begin(now).unwrap();
        breaker.on(Verdict::Sick, now);
    }
    breaker
}

fn check(breaker: &Breaker, expected: &str) {
    assert_eq!(breaker.to_string(), expected);
}

#[test]
fn three_failures_in_a_row_open_it() {
    let mut breaker = Breaker::new(policy());
    assert_eq!(breaker.on(Verdict::Sick, at(0)), None);
    assert_eq!(breaker.on(Verdict::Sick, at(0)), None);
    check(&breaker, "closed after 2 failures");
    let opened = breaker.on(Verdict::Sick, at(1));
    assert_eq!(opened, Some(Transition::Opened { until: at(11), trips: 1 }));
    check(&breaker, "open until 11s");
    assert_eq!(breaker.state_name(), "open");
}

#[test]
fn a_success_between_failures_starts_the_count_anew() {
    let mut breaker = Breaker::new(policy());
    for _ in 0..10 {
        breaker.on(Verdict::Sick, at(0));
        breaker.on(Verdict::Sick, at(0));
        assert_eq!(breaker.on(Verdict::Well, at(0)), None);
    }
    check(&breaker, "closed");
}

#[test]
fn a_neutral_end_neither_counts_nor_clears() {
    let mut breaker = Breaker::new(policy());
    breaker.on(Verdict::Sick, at(0));
    breaker.on(Verdict::Neutral, at(0));
    check(&breaker, "closed after 1 failures");
}

#[test]
fn an_open_breaker_says_when_to_come_back() {
    let mut breaker = tripped(at(0));
    assert!(!breaker.would_admit(at(9)));
    assert_eq!(breaker.begin(at(9)), Err(StillOpen { until: at(10) }));
    assert_eq!(breaker.next_admission(at(9)), Some(at(10)));
    assert_eq!(breaker.next_admission(at(10)), None);
}

#[test]
fn asking_does_not_take_the_probe_and_one_takes_it() {
    let mut breaker = tripped(at(0));
    assert!(breaker.would_admit(at(10)));
    assert!(breaker.would_admit(at(10)));
    assert_eq!(breaker.begin(at(10)), Ok(()));
    check(&breaker, "probing until 15s");
    assert_eq!(breaker.begin(at(11)), Err(StillOpen { until: at(15) }));
    assert!(!breaker.would_admit(at(11)));
}

#[test]
fn a_failed_probe_doubles_the_wait() {
    let mut breaker = tripped(at(0));
    breaker.begin(at(10)).unwrap();
    breaker.on(Verdict::Sick, at(11));
    check(&breaker, "open until 31s");
}

#[test]
fn the_wait_stops_doubling_at_its_maximum() {
    let mut breaker = tripped(at(0));
    let mut now = at(0);
    for wait in [10, 20, 40, 50, 50] {
        now = breaker.next_admission(now).map_or(now, |next| {
            assert_eq!(next.since(now), Duration::from_secs(wait));
            next
        });
        breaker.begin(now).unwrap();
        breaker.on(Verdict::Sick, now);
    }
    let mut ancient = Breaker::reopened(policy(), Duration::ZERO, u32::MAX, now);
    ancient.begin(now).unwrap();
    ancient.on(Verdict::Sick, now);
    assert_eq!(ancient.next_admission(now), Some(now + Duration::from_secs(50)));
}

#[test]
fn a_probe_that_ended_well_closes() {
    let mut breaker = tripped(at(0));
    breaker.begin(at(10)).unwrap();
    assert_eq!(breaker.on(Verdict::Well, at(11)), Some(Transition::Closed));
    check(&breaker, "closed");
    assert_eq!(breaker.trips(), 0);
}

#[test]
fn a_probe_that_ended_neutral_is_given_back() {
    let mut breaker = tripped(at(0));
    breaker.begin(at(10)).unwrap();
    assert_eq!(breaker.on(Verdict::Neutral, at(11)), None);
    check(&breaker, "open until 11s");
    assert_eq!(breaker.trips(), 1);
    assert_eq!(breaker.begin(at(11)), Ok(()), "the next exchange may probe at once");
}

#[test]
fn a_lost_probe_gives_way_after_its_deadline() {
    let mut breaker = tripped(at(0));
    breaker.begin(at(10)).unwrap();
    assert!(!breaker.would_admit(at(14)));
    assert!(breaker.would_admit(at(15)));
    assert_eq!(breaker.begin(at(15)), Ok(()));
    check(&breaker, "probing until 20s");
}

#[test]
fn attempts_from_before_the_opening_do_not_prolong_it() {
    let mut breaker = tripped(at(0));
    assert_eq!(breaker.on(Verdict::Sick, at(5)), None);
    assert_eq!(breaker.on(Verdict::Neutral, at(5)), None);
    check(&breaker, "open until 10s");
    assert_eq!(breaker.on(Verdict::Well, at(6)), Some(Transition::Closed));
}

#[test]
fn a_new_policy_counts_from_the_next_event() {
    let mut breaker = Breaker::new(policy());
    breaker.on(Verdict::Sick, at(0));
    breaker.set_policy(BreakerPolicy { failures: 1, ..policy() });
    assert!(matches!(breaker.on(Verdict::Sick, at(0)), Some(Transition::Opened { .. })));
}

/// A target that is sick for good: however the exchanges come, it is tried no more often than the
/// first failures and one probe a wait.
#[test]
fn a_dead_target_is_probed_no_more_than_once_a_wait() {
    for seed in 0..256 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut breaker = Breaker::new(policy());
        let mut now = Moment::START;
        let mut opened_until = None;
        let mut tries_since_open = 0;
        for _ in 0..500 {
            now = now + Duration::from_millis(random.u64(0..4_000));
            let admits = breaker.would_admit(now);
            let before = breaker;
            assert_eq!(breaker.begin(now).is_ok(), admits, "seed {seed}");
            if !admits {
                assert_eq!(breaker, before, "a refusal changes nothing, seed {seed}");
                continue;
            }
            if opened_until.is_some_and(|until| now < until) {
                panic!("admitted while open, seed {seed}");
            }
            tries_since_open += 1;
            let verdict = if random.u8(0..4) == 0 { Verdict::Neutral } else { Verdict::Sick };
            if let Some(Transition::Opened { until, trips }) = breaker.on(verdict, now) {
                assert!(until.since(now) <= Duration::from_secs(50) && trips >= 1, "seed {seed}");
                assert!(until.since(now) >= Duration::from_secs(10), "seed {seed}");
                opened_until = Some(until);
                tries_since_open = 0;
            }
            assert!(tries_since_open < 100, "never opens, seed {seed}");
        }
        assert!(opened_until.is_some(), "seed {seed}");
    }
}
