//! Every edge of the plan, and a seeded simulation of its promises.

use super::*;
use std::collections::HashSet;

const DEADLINE: Moment = Moment::from_nanos(60_000_000_000);

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

fn target(name: &str) -> TargetId {
    let (provider, model) = name.split_once('/').unwrap();
    TargetId { provider: provider.into(), model: model.into() }
}

fn plan(names: &[&str]) -> Plan {
    Plan::new(names.iter().map(|name| target(name)).collect(), RetryPolicy::default(), DEADLINE)
}

fn left(plan: &Plan) -> String {
    plan.remaining().iter().map(TargetId::to_string).collect::<Vec<_>>().join(" ")
}

fn limited(seconds: u64) -> Outcome {
    Outcome::RateLimited { retry_after: Some(Duration::from_secs(seconds)), window: Window::Minute }
}

fn failing(seconds: Option<u64>) -> Outcome {
    Outcome::ServerError { retry_after: seconds.map(Duration::from_secs) }
}

/// Plays `(target, outcome)` at ten seconds with half of every jitter, and names the last step.
fn play(plan: &mut Plan, steps: &[(&str, Outcome)]) -> Next {
    steps.iter().map(|(name, outcome)| plan.on(&target(name), outcome, at(10), 0.5)).last().unwrap()
}

const STRIKES: [Outcome; 7] = [
    Outcome::RateLimited { retry_after: None, window: Window::Day },
    Outcome::TooLarge,
    Outcome::CredentialRefused,
    Outcome::OutOfMoney,
    Outcome::ModelMissing,
    Outcome::Unfit,
    Outcome::Forbidden,
];

const FAILURES: [Outcome; 6] = [
    Outcome::Overloaded { retry_after: None },
    Outcome::ServerError { retry_after: None },
    Outcome::Conflict { retry_after: None },
    Outcome::Unreachable,
    Outcome::Unsent,
    Outcome::TimedOut,
];

#[test]
fn served_is_the_end() {
    let mut plan = plan(&["a/m", "b/m"]);
    assert_eq!(play(&mut plan, &[("a/m", Outcome::Served)]), Next::Done);
    assert_eq!(left(&plan), "");
    assert_eq!(play(&mut plan, &[("a/m", Outcome::Unreachable)]), Next::Done, "an end stays");
}

#[test]
fn a_mistake_of_the_client_goes_back_at_once() {
    let mut plan = plan(&["a/m", "b/m"]);
    assert_eq!(play(&mut plan, &[("a/m", Outcome::Rejected)]), Next::GiveBack);
    assert_eq!(left(&plan), "");
}

#[test]
fn a_429_keeps_its_target_in_place() {
    let mut plan = plan(&["a/m", "b/m"]);
    assert_eq!(play(&mut plan, &[("a/m", limited(20))]), Next::WaitForRoom);
    assert_eq!(left(&plan), "a/m b/m");
    assert_eq!(plan.attempts(), 0);
}

#[test]
fn a_429_beyond_the_deadline_waits_only_for_others() {
    assert_eq!(play(&mut plan(&["a/m"]), &[("a/m", limited(49))]), Next::WaitForRoom);
    assert_eq!(play(&mut plan(&["a/m"]), &[("a/m", limited(50))]), Next::Exhausted);
    assert_eq!(play(&mut plan(&["a/m", "b/m"]), &[("a/m", limited(50))]), Next::WaitForRoom);
}

#[test]
fn endless_429s_come_to_an_end() {
    let mut plan = plan(&["a/m", "b/m"]);
    let waits = (0..2_000).take_while(|_| play(&mut plan, &[("a/m", limited(0))]) == Next::WaitForRoom);
    assert_eq!(waits.count(), 1_000);
}

#[test]
fn a_target_that_cannot_serve_is_struck() {
    for outcome in STRIKES {
        let mut plan = plan(&["a/m", "b/m"]);
        assert_eq!(play(&mut plan, &[("a/m", outcome)]), Next::MoveOn, "{outcome:?}");
        assert_eq!(left(&plan), "b/m");
        let end = if outcome.has_answer() { Next::GiveBack } else { Next::Exhausted };
        assert_eq!(play(&mut plan, &[("b/m", outcome)]), end, "{outcome:?}");
    }
}

