//! Until when an exchange may wait for room: as long as the settings allow, as its client wishes, and as its client's
//! own time-out lets it.
//!
//! Knows in which headers clients tell their time-outs, and those that are usual. Invariant: a refusal is on its way
//! before the time-out that it knows of strikes, because a client that gives up learns nothing of when to come back.

use super::{ExchangeSettings, Fault, Request, kept};
use crate::units::{Moment, parse_duration};
use http::HeaderMap;
use std::time::Duration;

/// The header with which a client says how long it wants to wait at most.
const MAX_WAIT_HEADER: &str = "x-tidegate-max-wait";

/// In which headers SDKs tell, in seconds, how long they wait for an answer, or for its next byte.
const TOLD: [&str; 3] = ["x-stainless-timeout", "x-stainless-read-timeout", "x-server-timeout"];

/// A longer time-out than this is no time-out; a week, as for the settings.
const TOLD_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The time-outs of the official SDKs where a request tells none, by a header that says which it is.
const USUAL: [(&str, &str, Duration); 2] = [
    ("x-stainless-lang", "python", Duration::from_secs(600)),
    ("x-stainless-lang", "js", Duration::from_secs(600)),
];

/// What strikes beneath an SDK, whatever time-out it tells of: Node's own client gives up on a silent connection.
const BENEATH: [(&str, &str, Duration); 1] = [("x-stainless-runtime", "node", Duration::from_secs(300))];

/// What a refusal needs to arrive in time: a tenth of the time-out, but at least what a busy machine and a slow
/// network take, and no more than helps.
const MARGIN_MIN: Duration = Duration::from_millis(500);
const MARGIN_MAX: Duration = Duration::from_secs(5);

/// When an exchange that came in at `entered` gives up.
pub(super) fn of(
    settings: &ExchangeSettings,
    request: &Request,
    stream: bool,
    entered: Moment,
) -> Result<Moment, Fault> {
    let allowed = entered + settings.queue.max_wait;
    let wished = wished(&request.headers)?.map(|wait| entered + wait);
    // Who is kept alive sees no silence.
    let is_kept = stream && kept::can_be(settings.keepalive, request);
    let borne = silence_borne(&request.headers).filter(|_| !is_kept).map(|wait| request.arrived + wait);
    Ok([wished, borne].into_iter().flatten().fold(allowed, Moment::min))
}

/// How long a client bears silence, with a margin; `None` where nothing tells.
pub(super) fn silence_borne(headers: &HeaderMap) -> Option<Duration> {
    let told = TOLD.iter().filter_map(|name| told(headers, name)).min();
    let known = |table: &[(&str, &str, Duration)]| {
        let is_it = |(name, value, _): &&(&str, &str, Duration)| {
            headers.get(*name).is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        table.iter().find(is_it).map(|(.., wait)| *wait)
    };
    let timeout = [told.or_else(|| known(&USUAL)), known(&BENEATH)].into_iter().flatten().min()?;
    Some(timeout.saturating_sub((timeout / 10).clamp(MARGIN_MIN, MARGIN_MAX)))
}

/// A time-out that can be meant: SDKs cut seconds to whole ones, so that a short one may read as 0.
fn told(headers: &HeaderMap, name: &str) -> Option<Duration> {
    let seconds: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    let timeout = Duration::try_from_secs_f64(seconds).ok()?;
    (timeout > Duration::ZERO && timeout <= TOLD_MAX).then_some(timeout)
}

fn wished(headers: &HeaderMap) -> Result<Option<Duration>, Fault> {
    let Some(value) = headers.get(MAX_WAIT_HEADER) else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    let seconds = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let must_be = "a duration such as 30s, or a number of seconds";
    let wait = parse_duration(text).or_else(seconds);
    wait.map(Some).ok_or(Fault::BadHeader { name: MAX_WAIT_HEADER, must_be })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn check(lines: &[(&'static str, &str)], millis: Option<u64>) {
        assert_eq!(silence_borne(&headers(lines)), millis.map(Duration::from_millis), "{lines:?}");
    }

    #[test]
    fn what_a_client_tells_is_kept_with_a_margin() {
        check(&[("x-stainless-timeout", "10")], Some(9_000));
        check(&[("x-stainless-read-timeout", "10.0")], Some(9_000));
        check(&[("x-server-timeout", "600")], Some(595_000));
        check(&[("x-stainless-timeout", "2")], Some(1_500));
        check(&[("x-stainless-timeout", "0.3")], Some(0));
        check(&[("x-stainless-timeout", "60"), ("x-stainless-read-timeout", "20")], Some(18_000));
    }

    #[test]
    fn what_cannot_be_meant_is_not_told() {
        for value in ["", "0", "-5", "soon", "NaN", "inf", "1e300", "604801"] {
            check(&[("x-stainless-timeout", value)], None);
            check(&[("x-stainless-timeout", value), ("x-stainless-read-timeout", "10")], Some(9_000));
        }
    }

    #[test]
    fn an_sdk_that_tells_nothing_has_its_usual_time_out() {
        check(&[], None);
        check(&[("x-stainless-lang", "python")], Some(595_000));
        check(&[("x-stainless-lang", "python"), ("x-stainless-timeout", "900")], Some(895_000));
        check(&[("x-stainless-lang", "js"), ("x-stainless-runtime", "deno")], Some(595_000));
        check(&[("x-stainless-lang", "js"), ("x-stainless-runtime", "node")], Some(295_000));
        check(&[("x-stainless-runtime", "node"), ("x-stainless-timeout", "900")], Some(295_000));
    }

    #[test]
    fn a_wish_is_a_duration_or_seconds() {
        let wish = |value| wished(&headers(&[(MAX_WAIT_HEADER, value)]));
        for (value, millis) in [("30s", 30_000), ("1m30s", 90_000), ("30", 30_000), (" 0.5 ", 500), ("0", 0)]
        {
            assert_eq!(wish(value), Ok(Some(Duration::from_millis(millis))), "{value}");
        }
        for value in ["", "-1", "soon", "30 s", "1e40", "NaN", "30x"] {
            assert!(wish(value).is_err(), "{value}");
        }
        assert_eq!(wished(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn no_header_makes_a_wait_longer_or_the_margin_none(
            name in prop::sample::select(TOLD.to_vec()),
            value in prop_oneof!["[ -~]{0,12}", "[0-9]{1,7}(\\.[0-9]{1,3})?"],
        ) {
            let said = headers(&[(name, value.trim())]);
            if let Some(borne) = silence_borne(&said) {
                let told: f64 = value.trim().parse().unwrap();
                prop_assert!(borne.as_secs_f64() <= (told - 0.5).max(0.0) + 1e-6);
                prop_assert!(borne.as_secs_f64() >= told - 5.0 - 1e-6);
            }
        }
    }
}
