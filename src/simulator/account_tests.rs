//! The account, edge by edge, and what holds whatever comes.

use super::*;
use crate::simulator::LimitHeaders;
use proptest::prelude::*;

fn limits(requests: u64, tokens: u64, concurrent: u64) -> SimulatedLimits {
    SimulatedLimits {
        requests_per_minute: Some(requests),
        tokens_per_minute: Some(tokens),
        concurrent: Some(concurrent),
        ..SimulatedLimits::default()
    }
}

fn tokens_only(tokens: u64) -> SimulatedLimits {
    SimulatedLimits { tokens_per_minute: Some(tokens), ..SimulatedLimits::default() }
}

fn open(limits: SimulatedLimits, counting: SimulatedCounting) -> Account {
    Account::open(limits, counting, Moment::START)
}

fn usual(limits: SimulatedLimits) -> Account {
    open(limits, SimulatedCounting::default())
}

fn input(input: u64) -> Demand {
    Demand { input, ..Demand::default() }
}

fn at(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn admit(account: &mut Account, demand: Demand, now: Moment) -> Result<Charge, Denial> {
    account.admit(demand, Family::OpenAi, now)
}

#[test]
fn input_and_output_have_buckets_of_their_own_and_a_common_one() {
    let one = |input, output, both| SimulatedLimits {
        input_tokens_per_minute: input,
        output_tokens_per_minute: output,
        tokens_per_minute: both,
        ..SimulatedLimits::default()
    };
    let check = |limits: SimulatedLimits, fits: bool| {
        let demand = Demand { input: 60, cap: Some(50), ..Demand::default() };
        let admitted = admit(&mut usual(limits.clone()), demand, Moment::START);
        assert_eq!(admitted.is_ok(), fits, "{limits:?}");
    };
    check(one(Some(60), Some(50), Some(110)), true);
    check(one(Some(59), None, None), false);
    check(one(None, Some(49), None), false);
    check(one(None, None, Some(109)), false);
}

#[test]
fn a_refused_request_takes_nothing_from_any_bucket() {
    let now = Moment::START;
    let mut account = usual(limits(2, 100, 9));
    assert!(admit(&mut account, input(90), now).is_ok());
    assert!(admit(&mut account, input(20), now).is_err());
    assert!(admit(&mut account, input(10), now).is_ok());
    assert!(admit(&mut account, input(0), now).is_err());
    assert_eq!(account.busy, 2);
}

#[test]
fn a_refused_request_takes_a_request_where_it_counts_and_never_what_is_not_there() {
    let counting = SimulatedCounting { refused_count: true, ..SimulatedCounting::default() };
    let mut account = open(limits(3, 100, 9), counting);
    assert!(admit(&mut account, input(100), Moment::START).is_ok());
    for left in [1, 0, 0] {
        let denial = admit(&mut account, input(1), Moment::START).expect_err("no token is left");
        assert_eq!(account.remaining(Kind::Requests, Moment::START), Some(left));
        // A request takes 20 seconds to come back, a token less than one.
        let waits_for = if left == 0 { Kind::Requests } else { Kind::Tokens };
        assert!(matches!(denial, Denial::Reached { kind, .. } if kind == waits_for), "{denial:?}");
    }
    assert!(admit(&mut account, input(1), at(20_000)).is_ok());
}

#[test]
fn whoever_waits_as_told_is_admitted() {
    let windows = [CountingWindow::Continuous, CountingWindow::Minute, CountingWindow::Second];
    for (window, steps) in windows.into_iter().zip([1_000, 1_000, 16]) {
        let counting = SimulatedCounting {
            requests_window: window,
            tokens_window: window,
            ..SimulatedCounting::default()
        };
        let mut account = open(limits(7, 1_000, 1), counting);
        let (mut now, mut refused) = (Moment::START, 0);
        for cost in (1..=1_000).step_by(37).map(|cost| cost.min(steps)) {
            let charge = match admit(&mut account, input(cost), now) {
                Ok(charge) => charge,
                Err(denial) => {
                    refused += 1;
                    let wait = denial.wait().expect("a refusal says when");
                    let early = now + (wait - Duration::from_millis(1));
                    assert!(admit(&mut account, input(cost), early).is_err(), "{window:?} {denial:?}");
                    now = now + wait;
                    admit(&mut account, input(cost), now)
                        .unwrap_or_else(|again| panic!("{denial:?} {again:?}"))
                }
            };
            account.leave(&charge, 0, now);
        }
        assert!(refused > 2, "{window:?}");
    }
}

#[test]
fn a_place_is_free_again_when_its_holder_leaves() {
    let mut account = usual(limits(9, 9, 1));
    let charge = admit(&mut account, input(1), Moment::START).expect("nobody is there");
    let denial = admit(&mut account, input(1), Moment::START).expect_err("the only place is taken");
    assert_eq!(denial.wait(), None);
    account.leave(&charge, 0, Moment::START);
    assert!(admit(&mut account, input(1), Moment::START).is_ok());
}

#[test]
fn output_as_produced_overdraws_and_then_refuses_until_it_is_made_up_for() {
    let counting = SimulatedCounting { output: OutputCharge::AsProduced, ..SimulatedCounting::default() };
    let limits = SimulatedLimits { output_tokens_per_minute: Some(60), ..SimulatedLimits::default() };
    let mut account = open(limits, counting);
    let demand = Demand { input: 5, cap: Some(1_000), output: 90, ..Demand::default() };
    let mut charge = admit(&mut account, demand, at(0)).expect("a cap is not charged");
    assert_eq!(charge.tokens(), 5);
    let mut second = admit(&mut account, demand, at(0)).expect("nothing has been written yet");
    assert_eq!(account.wrote(&mut charge, 60, at(0)), 60);
    let denial = admit(&mut account, demand, at(0)).expect_err("all of it is written");
    assert_eq!(denial.wait(), Some(Duration::from_secs(1)));
    assert_eq!((account.wrote(&mut charge, 90, at(0)), account.wrote(&mut second, 0, at(0))), (30, 0));
    assert_eq!(account.remaining(Kind::Output, at(0)), Some(0));
    let denial = admit(&mut account, demand, at(0)).expect_err("it is in debt");
    assert_eq!(denial.wait(), Some(Duration::from_secs(31)));
    assert_eq!(account.leave(&charge, 90, at(0)), 0);
    assert!(admit(&mut account, demand, at(31_000)).is_ok());
}

#[test]
fn what_is_charged_ahead_is_given_back_only_where_that_is_the_rule() {
    for (gives_back, left) in [(false, 100), (true, 460)] {
        let counting = SimulatedCounting { gives_back, ..SimulatedCounting::default() };
        let mut account = open(tokens_only(1_000), counting);
        let demand = Demand { input: 500, cap: Some(400), output: 40, ..Demand::default() };
        let charge = admit(&mut account, demand, at(0)).expect("it fits");
        assert_eq!(account.remaining(Kind::Tokens, at(0)), Some(100));
        account.leave(&charge, 40, at(0));
        assert_eq!(account.remaining(Kind::Tokens, at(0)), Some(left));
    }
}

#[test]
fn each_family_counts_in_its_own_way_unless_another_is_chosen() {
    let demand = Demand { input: 100, cached: 40, cap: Some(50), output: 20 };
    let charged = |family, counting: &SimulatedCounting| {
        let mut account = open(tokens_only(1_000), counting.clone());
        let mut charge = account.admit(demand, family, at(0)).expect("it fits");
        account.wrote(&mut charge, 20, at(0));
        charge.tokens()
    };
    let own = SimulatedCounting::default();
    assert_eq!(charged(Family::OpenAi, &own), 100 + 50);
    assert_eq!(charged(Family::Anthropic, &own), 60 + 20);
    assert_eq!(charged(Family::Gemini, &own), 100);
    let free = SimulatedCounting { cached_input: Some(false), output: OutputCharge::Never, ..own.clone() };
    assert_eq!(charged(Family::OpenAi, &free), 60);
    let dear = SimulatedCounting { cached_input: Some(true), output: OutputCharge::AtAdmission, ..own };
    assert_eq!(charged(Family::Anthropic, &dear), 150);
}

#[test]
fn a_factor_counts_more_of_everything_but_caps() {
    let counting = SimulatedCounting { count_factor: 1.3, gives_back: true, ..SimulatedCounting::default() };
    let mut account = open(tokens_only(1_000), counting);
    let charge = admit(&mut account, Demand { input: 100, cap: Some(50), output: 30, cached: 0 }, at(0));
    let charge = charge.expect("it fits");
    assert_eq!(charge.tokens(), 130 + 50);
    assert_eq!(account.leave(&charge, 30, at(0)), 50 - 39);
    let charge = admit(&mut account, Demand { output: 40, ..Demand::default() }, at(0)).expect("it fits");
    assert_eq!(charge.tokens(), 52);
    let charge = admit(&mut account, Demand { cap: Some(50), output: 50, ..Demand::default() }, at(0));
    assert_eq!(account.leave(&charge.expect("it fits"), 50, at(0)), 0);
}

#[test]
fn another_limit_is_no_amnesty_unless_it_is_meant_as_one() {
    let mut account = usual(tokens_only(1_000));
    let charge = admit(&mut account, input(900), at(0)).expect("it fits");
    account.retune(tokens_only(500), at(0));
    assert_eq!((account.remaining(Kind::Tokens, at(0)), account.busy), (Some(50), 1));
    account.retune(limits(60, 2_000, 3), at(0));
    assert_eq!(account.remaining(Kind::Tokens, at(0)), Some(200));
    assert_eq!(account.remaining(Kind::Requests, at(0)), Some(60));
    account.renew(tokens_only(500), at(0));
    assert_eq!((account.remaining(Kind::Tokens, at(0)), account.busy), (Some(500), 1));
    account.leave(&charge, 0, at(0));
}

#[test]
fn a_day_s_limit_holds_until_the_day_is_over() {
    let limits =
        SimulatedLimits { requests_per_day: Some(2), tokens_per_day: Some(100), ..Default::default() };
    let counting = SimulatedCounting { day: Duration::from_secs(600), ..SimulatedCounting::default() };
    let mut account = open(limits, counting);
    assert!(admit(&mut account, input(60), at(0)).is_ok());
    let denial = admit(&mut account, input(60), at(1_000)).expect_err("only forty are left");
    assert_eq!(denial.wait(), Some(Duration::from_secs(599)));
    assert!(matches!(denial, Denial::Reached { kind: Kind::DailyTokens, .. }), "{denial:?}");
    assert!(admit(&mut account, input(40), at(2_000)).is_ok());
    assert!(admit(&mut account, input(60), at(599_999)).is_err());
    assert!(admit(&mut account, input(60), at(600_000)).is_ok());
}

#[test]
fn what_is_told_is_rounded_as_anthropic_does_and_left_out_where_there_is_no_name_for_it() {
    let limits = SimulatedLimits {
        requests_per_minute: Some(60),
        input_tokens_per_minute: Some(10_000),
        requests_per_day: Some(1_000),
        tokens_per_day: Some(2_000_000),
        ..SimulatedLimits::default()
    };
    let told = |limit_headers, requests_window| {
        let counting = SimulatedCounting { limit_headers, requests_window, ..SimulatedCounting::default() };
        let mut account = open(limits.clone(), counting);
        let _charge = admit(&mut account, input(2_600), at(0)).expect("it fits");
        let told = account.told(Family::OpenAi, at(0));
        told.iter().map(|told| (told.kind, told.remaining, told.grain)).collect::<Vec<_>>()
    };
    let steady = CountingWindow::Continuous;
    let openai = vec![(Kind::Requests, 59, 1), (Kind::DailyTokens, 1_997_400, 1)];
    assert_eq!(told(LimitHeaders::Own, steady), openai);
    assert_eq!(told(LimitHeaders::OpenAi, steady), openai);
    let anthropic = vec![(Kind::Requests, 59, 1), (Kind::Input, 7_000, 1_000)];
    assert_eq!(told(LimitHeaders::Anthropic, steady), anthropic);
    assert_eq!(told(LimitHeaders::Anthropic, CountingWindow::Second), anthropic[1..]);
    assert_eq!(told(LimitHeaders::None, steady), []);
}

#[derive(Clone, Debug)]
enum Step {
    Asks(u64, Option<u64>, u64),
    Writes(usize, u64),
    Leaves(usize),
    Retunes(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..400_u64, prop::option::of(0..300_u64), 0..300_u64).prop_map(|(i, cap, o)| Step::Asks(i, cap, o)),
        3 => (any::<usize>(), 0..400_u64).prop_map(|(who, tokens)| Step::Writes(who, tokens)),
        2 => any::<usize>().prop_map(Step::Leaves),
        1 => (1..2_000_u64).prop_map(Step::Retunes),
    ]
}

