//! What the headers of an answer tell of a provider's limits.
//!
//! Knows the names that vendors give their headers, and tells the vendors apart by those names alone; refuses to
//! know budgets and bodies. Invariants: no reading has a limit of 0 or more left than its limit; there is at most one
//! for each dimension; the order of the headers changes nothing.
//!
//! Left out on purpose: Anthropic's priority and fast families, which are pools beside the one that refuses;
//! percentages without units (Codex, Anthropic's subscriptions); allowances of a month, which no budget keeps.

use super::budget::Dimension;
use super::heard::Reading;
use crate::units::{WallTime, parse_duration, parse_http_date, parse_reset};
use http::HeaderMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// No account has as many units in a window: what is larger is a vendor's mark for "no limit".
const UNITS_MAX: i64 = 1_000_000_000_000;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Requests,
    Tokens,
    Input,
    Output,
}

/// Over what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Minute,
    Day,
}

/// The three headers of one limit.
#[derive(Clone, Copy)]
struct Family {
    unit: Unit,
    /// `None` where the name does not tell.
    span: Option<Span>,
    limit: &'static str,
    remaining: &'static str,
    /// The first that is there counts.
    resets: &'static [&'static str],
    grain: u64,
}

const fn family(
    unit: Unit,
    limit: &'static str,
    remaining: &'static str,
    resets: &'static [&'static str],
) -> Family {
    Family { unit, span: Some(Span::Minute), limit, remaining, resets, grain: 1 }
}

/// Anthropic rounds what is left of tokens to the nearest thousand.
const fn rounded(family: Family) -> Family {
    Family { grain: 1_000, ..family }
}

const fn over(span: Option<Span>, family: Family) -> Family {
    Family { span, ..family }
}

