//! The vocabularies that are compiled in, each loaded once, when first counted with.
//!
//! The only file that names the counting crate. Knows no model names: `family` maps those.

use std::sync::OnceLock;
use tiktoken::CoreBpe;

/// A byte pair vocabulary with its splitting rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Vocabulary {
    /// OpenAI since gpt-4o. The harmony variant of gpt-oss has the same merges, and special tokens
    /// are never looked for, so it is counted with this one and not loaded a second time.
    O200k,
    /// OpenAI's gpt-4, gpt-3.5 and embeddings.
    Cl100k,
    /// OpenAI's second completion models; the edit variant differs in special tokens alone.
    P50k,
    /// OpenAI's first completion models and gpt-2.
    R50k,
    /// Llama 3 and 4.
    Llama3,
    /// Qwen 2 and 3.
    Qwen2,
    /// Mistral's tekken.
    Mistral,
    /// DeepSeek 3 and 4, which differ in special tokens alone.
    Deepseek,
}

/// Beside the crate's own cells, because those cannot be asked whether they are filled.
static LOADED: [OnceLock<&'static CoreBpe>; 8] = [const { OnceLock::new() }; 8];

impl Vocabulary {
    /// Every vocabulary.
    #[cfg(test)]
    pub(super) const ALL: [Vocabulary; 8] = [
        Vocabulary::O200k,
        Vocabulary::Cl100k,
        Vocabulary::P50k,
        Vocabulary::R50k,
        Vocabulary::Llama3,
        Vocabulary::Qwen2,
        Vocabulary::Mistral,
        Vocabulary::Deepseek,
    ];

    /// The tables, loaded now if nobody needed them before: some 70 ms of computing, no I/O.
    pub(super) fn tables(self) -> &'static CoreBpe {
        LOADED[self.index()].get_or_init(|| {
            tiktoken::get_encoding(self.name()).expect("every named vocabulary is compiled in")
        })
    }

    /// Whether the tables are there already.
    pub(super) fn is_loaded(self) -> bool {
        LOADED[self.index()].get().is_some()
    }

    const fn index(self) -> usize {
        self as usize
    }

    const fn name(self) -> &'static str {
        match self {
            Vocabulary::O200k => "o200k_base",
            Vocabulary::Cl100k => "cl100k_base",
            Vocabulary::P50k => "p50k_base",
            Vocabulary::R50k => "r50k_base",
            Vocabulary::Llama3 => "llama3",
            Vocabulary::Qwen2 => "qwen2",
            Vocabulary::Mistral => "mistral_v3",
            Vocabulary::Deepseek => "deepseek_v3",
        }
    }
}
