//! When a day's limits come back: the next time that a clock on somebody's wall shows a time of the day.
//!
//! Pure. The only rule for summer that it knows is the one of the United States, in force since 2007
//! (<https://www.law.cornell.edu/uscode/text/15/260a>): no vendor resets by another. Years before have it too here.
//! Invariant: what is told is later than what was asked.

use super::settings::{DayEnd, Zone};
use crate::units::WallTime;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl DayEnd {
    /// The first time after `now` at which the day ends. A time that a clock put forward leaves out comes an hour
    /// later; one that a clock put back shows twice is meant when it comes first. `None` beyond the end of time.
    pub fn next(self, now: WallTime) -> Option<WallTime> {
        let now = i64::try_from(now.0).ok()?;
        let today = now.checked_add(self.zone.ahead_ms())?.div_euclid(DAY);
        // Yesterday's too: in summer the clock is ahead of what `today` was counted with, and a reset that is left
        // out comes late.
        let ends = (today - 1..=today + 2).filter_map(|day| self.end_of(day));
        let next = ends.filter(|end| *end > now).min()?;
        u64::try_from(next).ok().map(WallTime)
    }

    /// When the clock shows the time on this day, counted from 1970.
    fn end_of(self, day: i64) -> Option<i64> {
        let shown = day.checked_mul(DAY)?.checked_add(i64::from(self.minute) * MINUTE)?;
        let winter = shown.checked_sub(self.zone.ahead_ms())?;
        let summer = winter.checked_sub(HOUR)?;
        Some(if self.zone.is_summer_at(summer) { summer } else { winter })
    }
}

impl Zone {
    fn ahead_ms(self) -> i64 {
        i64::from(self.ahead) * MINUTE
    }

    /// Whether the clock is put forward at this instant: from two o'clock on the second Sunday of March to two
    /// o'clock, as it shows then, on the first one of November.
    fn is_summer_at(self, instant: i64) -> bool {
        if !self.is_american {
            return false;
        }
        let in_winter = instant + self.ahead_ms();
        let year = year_of(in_winter.div_euclid(DAY));
        let from = sunday_from(first_of(year, 3) + 7) * DAY + 2 * HOUR;
        let to = sunday_from(first_of(year, 11)) * DAY + HOUR;
        (from..to).contains(&in_winter)
    }
}

/// The first Sunday that is not before this day. 1970-01-01 was a Thursday.
fn sunday_from(day: i64) -> i64 {
    day + (3 - day).rem_euclid(7)
}

/// The first day of a month from March on, counted from 1970: years are taken to begin in March, so that a leap day
/// ends one. <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>
fn first_of(year: i64, month: i64) -> i64 {
    let before = (153 * (month - 3) + 2) / 5;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + before - 719_468
}

