//! How the simulated provider is slow or wrong. A plain value, read once by each request as it is admitted.
//!
//! Every `..._after_chunks` counts the events of one stream, `[DONE]` included; zero means right after the head. Where
//! several name the same event, they happen in this order: stall, garbage, error event, end, cut.

use super::hold::Hold;
use crate::units::{parse_duration, show_duration};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that may be set. The default is a provider that answers at once and never fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How many tokens an answer has, unless the question asks for "N words" or caps it.
    pub output_tokens: u32,
    /// From admission to the head of the answer.
    #[serde(with = "duration")]
    pub first_token_delay: Duration,
    /// Between two events of a stream; an answer in one piece takes as long as its stream would.
    #[serde(with = "duration")]
    pub token_delay: Duration,
    /// By which fraction, either way, a token delay strays; from 0 to 1, seeded.
    pub jitter: f64,
    /// The fraction of model calls, from 0 to 1, answered with `error_status`; seeded.
    pub error_rate: f64,
    /// What failing calls are answered with.
    #[serde(with = "status")]
    pub error_status: StatusCode,
    /// The next model calls fail so.
    pub fail_next: Option<FailNext>,
    /// Failures have an HTML body, as from a proxy in front of the provider.
    pub html_errors: bool,
    /// The connection is cut after that many events, without the end that HTTP prescribes.
    pub cut_after_chunks: Option<u32>,
    /// The answer ends after that many events as if it were complete.
    pub end_after_chunks: Option<u32>,
    /// Streams end without the mark of their end: `[DONE]`, `response.completed`, `message_stop`, or a reason to finish.
    pub no_done: bool,
    /// Silence after that many events, until released.
    pub stall_after_chunks: Option<u32>,
    /// An error event after that many events, then the end.
    pub error_event_after_chunks: Option<u32>,
    /// The word in that event's type, code or status, such as `overloaded_error`; each dialect has its own otherwise.
    pub error_kind: Option<String>,
    /// The message in that event.
    pub error_message: Option<String>,
    /// An event whose data is no JSON after that many events; the stream goes on.
    pub garbage_after_chunks: Option<u32>,
    /// Comments and unknown fields before every event, pings too for Messages, blank lines before plain JSON and before
    /// Gemini's events, whose client reads no comments: all legal, all to be ignored.
    pub noise: bool,
    /// Answers say nothing of usage, even when asked.
    pub no_usage: bool,
    /// Answers say that nothing was used.
    pub zero_usage: bool,
    /// Answers report what was used times this factor.
    pub wrong_usage: Option<f64>,
    /// Every chunk of a chat stream tells what was used so far, asked for or not.
    pub cumulative_usage: bool,
    /// The arguments of parallel calls come in turns in a chat stream, a piece of one and a piece of the other.
    pub interleave_tools: bool,
    /// Every request but those for control is accepted and not answered until released.
    pub hang: bool,
    /// Every connection that brings a request, but for control, is closed at once, without an answer.
    pub refuse: bool,
    /// Every admitted model call waits inside until released.
    pub gate: bool,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            output_tokens: 40,
            first_token_delay: Duration::ZERO,
            token_delay: Duration::ZERO,
            jitter: 0.0,
            error_rate: 0.0,
            error_status: StatusCode::INTERNAL_SERVER_ERROR,
            fail_next: None,
            html_errors: false,
            cut_after_chunks: None,
            end_after_chunks: None,
            no_done: false,
            stall_after_chunks: None,
            error_event_after_chunks: None,
            error_kind: None,
            error_message: None,
            garbage_after_chunks: None,
            noise: false,
            no_usage: false,
            zero_usage: false,
            wrong_usage: None,
            cumulative_usage: false,
            interleave_tools: false,
            hang: false,
            refuse: false,
            gate: false,
        }
    }
}

