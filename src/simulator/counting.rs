//! What the simulated provider counts, when, over what time, and what it says of it. A plain value.
//!
//! The default is each family's own way. Everything else may be chosen whatever the dialect, so that a gateway can be
//! tried against any manner of counting without another provider.

use crate::dialect::Family;
use crate::units::{parse_duration, show_duration};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::str::FromStr;
use std::time::Duration;

/// The largest factor between its count and the rule of `count`; far beyond any two tokenizers.
const FACTOR_MAX: f64 = 100.0;

/// How the account counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatedCounting {
    /// Whose headers tell what is left.
    pub limit_headers: LimitHeaders,
    /// Whether a refusal says when to come back.
    pub tells_wait: bool,
    /// It counts, and reports as usage, so many times the tokens. A cap is in its own tokens and stays.
    #[serde(deserialize_with = "factor")]
    pub count_factor: f64,
    /// When output counts.
    pub output: OutputCharge,
    /// Whether input that its cache held counts; unset, as with the family: not for Messages.
    pub cached_input: Option<bool>,
    /// Whether what was charged at admission and not written is given back at the end.
    pub gives_back: bool,
    /// Whether a request that is refused for a limit counts as one, where there is room for it.
    pub refused_count: bool,
    /// Over what time requests are counted.
    pub requests_window: CountingWindow,
    /// Over what time tokens are counted.
    pub tokens_window: CountingWindow,
    /// How long the day of the limits a day is, counted from the start.
    #[serde(serialize_with = "write_day", deserialize_with = "read_day")]
    pub day: Duration,
}

impl Default for SimulatedCounting {
    fn default() -> SimulatedCounting {
        SimulatedCounting {
            limit_headers: LimitHeaders::Own,
            tells_wait: true,
            count_factor: 1.0,
            output: OutputCharge::Own,
            cached_input: None,
            gives_back: false,
            refused_count: false,
            requests_window: CountingWindow::Continuous,
            tokens_window: CountingWindow::Continuous,
            day: Duration::from_secs(86_400),
        }
    }
}

impl SimulatedCounting {
    /// Whether [`SimulatedCounting::count_factor`] may be this.
    pub fn is_factor(factor: f64) -> bool {
        factor > 0.0 && factor <= FACTOR_MAX
    }

    /// So many tokens by the rule of `count` in its own count.
    pub fn counted(&self, tokens: u64) -> u64 {
        scaled(tokens, self.count_factor)
    }

    /// Its own count of tokens by the rule of `count`.
    pub(super) fn uncounted(&self, tokens: u64) -> u64 {
        scaled(tokens, self.count_factor.recip())
    }

    /// When output counts for a call of that family.
    pub(super) fn output_for(&self, family: Family) -> OutputCharge {
        match (self.output, family) {
            (OutputCharge::Own, Family::OpenAi) => OutputCharge::AtAdmission,
            (OutputCharge::Own, Family::Anthropic) => OutputCharge::AsProduced,
            (OutputCharge::Own, Family::Gemini) => OutputCharge::Never,
            (chosen, _) => chosen,
        }
    }

    /// Whether cached input counts for a call of that family.
    pub(super) fn counts_cached(&self, family: Family) -> bool {
        self.cached_input.unwrap_or(family != Family::Anthropic)
    }

    /// Whether the buckets for other rules would be others.
    pub(super) fn has_windows_of(&self, other: &SimulatedCounting) -> bool {
        let windows =
            |counting: &SimulatedCounting| (counting.requests_window, counting.tokens_window, counting.day);
        windows(self) == windows(other)
    }
}

/// Whose headers tell what is left of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitHeaders {
    /// Those of the dialect's family: OpenAI's, Anthropic's, or none for Gemini.
    #[default]
    Own,
    /// OpenAI's, in every dialect.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's, in every dialect; tokens that are left are rounded to the nearest thousand.
    Anthropic,
    /// None.
    None,
}

