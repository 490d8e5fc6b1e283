//! How the simulated provider counts tokens, which is the truth that its `usage` reports.
//!
//! - A text in a prompt: one token for every 4 bytes, rounded up.
//! - A message: 3 more than the text of its content and the JSON of its tool calls.
//! - Tools: one token for every 4 bytes of their JSON as sent. An image or any other part that is no text: 85.
//! - What it writes: one token a word, or 4 bytes of a tool call's arguments; each is one event of a stream.

/// What a part of a message costs that is no text, in tokens.
pub(super) const PART_TOKENS: u64 = 85;

/// What every message costs besides its content, in tokens.
const MESSAGE_TOKENS: u64 = 3;

/// The tokens of a text of this many bytes in a prompt.
pub fn text_tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// The tokens of a message whose content is a text of this many bytes.
pub fn message_tokens(bytes: usize) -> u64 {
    text_tokens(bytes) + MESSAGE_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_are_a_token_and_a_message_is_three() {
        assert_eq!([0, 1, 4, 5].map(text_tokens), [0, 1, 1, 2]);
        assert_eq!(message_tokens(5), 5);
    }
}