impl Faults {
    /// Whether requests are held for this reason.
    pub(super) fn holds(&self, why: Hold) -> bool {
        match why {
            Hold::Hang => self.hang,
            Hold::Gate => self.gate,
            Hold::Stall => self.stall_after_chunks.is_some(),
        }
    }

    /// One delay between two tokens.
    pub(super) fn token_delay(&self, rng: &mut fastrand::Rng) -> Duration {
        if self.jitter.is_nan() || self.jitter <= 0.0 {
            return self.token_delay;
        }
        let factor = 1.0 + self.jitter.min(1.0) * (2.0 * rng.f64() - 1.0);
        self.token_delay.mul_f64(factor.max(0.0))
    }
}

/// Fails the next model calls in a given way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailNext {
    /// How many more.
    pub times: u32,
    /// Their status.
    #[serde(with = "status")]
    pub status: StatusCode,
    /// Headers to add, such as `retry-after`.
    #[serde(with = "headers", default)]
    pub headers: HeaderMap,
    /// The whole body, where the simulator's own words would not do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

impl FailNext {
    /// The next `times` model calls get `status`.
    pub fn new(times: u32, status: StatusCode) -> FailNext {
        FailNext { times, status, headers: HeaderMap::new(), body: None }
    }

    /// The same in these words.
    #[must_use]
    pub fn with_body(mut self, body: serde_json::Value) -> FailNext {
        self.body = Some(body);
        self
    }

    /// The same with a header more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> FailNext {
        self.headers.append(name, value);
        self
    }
}

/// Durations as text with a unit, in the form that the configuration uses.
mod duration {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&show_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse_duration(&text).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is no duration; write it like \"15ms\" or \"2s\""))
        })
    }
}

/// Statuses as numbers, errors only.
mod status {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(value.as_u16())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StatusCode, D::Error> {
        let number = u16::deserialize(from)?;
        StatusCode::from_u16(number).ok().filter(|status| (400..=599).contains(&status.as_u16())).ok_or_else(
            || de::Error::custom(format!("{number} is no error status; give one from 400 to 599")),
        )
    }
}

/// Headers as an object of texts.
mod headers {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &HeaderMap, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(
            value.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderMap, D::Error> {
        let mut map = HeaderMap::new();
        for (name, value) in BTreeMap::<String, String>::deserialize(from)? {
            let name = HeaderName::try_from(name).map_err(de::Error::custom)?;
            map.append(name, HeaderValue::try_from(value).map_err(de::Error::custom)?);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_back_as_they_were_written() {
        let faults = Faults {
            token_delay: Duration::from_millis(1_500),
            fail_next: Some(
                FailNext::new(2, StatusCode::TOO_MANY_REQUESTS)
                    .with_header(http::header::RETRY_AFTER, HeaderValue::from_static("3"))
                    .with_body(serde_json::json!({"error": "slow_down"})),
            ),
            cut_after_chunks: Some(0),
            ..Faults::default()
        };
        let text = serde_json::to_string(&faults).unwrap();
        assert!(text.contains(r#""token_delay":"1s500ms""#), "{text}");
        assert_eq!(serde_json::from_str::<Faults>(&text).unwrap(), faults);
    }

    #[test]
    fn what_no_provider_does_is_refused() {
        for text in [
            r#"{"error_status":200}"#,
            r#"{"error_status":99}"#,
            r#"{"token_delay":"soon"}"#,
            r#"{"fail_next":{"times":1,"status":500,"headers":{"a b":"c"}}}"#,
            r#"{"typo":1}"#,
        ] {
            assert!(serde_json::from_str::<Faults>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn jitter_strays_no_further_than_its_fraction() {
        let faults = Faults { token_delay: Duration::from_millis(100), jitter: 0.5, ..Faults::default() };
        let mut rng = fastrand::Rng::with_seed(3);
        let delays: Vec<_> = (0..1_000).map(|_| faults.token_delay(&mut rng)).collect();
        assert!(delays.iter().all(|delay| (50..=150).contains(&delay.as_millis())));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }
}
