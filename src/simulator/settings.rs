//! What the simulated provider offers at its start.

use super::counting::SimulatedCounting;
use super::faults::Faults;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The simulated provider at its start. Faults, limits and counting may be changed while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorSettings {
    /// The models that it lists and answers for.
    pub models: Vec<String>,
    /// What it enforces.
    pub limits: SimulatedLimits,
    /// What it counts against that, when, and what it says of it.
    pub counting: SimulatedCounting,
    /// How it misbehaves, and how fast it is.
    pub faults: Faults,
    /// What its words, vectors, jitter and errors are derived from.
    pub seed: u64,
    /// The key that every request but those for control must bring; any or none will do when absent.
    pub key: Option<Secret>,
}

impl SimulatorSettings {
    /// Model `sim` without limits and without delays: for tests and benches that set what they need.
    pub fn unlimited() -> SimulatorSettings {
        SimulatorSettings {
            models: vec!["sim".to_owned()],
            limits: SimulatedLimits::default(),
            counting: SimulatedCounting::default(),
            faults: Faults::default(),
            seed: 1,
            key: None,
        }
    }
}

impl Default for SimulatorSettings {
    /// For a newcomer: an answer streams visibly and still ends in half a second, and a loop of calls soon
    /// meets the limit, so that waiting shows.
    fn default() -> SimulatorSettings {
        SimulatorSettings {
            limits: SimulatedLimits {
                requests_per_minute: Some(60),
                tokens_per_minute: Some(60_000),
                ..SimulatedLimits::default()
            },
            faults: Faults {
                first_token_delay: Duration::from_millis(50),
                token_delay: Duration::from_millis(10),
                ..Faults::default()
            },
            ..SimulatorSettings::unlimited()
        }
    }
}

/// What the simulated account may use; absent means without limit. The account is one: every key and every model
/// draws from the same buckets. Over what time a limit a minute is counted, and what counts, says
/// [`SimulatedCounting`]; as it stands:
///
/// - Chat, completions, Responses, embeddings: the prompt, and the output cap for every choice, or its natural length
///   where it sets no cap, both at admission.
/// - Messages: the input but for what is read from the cache, and output as it is written; no cap counts.
/// - Gemini: the input alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatedLimits {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests a day.
    pub requests_per_day: Option<u64>,
    /// Tokens a minute: what is charged as input and as output together.
    pub tokens_per_minute: Option<u64>,
    /// Tokens a day.
    pub tokens_per_day: Option<u64>,
    /// Tokens a minute of what is charged as input.
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens a minute of what is charged as output.
    pub output_tokens_per_minute: Option<u64>,
    /// Requests that may be answered at a time.
    pub concurrent: Option<u64>,
}
