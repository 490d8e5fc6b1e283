//! The headers of every vendor as they were captured, and values that are no numbers.

use super::*;
use http::{HeaderName, HeaderValue};

/// 2025-08-21T12:40:00Z.
pub(super) const NOW: WallTime = WallTime(1_755_780_000_000);

pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

/// One reading a line: `tokens_per_minute 29000/30000 in 2000ms`, with `~1000` behind a grain that is not 1.
fn shown(readings: &[Reading]) -> Vec<String> {
    let units = |units: Option<u64>| units.map_or("?".to_owned(), |units| units.to_string());
    let show = |reading: &Reading| {
        let Reading { dimension, limit, remaining, full_in, grain } = reading;
        let full_in = full_in.map_or_else(String::new, |wait| format!(" in {}ms", wait.as_millis()));
        let grain = if *grain == 1 { String::new() } else { format!(" ~{grain}") };
        format!("{} {}/{}{full_in}{grain}", dimension.name(), units(*remaining), units(*limit))
    };
    readings.iter().map(show).collect()
}

fn check_daily(daily: bool, lines: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(shown(&readings(&headers(lines), NOW, daily)), expected, "{lines:?}");
    let backwards: Vec<_> = lines.iter().rev().copied().collect();
    assert_eq!(shown(&readings(&headers(&backwards), NOW, daily)), expected, "{backwards:?}");
}

fn check(lines: &[(&str, &str)], expected: &[&str]) {
    check_daily(false, lines, expected);
}

#[test]
fn openai() {
    check(
        &[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-limit-tokens", "30,000"),
            ("x-ratelimit-remaining-tokens", "29,000"),
            ("x-ratelimit-reset-tokens", "2s"),
        ],
        &["requests_per_minute 499/500 in 120ms", "tokens_per_minute 29000/30000 in 2000ms"],
    );
    // Low tiers tell of the requests of a day.
    check(
        &[
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "8.64s"),
        ],
        &["requests_per_day 9999/10000 in 8640ms"],
    );
    check(
        &[
            ("x-ratelimit-limit-requests", "200"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "24h0m0s"),
        ],
        &["requests_per_day 0/200 in 86400000ms"],
    );
    // The project's limit, where it is the tighter one, and where each has what is less.
    check(
        &[
            ("x-ratelimit-limit-tokens", "100000"),
            ("x-ratelimit-remaining-tokens", "500"),
            ("x-ratelimit-reset-tokens", "59.7s"),
            ("x-ratelimit-limit-project-tokens", "30000"),
            ("x-ratelimit-remaining-project-tokens", "29000"),
            ("x-ratelimit-reset-project-tokens", "2s"),
        ],
        &["tokens_per_minute 500/30000 in 59700ms"],
    );
    check(
        &[
            ("x-ratelimit-limit-tokens", "100000"),
            ("x-ratelimit-remaining-tokens", "99000"),
            ("x-ratelimit-reset-tokens", "600ms"),
            ("x-ratelimit-limit-project-tokens", "30000"),
            ("x-ratelimit-remaining-project-tokens", "15000"),
            ("x-ratelimit-reset-project-tokens", "30s"),
        ],
        &["tokens_per_minute 15000/30000 in 30000ms"],
    );
    // The example of OpenAI's own document, whose reset cannot be that bucket's.
    check(
        &[
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ],
        &["tokens_per_minute 149984/150000"],
    );
}

#[test]
fn azure() {
    check(
        &[
            ("x-ratelimit-limit-tokens", "120000"),
            ("x-ratelimit-remaining-tokens", "119000"),
            ("x-ratelimit-remaining-requests", "118"),
            ("x-ratelimit-reset-tokens", "57"),
        ],
        &["requests_per_minute 118/?", "tokens_per_minute 119000/120000 in 57000ms"],
    );
    check(
        &[("x-ratelimit-remaining-tokens", "7"), ("x-rate-limit-reset-tokens", "9")],
        &["tokens_per_minute 7/? in 9000ms"],
    );
    // The counter of a slice of ten seconds is reset by the clock: no day.
    check(
        &[
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "599"),
            ("x-ratelimit-reset-requests", "10"),
        ],
        &["requests_per_minute 599/600 in 10000ms"],
    );
    check(
        &[
            ("x-ratelimit-limit-tokens", "-1"),
            ("x-ratelimit-remaining-tokens", "-1"),
            ("x-ratelimit-reset-tokens", "0"),
            ("x-ratelimit-remaining-requests", "0"),
        ],
        &[],
    );
}

