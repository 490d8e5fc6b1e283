//! What is known of a model by its name: its vocabulary, and how it counts pictures, tools and audio.
//!
//! One table, first match wins. Refuses to know the formulas, which stand in `image`, `tools` and
//! `estimator`.
//!
//! Factors over o200k, for families without a public vocabulary: Claude before 4.7 1.18, because
//! Anthropic says that OpenAI's vocabularies count its text 15 to 20 % short; since 4.7 another 1.3 on
//! top, by its migration notes; Gemini 1.05 and unknown models 1.1, by comparison only. A learned
//! correction is expected on top: these are where it starts.

use super::encoding::Encoding;
use super::image::ImageRule;
use super::tools::ToolRule;
use super::vocabulary::Vocabulary;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// How much of a name is looked at. Longer than any vendor's, shorter than a hostile client's.
const NAME_CHARS_MAX: usize = 128;

/// Tokens a second of audio that a model hears: OpenAI's figure, and Google's.
const AUDIO_OPENAI: u64 = 10;
const AUDIO_GEMINI: u64 = 32;

/// What a family of models has in common, as far as counting goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// All of these stand in the name, each where a word of it begins.
    words: &'static [&'static str],
    pub(super) encoding: Encoding,
    pub(super) image: ImageRule,
    pub(super) tools: ToolRule,
    pub(super) audio_per_second: u64,
}

impl Family {
    /// The family of a model by its name. OpenAI's own names go through the table that is kept up with
    /// theirs; those of the future and of everybody else through the one below.
    pub(super) fn of_model(model: &str) -> Family {
        let name = bare(model);
        let mut family = FAMILIES
            .iter()
            .find(|family| family.words.iter().all(|word| has_word(&name, word)))
            .copied()
            .unwrap_or(UNKNOWN);
        if let Some(tokenizer) = get_tokenizer(&name) {
            family.encoding = Encoding { vocabulary: openai_vocabulary(tokenizer), permille: 1000 };
        }
        family
    }
}

fn openai_vocabulary(tokenizer: Tokenizer) -> Vocabulary {
    match tokenizer {
        Tokenizer::O200kBase | Tokenizer::O200kHarmony => Vocabulary::O200k,
        Tokenizer::Cl100kBase => Vocabulary::Cl100k,
        Tokenizer::P50kBase | Tokenizer::P50kEdit => Vocabulary::P50k,
        Tokenizer::R50kBase | Tokenizer::Gpt2 => Vocabulary::R50k,
    }
}

/// A name without its provider and its fine-tuning, in small letters.
fn bare(model: &str) -> String {
    let end = model.char_indices().nth(NAME_CHARS_MAX).map_or(model.len(), |(at, _)| at);
    let model = &model[..end];
    let name = match model.rfind("ft:") {
        Some(at) => model[at + 3..].split(':').next().unwrap_or_default(),
        None => model,
    };
    name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether `word` stands in `name` where a word begins: at the start or behind a mark. Compares at those few
/// places alone: building a searcher for every word of the table costs more than all the rest of an estimate.
fn has_word(name: &str, word: &str) -> bool {
    let (name, word) = (name.as_bytes(), word.as_bytes());
    let begins = |at: &usize| *at == 0 || !name[at - 1].is_ascii_alphanumeric();
    (0..name.len()).filter(begins).any(|at| name[at..].starts_with(word))
}

const fn counted(vocabulary: Vocabulary, permille: u64) -> Encoding {
    Encoding { vocabulary, permille }
}

const fn openai(words: &'static [&'static str], image: ImageRule) -> Family {
    Family {
        words,
        encoding: counted(Vocabulary::O200k, 1000),
        image,
        tools: ToolRule::Cookbook,
        audio_per_second: AUDIO_OPENAI,
    }
}

const fn claude(words: &'static [&'static str], permille: u64, image: ImageRule, prompt: u64) -> Family {
    Family {
        words,
        encoding: counted(Vocabulary::O200k, permille),
        image,
        tools: ToolRule::Text { prompt },
        audio_per_second: AUDIO_OPENAI,
    }
}

const fn gemini(words: &'static [&'static str], image: ImageRule) -> Family {
    Family {
        words,
        encoding: counted(Vocabulary::O200k, 1050),
        image,
        tools: ToolRule::Text { prompt: 0 },
        audio_per_second: AUDIO_GEMINI,
    }
}

