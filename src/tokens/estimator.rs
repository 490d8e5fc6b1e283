//! The estimate: what a call may cost in input and in output.
//!
//! Refuses to know limits and providers. Sums saturate; nothing that a client writes makes it panic.

use super::encoding::Counter;
use super::family::Family;
use super::kind::{Kind, kind_of};
use super::memo::{Memo, Work};
use crate::dialect::Dialect;
use crate::units::Tokens;
use crate::wire::{Call, Content};
use std::sync::Arc;

/// How much, as [`counted_bytes`] tells, may be counted on the thread that carries traffic. Measured
/// with optimisation, a millisecond counts 110,000 bytes or more of prose, code and JSON, 60,000 of
/// dense Chinese and 5,000 of the most hostile text, one unbroken run: this much costs 0.3 ms as a
/// rule and 7 ms at worst.
pub const INLINE_BYTES_MAX: usize = 32 * 1024;

/// What one more text or picture costs beside its length, in bytes of ordinary text.
const ITEM_BYTES: usize = 16;

/// Tokens that frame a message, that a name adds to its own text, and that open the answer: OpenAI's cookbook,
/// "How to count tokens with tiktoken". Nobody else tells; other families and dialects differ by less than their
/// text does.
const MESSAGE: u64 = 3;
const NAME: u64 = 1;
const REPLY: u64 = 3;

/// What the estimator cannot know from the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstimatorSettings {
    /// The output of one choice, where the client sets no cap.
    pub output_guess: Tokens,
}

/// The tokens that a call may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// What the model reads.
    pub input: Tokens,
    /// The most that it writes.
    pub output: Tokens,
    /// Whether `output` is a guess, because the client set no cap.
    pub output_is_guess: bool,
    /// What most of the input is.
    pub kind: Kind,
    /// What it took to count it.
    pub work: Work,
}

impl Estimate {
    /// Input and output together.
    pub fn total(self) -> Tokens {
        self.input + self.output
    }
}

/// Tells what calls may cost.
#[derive(Clone, Debug)]
pub struct Estimator {
    settings: EstimatorSettings,
    memo: Option<Arc<Memo>>,
}

impl Estimator {
    /// An estimator; loads nothing yet.
    pub fn new(settings: EstimatorSettings) -> Estimator {
        Estimator { settings, memo: None }
    }

    /// An estimator that counts through this memo.
    pub fn with_memo(self, memo: Arc<Memo>) -> Estimator {
        Estimator { memo: Some(memo), ..self }
    }

    /// The cost of `call` at `model`, the name that the target knows it by. Takes time in proportion to
    /// [`counted_bytes`], and loads the model's vocabulary if nobody has.
    pub fn estimate(&self, model: &str, call: &Call, content: &Content<'_>) -> Estimate {
        let family = Family::of_model(model);
        let (output, output_is_guess) = self.output(call);
        let mut counter = Counter::new(family.encoding, self.memo.as_deref());
        let (input, kind) = input(&family, call.dialect, content, &mut counter);
        Estimate { input, output, output_is_guess, kind, work: counter.work }
    }

    fn output(&self, call: &Call) -> (Tokens, bool) {
        if !call.dialect.has_output() {
            return (Tokens::ZERO, false);
        }
        let one = call.output_cap.unwrap_or(self.settings.output_guess);
        let choices = u64::from(call.choices.max(1));
        (Tokens(one.0.saturating_mul(choices)), call.output_cap.is_none())
    }
}

/// How much there is to count, in bytes of ordinary text.
pub fn counted_bytes(content: &Content<'_>) -> usize {
    let texts: usize = content.texts.iter().map(|text| text.len()).sum();
    let schemas: usize = content.schemas.iter().map(|schema| schema.len()).sum();
    let items = content.texts.len() + content.schemas.len() + content.images.len();
    texts + schemas + items * ITEM_BYTES
}