#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    // OpenAI, Azure, Groq, xAI, and who is compatible with them. Requests are a minute's or a day's.
    over(None, family(Unit::Requests, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", &["x-ratelimit-reset-requests"])),
    over(None, family(Unit::Requests, "x-ratelimit-limit-project-requests", "x-ratelimit-remaining-project-requests", &["x-ratelimit-reset-project-requests"])),
    // The second spelling is Azure's.
    family(Unit::Tokens, "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", &["x-ratelimit-reset-tokens", "x-rate-limit-reset-tokens"]),
    family(Unit::Tokens, "x-ratelimit-limit-project-tokens", "x-ratelimit-remaining-project-tokens", &["x-ratelimit-reset-project-tokens"]),
    // Fireworks.
    family(Unit::Input, "x-ratelimit-limit-tokens-prompt", "x-ratelimit-remaining-tokens-prompt", &["x-ratelimit-reset-tokens-prompt"]),
    family(Unit::Output, "x-ratelimit-limit-tokens-generated", "x-ratelimit-remaining-tokens-generated", &["x-ratelimit-reset-tokens-generated"]),
    // Mistral, and who names the window as it does.
    family(Unit::Requests, "x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", &["x-ratelimit-reset-req-minute"]),
    family(Unit::Tokens, "x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute", &["x-ratelimit-reset-tokens-minute"]),
    over(Some(Span::Day), family(Unit::Requests, "x-ratelimit-limit-requests-day", "x-ratelimit-remaining-requests-day", &["x-ratelimit-reset-requests-day"])),
    over(Some(Span::Day), family(Unit::Tokens, "x-ratelimit-limit-tokens-day", "x-ratelimit-remaining-tokens-day", &["x-ratelimit-reset-tokens-day"])),
    // Mistral before.
    family(Unit::Tokens, "x-ratelimitbysize-limit-minute", "x-ratelimitbysize-remaining-minute", &["ratelimitbysize-reset", "x-ratelimitbysize-reset"]),
    // Anthropic.
    family(Unit::Requests, "anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining", &["anthropic-ratelimit-requests-reset"]),
    rounded(family(Unit::Tokens, "anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining", &["anthropic-ratelimit-tokens-reset"])),
    rounded(family(Unit::Input, "anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining", &["anthropic-ratelimit-input-tokens-reset"])),
    rounded(family(Unit::Output, "anthropic-ratelimit-output-tokens-limit", "anthropic-ratelimit-output-tokens-remaining", &["anthropic-ratelimit-output-tokens-reset"])),
];

/// Everything that the headers tell of limits, by dimension.
///
/// Instants are measured against the answer's own `date`, so that a clock that differs from the provider's does not
/// matter; `wall_now` stands in for it where it is missing. `requests_are_daily` is believed where headers tell of
/// requests and not whether a minute's or a day's.
pub fn readings(headers: &HeaderMap, wall_now: WallTime, requests_are_daily: bool) -> Vec<Reading> {
    let now = text(headers, "date").and_then(parse_http_date).unwrap_or(wall_now);
    let usual = if requests_are_daily { Span::Day } else { Span::Minute };
    let mut tightest: BTreeMap<Dimension, Reading> = BTreeMap::new();
    let told = FAMILIES.iter().filter_map(|family| family.read(headers, now, usual));
    for reading in told.chain(bare(headers, now)) {
        let known = tightest.get(&reading.dimension);
        let both = known.map_or(reading, |known| tighter(*known, reading));
        tightest.insert(reading.dimension, both);
    }
    tightest.into_values().collect()
}

/// Whether the headers say that this key has no allowance at all for the model, which no wait will change: Mistral
/// writes a limit of 0. With others 0 means that nobody counts.
pub fn allows_nothing(headers: &HeaderMap) -> bool {
    let names = ["x-ratelimit-limit-req-minute", "x-ratelimit-limit-tokens-minute"];
    names.into_iter().any(|name| text(headers, name).and_then(number) == Some(0))
}

impl Family {
    fn read(&self, headers: &HeaderMap, now: WallTime, usual: Span) -> Option<Reading> {
        let limit = text(headers, self.limit).and_then(number);
        if limit.is_some_and(|limit| limit <= 0) {
            // Not counted; what is left and the reset are filled in with anything.
            return None;
        }
        let limit = limit.map(i64::unsigned_abs);
        let remaining = text(headers, self.remaining).and_then(number).filter(|units| *units >= 0);
        // Nothing left of nothing told is one more way to write that nobody counts.
        let remaining = remaining.filter(|units| *units > 0 || limit.is_some()).map(i64::unsigned_abs);
        let reset = self.resets.iter().find_map(|name| text(headers, name));
        let wait = reset.and_then(|reset| parse_reset(reset, now));
        let used = limit.zip(remaining).map(|(limit, remaining)| (limit, limit.saturating_sub(remaining)));
        let span = self.span.unwrap_or_else(|| {
            let in_units = reset.is_some_and(|reset| parse_duration(reset).is_some());
            used.zip(wait).and_then(|(used, wait)| span_of(used, wait, in_units)).unwrap_or(usual)
        });
        let is_full = used.is_some_and(|(_, used)| used == 0);
        let full_in = wait.filter(|wait| believable(*wait, span, is_full));
        let dimension = self.unit.over(span)?;
        reading(dimension, limit, remaining, full_in, self.grain)
    }
}

impl Unit {
    /// The limit that counts this, if budgets have it.
    pub(super) const fn over(self, span: Span) -> Option<Dimension> {
        match (self, span) {
            (Unit::Requests, Span::Minute) => Some(Dimension::RequestsPerMinute),
            (Unit::Requests, Span::Day) => Some(Dimension::RequestsPerDay),
            (Unit::Tokens, Span::Minute) => Some(Dimension::TokensPerMinute),
            (Unit::Tokens, Span::Day) => Some(Dimension::TokensPerDay),
            (Unit::Input, Span::Minute) => Some(Dimension::InputTokensPerMinute),
            (Unit::Output, Span::Minute) => Some(Dimension::OutputTokensPerMinute),
            (Unit::Input | Unit::Output, Span::Day) => None,
        }
    }
}

impl Span {
    const fn length(self) -> Duration {
        match self {
            Span::Minute => Duration::from_secs(60),
            Span::Day => Duration::from_secs(86_400),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Over what time a limit counts, from when its bucket is full again. One that refills all the time is full after
/// `used / limit` of its window, hence the window; `None` where rounding hides it, or it is neither. A counter that is
/// reset by the clock (plain numbers, instants) tells its window only where that is long.
fn span_of((limit, used): (u64, u64), full_in: Duration, in_units: bool) -> Option<Span> {
    /// As coarsely as the finest vendors round, either way.
    const ROUNDED_TO: Duration = Duration::from_millis(1);
    if used == 0 {
        return None;
    }
    if full_in > HOUR {
        return Some(Span::Day);
    }
    if !in_units {
        return None;
    }
    let window = |wait: Duration| wait.as_nanos().saturating_mul(limit.into()) / u128::from(used);
    let (shortest, longest) = (window(full_in.saturating_sub(ROUNDED_TO)), window(full_in + ROUNDED_TO));
    let (hour, day) = (HOUR.as_nanos(), Span::Day.length().as_nanos());
    if longest <= hour {
        Some(Span::Minute)
    } else {
        // What is far from a day as well is no bucket that refills all the time.
        (shortest > hour && longest >= day / 2 && shortest <= day * 2).then_some(Span::Day)
    }
}

/// A bucket of which something is used is not full at once (an instant that has passed was rounded, or read by another
/// clock), and none takes longer than its window, or a little longer in debt.
fn believable(full_in: Duration, span: Span, is_full: bool) -> bool {
    full_in <= span.length() * 2 && (is_full || !full_in.is_zero())
}

/// Headers that do not name their unit. Together counts by the second, and alone has the second family; OpenRouter's
/// reset is an instant. Of others' bare headers nobody knows the window.
fn bare(headers: &HeaderMap, now: WallTime) -> Vec<Reading> {
    let positive =
        |name| text(headers, name).and_then(number).filter(|units| *units > 0).map(i64::unsigned_abs);
    let reset = text(headers, "x-ratelimit-reset");
    let wait = reset.and_then(|reset| parse_reset(reset, now));
    let limit = positive("x-ratelimit-limit");
    let told = if let Some(tokens) = positive("x-tokenlimit-limit") {
        if wait.is_some_and(|wait| wait > Span::Minute.length()) {
            return Vec::new();
        }
        // What is left of this second says nothing of a minute.
        let a_minute = |a_second: u64| Some(a_second.saturating_mul(60));
        [
            limit.and_then(|limit| reading(Dimension::RequestsPerMinute, a_minute(limit), None, None, 1)),
            reading(Dimension::TokensPerMinute, a_minute(tokens), None, None, 1),
        ]
    } else {
        /// From here on a number is an instant.
        const EPOCH: i64 = 1_000_000_000;
        let is_instant = reset.and_then(|reset| reset.parse().ok()).is_some_and(|at: i64| at >= EPOCH);
        let span = match wait.filter(|_| is_instant) {
            Some(wait) if wait <= Span::Minute.length() => Some(Span::Minute),
            Some(wait) if wait > HOUR && wait <= Span::Day.length() => Some(Span::Day),
            _ => None,
        };
        let told = span.zip(limit).and_then(|(span, limit)| {
            let remaining = text(headers, "x-ratelimit-remaining").and_then(number);
            let remaining = remaining.and_then(|units| u64::try_from(units).ok());
            let full_in = wait.filter(|wait| believable(*wait, span, remaining >= Some(limit)));
            reading(Unit::Requests.over(span)?, Some(limit), remaining, full_in, 1)
        });
        [told, None]
    };
    told.into_iter().flatten().collect()
}

/// `None` if it would say nothing.
fn reading(
    dimension: Dimension,
    limit: Option<u64>,
    remaining: Option<u64>,
    full_in: Option<Duration>,
    grain: u64,
) -> Option<Reading> {
    let remaining = remaining.map(|left| left.min(limit.unwrap_or(u64::MAX)));
    let says_something = limit.is_some() || remaining.is_some();
    says_something.then_some(Reading { dimension, limit, remaining, full_in, grain })
}

/// What holds where two limits of one dimension do, as an organisation's and its project's.
fn tighter(a: Reading, b: Reading) -> Reading {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    let (limit, remaining) = (least(a.limit, b.limit), least(a.remaining, b.remaining));
    let grains = [a, b].into_iter().filter(|reading| reading.remaining == remaining);
    Reading {
        dimension: a.dimension,
        limit,
        remaining: remaining.map(|left| left.min(limit.unwrap_or(u64::MAX))),
        full_in: a.full_in.max(b.full_in),
        grain: grains.map(|reading| reading.grain).max().unwrap_or(1),
    }
}

/// A header that is there once, or always the same: of two that differ nobody knows which is meant.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.any(|value| value != first) {
        return None;
    }
    first.to_str().ok().map(str::trim)
}

/// A whole number of units, what is behind the point left out, with the thousands separators that some write.
pub(super) fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(',');
    let head = groups.next()?;
    let grouped = groups.clone().all(|group| group.len() == 3 && all_digits(group));
    let head_fits = all_digits(head) && (head.len() <= 3 || groups.next().is_none());
    if !grouped || !head_fits || !all_digits(fraction) {
        return None;
    }
    let number: i64 = whole.replace(',', "").parse().ok()?;
    (number <= UNITS_MAX).then_some(sign * number)
}

#[cfg(test)]
#[path = "readings_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "readings_property_tests.rs"]
mod property_tests;
