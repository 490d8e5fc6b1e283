//! Every form in which a wait is said, the order between them, and hostile ones.

use super::*;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

/// 2025-08-21T12:40:00Z.
const NOW: WallTime = WallTime(1_755_780_000_000);

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

fn check(lines: &[(&str, &str)], body: &str, expected_ms: Option<u64>) {
    let wait = retry_after(&headers(lines), body, NOW);
    assert_eq!(wait, expected_ms.map(Duration::from_millis), "{lines:?} {body}");
}

#[test]
fn each_header_is_read_in_each_form() {
    for (name, value, millis) in [
        ("retry-after-ms", "1500", 1_500),
        ("retry-after-ms", "0.5", 0),
        ("x-ms-retry-after-ms", "250", 250),
        ("retry-after", "7", 7_000),
        ("retry-after", "0", 0),
        ("retry-after", "2.5", 2_500),
        ("retry-after", " 30 ", 30_000),
        ("retry-after", "6m0s", 360_000),
        ("retry-after", "Thu, 21 Aug 2025 12:41:00 GMT", 60_000),
        ("retry-after", "Thursday, 21-Aug-25 12:41:00 GMT", 60_000),
        ("retry-after", "Thu, 21 Aug 2025 12:39:00 GMT", 0),
        ("retry-after", "86401", 86_400_000),
        ("retry-after", "1e30", 86_400_000),
    ] {
        let wait = retry_after(&headers(&[(name, value)]), "", NOW).unwrap();
        assert_eq!(wait.as_millis(), millis, "{name}: {value}");
    }
}

#[test]
fn what_is_no_wait_is_passed_over_for_the_next_source() {
    for value in ["-1", "NaN", "inf", "-inf", "1e999", "soon", "", "Thu, 99 Aug 2025 12:41:00 GMT"] {
        check(&[("retry-after", value)], "", None);
        check(&[("retry-after-ms", value), ("retry-after", "3")], "", Some(3_000));
        check(&[("retry-after", value)], "Please try again in 4s", Some(4_000));
    }
}

#[test]
fn the_more_exact_source_wins() {
    let all = [
        ("retry-after-ms", "1"),
        ("x-ms-retry-after-ms", "2"),
        ("retry-after", "3"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "5s"),
    ];
    check(&all, "try again in 4s", Some(1));
    check(&all[1..], "try again in 4s", Some(2));
    check(&all[2..], "try again in 4s", Some(3_000));
    check(&all[3..], "try again in 4s", Some(4_000));
    check(&all[3..], "", Some(5_000));
    check(&[], "", None);
}

