//! What a provider says that a call cost, in one shape for every dialect.

use super::json;
use crate::dialect::{Dialect, Family};
use crate::units::Tokens;

/// The provider's own count. Cached input is part of `input`, and reasoning part of `output`, as OpenAI
/// counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input: Tokens,
    /// All output tokens, reasoning included.
    pub output: Tokens,
    /// The part of `input` that was read from the provider's cache.
    pub cached_input: Tokens,
    /// The part of `output` that the client never sees.
    pub reasoning: Tokens,
}

impl Usage {
    /// Reads the object in which a dialect tells its usage (`usage`, or Gemini's `usageMetadata`); what is missing
    /// or odd counts as nothing. `None` if it says that nothing was used: some servers send zeros, and settling
    /// on them would give everything back.
    pub fn read(dialect: Dialect, object: &[u8]) -> Option<Usage> {
        let text = std::str::from_utf8(object).ok()?;
        match dialect.family() {
            Family::OpenAi => openai(text),
            Family::Anthropic => Disjoint::read(text).usage(),
            Family::Gemini => gemini(text),
        }
    }

    /// Parts are no larger than what they are parts of; nothing used is no usage.
    fn checked(self) -> Option<Usage> {
        let cached_input = self.cached_input.min(self.input);
        let reasoning = self.reasoning.min(self.output);
        (self.total() > Tokens::ZERO).then_some(Usage { cached_input, reasoning, ..self })
    }

    /// Input and output together.
    pub fn total(self) -> Tokens {
        self.input + self.output
    }
}

/// OpenAI's shape, with either generation of names.
///
/// Where the total is more than its parts, the rest is output: xAI and Gemini leave reasoning out of the output
/// that they name.
fn openai(text: &str) -> Option<Usage> {
    let [prompt, input, completion, output, total, hits, rest @ ..] = json::pick_any(
        text,
        [
            "prompt_tokens",
            "input_tokens",
            "completion_tokens",
            "output_tokens",
            "total_tokens",
            "prompt_cache_hit_tokens",
            "prompt_tokens_details",
            "input_tokens_details",
            "completion_tokens_details",
            "output_tokens_details",
        ],
    );
    let [prompt_parts, input_parts, completion_parts, output_parts] = rest;
    let cached = part(prompt_parts.or(input_parts), "cached_tokens").or(count(hits));
    let reasoning = part(completion_parts.or(output_parts), "reasoning_tokens");
    let (input, output) =
        reconciled(count(prompt).or(count(input)), count(completion).or(count(output)), total);
    Usage {
        input,
        output,
        cached_input: cached.unwrap_or_default(),
        reasoning: reasoning.unwrap_or_default(),
    }
    .checked()
}

/// Gemini's `usageMetadata`. What its own tools fed the model is input beside the prompt, thoughts are output
/// beside the candidates, and the cached part lies within the prompt.
fn gemini(text: &str) -> Option<Usage> {
    let picked = json::pick_any(
        text,
        [
            "promptTokenCount",
            "toolUsePromptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "cachedContentTokenCount",
            "totalTokenCount",
        ],
    );
    let [prompt, tool_use, candidates, thoughts, cached] = [0, 1, 2, 3, 4].map(|place| count(picked[place]));
    let sum = |one: Option<Tokens>, other: Option<Tokens>| {
        one.or(other).map(|_| one.unwrap_or_default() + other.unwrap_or_default())
    };
    let (input, output) = reconciled(sum(prompt, tool_use), sum(candidates, thoughts), picked[5]);
    Usage { input, output, cached_input: cached.unwrap_or_default(), reasoning: thoughts.unwrap_or_default() }
        .checked()
}

/// Input and output, with what the total has beyond them as output; a missing input is the total's rest.
fn reconciled(input: Option<Tokens>, output: Option<Tokens>, total: Option<&str>) -> (Tokens, Tokens) {
    let total = count(total).unwrap_or_default();
    let output = output.unwrap_or_default();
    let input = input.unwrap_or(total - output);
    (input, output.max(total - input))
}

/// Anthropic's counts, no one of which is part of another but the thoughts, which are part of the output. A
/// stream tells some at its beginning and all or some again later, each time as large or larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Disjoint {
    fresh: Tokens,
    cache_written: Tokens,
    cache_read: Tokens,
    output: Tokens,
    thoughts: Tokens,
}

impl Disjoint {
    /// Reads a `usage` object; what is missing or odd counts as nothing.
    pub(super) fn read(text: &str) -> Disjoint {
        let [fresh, cache_written, cache_read, output, output_parts] = json::pick_any(
            text,
            [
                "input_tokens",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
                "output_tokens",
                "output_tokens_details",
            ],
        );
        let thoughts = part(output_parts, "thinking_tokens").or(part(output_parts, "reasoning_tokens"));
        Disjoint {
            fresh: count(fresh).unwrap_or_default(),
            cache_written: count(cache_written).unwrap_or_default(),
            cache_read: count(cache_read).unwrap_or_default(),
            output: count(output).unwrap_or_default(),
            thoughts: thoughts.unwrap_or_default(),
        }
    }

    /// The larger of each count.
    pub(super) fn max(self, other: Disjoint) -> Disjoint {
        Disjoint {
            fresh: self.fresh.max(other.fresh),
            cache_written: self.cache_written.max(other.cache_written),
            cache_read: self.cache_read.max(other.cache_read),
            output: self.output.max(other.output),
            thoughts: self.thoughts.max(other.thoughts),
        }
    }

    /// The counts as every dialect's are kept.
    pub(super) fn usage(self) -> Option<Usage> {
        Usage {
            input: self.fresh + self.cache_written + self.cache_read,
            output: self.output,
            cached_input: self.cache_read,
            reasoning: self.thoughts,
        }
        .checked()
    }
}

/// A number of tokens. A fraction, which some servers write behind every number, is dropped.
fn count(value: Option<&str>) -> Option<Tokens> {
    let value = value?;
    let whole = value.split_once('.').map_or(value, |(whole, _)| whole);
    whole.parse().ok().map(Tokens)
}

fn part(details: Option<&str>, key: &str) -> Option<Tokens> {
    let [value] = json::pick_any(details?, [key]);
    count(value)
}

#[cfg(test)]
mod tests;
