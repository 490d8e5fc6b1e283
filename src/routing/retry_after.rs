//! How long a provider asks to be left alone, in all the forms in which providers say so.
//!
//! Knows no JSON and no vendor: headers and text. Invariant: never longer than [`WAIT_MAX`], whatever is sent.

use crate::units::{WallTime, parse_duration, parse_http_date, parse_reset};
use http::HeaderMap;
use std::time::Duration;

/// The longest wait that is believed; a longer one says no more than "not today".
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// As much of a body as is searched.
const TEXT_MAX: usize = 64 * 1_024;

/// The wait that an answer asks for. The most exact source wins: milliseconds, then seconds or a date, then
/// the words of the body, then the reset of the bucket that is empty. `None` if none says anything usable; a
/// value that is negative, infinite or no number is passed over for the next source.
///
/// `wall_now` stands in for the answer's own `date` where that is missing; instants are otherwise measured
/// against `date`, so that a clock that differs from the provider's does not matter.
pub fn retry_after(headers: &HeaderMap, body_text: &str, wall_now: WallTime) -> Option<Duration> {
    let now = text(headers, "date").and_then(parse_http_date).unwrap_or(wall_now);
    let millis = |name| text(headers, name).and_then(|value| seconds(value, 1e-3));
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| text(headers, "retry-after").and_then(|value| plain(value, now)))
        .or_else(|| from_text(body_text))
        .or_else(|| exhausted_reset(headers, now))
        .map(|wait| wait.min(WAIT_MAX))
}

/// `retry-after`: seconds, with a fraction or a unit, or a date.
fn plain(value: &str, now: WallTime) -> Option<Duration> {
    seconds(value, 1.0)
        .or_else(|| parse_duration(value))
        .or_else(|| parse_http_date(value).map(|at| at.since(now)))
}

/// The wait until the empty buckets of this account are full again. A bucket with something left did not
/// cause the refusal, so its reset, often the nearest, says nothing; one with a limit of -1 or 0 is not
/// counted by the provider.
fn exhausted_reset(headers: &HeaderMap, now: WallTime) -> Option<Duration> {
    let empty = headers.iter().filter(|(_, value)| value.to_str().is_ok_and(|v| v.trim() == "0"));
    let waits = empty.filter_map(|(name, _)| {
        let (limit, reset) = siblings(name.as_str())?;
        let untracked = text(headers, &limit).and_then(number).is_some_and(|limit| limit <= 0.0);
        if untracked { None } else { parse_reset(text(headers, &reset)?, now) }
    });
    waits.max()
}

/// The names of a bucket's limit and reset headers, from the name of its remaining header:
/// `x-ratelimit-remaining-tokens` or `anthropic-ratelimit-tokens-remaining`.
fn siblings(remaining: &str) -> Option<(String, String)> {
    if let Some(bucket) =
        remaining.strip_prefix("anthropic-ratelimit-").and_then(|n| n.strip_suffix("-remaining"))
    {
        let name = |fact| format!("anthropic-ratelimit-{bucket}-{fact}");
        return Some((name("limit"), name("reset")));
    }
    let prefix = ["x-ratelimit-", "ratelimit-"].into_iter().find(|p| remaining.starts_with(p))?;
    let bucket = remaining.strip_prefix(prefix)?.strip_prefix("remaining")?;
    (bucket.is_empty() || bucket.starts_with('-'))
        .then(|| (format!("{prefix}limit{bucket}"), format!("{prefix}reset{bucket}")))
}

/// Reads "try again in 6m0s", "retry after 37 seconds", "Please retry in 12.3s", and Google's
/// `"retryDelay": "34.07s"` where the text is a whole body.
fn from_text(text: &str) -> Option<Duration> {
    let bytes = text.as_bytes().get(..TEXT_MAX).unwrap_or(text.as_bytes());
    (0..bytes.len()).find_map(|at| {
        let rest = &bytes[at..];
        if let Some(rest) = word(rest, b"retryDelay") {
            let value = rest.iter().position(|b| !b"\":' ".contains(b))?;
            return spoken(&rest[value..]);
        }
        let rest = word(rest, b"try again").or_else(|| word(rest, b"retry"))?;
        let rest = rest.strip_prefix(b" ")?;
        let rest = word(rest, b"in").or_else(|| word(rest, b"after"))?;
        spoken(rest)
    })
}

/// Sums up `<number><unit>` parts, spaces allowed, until something else comes.
fn spoken(text: &[u8]) -> Option<Duration> {
    let mut sum = None;
    let mut rest = text.trim_ascii_start();
    loop {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        let number = std::str::from_utf8(&rest[..digits]).ok().and_then(|n| n.parse::<f64>().ok());
        let tail = rest[digits..].trim_ascii_start();
        let micro =
            if tail.starts_with("µ".as_bytes()) || tail.starts_with("μ".as_bytes()) { 2 } else { 0 };
        let letters = micro + tail[micro..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (Some(number), Some(unit)) = (number, unit_seconds(&tail[..letters])) else { break };
        sum = Some(sum.unwrap_or(0.0) + number * unit);
        rest = tail[letters..].trim_ascii_start();
    }
    sum.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn unit_seconds(unit: &[u8]) -> Option<f64> {
    let unit = std::str::from_utf8(unit).ok()?.to_ascii_lowercase();
    Some(match unit.as_str() {
        "d" | "day" | "days" => 86_400.0,
        "h" | "hour" | "hours" => 3_600.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        _ => return None,
    })
}

/// What follows `expected`, letter case aside.
fn word<'t>(text: &'t [u8], expected: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(expected.len())?;
    head.eq_ignore_ascii_case(expected).then_some(rest)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A number, with the thousands separators that some providers write.
fn number(value: &str) -> Option<f64> {
    let number: f64 = value.replace(',', "").parse().ok()?;
    number.is_finite().then_some(number)
}

fn seconds(value: &str, unit: f64) -> Option<Duration> {
    let wait = number(value)? * unit;
    (wait >= 0.0).then(|| Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
}

#[cfg(test)]
#[path = "retry_after_tests.rs"]
mod tests;