#[test]
fn a_wait_is_read_from_the_words() {
    for (body, millis) in [
        ("Limit 30000, Used 1. Please try again in 6m0s. Visit", 360_000),
        ("Please try again in 5.289s.", 5_289),
        ("please TRY AGAIN IN 20ms", 20),
        ("Please retry after 37 seconds.", 37_000),
        ("Please retry in 12.3s", 12_300),
        ("try again in 1h2m3s", 3_723_000),
        ("try again in 1 hour 2 minutes 3 seconds", 3_723_000),
        ("try again in 1 minute", 60_000),
        ("try again in  500µs", 0),
        ("retry after 0s", 0),
        ("“Please try again in 5s”…", 5_000),
        ("Retry later. If not, retry in 9s", 9_000),
        (r#"{"@type":"google.rpc.RetryInfo","retryDelay": "34.074824224s"}"#, 34_074),
        (r#"{"retryDelay":"900ms"}"#, 900),
        ("try again in 9999999999999 hours", 86_400_000),
    ] {
        let wait = retry_after(&HeaderMap::new(), body, NOW).unwrap_or_else(|| panic!("{body}"));
        assert_eq!(wait.as_millis(), millis, "{body}");
    }
    for body in [
        "try again in 20 months",
        "retry in",
        "retry",
        "retry in a while",
        "try again in 1.2.3s",
        "retryDelay",
    ] {
        check(&[], body, None);
    }
}

#[test]
fn only_the_empty_bucket_counts() {
    let openai = |requests, tokens| {
        [
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-limit-tokens", "30,000"),
            ("x-ratelimit-remaining-requests", requests),
            ("x-ratelimit-remaining-tokens", tokens),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]
    };
    check(&openai("499", "0"), "", Some(360_000));
    check(&openai("0", "12,345"), "", Some(120));
    check(&openai("0", "0"), "", Some(360_000));
    check(&openai("499", "3"), "", None);
}

#[test]
fn a_bucket_that_is_not_tracked_says_nothing() {
    for limit in ["-1", "0"] {
        let lines = [
            ("x-ratelimit-limit-tokens", limit),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "9"),
        ];
        check(&lines, "", None);
    }
}

#[test]
fn a_reset_is_read_as_each_vendor_writes_it() {
    for (remaining, reset, value, millis) in [
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "37", 37_000),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "2m59.56s", 179_560),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "1755780012", 12_000),
        ("x-ratelimit-remaining", "x-ratelimit-reset", "1755780012500", 12_500),
        ("x-ratelimit-remaining", "x-ratelimit-reset", "2", 2_000),
        ("x-ratelimit-remaining-project-tokens", "x-ratelimit-reset-project-tokens", "1s", 1_000),
        ("ratelimit-remaining", "ratelimit-reset", "8", 8_000),
        (
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
            "2025-08-21T12:41:00Z",
            60_000,
        ),
        (
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
            "2025-08-21T12:39:59Z",
            0,
        ),
    ] {
        check(&[(remaining, "0"), (reset, value)], "", Some(millis));
        check(&[(remaining, "1"), (reset, value)], "", None);
        check(&[(remaining, "0")], "", None);
    }
    check(&[("x-ratelimit-remainings", "0"), ("x-ratelimit-resets", "9")], "", None);
}

#[test]
fn instants_are_measured_against_the_answers_own_date() {
    let skewed = ("date", "Thu, 21 Aug 2025 13:00:00 GMT");
    check(&[skewed, ("retry-after", "Thu, 21 Aug 2025 13:00:30 GMT")], "", Some(30_000));
    check(
        &[
            skewed,
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2025-08-21T13:00:09Z"),
        ],
        "",
        Some(9_000),
    );
    check(&[("date", "rubbish"), ("retry-after", "Thu, 21 Aug 2025 12:40:30 GMT")], "", Some(30_000));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic_or_wait_for_ever(
        name in prop::sample::select(vec![
            "retry-after", "retry-after-ms", "x-ms-retry-after-ms", "date", "x-ratelimit-reset-tokens",
        ]),
        value in prop::collection::vec(prop_oneof![32u8..=126, 128u8..=255], 0..40),
        body in ".{0,60}",
        near in "(try again in|retry after|retryDelay\":) ?[0-9.,e]{0,9} ?[a-zµ ]{0,9}[0-9]{0,4}[smh]?",
        now: u64,
    ) {
        let mut lines = headers(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1e300")]);
        lines.insert(name, HeaderValue::from_bytes(&value).unwrap());
        for body in [&body, &near] {
            let wait = retry_after(&lines, body, WallTime(now));
            prop_assert!(wait.is_none_or(|wait| wait <= WAIT_MAX));
        }
    }

    #[test]
    fn any_whole_number_of_seconds_is_itself(seconds in 0u64..86_400) {
        let text = seconds.to_string();
        prop_assert_eq!(retry_after(&headers(&[("retry-after", &text)]), "", NOW), Some(Duration::from_secs(seconds)));
        let text = format!("Please try again in {}h{}m{}s", seconds / 3_600, seconds / 60 % 60, seconds % 60);
        prop_assert_eq!(retry_after(&HeaderMap::new(), &text, NOW), Some(Duration::from_secs(seconds)));
    }
}