fn input(
    family: &Family,
    dialect: Dialect,
    content: &Content<'_>,
    counter: &mut Counter<'_>,
) -> (Tokens, Kind) {
    let texts = content.texts.iter().map(|text| counter.text(text)).sum();
    let images: Tokens = content.images.iter().map(|image| family.image.tokens(image)).sum();
    let audio = u64::from(content.audio_seconds) * family.audio_per_second;
    let frames = if dialect.is_conversation() {
        MESSAGE * u64::from(content.messages) + NAME * u64::from(content.names) + REPLY
    } else {
        0
    };
    let written = family.encoding.corrected(texts)
        + family.tools.tokens(&content.schemas, content.tools, counter)
        + content.encoded;
    let media = images + Tokens(audio);
    (written + media + Tokens(frames), kind_of(content, written, media))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ModelName;
    use crate::wire::{Image, Spans};

    fn call(dialect: Dialect) -> Call {
        Call {
            dialect,
            model: ModelName::from("gpt-4o"),
            stream: false,
            wants_usage: false,
            output_cap: None,
            choices: 1,
            user: None,
            spans: Spans { models: Vec::new(), stream_options: None, include_usage: None, insert: 1 },
        }
    }

    fn check(model: &str, call: &Call, content: &Content<'_>) -> Estimate {
        Estimator::new(EstimatorSettings { output_guess: Tokens(1000) }).estimate(model, call, content)
    }

    /// The conversation of OpenAI's cookbook: roles, names and contents.
    fn cookbook() -> Content<'static> {
        let system = "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.";
        let rest = [
            ("example_user", "New synergies will help drive top-line growth."),
            ("example_assistant", "Things working well together will increase revenue."),
            (
                "example_user",
                "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
            ),
            ("example_assistant", "Let's talk later when we're less busy about how to do better."),
        ];
        let last = "This late pivot means we don't have time to boil the ocean for the client deliverable.";
        let mut texts = vec!["system".into(), system.into()];
        for (name, text) in rest {
            texts.extend(["system".into(), name.into(), text.into()]);
        }
        texts.extend(["user".into(), last.into()]);
        Content { texts, messages: 6, names: 4, ..Content::default() }
    }

    #[test]
    fn a_chat_costs_what_openais_cookbook_counts() {
        for (model, tokens) in
            [("gpt-4o", 124), ("gpt-4o-mini", 124), ("gpt-4-0613", 129), ("gpt-3.5-turbo", 129)]
        {
            assert_eq!(check(model, &call(Dialect::Chat), &cookbook()).input, Tokens(tokens), "{model}");
        }
    }

    #[test]
    fn the_output_is_the_cap_or_the_guess_for_every_choice() {
        let chat = call(Dialect::Chat);
        let guess = check("gpt-4o", &chat, &Content::default());
        assert_eq!((guess.output, guess.output_is_guess), (Tokens(1000), true));
        let capped = Call { output_cap: Some(Tokens(50)), choices: 3, ..chat.clone() };
        let estimate = check("gpt-4o", &capped, &Content::default());
        assert_eq!((estimate.output, estimate.output_is_guess), (Tokens(150), false));
        assert_eq!(estimate.total(), Tokens(153));
        let none = Call { output_cap: Some(Tokens(0)), ..chat.clone() };
        assert_eq!(check("gpt-4o", &none, &Content::default()).output, Tokens::ZERO);
    }

    #[test]
    fn embeddings_and_completions_have_no_frames_and_embeddings_no_output() {
        let content = Content { texts: vec!["hello world".into()], encoded: Tokens(7), ..Content::default() };
        let embeddings = check("text-embedding-3-small", &call(Dialect::Embeddings), &content);
        assert_eq!((embeddings.input, embeddings.output), (Tokens(9), Tokens::ZERO));
        assert!(!embeddings.output_is_guess);
        let completions = check("davinci-002", &call(Dialect::Completions), &content);
        assert_eq!((completions.input, completions.output), (Tokens(9), Tokens(1000)));
    }

    #[test]
    fn conversations_are_framed_alike_in_every_dialect() {
        let content = Content { texts: vec!["hello world".into()], messages: 2, ..Content::default() };
        for dialect in Dialect::ALL {
            let frames = if dialect.is_conversation() { 2 * 3 + 3 } else { 0 };
            assert_eq!(check("gpt-4o", &call(dialect), &content).input, Tokens(2 + frames), "{dialect}");
        }
    }

    #[test]
    fn the_hidden_prompt_of_tools_comes_with_the_first_tool() {
        let with = |tools, schemas: &[&'static str]| {
            let content = Content { schemas: schemas.to_vec(), tools, ..Content::default() };
            check("claude-sonnet-4-5", &call(Dialect::Messages), &content).input
        };
        let (format, tool) = (r#"{"type":"object"}"#, r#"{"name":"f","input_schema":{}}"#);
        let one = with(1, &[tool]) - with(0, &[]);
        assert_eq!(with(0, &[tool]) + Tokens(496), with(1, &[tool]));
        assert!(one > Tokens(496) && with(0, &[format]) < Tokens(20));
        assert_eq!(with(2, &[tool, tool]) - with(1, &[tool]), one - Tokens(496));
    }

    #[test]
    fn pictures_audio_and_tools_are_added() {
        let chat = call(Dialect::Chat);
        let image = Image { size: Some((1024, 1024)), low_detail: false };
        let content = Content {
            schemas: vec![r#"{"name":"f"}"#],
            images: vec![image, Image { size: None, low_detail: true }],
            audio_seconds: 6,
            ..Content::default()
        };
        let tool = 7 + crate::tokens::Encoding::of_model("gpt-4o").count("f:").0 + 12;
        assert_eq!(check("gpt-4o", &chat, &content).input, Tokens(765 + 85 + 60 + tool + 3));
    }

    #[test]
    fn other_families_are_corrected_once_over_the_whole() {
        let texts = vec!["a".into(); 100];
        let content = Content { texts, ..Content::default() };
        assert_eq!(check("claude-sonnet-4-5", &call(Dialect::Embeddings), &content).input, Tokens(118));
    }

    #[test]
    fn absurd_numbers_saturate() {
        let absurd = Call { output_cap: Some(Tokens(u64::MAX)), choices: u32::MAX, ..call(Dialect::Chat) };
        let content = Content {
            messages: u32::MAX,
            names: u32::MAX,
            audio_seconds: u32::MAX,
            encoded: Tokens(u64::MAX),
            images: vec![Image { size: Some((u32::MAX, u32::MAX)), low_detail: false }; 100],
            ..Content::default()
        };
        for model in ["gpt-4o", "gpt-5.6", "claude-opus-5", "gemini-2.5-pro", "x"] {
            assert_eq!(check(model, &absurd, &content).total(), Tokens(u64::MAX), "{model}");
        }
    }

    /// Paragraphs that differ, some 2 kB each.
    fn paragraphs(count: usize) -> Vec<String> {
        let line = |turn: usize, line: usize| format!("Turn {turn} tells in line {line} what nobody knew. ");
        (0..count).map(|turn| (0..45).map(|at| line(turn, at)).collect()).collect()
    }

    #[test]
    fn a_conversation_resent_with_one_more_turn_costs_only_that_turn() {
        let estimator = Estimator::new(EstimatorSettings { output_guess: Tokens(1000) });
        let turns = paragraphs(101);
        let tool = format!(r#"{{"type":"function","function":{{"name":"f","description":"{}"}}}}"#, turns[0]);
        let part = |turns: &'_ [String]| -> Vec<std::borrow::Cow<'static, str>> {
            turns.iter().flat_map(|turn| ["user".to_owned().into(), turn.clone().into()]).collect()
        };
        let content = |turns: &[String]| Content { texts: part(turns), ..Content::default() };
        let (mut first, mut second) = (content(&turns[..100]), content(&turns));
        (first.schemas, second.schemas) = (vec![tool.as_str()], vec![tool.as_str()]);
        for model in ["gpt-4o", "claude-sonnet-4-5"] {
            let call = call(Dialect::Chat);
            let remembering = estimator.clone().with_memo(Arc::new(Memo::new(10_000)));
            let before = remembering.estimate(model, &call, &first);
            assert_eq!(before.work, Work { counted: counted_bytes_alone(&first), remembered: 0 });
            let after = remembering.estimate(model, &call, &second);
            let names: usize = 101 * "user".len();
            assert_eq!(after.work.counted, turns[100].len() + names, "{model}");
            assert!(after.work.counted * 10 < before.work.counted);
            assert_eq!(after.input, estimator.estimate(model, &call, &second).input, "{model}");
        }
    }

    #[test]
    fn one_text_that_has_grown_costs_only_its_end() {
        let remembering = Estimator::new(EstimatorSettings { output_guess: Tokens(1000) })
            .with_memo(Arc::new(Memo::new(10_000)));
        let (before, after) = (paragraphs(100).concat(), paragraphs(101).concat());
        let work = |text: &str| {
            let content = Content { texts: vec![text.into()], ..Content::default() };
            remembering.estimate("gpt-4o", &call(Dialect::Completions), &content).work
        };
        let first = work(&before);
        assert_eq!(first.counted, before.len());
        assert!(work(&after).counted * 10 < first.counted);
    }

    fn counted_bytes_alone(content: &Content<'_>) -> usize {
        content.texts.iter().map(|text| text.len()).sum::<usize>()
            + content.schemas.iter().map(|schema| schema.len()).sum::<usize>()
    }

    #[test]
    fn a_flood_of_empty_texts_is_not_free() {
        let content = Content { texts: vec!["".into(); 1_000_000], ..Content::default() };
        assert!(counted_bytes(&content) > INLINE_BYTES_MAX);
    }
}