impl LimitHeaders {
    /// Whose headers an answer in a dialect of that family has.
    pub(super) fn style(self, family: Family) -> Option<Family> {
        match self {
            LimitHeaders::Own => Some(family).filter(|family| *family != Family::Gemini),
            LimitHeaders::OpenAi => Some(Family::OpenAi),
            LimitHeaders::Anthropic => Some(Family::Anthropic),
            LimitHeaders::None => None,
        }
    }
}

/// When output counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputCharge {
    /// As with the dialect's family: at admission, as produced for Messages, never for Gemini.
    #[default]
    Own,
    /// At admission: the cap of every choice, or its length where it sets none.
    AtAdmission,
    /// As it is written. What runs may overdraw the account; then the next is refused.
    AsProduced,
    /// Never: input alone counts.
    Never,
}

/// Over what time a limit is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountingWindow {
    /// Refilled steadily; a minute's worth fits.
    #[default]
    Continuous,
    /// Counted from zero at every full minute since the start.
    Minute,
    /// A sixtieth, rounded up, in every second since the start. No header tells what is left of it.
    Second,
}

macro_rules! read_by_name {
    ($($type:ty),*) => {$(
        impl FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<$type, String> {
                let name = de::value::StrDeserializer::<de::value::Error>::new(name);
                <$type>::deserialize(name).map_err(|error| error.to_string())
            }
        }
    )*};
}

read_by_name!(LimitHeaders, OutputCharge, CountingWindow);

/// A number of tokens times a factor, rounded, within the bounds of a number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a cast of a float stops at the bounds of the integer, which is what a wild factor deserves"
)]
pub(super) fn scaled(tokens: u64, factor: f64) -> u64 {
    // A number above 2^53 would come out of a multiplication by one as another.
    if factor == 1.0 { tokens } else { (tokens as f64 * factor).round() as u64 }
}

fn factor<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let factor = f64::deserialize(from)?;
    match SimulatedCounting::is_factor(factor) {
        true => Ok(factor),
        false => {
            Err(de::Error::custom(format_args!("{factor} is not a factor above 0 and up to {FACTOR_MAX}")))
        }
    }
}

fn write_day<S: Serializer>(day: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&show_duration(*day))
}

fn read_day<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let day = parse_duration(&text).filter(|day| !day.is_zero());
    day.ok_or_else(|| de::Error::custom(format_args!("{text:?} is not a duration such as \"1d\" or \"90s\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_has_a_name_that_reads_back() {
        assert_eq!("openai".parse(), Ok(LimitHeaders::OpenAi));
        assert_eq!("as_produced".parse(), Ok(OutputCharge::AsProduced));
        assert_eq!("second".parse(), Ok(CountingWindow::Second));
        let mistake = "weekly".parse::<CountingWindow>().expect_err("there is no such window");
        assert!(mistake.contains("weekly") && mistake.contains("continuous"), "{mistake}");
    }

    #[test]
    fn a_factor_of_one_changes_no_number_and_no_factor_makes_a_wild_one() {
        assert_eq!(scaled(u64::MAX, 1.0), u64::MAX);
        assert_eq!((scaled(10, 1.3), scaled(5, 1.3)), (13, 7));
        assert_eq!((scaled(7, -1.0), scaled(7, f64::NAN)), (0, 0));
        assert_eq!(scaled(7, f64::INFINITY), u64::MAX);
    }

    #[test]
    fn factors_and_days_that_make_no_sense_are_named() {
        for (text, named) in [
            (r#"{"count_factor": 0}"#, "factor above 0"),
            (r#"{"count_factor": -1.5}"#, "-1.5"),
            (r#"{"day": "0s"}"#, "0s"),
            (r#"{"limit_headers": "open_ai"}"#, "openai"),
        ] {
            let mistake = serde_json::from_str::<SimulatedCounting>(text).expect_err(text).to_string();
            assert!(mistake.contains(named), "{mistake}");
        }
        let usual = SimulatedCounting::default();
        let text = serde_json::to_string(&usual).expect("plain data");
        assert_eq!(serde_json::from_str::<SimulatedCounting>(&text).expect("it was just written"), usual);
    }
}
