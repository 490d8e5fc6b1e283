//! What a dry run promises.

use super::*;

/// A line of an exchange that came at this second, waited, was served for a second, and cost so many tokens.
fn line(second: u64, queued: u64, tokens: u64, provider: &str) -> String {
    let end = second + queued + 1;
    format!(
        "{{\"timestamp\":\"2026-01-02T03:{:02}:{:02}Z\",\"level\":\"INFO\",\"message\":\"exchange\",\
         \"provider\":\"{provider}\",\"client\":\"session:1\",\"queue_ms\":{},\"total_ms\":{},\
         \"tokens_estimated\":{tokens},\"tokens_estimated_in\":{tokens},\"tokens_reserved\":{tokens},\
         \"tokens_in\":{tokens},\"tokens_out\":0}}\n",
        end / 60,
        end % 60,
        queued * 1_000,
        (queued + 1) * 1_000,
    )
}

fn asked(limits: &[&str]) -> PlanQuestion {
    let mut question = PlanQuestion::default();
    limits.iter().for_each(|text| question.put(&plan_limits(text).expect("well written")));
    question
}

fn report(question: &PlanQuestion, log: &str) -> PlanReport {
    plan(question, log.as_bytes()).expect("memory can be read")
}

#[test]
fn exchanges_are_taken_in_the_order_in_which_they_came() {
    // The first to end came last; the one that waited came first of all.
    let log = [line(5, 0, 10, "a"), line(0, 9, 10, "a")].concat();
    let report = report(&asked(&["tokens_per_minute=60,burst_tokens=10"]), &log);
    let planned = &report.providers["a"];
    assert_eq!(planned.waiting.waits.longest(), Duration::from_secs(5), "the later one waits now");
    assert_eq!(planned.waited_then, Duration::from_secs(9));
    assert_eq!((report.out_of_order, report.bad_lines), (0, 0));
    let (first, end) = report.span.expect("there are exchanges");
    assert_eq!(end.since(first), Duration::from_secs(10));
}

#[test]
fn each_provider_has_its_own_limits_and_the_rest_those_of_all() {
    let log = [line(0, 0, 50, "a"), line(0, 0, 50, "b"), line(0, 0, 50, "c")].concat();
    let report =
        report(&asked(&["b:tokens_per_minute=40", "tokens_per_minute=60", "c:burst_tokens=60"]), &log);
    let too_large = |name: &str| report.providers[name].waiting.too_large;
    assert_eq!(["a", "b", "c"].map(too_large), [0, 0, 0], "the last word counts");
    assert_eq!(report.providers["c"].limits.given(), [("tokens_per_minute", 60), ("burst_tokens", 60)]);
    assert_eq!(report.providers["b"].limits.given(), [("tokens_per_minute", 60)]);
}

#[test]
fn twice_the_traffic_comes_in_half_the_time() {
    let log = [line(0, 0, 10, "a"), line(10, 0, 10, "a")].concat();
    let mut question = asked(&["tokens_per_minute=60,burst_tokens=10"]);
    let longest = |question: &PlanQuestion| report(question, &log).providers["a"].waiting.waits.longest();
    assert_eq!(longest(&question), Duration::ZERO);
    question.times = 2_000;
    assert_eq!(longest(&question), Duration::from_secs(5));
    question.times = 500;
    assert_eq!(longest(&question), Duration::ZERO);
}

#[test]
fn the_least_limits_meet_the_goal_and_a_little_less_would_not() {
    let log: String = (0..300).map(|second| line(second, 0, 10, "a")).collect();
    let goal = Duration::from_secs(2);
    let mut question = asked(&["tokens_per_minute=60"]);
    question.goal = Some(goal);
    let least = report(&question, &log).providers["a"].least.flatten().expect("there are some");
    let met = |limits: Limits| {
        let question = PlanQuestion { limits_of_others: limits, ..PlanQuestion::default() };
        report(&question, &log).providers["a"].waiting.served_within(goal)
    };
    assert!(met(least), "{least:?}");
    assert!(!met(least.scaled(950)), "{least:?}");
    question.limits_of_others = Limits::default();
    assert_eq!(report(&question, &log).providers["a"].least, Some(None), "what is open has no limit to find");
}

#[test]
fn lines_that_tell_nothing_are_counted_and_end_nothing() {
    let long = format!("{{\"message\":\"exchange\",\"x\":\"{}\"}}\n", "x".repeat(200_000));
    let unended = line(1, 0, 10, "a").trim_end().to_owned();
    let log = ["tidegate 0.1.0\n\n", &line(0, 0, 10, "a"), "{\"message\":\"exchange\"}\n", &long, &unended]
        .concat();
    let report = report(&PlanQuestion::default(), &log);
    assert_eq!((report.other_lines, report.bad_lines), (2, 2));
    assert_eq!(report.first_bad.map(|(number, _)| number), Some(4));
    assert_eq!(report.providers["a"].waiting.granted, 2);
    assert_eq!(plan(&PlanQuestion::default(), &b"\xff\n"[..]).expect("memory can be read").other_lines, 1);
}

#[test]
fn limits_are_read_as_a_person_writes_them() {
    let read = plan_limits("gpu-box: tokens_per_minute=600_000, concurrent = 4").expect("well written");
    assert_eq!(read.provider.as_deref(), Some("gpu-box"));
    assert_eq!(read.limits.given(), [("tokens_per_minute", 600_000), ("concurrent", 4)]);
    for (text, wrong) in [
        ("", "is not NAME=NUMBER"),
        ("tokens_per_minute", "is not NAME=NUMBER"),
        ("tokens=1", "no limit is called `tokens`"),
        ("concurrent=0", "a number from 1"),
        ("concurrent=5000000000", "a number from 1"),
        ("a:b:concurrent=1", "no limit is called"),
    ] {
        let error = plan_limits(text).expect_err(text);
        assert!(error.contains(wrong), "{error}");
    }
}
