//! What a provider says that a call cost, in one shape for every dialect.

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
    /// Input and output together.
    pub fn total(self) -> Tokens {
        self.input + self.output
    }
}