const fn open(words: &'static [&'static str], vocabulary: Vocabulary, permille: u64) -> Family {
    Family {
        words,
        encoding: counted(vocabulary, permille),
        image: TILES,
        tools: ToolRule::Text { prompt: 0 },
        audio_per_second: AUDIO_OPENAI,
    }
}

/// The picture rule of gpt-4o, and of everything that says nothing about its own.
const TILES: ImageRule = ImageRule::Tiles { base: 85, tile: 170 };
const CLAUDE_OLD: ImageRule = ImageRule::Grid { edge: 1568, tokens: 1568 };
const CLAUDE_NEW: ImageRule = ImageRule::Grid { edge: 2576, tokens: 4784 };

const fn tiles(base: u64, tile: u64) -> ImageRule {
    ImageRule::Tiles { base, tile }
}

const fn patches(budget: u64, edge: u64, permille: u64) -> ImageRule {
    ImageRule::Patches { budget, edge, permille }
}

/// More patches than any picture that is sent has; where a model sets no budget of its own.
const UNBOUNDED: u64 = 1_000_000;

const UNKNOWN: Family = open(&[], Vocabulary::O200k, 1100);

/// Picture figures: OpenAI's guide to images and vision; Anthropic's guide to vision; Google's token
/// guide. Hidden tool prompts: Anthropic's tool use pricing, with `tool_choice` auto.
const FAMILIES: &[Family] = &[
    openai(&["gpt-4o-mini"], tiles(2833, 5667)),
    openai(&["gpt-4.1-mini"], patches(1536, 2048, 1620)),
    openai(&["gpt-4.1-nano"], patches(1536, 2048, 2460)),
    openai(&["gpt-5", "mini"], patches(1536, 2048, 1620)),
    openai(&["gpt-5", "nano"], patches(1536, 2048, 2460)),
    openai(&["gpt-5", "codex"], patches(1536, 2048, 1000)),
    openai(&["gpt-5.2"], patches(1536, 2048, 1000)),
    openai(&["gpt-5.3"], patches(1536, 2048, 1000)),
    openai(&["gpt-5.4"], patches(2500, 2048, 1000)),
    openai(&["gpt-5.5"], patches(10_000, 6000, 1000)),
    openai(&["gpt-5.6"], patches(UNBOUNDED, u64::MAX, 1200)),
    openai(&["gpt-5"], tiles(70, 140)),
    openai(&["gpt-6"], patches(UNBOUNDED, u64::MAX, 1200)),
    openai(&["gpt-"], TILES),
    openai(&["chatgpt"], TILES),
    openai(&["o4-mini"], patches(1536, 2048, 1720)),
    openai(&["o1"], tiles(75, 150)),
    openai(&["o3"], tiles(75, 150)),
    openai(&["codex"], patches(1536, 2048, 1000)),
    openai(&["computer-use"], tiles(65, 129)),
    claude(&["claude", "4-7"], 1550, CLAUDE_NEW, 675),
    claude(&["claude", "4.7"], 1550, CLAUDE_NEW, 675),
    claude(&["claude", "4-8"], 1550, CLAUDE_NEW, 290),
    claude(&["claude", "4.8"], 1550, CLAUDE_NEW, 290),
    claude(&["claude-2"], 1180, CLAUDE_OLD, 264),
    claude(&["claude-3"], 1180, CLAUDE_OLD, 264),
    claude(&["claude-instant"], 1180, CLAUDE_OLD, 264),
    claude(&["claude", "4-5"], 1180, CLAUDE_OLD, 496),
    claude(&["claude", "4.5"], 1180, CLAUDE_OLD, 496),
    claude(&["claude", "4-6"], 1180, CLAUDE_OLD, 497),
    claude(&["claude", "4.6"], 1180, CLAUDE_OLD, 497),
    claude(&["claude", "4"], 1180, CLAUDE_OLD, 313),
    claude(&["claude"], 1550, CLAUDE_NEW, 354),
    gemini(&["gemini-3"], ImageRule::Resolution { low: 280, default: 1120 }),
    gemini(&["gemini"], ImageRule::Squares),
    gemini(&["gemma"], ImageRule::Squares),
    open(&["deepseek", "llama"], Vocabulary::Llama3, 1000),
    open(&["deepseek", "qwen"], Vocabulary::Qwen2, 1000),
    open(&["deepseek"], Vocabulary::Deepseek, 1000),
    open(&["llama-2"], Vocabulary::O200k, 1150),
    open(&["llama2"], Vocabulary::O200k, 1150),
    open(&["llama"], Vocabulary::Llama3, 1000),
    open(&["qwen"], Vocabulary::Qwen2, 1000),
    open(&["qwq"], Vocabulary::Qwen2, 1000),
    open(&["mistral"], Vocabulary::Mistral, 1000),
    open(&["ministral"], Vocabulary::Mistral, 1000),
    open(&["codestral"], Vocabulary::Mistral, 1000),
    open(&["devstral"], Vocabulary::Mistral, 1000),
    open(&["magistral"], Vocabulary::Mistral, 1000),
    open(&["pixtral"], Vocabulary::Mistral, 1000),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vocabulary: Vocabulary, permille: u64, models: &[&str]) {
        for model in models {
            let encoding = Family::of_model(model).encoding;
            assert_eq!(encoding, Encoding { vocabulary, permille }, "{model}");
        }
    }

    #[test]
    fn openai_names_are_known_with_prefix_fine_tuning_and_date() {
        check(
            Vocabulary::O200k,
            1000,
            &[
                "gpt-4o",
                "gpt-4o-2024-08-06",
                "openai/gpt-4o-mini",
                "ft:gpt-4o:org:name:id",
                "openrouter/openai/gpt-5.4",
                "gpt-5",
                "gpt-5.1-codex-mini",
                "o3",
                "o4-mini-2026-06-02",
                "chatgpt-4o-latest",
                "gpt-oss-120b",
                "GPT-4o",
                "openai.gpt-oss-20b-1:0",
                "gpt-4.5",
                "gpt-6-mini",
                "openai/ft:gpt-4o-mini-2024-07-18:acme/x::A1",
            ],
        );
        check(
            Vocabulary::Cl100k,
            1000,
            &["gpt-4", "gpt-4-0613", "ft:gpt-3.5-turbo:a", "text-embedding-3-small"],
        );
        check(Vocabulary::Cl100k, 1000, &["azure/gpt-35-turbo", "gpt-4-turbo-2024-04-09"]);
        check(Vocabulary::P50k, 1000, &["text-davinci-003", "code-davinci-edit-001"]);
        check(Vocabulary::R50k, 1000, &["davinci", "gpt2"]);
    }

    #[test]
    fn models_with_a_public_vocabulary_are_counted_in_it() {
        check(
            Vocabulary::Llama3,
            1000,
            &["meta-llama/Llama-3.3-70B-Instruct", "llama3.2:3b", "meta.llama3-1-8b-instruct-v1:0"],
        );
        check(Vocabulary::Llama3, 1000, &["deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "llama-4-scout"]);
        check(
            Vocabulary::Qwen2,
            1000,
            &["Qwen/Qwen2.5-Coder-32B", "qwen3:8b", "qwq-32b", "deepseek-r1-distill-qwen-7b"],
        );
        check(
            Vocabulary::Mistral,
            1000,
            &["mistral-large-latest", "ministral-8b-2410", "codestral-2501", "open-mistral-nemo"],
        );
        check(Vocabulary::Deepseek, 1000, &["deepseek-chat", "deepseek/deepseek-r1:14b"]);
    }

    #[test]
    fn models_without_one_are_counted_with_a_factor() {
        check(
            Vocabulary::O200k,
            1180,
            &["claude-3-5-sonnet-20241022", "claude-3-7-sonnet-latest", "claude-2.1"],
        );
        check(
            Vocabulary::O200k,
            1180,
            &["claude-sonnet-4-20250514", "anthropic/claude-sonnet-4.5", "claude-opus-4-1"],
        );
        check(
            Vocabulary::O200k,
            1180,
            &["us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-sonnet-4-5@20250929"],
        );
        check(
            Vocabulary::O200k,
            1550,
            &["claude-opus-4-7", "claude-opus-5", "claude-sonnet-5-20260203", "claude-fable-5"],
        );
        check(Vocabulary::O200k, 1050, &["gemini-2.5-pro", "google/gemini-3-pro-preview", "gemma3:27b"]);
        check(Vocabulary::O200k, 1150, &["llama2:7b", "llama-2-70b-chat"]);
        check(Vocabulary::O200k, 1100, &["grok-4", "sim", "", "/", "ft:", "日本語モデル", "codellama"]);
    }

    #[test]
    fn a_hostile_name_is_an_unknown_one() {
        for name in
            ["é".repeat(100_000), "/".repeat(100_000), "ft:".repeat(100_000), "x".repeat(200) + "gpt-4o"]
        {
            check(Vocabulary::O200k, 1100, &[&name]);
        }
    }
}
