//! What estimates have learned: counts made before, how far they were off at each provider, how long answers are.
//!
//! One value a gateway, shared by all exchanges. Knows when to ask and to teach; how to learn is `tokens`' affair.
//! Invariant: an estimate is corrected for the target that it is told of, and once.

use super::settings::LearningSettings;
use crate::admission::{Cost, Counting};
use crate::ids::{ModelName, ProviderId, TargetId};
use crate::tokens::{
    Correction, Corrections, Encoding, Estimate, Kind, Memo, OutputLengths, SavedLengths, SavedLevel,
};
use crate::units::Tokens;
use crate::wire::Usage;
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// Everything learned.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) memo: Arc<Memo>,
    /// Guards the factors, for a few look-ups.
    corrections: Mutex<Corrections>,
    /// Guards the lengths, for a few look-ups.
    outputs: Mutex<OutputLengths>,
}

/// What outlives the process. The counts do not: making them again costs one turn of each conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedLearned {
    /// How far estimates were off.
    #[serde(default)]
    corrections: Vec<SavedLevel>,
    /// How long answers were.
    #[serde(default)]
    outputs: Vec<SavedLengths>,
}

impl SavedLearned {
    /// Reads what was learned, or nothing where it makes no sense: limits that stand beside it are not to be lost
    /// with it.
    pub(super) fn leniently<'de, D: Deserializer<'de>>(from: D) -> Result<SavedLearned, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        Ok(serde_json::from_value(value).unwrap_or_default())
    }
}

/// A call as it was estimated, before anything that was learned is applied.
#[derive(Clone, Debug)]
pub(super) struct Sizing {
    pub(super) estimate: Estimate,
    /// The model whose family it was estimated for.
    pub(super) model: ModelName,
    pub(super) choices: u32,
    /// Who asks; 0 for nobody known.
    pub(super) client: u64,
    /// Output of one choice where nothing is known of it.
    pub(super) output_guess: Tokens,
    pub(super) settings: LearningSettings,
}

/// What a call may cost at one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foresight {
    /// What is expected.
    pub(super) cost: Cost,
    /// Input that nine of ten such calls stay below.
    high: Tokens,
    /// Output that is expected, whatever the cap.
    guess: Tokens,
    pub(super) lesson: Lesson,
}

impl Foresight {
    /// What to hold of a budget that counts so. Input is held with a margin only where that is given back.
    pub(super) fn reserved(&self, counting: Counting) -> Cost {
        let input = if counting.gives_back { self.high } else { self.cost.input };
        counting.reserved(Cost { input, ..self.cost }, self.guess)
    }
}

/// What an exchange needs to keep in order to teach when it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lesson {
    learns: bool,
    /// As estimated for the target's family, not corrected.
    input: Tokens,
    kind: Kind,
    choices: u32,
    client: u64,
}

impl Learned {
    pub(super) fn new(settings: LearningSettings) -> Learned {
        Learned {
            memo: Arc::new(Memo::new(settings.memo_entries as usize)),
            corrections: Mutex::default(),
            outputs: Mutex::default(),
        }
    }

    /// Takes over new settings.
    pub(super) fn retune(&self, settings: LearningSettings) {
        self.memo.resize(settings.memo_entries as usize);
    }

    /// What the call may cost at this target.
    pub(super) fn foresee(&self, sizing: &Sizing, target: &TargetId) -> Foresight {
        let Sizing { estimate, settings, client, .. } = sizing;
        let input = if target.model == sizing.model {
            estimate.input
        } else {
            let (of, by) = (target.model.as_str(), sizing.model.as_str());
            Encoding::of_model(of).instead_of(Encoding::of_model(by), estimate.input)
        };
        let (correction, length) = if settings.learn {
            let correction = self.corrections.lock().of(&target.provider, &target.model, estimate.kind);
            let length = self.outputs.lock().quantile(*client, &target.model, settings.output_percentile);
            (correction, length)
        } else {
            (Correction::NONE, None)
        };
        let choices = u64::from(sizing.choices.max(1));
        let guess = Tokens(length.unwrap_or(sizing.output_guess).0.saturating_mul(choices));
        let output = if estimate.output_is_guess { guess } else { estimate.output };
        Foresight {
            cost: Cost { input: correction.mean(input), output, output_is_guess: estimate.output_is_guess },
            high: correction.high(input),
            guess,
            lesson: Lesson {
                learns: settings.learn,
                input,
                kind: estimate.kind,
                choices: sizing.choices,
                client: *client,
            },
        }
    }

