//! A prompt as OpenAI's older endpoints take it: texts, or the numbers of tokens.

use super::count::text_tokens;
use serde::Deserialize;

/// A text, texts, a text's token ids, or several of these.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Ids(Vec<u32>),
    IdLists(Vec<Vec<u32>>),
}

impl Prompt {
    /// Each text with its tokens; ids are told as such, since nobody here can read them.
    pub(super) fn texts(self) -> Vec<(String, u64)> {
        let counted = |text: String| {
            let tokens = text_tokens(text.len());
            (text, tokens)
        };
        let told = |ids: Vec<u32>| {
            let text: Vec<_> = ids.iter().map(u32::to_string).collect();
            (text.join(" "), u64::try_from(ids.len()).unwrap_or(u64::MAX))
        };
        match self {
            Prompt::Text(text) => vec![counted(text)],
            Prompt::Texts(texts) => texts.into_iter().map(counted).collect(),
            Prompt::Ids(ids) => vec![told(ids)],
            Prompt::IdLists(lists) => lists.into_iter().map(told).collect(),
        }
    }
}
