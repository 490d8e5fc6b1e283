//! How what is left of the limits is told: OpenAI's headers with durations, Anthropic's with instants, Google's none.

use super::account::{Kind, Standing};
use super::calendar::rfc3339;
use crate::dialect::Family;
use crate::units::WallTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The headers of an answer. A reset is when the bucket is full again.
pub(super) fn limit_headers(style: Family, standings: &[Standing], wall: WallTime) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for Standing { kind, limit, remaining, full_in, .. } in standings {
        let Some(names) = names(style, *kind) else { continue };
        let [limit_name, remaining_name, reset_name] = names.map(HeaderName::from_static);
        headers.insert(limit_name, (*limit).into());
        headers.insert(remaining_name, (*remaining).into());
        let text = match style {
            Family::Anthropic => rfc3339(WallTime(wall.0.saturating_add(millis(*full_in)))),
            Family::OpenAi | Family::Gemini => go_duration(*full_in),
        };
        headers.insert(reset_name, HeaderValue::try_from(text).expect("a time is plain text"));
    }
    headers
}

fn names(style: Family, kind: Kind) -> Option<[&'static str; 3]> {
    Some(match (style, kind) {
        (Family::OpenAi, Kind::Requests | Kind::DailyRequests) => {
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        }
        (Family::OpenAi, Kind::Tokens | Kind::DailyTokens) => {
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
        (Family::OpenAi, Kind::Input | Kind::Output)
        | (Family::Anthropic, Kind::DailyRequests | Kind::DailyTokens)
        | (Family::Gemini, _) => return None,
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