/// The year in which a day lies.
fn year_of(day: i64) -> i64 {
    // A guess by the mean length of a year is wrong by one at most.
    let guess = 1970 + (day * 400).div_euclid(146_097);
    // The first of January is 306 days after the first of March before it.
    let starts = |year: i64| first_of(year - 1, 3) + 306;
    (guess - 1..=guess + 1).rev().find(|year| starts(*year) <= day).unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACIFIC: Zone = Zone { ahead: -8 * 60, is_american: true };
    const UTC: Zone = Zone { ahead: 0, is_american: false };

    /// What HTTP writes: an oracle that is not ours.
    fn instant(text: &str) -> WallTime {
        let time = httpdate::parse_http_date(text).unwrap();
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
        WallTime(u64::try_from(since.as_millis()).unwrap())
    }

    fn check(zone: Zone, (hour, minute): (u16, u16), now: &str, next: &str) {
        let end = DayEnd { minute: hour * 60 + minute, zone };
        assert_eq!(end.next(instant(now)), Some(instant(next)), "{hour}:{minute} after {now}");
    }

    #[test]
    fn midnight_in_california_moves_with_the_clocks() {
        let midnight = |now, next| check(PACIFIC, (0, 0), now, next);
        midnight("Wed, 15 Jan 2025 12:00:00 GMT", "Thu, 16 Jan 2025 08:00:00 GMT");
        midnight("Wed, 16 Jul 2025 12:00:00 GMT", "Thu, 17 Jul 2025 07:00:00 GMT");
        // Put forward on 9 March at 10:00 UTC: that day has 23 hours.
        midnight("Sun, 09 Mar 2025 07:59:59 GMT", "Sun, 09 Mar 2025 08:00:00 GMT");
        midnight("Sun, 09 Mar 2025 08:00:00 GMT", "Mon, 10 Mar 2025 07:00:00 GMT");
        // Put back on 2 November at 09:00 UTC: that day has 25.
        midnight("Sun, 02 Nov 2025 07:00:00 GMT", "Mon, 03 Nov 2025 08:00:00 GMT");
        midnight("Sun, 02 Nov 2025 06:59:59 GMT", "Sun, 02 Nov 2025 07:00:00 GMT");
    }

    #[test]
    fn a_time_that_is_left_out_comes_later_and_one_that_comes_twice_counts_once() {
        check(PACIFIC, (2, 30), "Sun, 09 Mar 2025 09:59:00 GMT", "Sun, 09 Mar 2025 10:30:00 GMT");
        check(PACIFIC, (1, 30), "Sun, 02 Nov 2025 08:00:00 GMT", "Sun, 02 Nov 2025 08:30:00 GMT");
        check(PACIFIC, (1, 30), "Sun, 02 Nov 2025 08:30:00 GMT", "Mon, 03 Nov 2025 09:30:00 GMT");
    }

    #[test]
    fn the_rule_meets_the_dates_of_other_years() {
        for (before, after) in [
            ("Sun, 10 Mar 2024 08:00:00 GMT", "Mon, 11 Mar 2024 07:00:00 GMT"),
            ("Sun, 14 Mar 2027 08:00:00 GMT", "Mon, 15 Mar 2027 07:00:00 GMT"),
            ("Sun, 08 Mar 2026 08:00:00 GMT", "Mon, 09 Mar 2026 07:00:00 GMT"),
            ("Sun, 01 Nov 2026 07:00:00 GMT", "Mon, 02 Nov 2026 08:00:00 GMT"),
            ("Sun, 07 Nov 2027 07:00:00 GMT", "Mon, 08 Nov 2027 08:00:00 GMT"),
        ] {
            check(PACIFIC, (0, 0), before, after);
        }
    }

    #[test]
    fn other_zones_keep_their_distance() {
        check(UTC, (0, 0), "Sun, 09 Mar 2025 00:00:00 GMT", "Mon, 10 Mar 2025 00:00:00 GMT");
        let shanghai = Zone { ahead: 8 * 60, is_american: false };
        check(shanghai, (0, 0), "Sun, 09 Mar 2025 15:59:59 GMT", "Sun, 09 Mar 2025 16:00:00 GMT");
        let kathmandu = Zone { ahead: 5 * 60 + 45, is_american: false };
        check(kathmandu, (23, 59), "Sun, 09 Mar 2025 18:14:00 GMT", "Mon, 10 Mar 2025 18:14:00 GMT");
    }

    proptest! {
        #[test]
        fn the_next_end_is_at_most_a_long_day_away(
            // Until the year 2200.
            now in 0_u64..7_258_118_400_000,
            minute in 0_u16..1_440,
            ahead in -840_i16..=840,
            is_american: bool,
        ) {
            let end = DayEnd { minute, zone: Zone { ahead, is_american } };
            let next = end.next(WallTime(now)).unwrap();
            prop_assert!(next.0 > now && next.0 - now <= 25 * 3_600_000);
            // From one end to the next a day passes, but for an hour twice a year.
            let length = end.next(next).unwrap().0 - next.0;
            prop_assert!([23, 24, 25].contains(&(length / 3_600_000)) && length.is_multiple_of(3_600_000), "{length}");
        }

        #[test]
        fn no_time_is_too_far(now: u64) {
            let end = DayEnd { minute: 0, zone: PACIFIC };
            prop_assert!(end.next(WallTime(now)).is_none_or(|next| next.0 > now));
        }
    }
}
