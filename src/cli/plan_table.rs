//! The report of a dry run, for a person and for a program.

use super::terminal::grouped;
use crate::daemon::{PlanQuestion, PlanReport, PlannedProvider};
use crate::units::show_duration;
use serde_json::{Value, json};
use std::time::Duration;

/// The width of the first column: the longest name of a limit, and a gap.
const NAME_WIDTH: usize = 26;

/// For a person.
pub(super) fn table(question: &PlanQuestion, report: &PlanReport) -> String {
    let mut lines = Vec::new();
    let exchanges = report.providers.values().map(|planned| planned.waiting.exchanges).sum();
    let span = report.span.map(|(first, end)| end.since(first)).unwrap_or_default();
    let mut head = format!("{} exchanges over {}", grouped(exchanges), shown(span));
    if question.times != 1_000 {
        head.push_str(&format!(", {} times as dense", thousandths(question.times)));
    }
    head.push_str(&format!(", waiting at most {}", shown(question.queue.max_wait)));
    lines.push(head);
    if report.out_of_order > 0 {
        lines.push(format!(
            "{} of them are taken a little later than they came",
            grouped(report.out_of_order)
        ));
    }
    for (name, planned) in &report.providers {
        lines.push(String::new());
        lines.extend(section(name, planned, question.goal));
    }
    lines.join("\n") + "\n"
}

fn section(name: &str, planned: &PlannedProvider, goal: Option<Duration>) -> Vec<String> {
    let (waiting, returning) = (&planned.waiting, &planned.returning);
    let given = planned.limits.given();
    let mut lines = vec![match given.is_empty() {
        true => format!("{name}, without a limit"),
        false => format!("{name}, with {}", listed(&given)),
    }];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<NAME_WIDTH$}{text}"));
    row("exchanges", format!("{}, {} tokens", grouped(waiting.exchanges), grouped(waiting.tokens.0)));
    let waits = &waiting.waits;
    let percentile = |percent| shown(waits.percentile(percent));
    row(
        "wait for room",
        format!(
            "p50 {}, p90 {}, p99 {}, longest {}",
            percentile(50),
            percentile(90),
            percentile(99),
            shown(waits.longest())
        ),
    );
    row(
        "waited at all",
        format!("{} ({})", grouped(waits.waited()), percent_of(waits.waited(), waiting.exchanges)),
    );
    let reasons = [
        (waiting.too_late, "would have waited too long"),
        (waiting.queue_full, "found the queue full"),
        (waiting.too_large, "are larger than a limit"),
    ];
    let reasons = reasons.into_iter().filter(|(count, _)| *count > 0);
    let reasons: Vec<String> = reasons.map(|(count, why)| format!("{} {why}", grouped(count))).collect();
    row("refused", if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") });
    for used in &waiting.uses {
        let (mean, busiest) = (percent(used.mean_permille), percent(used.busiest_permille));
        let window = if used.dimension.name().ends_with("_day") { "day" } else { "minute" };
        row(used.dimension.name(), format!("{mean} used on average, {busiest} in the busiest {window}"));
    }
    row("at a time", format!("{} at most", grouped(waiting.open_max)));
    row(
        "without waiting",
        match returning.turned_away + returning.too_large {
            0 => "no 429".to_owned(),
            refusals => format!(
                "{} times 429; {} exchanges fail, tried three times each",
                grouped(refusals),
                grouped(returning.refused())
            ),
        },
    );
    if let Some(goal) = goal {
        let found = match planned.least {
            None => "not looked for: the log is too long to keep".to_owned(),
            Some(None) if given.is_empty() => "without a limit nobody waits".to_owned(),
            Some(None) => "none found by scaling those given".to_owned(),
            Some(Some(least)) => listed(&least.given()),
        };
        row(&format!("least for p99 {}", shown(goal)), found);
    }
    lines
}

/// For a program. Times in milliseconds, use in thousandths of the limit.
pub(super) fn json(question: &PlanQuestion, report: &PlanReport) -> String {
    let providers = report.providers.iter().map(|(name, planned)| (name.clone(), object(planned)));
    let providers: serde_json::Map<String, Value> = providers.collect();
    let value = json!({
        "first_ms": report.span.map(|(first, _)| first.0),
        "end_ms": report.span.map(|(_, end)| end.0),
        "times": f64::from(question.times) / 1_000.0,
        "max_wait_ms": millis(question.queue.max_wait),
        "other_lines": report.other_lines,
        "bad_lines": report.bad_lines,
        "out_of_order": report.out_of_order,
        "providers": providers,
    });
    format!("{value:#}\n")
}

fn object(planned: &PlannedProvider) -> Value {
    let (waiting, returning) = (&planned.waiting, &planned.returning);
    let limits = |given: Vec<(&'static str, u32)>| {
        let given = given.into_iter().map(|(name, limit)| (name.to_owned(), Value::from(limit)));
        Value::Object(given.collect())
    };
    let used = waiting.uses.iter().map(|used| {
        let parts = json!({"mean_permille": used.mean_permille, "busiest_permille": used.busiest_permille});
        (used.dimension.name().to_owned(), parts)
    });
    let wait = |percent| millis(waiting.waits.percentile(percent));
    json!({
        "limits": limits(planned.limits.given()),
        "exchanges": waiting.exchanges,
        "tokens": waiting.tokens.0,
        "waited_then_ms": millis(planned.waited_then),
        "waited": waiting.waits.waited(),
        "wait_ms": {"p50": wait(50), "p90": wait(90), "p99": wait(99), "max": millis(waiting.waits.longest())},
        "refused": {
            "deadline": waiting.too_late,
            "queue_full": waiting.queue_full,
            "too_large": waiting.too_large,
        },
        "used": Value::Object(used.collect()),
        "open_max": waiting.open_max,
        "without_waiting": {
            "refusals": returning.turned_away + returning.too_large,
            "failed": returning.refused(),
        },
        "least_limits": planned.least.flatten().map(|least| limits(least.given())),
    })
}

fn listed(limits: &[(&'static str, u32)]) -> String {
    let one = |(name, limit): &(&str, u32)| format!("{name} = {}", grouped(u64::from(*limit)));
    limits.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `0s`, `250ms`, `8.4s`, `1m30s`: no more digits than a person wants.
fn shown(duration: Duration) -> String {
    match duration.as_millis() {
        0..1_000 => show_duration(Duration::from_millis(millis(duration))),
        1_000..60_000 => format!("{:.1}s", duration.as_secs_f64()),
        _ => show_duration(Duration::from_secs(duration.as_secs())),
    }
}

fn thousandths(number: u32) -> String {
    format!("{}", f64::from(number) / 1_000.0)
}

fn percent(permille: u64) -> String {
    format!("{} %", permille.saturating_add(5) / 10)
}

fn percent_of(part: u64, whole: u64) -> String {
    let permille = u128::from(part) * 1_000 / u128::from(whole.max(1));
    percent(u64::try_from(permille).unwrap_or(u64::MAX))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_000, "1.0s"),
            (8_449, "8.4s"),
            (90_400, "1m30s"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(shown(Duration::from_millis(millis)), text);
        }
        assert_eq!((percent(814), percent(1_040), percent(5)), ("81 %".into(), "104 %".into(), "1 %".into()));
    }
}
