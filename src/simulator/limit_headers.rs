//! How what is left of the limits is told: OpenAI's headers with durations, Anthropic's with instants, Google's none.

use super::account::Kind;
use super::bucket::Bucket;
use super::calendar::rfc3339;
use crate::dialect::Family;
use crate::units::WallTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The headers of an answer. A reset is when the bucket is full again.
pub(super) fn limit_headers<'a>(
    family: Family,
    limits: impl Iterator<Item = (Kind, &'a Bucket)>,
    wall: WallTime,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (kind, bucket) in limits {
        let Some(names) = names(family, kind) else { continue };
        let [limit, remaining, reset] = names.map(HeaderName::from_static);
        headers.insert(limit, bucket.limit().into());
        headers.insert(remaining, bucket.remaining().into());
        let until = bucket.until_full();
        let text = match family {
            Family::Anthropic => rfc3339(WallTime(wall.0.saturating_add(millis(until)))),
            Family::OpenAi | Family::Gemini => go_duration(until),
        };
        headers.insert(reset, HeaderValue::try_from(text).expect("a time is plain text"));
    }
    headers
}

fn names(family: Family, kind: Kind) -> Option<[&'static str; 3]> {
    Some(match (family, kind) {
        (Family::OpenAi, Kind::Requests) => {
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        }
        (Family::OpenAi, Kind::Tokens) => {
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
        }
        (Family::Anthropic, Kind::Requests) => [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        (Family::Anthropic, Kind::Tokens) => [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
        (Family::Anthropic, Kind::Input) => [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
        (Family::Anthropic, Kind::Output) => [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
        (Family::OpenAi, Kind::Input | Kind::Output) | (Family::Gemini, _) => return None,
    })
}

/// A duration as Go prints it to the millisecond: `120ms`, `1.2s`, `6m0s`.
pub(super) fn go_duration(duration: Duration) -> String {
    let millis = millis(duration);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let mut seconds = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match minutes {
        0 => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_duration;

    #[test]
    fn durations_read_as_openai_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_200, "1.2s"),
            (8_640, "8.64s"),
            (60_000, "1m0s"),
            (61_005, "1m1.005s"),
            (360_000, "6m0s"),
            (70_000, "1m10s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)));
        }
    }
}