#[test]
fn a_refused_account_is_struck_with_all_its_models() {
    for outcome in [Outcome::CredentialRefused, Outcome::OutOfMoney] {
        let mut plan = plan(&["a/one", "b/m", "a/two"]);
        play(&mut plan, &[("a/one", outcome)]);
        assert_eq!(left(&plan), "b/m");
    }
    let mut plan = plan(&["a/one", "b/m", "a/two"]);
    play(&mut plan, &[("a/one", Outcome::ModelMissing)]);
    assert_eq!(left(&plan), "b/m a/two");
}

#[test]
fn a_failed_target_goes_to_the_end() {
    for outcome in FAILURES {
        let mut plan = plan(&["a/m", "b/m", "c/m"]);
        assert_eq!(play(&mut plan, &[("a/m", outcome)]), Next::MoveOn, "{outcome:?}");
        assert_eq!(left(&plan), "b/m c/m a/m");
    }
}

#[test]
fn when_all_have_failed_they_are_tried_again_after_the_backoff() {
    let mut plan = plan(&["a/m", "b/m"]);
    assert_eq!(
        play(&mut plan, &[("a/m", failing(None)), ("b/m", failing(None))]),
        Next::RetryAt(at(10) + Duration::from_millis(250))
    );
    assert_eq!(left(&plan), "a/m b/m");
    assert_eq!(play(&mut plan, &[("a/m", failing(None))]), Next::MoveOn, "a new round");
    assert_eq!(play(&mut plan, &[("b/m", failing(None))]), Next::GiveBack, "four attempts");
}

#[test]
fn a_target_that_fails_twice_before_the_others_is_not_tried_at_once() {
    let mut plan = plan(&["a/m", "b/m"]);
    let next = play(&mut plan, &[("a/m", failing(None)), ("a/m", failing(None))]);
    assert_eq!(next, Next::RetryAt(at(10) + Duration::from_millis(250)));
    assert_eq!(left(&plan), "b/m a/m");
}

#[test]
fn what_failed_waits_even_if_the_others_were_struck() {
    let mut plan = plan(&["a/m", "b/m"]);
    let next = play(&mut plan, &[("a/m", failing(None)), ("b/m", Outcome::ModelMissing)]);
    assert_eq!(next, Next::RetryAt(at(10) + Duration::from_millis(250)));
    assert_eq!(left(&plan), "a/m");
}

#[test]
fn the_only_target_is_tried_again_until_the_attempts_are_used_up() {
    for outcome in FAILURES {
        let mut plan = plan(&["a/m"]);
        for millis in [250, 500, 1_000] {
            let expected = Next::RetryAt(at(10) + Duration::from_millis(millis));
            assert_eq!(play(&mut plan, &[("a/m", outcome)]), expected, "{outcome:?}");
        }
        let last = if outcome.has_answer() { Next::GiveBack } else { Next::Exhausted };
        assert_eq!(play(&mut plan, &[("a/m", outcome)]), last, "{outcome:?}");
    }
}

#[test]
fn a_429_between_failures_uses_up_no_attempt() {
    let mut plan = plan(&["a/m"]);
    for _ in 0..3 {
        assert!(matches!(play(&mut plan, &[("a/m", failing(None))]), Next::RetryAt(_)));
        assert_eq!(play(&mut plan, &[("a/m", limited(1))]), Next::WaitForRoom);
    }
    assert_eq!(play(&mut plan, &[("a/m", failing(None))]), Next::GiveBack);
}