const ANTHROPIC: &[(&str, &str)] = &[
    ("anthropic-ratelimit-requests-limit", "50"),
    ("anthropic-ratelimit-requests-remaining", "49"),
    ("anthropic-ratelimit-requests-reset", "2025-08-21T12:40:02Z"),
    ("anthropic-ratelimit-tokens-limit", "48000"),
    ("anthropic-ratelimit-tokens-remaining", "40000"),
    ("anthropic-ratelimit-tokens-reset", "2025-08-21T12:40:12Z"),
    ("anthropic-ratelimit-input-tokens-limit", "40000"),
    ("anthropic-ratelimit-input-tokens-remaining", "32000"),
    ("anthropic-ratelimit-input-tokens-reset", "2025-08-21T12:40:12Z"),
    ("anthropic-ratelimit-output-tokens-limit", "8000"),
    ("anthropic-ratelimit-output-tokens-remaining", "8000"),
    ("anthropic-ratelimit-output-tokens-reset", "2025-08-21T12:40:00Z"),
    ("anthropic-priority-input-tokens-limit", "7"),
    ("anthropic-priority-input-tokens-remaining", "7"),
    ("anthropic-fast-input-tokens-limit", "9"),
];

#[test]
fn anthropic() {
    let expected = [
        "requests_per_minute 49/50 in 2000ms",
        "tokens_per_minute 40000/48000 in 12000ms ~1000",
        "input_tokens_per_minute 32000/40000 in 12000ms ~1000",
        "output_tokens_per_minute 8000/8000 in 0ms ~1000",
    ];
    check(ANTHROPIC, &expected);
    // Its own date counts, be our clock hours off; without it no wait can be believed.
    let dated: Vec<_> =
        ANTHROPIC.iter().copied().chain([("date", "Thu, 21 Aug 2025 12:40:00 GMT")]).collect();
    for hours in [-5_i64, -1, 1, 7] {
        let ours = WallTime(NOW.0.saturating_add_signed(hours * 3_600_000));
        assert_eq!(shown(&readings(&headers(&dated), ours, false)), expected, "{hours}");
        let undated = readings(&headers(ANTHROPIC), ours, false);
        assert!(undated.iter().all(|reading| reading.full_in.is_none_or(|wait| wait.is_zero())), "{hours}");
    }
    // An instant that has passed says nothing where something is used.
    check(
        &[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2025-08-21T12:39:59Z"),
        ],
        &["requests_per_minute 49/50"],
    );
    check(
        &[
            ("anthropic-ratelimit-unified-5h-status", "allowed"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.4"),
            ("anthropic-ratelimit-unified-5h-reset", "1755790000"),
            ("anthropic-ratelimit-unified-fallback-percentage", "0.5"),
        ],
        &[],
    );
}

#[test]
fn groq() {
    check(
        &[
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-requests", "14370"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ],
        &["requests_per_day 14370/14400 in 179560ms", "tokens_per_minute 17997/18000 in 7660ms"],
    );
    // Where nothing is used nothing can be told but by who it is.
    let unused = [
        ("x-ratelimit-limit-requests", "14400"),
        ("x-ratelimit-remaining-requests", "14400"),
        ("x-ratelimit-reset-requests", "0s"),
    ];
    check_daily(true, &unused, &["requests_per_day 14400/14400 in 0ms"]);
    check_daily(false, &unused, &["requests_per_minute 14400/14400 in 0ms"]);
    check_daily(true, &[("x-ratelimit-limit-requests", "14400")], &["requests_per_day ?/14400"]);
}

#[test]
fn mistral() {
    check(
        &[
            ("x-ratelimit-limit-req-minute", "60"),
            ("x-ratelimit-remaining-req-minute", "59"),
            ("x-ratelimit-limit-tokens-minute", "500000"),
            ("x-ratelimit-remaining-tokens-minute", "499000"),
            ("x-ratelimit-limit-tokens-month", "1000000000"),
            ("x-ratelimit-remaining-tokens-month", "7"),
            ("x-ratelimit-tokens-query-cost", "12"),
        ],
        &["requests_per_minute 59/60", "tokens_per_minute 499000/500000"],
    );
    check(
        &[
            ("x-ratelimitbysize-limit-minute", "500000"),
            ("x-ratelimitbysize-remaining-minute", "499000"),
            ("x-ratelimitbysize-limit-month", "5"),
            ("ratelimitbysize-reset", "43"),
        ],
        &["tokens_per_minute 499000/500000 in 43000ms"],
    );
    let none = headers(&[("x-ratelimit-limit-req-minute", "0"), ("x-ratelimit-remaining-req-minute", "0")]);
    assert!(readings(&none, NOW, false).is_empty());
    assert!(allows_nothing(&none));
    assert!(!allows_nothing(&headers(&[("x-ratelimit-limit-requests", "0")])), "others do not count then");
}

#[test]
fn together() {
    check(
        &[
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset", "1"),
            ("x-tokenlimit-limit", "3000"),
            ("x-tokenlimit-remaining", "2900"),
        ],
        &["requests_per_minute ?/600", "tokens_per_minute ?/180000"],
    );
    check(&[("x-tokenlimit-limit", "5000"), ("x-ratelimit-reset", "40000")], &[]);
}

#[test]
fn fireworks() {
    check(
        &[
            ("x-ratelimit-limit-tokens-prompt", "900000"),
            ("x-ratelimit-remaining-tokens-prompt", "899000"),
            ("x-ratelimit-limit-tokens-generated", "36000"),
            ("x-ratelimit-remaining-tokens-generated", "35000"),
            ("x-ratelimit-over-limit", "no"),
        ],
        &["input_tokens_per_minute 899000/900000", "output_tokens_per_minute 35000/36000"],
    );
}

#[test]
fn xai() {
    check(
        &[
            ("x-ratelimit-limit-requests", "480"),
            ("x-ratelimit-remaining-requests", "479"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-tokens", "1990000"),
            ("x-ratelimit-reset-tokens", "1755780003"),
        ],
        &["requests_per_minute 479/480", "tokens_per_minute 1990000/2000000 in 3000ms"],
    );
}

#[test]
fn openrouter() {
    let bare = |reset: &str, expected: &[&str]| {
        check(
            &[("X-RateLimit-Limit", "20"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset)],
            expected,
        );
    };
    bare("1755780042000", &["requests_per_minute 0/20 in 42000ms"]);
    bare("1755820800000", &["requests_per_day 0/20 in 40800000ms"]);
    // Neither, or of who knows what window.
    bare("1755780600000", &[]);
    bare("1758780000000", &[]);
    bare("30", &[]);
    bare("soon", &[]);
}

#[test]
fn chatgpt_plans_count_without_units() {
    check(
        &[
            ("x-codex-primary-used-percent", "43.5"),
            ("x-codex-primary-window-minutes", "300"),
            ("x-codex-primary-reset-at", "1755790000"),
            ("x-codex-credits-balance", "5"),
        ],
        &[],
    );
}

#[test]
fn what_is_no_number_is_not_read() {
    for value in [
        "",
        "-1",
        "0",
        "NaN",
        "inf",
        "-inf",
        "1e9",
        "0x10",
        "12,34",
        ",123",
        "1,,234",
        "many",
        "999999999999999999",
        "+5",
    ] {
        check(&[("x-ratelimit-limit-tokens", value)], &[]);
        check(&[("x-ratelimit-remaining-tokens", value)], &[]);
    }
    for (value, units) in
        [("1", 1_u64), ("1,234,567", 1_234_567), ("12.9", 12), ("1000000000000", 1_000_000_000_000)]
    {
        check(&[("x-ratelimit-limit-tokens", value)], &[&format!("tokens_per_minute ?/{units}")]);
    }
    // The limit alone says that nobody counts.
    check(&[("x-ratelimit-limit-tokens", "0"), ("x-ratelimit-remaining-tokens", "5000")], &[]);
    check(
        &[("x-ratelimit-limit-tokens", "10"), ("x-ratelimit-remaining-tokens", "-1")],
        &["tokens_per_minute ?/10"],
    );
    check(
        &[("x-ratelimit-limit-tokens", "10"), ("x-ratelimit-remaining-tokens", "11")],
        &["tokens_per_minute 10/10"],
    );
    // Which of two, nobody knows; the same twice is the same.
    check(&[("x-ratelimit-limit-tokens", "10"), ("x-ratelimit-limit-tokens", "20")], &[]);
    check(
        &[("x-ratelimit-limit-tokens", "10"), ("x-ratelimit-limit-tokens", "10")],
        &["tokens_per_minute ?/10"],
    );
}
