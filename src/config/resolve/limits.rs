//! What an account or a group may use: limits, how much of them at once, and when a day's come back.
//!
//! Invariant: a burst is not larger than what it is a burst of.

use super::super::mistake::nearest;
use super::super::raw::{RawLimitTable, RawLimits};
use super::{DURATION_MIN, Resolver, filled};
use crate::admission::{DayReset, Limits, Slices};
use crate::exchange::{DayEnd, Zone};
use crate::units::show_duration;
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// The longest slice: the window that it is a slice of.
const SLICE_MAX: Duration = Duration::from_secs(60);

/// The clocks that can be named. Others are told by their distance from UTC: a vendor that resets by a clock that is
/// put forward in summer, but not as in the United States, is not known.
const ZONES: [(&str, Zone); 5] = [
    ("UTC", Zone { ahead: 0, is_american: false }),
    ("America/Los_Angeles", PACIFIC),
    ("America/Denver", Zone { ahead: -7 * 60, is_american: true }),
    ("America/Chicago", Zone { ahead: -6 * 60, is_american: true }),
    ("America/New_York", Zone { ahead: -5 * 60, is_american: true }),
];

/// The clock of California.
pub(in crate::config) const PACIFIC: Zone = Zone { ahead: -8 * 60, is_american: true };

/// The farthest that a clock is from UTC.
const AHEAD_MAX: i16 = 14 * 60;

/// What may be used, and when a day's limits come back if they do so at once.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Allowance {
    pub(in crate::config) limits: Limits,
    pub(in crate::config) day_end: Option<DayEnd>,
}

impl Allowance {
    /// Nothing is limited; this is known of how limits work there.
    pub(in crate::config) fn open(slices: Slices, day_end: Option<DayEnd>) -> Allowance {
        let day = day_end.map_or(DayReset::Rolling, |_| DayReset::AtReset);
        Allowance { limits: Limits { slices, day, ..Limits::default() }, day_end }
    }
}