#[test]
fn the_providers_own_wait_is_kept_and_a_little_spread() {
    let mut one = plan(&["a/m"]);
    let next = play(&mut one, &[("a/m", failing(Some(7)))]);
    assert_eq!(next, Next::RetryAt(at(17) + Duration::from_millis(250)));
    let mut two = plan(&["a/m", "b/m"]);
    let next = play(&mut two, &[("a/m", failing(Some(7))), ("b/m", failing(Some(3)))]);
    assert_eq!(next, Next::RetryAt(at(17) + Duration::from_millis(250)), "nobody is asked too early");
}

#[test]
fn a_wait_beyond_the_deadline_strikes_the_target() {
    let mut two = plan(&["a/m", "b/m"]);
    assert_eq!(play(&mut two, &[("a/m", failing(Some(50)))]), Next::MoveOn);
    assert_eq!(left(&two), "b/m");
    assert_eq!(play(&mut plan(&["a/m"]), &[("a/m", failing(Some(50)))]), Next::GiveBack);
    let late = plan(&["a/m"]).on(&target("a/m"), &Outcome::Unreachable, at(60), 0.5);
    assert_eq!(late, Next::Exhausted);
}

#[test]
fn a_target_is_named_once() {
    assert_eq!(left(&plan(&["a/m", "b/m", "a/m"])), "a/m b/m");
}

fn any_outcome(random: &mut fastrand::Rng) -> Outcome {
    let retry_after = random.bool().then(|| Duration::from_millis(random.u64(0..40_000)));
    match random.u8(0..20) {
        0 => Outcome::Served,
        1 => Outcome::Rejected,
        2..=6 => Outcome::RateLimited { retry_after, window: Window::Minute },
        7..=10 => STRIKES[random.usize(0..STRIKES.len())],
        11..=13 => Outcome::Overloaded { retry_after },
        14..=16 => Outcome::ServerError { retry_after },
        n => FAILURES[usize::from(n) % FAILURES.len()],
    }
}

#[test]
fn whatever_providers_answer_a_plan_ends_and_keeps_its_word() {
    for seed in 0..256 {
        let mut random = fastrand::Rng::with_seed(seed);
        let names = ["a/one", "a/two", "b/one", "c/one", "d/one"];
        let mut plan = plan(&names[..random.usize(1..=names.len())]);
        let mut struck = HashSet::new();
        let (mut now, mut attempts, mut steps) = (Moment::START, 0, 0);
        let end = loop {
            steps += 1;
            assert!(steps <= 2_000, "seed {seed} does not end");
            let before = plan.remaining().to_vec();
            assert!(before.iter().all(|target| !struck.contains(target)), "seed {seed}");
            // The desk takes any of them, as their room will have it.
            let target = before[random.usize(0..before.len())].clone();
            let outcome = any_outcome(&mut random);
            attempts += u32::from(!matches!(outcome, Outcome::RateLimited { .. } | Outcome::Unfit));
            assert!(attempts <= RetryPolicy::default().attempts_max, "seed {seed}");
            now = now + Duration::from_millis(random.u64(0..500));
            let next = plan.on(&target, &outcome, now, random.f64());
            struck.extend(before.into_iter().filter(|target| !plan.remaining().contains(target)));
            if let Next::RetryAt(moment) = next {
                assert!(moment >= now && moment < DEADLINE, "seed {seed}");
                now = moment;
            }
            assert_eq!(next.is_end(), plan.remaining().is_empty(), "seed {seed}");
            if next.is_end() {
                break next;
            }
        };
        let again = plan.on(&target("a/one"), &failing(None), now, 0.0);
        assert_eq!((again, plan.remaining().len(), plan.attempts()), (end, 0, attempts), "seed {seed}");
    }
}

#[test]
fn who_could_not_be_asked_costs_no_attempt() {
    let mut plan = plan(&["a/m", "b/m", "c/m"]);
    let unfit = |name| (name, Outcome::Unfit);
    assert_eq!(play(&mut plan, &[unfit("a/m"), unfit("b/m")]), Next::MoveOn);
    assert_eq!((plan.attempts(), left(&plan).as_str()), (0, "c/m"));
    assert_eq!(play(&mut plan, &[unfit("c/m")]), Next::Exhausted);
}
