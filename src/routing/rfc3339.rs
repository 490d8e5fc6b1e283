//! Reads instants as RFC 3339 writes them, to the millisecond.
//!
//! Knows no clock and no leap seconds; nothing before 1970.

use crate::units::WallTime;

/// Reads `2025-08-21T12:41:00Z`, with an optional fraction and an offset (`+02:00`) in the place of `Z`.
/// `None` for anything else. <https://www.rfc-editor.org/rfc/rfc3339#section-5.6>
pub fn parse_rfc3339(text: &str) -> Option<WallTime> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let separators = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    if !separators.iter().all(|(at, any)| bytes.get(*at).is_some_and(|b| any.as_bytes().contains(b))) {
        return None;
    }
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let (hour, minute, second) = (digits(text, 11, 2)?, digits(text, 14, 2)?, digits(text, 17, 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (millis, rest) = fraction(rest)?;
    let offset_minutes = offset(rest)?;
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    u64::try_from(seconds * 1_000 + millis).ok().map(WallTime)
}

fn digits(text: &str, from: usize, len: usize) -> Option<i64> {
    let part = text.get(from..from + len)?;
    part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
}

fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let millis = (0..3).map(|n| rest.as_bytes()[..len].get(n).map_or(0, |b| i64::from(b - b'0')));
    (len > 0).then(|| (millis.fold(0, |sum, digit| sum * 10 + digit), &rest[len..]))
}

/// Minutes east of UTC.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let whole = text.len() == 6 && text.as_bytes()[3] == b':';
    whole.then(|| Some(sign * (digits(text, 1, 2)? * 60 + digits(text, 4, 2)?)))?
}

/// Days since 1970-01-01 in the Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_to_the_millisecond() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2025-08-21T12:41:00Z", 1_755_780_060_000),
            ("2025-08-21t12:41:00z", 1_755_780_060_000),
            ("2025-08-21T12:41:00.5Z", 1_755_780_060_500),
            ("2025-08-21T12:41:00.123456789Z", 1_755_780_060_123),
            ("2025-08-21T14:41:00+02:00", 1_755_780_060_000),
            ("2025-08-21T07:11:00-05:30", 1_755_780_060_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(WallTime(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2025-08-21",
            "2025-08-21T12:41:00",
            "2025-13-21T12:41:00Z",
            "2025-08-21T24:41:00Z",
            "2025-08-21T12:41:00.Z",
            "2025-08-21T12:41:00+0200",
            "2025-08-21T12:41:00+é0:00",
            "1969-12-31T23:59:59Z",
            "+025-08-21T12:41:00Z",
            "é025-08-21T12:41:00Z",
            "12s",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", near in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}.{0,8}") {
            parse_rfc3339(&text);
            parse_rfc3339(&near);
        }
    }
}