proptest! {
    /// At admission no bucket goes below zero, what is left is never more than the limit, and no step wraps around.
    #[test]
    fn nothing_is_let_in_that_was_not_there(
        steps in prop::collection::vec((step(), 0..5_000_u64), 1..80),
        output in prop::sample::select(vec![
            OutputCharge::Own, OutputCharge::AtAdmission, OutputCharge::AsProduced, OutputCharge::Never,
        ]),
        window in prop::sample::select(vec![
            CountingWindow::Continuous, CountingWindow::Minute, CountingWindow::Second,
        ]),
        (gives_back, refused_count) in any::<(bool, bool)>(),
        count_factor in 0.2..3.0_f64,
    ) {
        let counting = SimulatedCounting {
            output, gives_back, refused_count, count_factor,
            requests_window: window, tokens_window: window, ..SimulatedCounting::default()
        };
        let mut account = open(limits(30, 1_000, 5), counting);
        let (mut now, mut running) = (Moment::START, Vec::new());
        for (step, millis) in steps {
            now = now + Duration::from_millis(millis);
            match step {
                Step::Asks(input, cap, output) => {
                    let before = account.remaining(Kind::Tokens, now).unwrap_or(0);
                    let demand = Demand { input, cap, output, cached: 0 };
                    if let Ok(charge) = admit(&mut account, demand, now) {
                        prop_assert!(charge.tokens() <= before, "{} of {before}", charge.tokens());
                        prop_assert_eq!(account.remaining(Kind::Tokens, now), Some(before - charge.tokens()));
                        running.push((charge, 0));
                    }
                }
                Step::Writes(who, tokens) if !running.is_empty() => {
                    let who = who % running.len();
                    let (charge, written) = &mut running[who];
                    *written += tokens;
                    account.wrote(charge, *written, now);
                }
                Step::Leaves(who) if !running.is_empty() => {
                    let (charge, written) = running.swap_remove(who % running.len());
                    let back = account.leave(&charge, written, now);
                    prop_assert!(back <= charge.tokens());
                }
                Step::Writes(..) | Step::Leaves(_) => {}
                Step::Retunes(tokens) => account.retune(limits(30, tokens, 5), now),
            }
            prop_assert_eq!(account.busy, running.len() as u64);
            let limit = account.limits().tokens_per_minute.unwrap_or(0);
            prop_assert!(account.remaining(Kind::Tokens, now).is_some_and(|left| left <= limit));
        }
    }
}
