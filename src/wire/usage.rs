//! What a provider says that a call cost, in one shape for every dialect.

use super::json;
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
    /// Reads a `usage` object of OpenAI's shape, with either generation of names; what is missing or odd
    /// counts as nothing. `None` if it says that nothing was used: some servers send zeros, and settling on
    /// them would give everything back.
    ///
    /// Where the total is more than its parts, the rest is output: xAI and Gemini leave reasoning out of the
    /// output that they name.
    pub fn read(object: &[u8]) -> Option<Usage> {
        let text = std::str::from_utf8(object).ok()?;
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
        let output = count(completion).or(count(output));
        let total = count(total).unwrap_or_default();
        let input = count(prompt).or(count(input)).unwrap_or(total - output.unwrap_or_default());
        let output = output.unwrap_or_default().max(total - input);
        let cached = part(prompt_parts.or(input_parts), "cached_tokens").or(count(hits));
        let reasoning = part(completion_parts.or(output_parts), "reasoning_tokens");
        let usage = Usage {
            input,
            output,
            cached_input: cached.unwrap_or_default().min(input),
            reasoning: reasoning.unwrap_or_default().min(output),
        };
        (usage.total() > Tokens::ZERO).then_some(usage)
    }

    /// Input and output together.
    pub fn total(self) -> Tokens {
        self.input + self.output
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
mod tests {
    use super::*;

    fn check(object: &str, wanted: Option<(u64, u64, u64, u64)>) {
        let wanted = wanted.map(|(input, output, cached, reasoning)| Usage {
            input: Tokens(input),
            output: Tokens(output),
            cached_input: Tokens(cached),
            reasoning: Tokens(reasoning),
        });
        assert_eq!(Usage::read(object.as_bytes()), wanted, "{object}");
    }

    #[test]
    fn every_vendor_is_understood() {
        check(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, Some((10, 5, 0, 0)));
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},
                "completion_tokens_details":{"reasoning_tokens":3}}"#,
            Some((10, 5, 4, 3)),
        );
        check(
            r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":4},
                "output_tokens_details":{"reasoning_tokens":3}}"#,
            Some((10, 5, 4, 3)),
        );
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8}"#,
            Some((10, 5, 8, 0)),
        );
        check(r#"{"prompt_tokens":8,"total_tokens":8}"#, Some((8, 0, 0, 0)));
        check(r#"{"total_tokens":8}"#, Some((8, 0, 0, 0)));
    }

    #[test]
    fn reasoning_left_out_of_the_output_is_found_in_the_total() {
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
                "completion_tokens_details":{"reasoning_tokens":20}}"#,
            Some((10, 25, 0, 20)),
        );
    }

    #[test]
    fn zeros_and_nonsense_are_no_usage() {
        for object in ["{}", "null", "[]", "", "7", r#"{"prompt_tokens":0,"completion_tokens":0}"#, "{\"x"] {
            check(object, None);
        }
        check(
            r#"{"prompt_tokens":null,"completion_tokens":5.0,"prompt_tokens_details":null}"#,
            Some((0, 5, 0, 0)),
        );
        check(r#"{"prompt_tokens":-9,"completion_tokens":"x","total_tokens":1e9}"#, None);
        check(
            r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9},
                "completion_tokens_details":7}"#,
            Some((1, 1, 1, 0)),
        );
    }
}