    /// Learns from what a provider says that an exchange has used. The output of one that did not end by itself says
    /// nothing of how long answers are.
    pub(super) fn teach(&self, target: &TargetId, lesson: Lesson, usage: Usage, is_complete: bool) {
        if !lesson.learns {
            return;
        }
        let Lesson { input, kind, client, .. } = lesson;
        self.corrections.lock().teach(&target.provider, &target.model, kind, input, usage.input);
        if is_complete {
            let one = Tokens(usage.output.0 / u64::from(lesson.choices.max(1)));
            self.outputs.lock().teach(client, &target.model, one);
        }
    }

    /// The factor for what nobody has seen at this provider, in thousandths.
    pub(super) fn permille(&self, provider: &ProviderId) -> u64 {
        self.corrections.lock().of_provider(provider).permille()
    }

    /// How many factors and how many lengths are kept.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.corrections.lock().len(), self.outputs.lock().len())
    }

    pub(super) fn save(&self) -> SavedLearned {
        SavedLearned { corrections: self.corrections.lock().save(), outputs: self.outputs.lock().save() }
    }

    pub(super) fn restore(&self, saved: &SavedLearned) {
        self.corrections.lock().restore(&saved.corrections);
        self.outputs.lock().restore(&saved.outputs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::OutputCounts;
    use crate::exchange::SavedState;
    use proptest::prelude::*;

    fn target(model: &str) -> TargetId {
        TargetId { provider: ProviderId::from("a"), model: ModelName::from(model) }
    }

    fn sizing(input: u64, cap: Option<u64>) -> Sizing {
        Sizing {
            estimate: Estimate {
                input: Tokens(input),
                output: Tokens(cap.unwrap_or(1_024)),
                output_is_guess: cap.is_none(),
                ..Estimate::default()
            },
            model: ModelName::from("gpt-4o"),
            choices: 1,
            client: 7,
            output_guess: Tokens(1_024),
            settings: LearningSettings::default(),
        }
    }

    /// Learned from twenty answers of 100 tokens whose input was counted as three halves of ours.
    fn taught(sizing: &Sizing) -> Learned {
        let learned = Learned::new(sizing.settings);
        let usage = Usage { input: Tokens(3_000), output: Tokens(100), ..Usage::default() };
        for _ in 0..20 {
            let lesson = learned.foresee(sizing, &target("gpt-4o")).lesson;
            learned.teach(&target("gpt-4o"), lesson, usage, true);
        }
        learned
    }

    #[test]
    fn what_was_learned_corrects_input_and_guess_but_never_a_cap() {
        let learned = taught(&sizing(2_000, None));
        let open = learned.foresee(&sizing(2_000, None), &target("gpt-4o")).cost;
        assert!((2_950..=3_050).contains(&open.input.0), "{open:?}");
        assert!((100..120).contains(&open.output.0) && open.output_is_guess, "{open:?}");
        for cap in [5, 50_000] {
            let capped = learned.foresee(&sizing(2_000, Some(cap)), &target("gpt-4o"));
            assert_eq!((capped.cost.output, capped.cost.output_is_guess), (Tokens(cap), false));
            let produced = Counting { output: OutputCounts::AsProduced, ..Counting::USUAL };
            assert_eq!(capped.reserved(produced).output.0, cap.min(open.output.0), "a cap bounds the guess");
        }
    }

    #[test]
    fn nothing_is_learned_or_applied_where_that_is_turned_off() {
        let learning = sizing(2_000, None);
        let still = Sizing {
            settings: LearningSettings { learn: false, ..LearningSettings::default() },
            ..learning.clone()
        };
        let learned = taught(&still);
        assert_eq!(learned.sizes(), (0, 0));
        let cost = taught(&learning).foresee(&still, &target("gpt-4o")).cost;
        assert_eq!((cost.input, cost.output), (Tokens(2_000), Tokens(1_024)));
    }

    #[test]
    fn answers_that_broke_off_teach_no_length() {
        let (sizing, usage) = (sizing(2_000, None), Usage { output: Tokens(9), ..Usage::default() });
        let learned = Learned::new(sizing.settings);
        let lesson = learned.foresee(&sizing, &target("gpt-4o")).lesson;
        learned.teach(&target("gpt-4o"), lesson, Usage { input: Tokens(2_000), ..usage }, false);
        assert_eq!(learned.sizes(), (3, 0), "the input was counted before it broke");
    }

    #[test]
    fn a_length_is_that_of_one_choice() {
        let three = Sizing { choices: 3, ..sizing(2_000, None) };
        let cost = taught(&three).foresee(&three, &target("gpt-4o")).cost;
        assert!((99..130).contains(&cost.output.0), "three answers of 33: {cost:?}");
    }

    #[test]
    fn a_target_of_another_family_starts_at_its_own_table() {
        let learned = Learned::new(LearningSettings::default());
        let cost = learned.foresee(&sizing(2_000, None), &target("claude-sonnet-4-5")).cost;
        assert_eq!(cost.input, Tokens(2_360));
    }

    #[test]
    fn input_is_held_with_a_margin_only_where_that_is_given_back() {
        let sizing = sizing(2_000, Some(10));
        let learned = Learned::new(sizing.settings);
        for truth in [1_800, 2_600].repeat(20) {
            let lesson = learned.foresee(&sizing, &target("gpt-4o")).lesson;
            let usage = Usage { input: Tokens(truth), output: Tokens(10), ..Usage::default() };
            learned.teach(&target("gpt-4o"), lesson, usage, true);
        }
        let foresight = learned.foresee(&sizing, &target("gpt-4o"));
        let held = |gives_back| foresight.reserved(Counting { gives_back, ..Counting::USUAL }).input;
        assert_eq!(held(false), foresight.cost.input);
        assert!(held(true).0 > foresight.cost.input.0 + 200, "{foresight:?}");
    }

    #[test]
    fn what_was_learned_is_restored_and_limits_survive_nonsense_beside_them() {
        let learned = taught(&sizing(2_000, None));
        let mut state = SavedState { learned: learned.save(), ..SavedState::default() };
        state.desk.wall_ms = 17;
        let text = serde_json::to_value(&state).expect("numbers can be written");
        let read = |value| serde_json::from_value::<SavedState>(value).expect("the desk is as it was");
        assert_eq!(read(text.clone()), state);
        for nonsense in [
            serde_json::json!(null),
            serde_json::json!([1, "x"]),
            serde_json::json!({"corrections": [[1, 2]], "outputs": 3}),
        ] {
            let mut odd = text.clone();
            odd["learned"] = nonsense;
            assert_eq!((read(odd.clone()).desk.wall_ms, read(odd).learned), (17, SavedLearned::default()));
        }
        let mut old = text;
        old.as_object_mut().expect("an object").remove("learned");
        assert_eq!(read(old).learned, SavedLearned::default());
    }

    proptest! {
        #[test]
        fn whatever_was_saved_an_estimate_stays_within_its_bounds(
            levels in prop::collection::vec(any::<(u64, f32, f32, f32)>(), 0..10),
            ranges in prop::collection::vec(any::<(u64, Vec<(u8, f32)>)>(), 0..10),
            input in any::<u64>(),
        ) {
            let number = |value: f32| if value.is_finite() { value } else { 0.5 };
            let levels: Vec<_> =
                levels.into_iter().map(|(k, w, m, v)| (k, number(w), number(m), number(v))).collect();
            let ranges: Vec<_> = ranges
                .into_iter()
                .map(|(key, ranges)| (key, ranges.into_iter().map(|(at, w)| (at, number(w))).collect::<Vec<_>>()))
                .collect();
            let saved = serde_json::json!({"corrections": levels, "outputs": ranges});
            let learned = Learned::new(LearningSettings::default());
            learned.restore(&serde_json::from_value(saved).expect("its shape is right"));
            let sizing = sizing(input, None);
            let cost = learned.foresee(&sizing, &target("gpt-4o")).cost;
            prop_assert!(cost.input.0 >= input / 4 && cost.input.0 <= input.saturating_mul(4).saturating_add(1));
            prop_assert!(cost.output.0 >= 1 && cost.output.0 <= 1 << 20);
        }
    }
}
