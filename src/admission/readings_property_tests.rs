//! What holds of all headers, and of buckets that are simulated.

use super::tests::{NOW, headers};
use super::*;
use Dimension::*;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

/// What OpenAI would write of a bucket that refills all the time.
fn of_bucket(limit: u64, used: u64, window: Span, round_up: bool) -> HeaderMap {
    let nanos = window.length().as_nanos() * u128::from(used) / u128::from(limit);
    let millis = if round_up { nanos.div_ceil(1_000_000) } else { nanos / 1_000_000 };
    headers(&[
        ("x-ratelimit-limit-requests", &limit.to_string()),
        ("x-ratelimit-remaining-requests", &(limit - used).to_string()),
        ("x-ratelimit-reset-requests", &format!("{millis}ms")),
    ])
}

#[test]
fn a_wait_of_a_millisecond_may_be_rounded_from_any_window() {
    for (span, dimension) in [(Span::Minute, RequestsPerMinute), (Span::Day, RequestsPerDay)] {
        for limit in [50_000_000, 100_000_000, 1_000_000_000] {
            let read = readings(&of_bucket(limit, 1, span, true), NOW, span == Span::Day);
            assert_eq!(read[0].dimension, dimension, "{limit}");
        }
    }
}

proptest! {
    #[test]
    fn the_window_of_a_bucket_is_recognised_at_every_level(
        (limit, used) in (1_u64..300_000).prop_flat_map(|limit| (Just(limit), 1..=limit)),
        daily: bool,
        hint: bool,
        round_up: bool,
    ) {
        let (span, dimension) = if daily { (Span::Day, RequestsPerDay) } else { (Span::Minute, RequestsPerMinute) };
        let read = readings(&of_bucket(limit, used, span, round_up), NOW, hint);
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(read[0].dimension, dimension);
        prop_assert_eq!((read[0].limit, read[0].remaining), (Some(limit), Some(limit - used)));
    }

    #[test]
    fn where_rounding_hides_the_window_nothing_is_invented(
        (limit, used) in (1_u64..1_000_000_000).prop_flat_map(|limit| (Just(limit), 0..=limit)),
        daily: bool,
        round_up: bool,
    ) {
        // With the right hint nothing is ever wrong.
        let (span, dimension) = if daily { (Span::Day, RequestsPerDay) } else { (Span::Minute, RequestsPerMinute) };
        let read = readings(&of_bucket(limit, used, span, round_up), NOW, daily);
        prop_assert_eq!(read[0].dimension, dimension);
    }

    #[test]
    fn no_headers_make_it_panic_or_tell_what_cannot_be(
        mut lines in proptest::collection::vec((known_name(), value()), 0..12),
        wall: u64,
        daily: bool,
    ) {
        let read = |lines: &[(String, String)]| {
            let line = |(name, value): &(String, String)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?));
            readings(&lines.iter().filter_map(line).collect(), WallTime(wall), daily)
        };
        let once = read(&lines);
        for reading in &once {
            prop_assert!(reading.limit != Some(0) && reading.grain >= 1);
            prop_assert!(reading.limit.is_some() || reading.remaining.is_some());
            prop_assert!(reading.remaining.unwrap_or(0) <= reading.limit.unwrap_or(u64::MAX));
            prop_assert!(reading.full_in.is_none_or(|wait| wait <= Duration::from_secs(172_800)));
        }
        let dimensions: std::collections::BTreeSet<_> = once.iter().map(|reading| reading.dimension).collect();
        prop_assert_eq!(dimensions.len(), once.len());
        lines.reverse();
        prop_assert_eq!(once, read(&lines));
    }
}

fn known_name() -> impl Strategy<Value = String> {
    let mut names: Vec<String> = FAMILIES
        .iter()
        .flat_map(|family| [family.limit, family.remaining].into_iter().chain(family.resets.iter().copied()))
        .chain([
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-tokenlimit-limit",
            "date",
        ])
        .map(str::to_owned)
        .collect();
    names.sort();
    proptest::sample::select(names)
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-0-9,.]{0,14}",
        "[0-9]{1,6}(ms|s|m|h)",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:00Z",
        "Thu, [0-3][0-9] Aug 2025 12:40:00 GMT",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (0_u64..100_000).prop_map(|number| number.to_string()),
        "[ -~]{0,12}",
    ]
}