impl Resolver<'_> {
    /// The limits as written, with `usual` for how they work.
    pub(super) fn limits(
        &mut self,
        written: Option<Spanned<RawLimits>>,
        at: &str,
        usual: Allowance,
    ) -> Allowance {
        match written.map(Spanned::into_inner) {
            None | Some(RawLimits::Learn) => usual,
            Some(RawLimits::Table(raw)) => self.limit_table(*raw, at, usual),
        }
    }

    fn limit_table(&mut self, mut raw: RawLimitTable, at: &str, usual: Allowance) -> Allowance {
        let day_end = self.day_end(&mut raw, at, usual.day_end);
        let slices = self.slices(&mut raw, at, usual.limits.slices);
        let day = Allowance::open(slices, day_end).limits.day;
        let RawLimitTable { burst_requests, burst_tokens, .. } = &raw;
        let bursts = [place(burst_requests), place(burst_tokens)];
        let mut limit = |written: Option<Spanned<u64>>, name: &str| {
            let number = self.number(Some(written?), &format!("{at}.{name}"), 1, 1..=u32::MAX.into());
            NonZeroU32::new(super::as_u32(number))
        };
        let limits = Limits {
            requests_per_minute: limit(raw.requests_per_minute, "requests_per_minute"),
            requests_per_day: limit(raw.requests_per_day, "requests_per_day"),
            tokens_per_minute: limit(raw.tokens_per_minute, "tokens_per_minute"),
            tokens_per_day: limit(raw.tokens_per_day, "tokens_per_day"),
            input_tokens_per_minute: limit(raw.input_tokens_per_minute, "input_tokens_per_minute"),
            output_tokens_per_minute: limit(raw.output_tokens_per_minute, "output_tokens_per_minute"),
            burst_requests: limit(raw.burst_requests, "burst_requests"),
            burst_tokens: limit(raw.burst_tokens, "burst_tokens"),
            concurrent: limit(raw.concurrent, "concurrent"),
            day,
            slices,
        };
        let [requests_at, tokens_at] = bursts;
        self.burst(
            (requests_at, limits.burst_requests),
            &format!("{at}.burst_requests"),
            &[("requests_per_minute", limits.requests_per_minute)],
        );
        self.burst(
            (tokens_at, limits.burst_tokens),
            &format!("{at}.burst_tokens"),
            &[
                ("tokens_per_minute", limits.tokens_per_minute),
                ("input_tokens_per_minute", limits.input_tokens_per_minute),
                ("output_tokens_per_minute", limits.output_tokens_per_minute),
            ],
        );
        Allowance { limits, day_end }
    }

    /// How long the slices are that the provider checks, unless a burst says it already.
    fn slices(&mut self, raw: &mut RawLimitTable, at: &str, usual: Slices) -> Slices {
        let pairs = [
            ("slice_requests", &raw.slice_requests, "burst_requests", raw.burst_requests.is_some()),
            ("slice_tokens", &raw.slice_tokens, "burst_tokens", raw.burst_tokens.is_some()),
        ];
        let twice = pairs.into_iter().filter(|(_, slice, _, has_burst)| slice.is_some() && *has_burst);
        for (name, slice, burst, _) in twice.collect::<Vec<_>>() {
            let span = slice.as_ref().map_or(0..0, Spanned::span);
            let wrong = format!("`{name}` and `{burst}` both say what may pass at once");
            self.mistake(span, &format!("{at}.{name}"), wrong, "keep one of them");
        }
        Slices {
            requests: self.slice(raw.slice_requests.take(), &format!("{at}.slice_requests"), usual.requests),
            tokens: self.slice(raw.slice_tokens.take(), &format!("{at}.slice_tokens"), usual.tokens),
        }
    }

    fn slice(&mut self, written: Option<Spanned<Duration>>, key: &str, usual: Duration) -> Duration {
        let Some(written) = written else { return usual };
        let value = *written.get_ref();
        self.in_range(written.span(), key, &value, (DURATION_MIN, SLICE_MAX), |value| {
            format!("\"{}\"", show_duration(*value))
        });
        value.clamp(DURATION_MIN, SLICE_MAX)
    }

    /// When a day's limits come back: `rolling`, or a time of the day by some clock.
    fn day_end(&mut self, raw: &mut RawLimitTable, at: &str, usual: Option<DayEnd>) -> Option<DayEnd> {
        let (time, zone) = (filled(raw.day_resets_at.take()), filled(raw.day_time_zone.take()));
        let Some(time) = time else {
            if let Some(zone) = zone {
                let wrong = "`day_time_zone` is of no use without `day_resets_at`";
                self.mistake(
                    zone.span(),
                    &format!("{at}.day_time_zone"),
                    wrong,
                    "write day_resets_at = \"00:00\"",
                );
            }
            return usual;
        };
        let usual_zone = usual.map_or(ZONES[0].1, |usual| usual.zone);
        let zone = zone.map_or(usual_zone, |zone| self.zone(&zone, at));
        if time.get_ref().trim() == "rolling" {
            return None;
        }
        let minute = minute_of_day(time.get_ref().trim());
        if minute.is_none() {
            let instead =
                "write \"00:00\" for midnight, up to \"23:59\", or \"rolling\" for steadily over the day";
            let key = format!("{at}.day_resets_at");
            self.mistake(time.span(), &key, "`day_resets_at` is no time of the day", instead);
        }
        Some(DayEnd { minute: minute?, zone })
    }

    fn zone(&mut self, written: &Spanned<String>, at: &str) -> Zone {
        let text = written.get_ref().trim();
        let named = ZONES.iter().find(|(name, _)| *name == text).map(|(_, zone)| *zone);
        named.or_else(|| zone_by_distance(text)).unwrap_or_else(|| {
            let names = ZONES.map(|(name, _)| name);
            let instead = match nearest(text, names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write one of {}, or a distance such as \"+05:30\"", names.join(", ")),
            };
            let wrong = "`day_time_zone` is no clock that is known here";
            self.mistake(written.span(), &format!("{at}.day_time_zone"), wrong, instead);
            ZONES[0].1
        })
    }

    /// A burst fits at least one of the limits that it could be of. One that fits some is right: a bucket that is
    /// smaller than the burst is bounded by its own limit.
    fn burst(
        &mut self,
        (span, burst): (Range<usize>, Option<NonZeroU32>),
        key: &str,
        limits: &[(&str, Option<NonZeroU32>)],
    ) {
        let Some(burst) = burst else { return };
        let name = key.rsplit('.').next().unwrap_or(key);
        let largest = limits.iter().filter_map(|(of, limit)| Some((limit.as_ref()?, of))).max();
        match largest {
            None if limits.iter().any(|(of, _)| self.is_wrong(&key.replace(name, of))) => {}
            None => {
                let wrong = format!("`{name}` has no limit to be a burst of");
                self.mistake(span, key, wrong, format!("write `{}` too", limits[0].0));
            }
            Some((limit, of)) if burst > *limit => {
                let wrong = format!("`{name}` is larger than `{of}`, {limit}");
                self.mistake(span, key, wrong, format!("write {limit} or less"));
            }
            Some(_) => {}
        }
    }
}

fn place(written: &Option<Spanned<u64>>) -> Range<usize> {
    written.as_ref().map_or(0..0, Spanned::span)
}

/// `HH:MM` as minutes after midnight.
fn minute_of_day(text: &str) -> Option<u16> {
    let two = |part: &str| {
        let is_pair = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_pair.then(|| part.parse::<u16>().ok())?
    };
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// `+HH:MM` or `-HH:MM`.
fn zone_by_distance(text: &str) -> Option<Zone> {
    let ahead = match text.strip_prefix('-') {
        Some(behind) => -i16::try_from(minute_of_day(behind)?).ok()?,
        None => i16::try_from(minute_of_day(text.strip_prefix('+')?)?).ok()?,
    };
    (-AHEAD_MAX..=AHEAD_MAX).contains(&ahead).then_some(Zone { ahead, is_american: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_distances_are_read_strictly() {
        for (text, minute) in [("00:00", 0), ("23:59", 1_439), ("07:30", 450)] {
            assert_eq!(minute_of_day(text), Some(minute), "{text}");
        }
        for text in ["", "24:00", "7:30", "07:60", "0730", "07:3", "+7:30", "07:30:00", "０７:30"] {
            assert_eq!(minute_of_day(text), None, "{text}");
        }
        let ahead = |text| zone_by_distance(text).map(|zone| zone.ahead);
        assert_eq!((ahead("+05:30"), ahead("-08:00"), ahead("+00:00")), (Some(330), Some(-480), Some(0)));
        for text in ["05:30", "+15:00", "+-5:00", "--05:00", "+5", ""] {
            assert_eq!(ahead(text), None, "{text}");
        }
    }
}
