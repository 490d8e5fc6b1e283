//! Counts what a streamed answer costs while it flows by, one event after the other.
//!
//! Knows what an event can say, while each dialect's file knows how; refuses to judge: what cannot be read is
//! `Other` and costs nothing. Holds numbers and one short name, so a stream of any length takes the same room.

mod chat;
mod gemini;
mod messages;
mod responses;

use super::json;
use super::read::given;
use super::usage::{Disjoint, Usage};
use crate::dialect::Dialect;
use crate::units::Tokens;

/// What an event is to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It carries text of the answer.
    Content,
    /// The extra chunk that carries the usage and no choice. Clients that did not ask for it stumble over it.
    UsageOnly,
    /// The end of the stream.
    Done,
    /// The provider failed in the middle of the answer.
    Error,
    /// Anything else: the first chunk with the role, the last with the reason, what is unknown.
    Other,
}

/// Where a stream of responses stands, for whoever has to end it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The id of the response, if it has been told and is a plain name that can be written anywhere.
    pub response: Option<String>,
    /// The number of the last event.
    pub sequence: u64,
}

/// The tokens seen so far in a stream.
#[derive(Clone, Debug)]
pub struct Tally {
    dialect: Dialect,
    output: Tokens,
    usage: Option<Usage>,
    /// What Anthropic's events have told of the usage, each a part of it.
    disjoint: Disjoint,
    mark: Mark,
    done: bool,
    finished: bool,
    errored: bool,
}

/// What one event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    /// The output that it carries, as its text tells.
    output: Tokens,
    /// The usage of all that has been, which replaces what was told before.
    usage: Option<Usage>,
    /// It is the extra chunk of [`Seen::UsageOnly`].
    usage_only: bool,
    /// Nothing more is written.
    finished: bool,
    /// The stream is complete.
    done: bool,
    /// The provider has failed.
    failed: bool,
}

impl Tally {
    /// A tally that has seen nothing.
    pub fn new(dialect: Dialect) -> Self {
        Tally {
            dialect,
            output: Tokens::ZERO,
            usage: None,
            disjoint: Disjoint::default(),
            mark: Mark::default(),
            done: false,
            finished: false,
            errored: false,
        }
    }

    /// Counts the data of one event and says what it is. What follows the end is not looked at: whether it
    /// came with the end or later must not change what is settled.
    pub fn on_event(&mut self, data: &[u8]) -> Seen {
        if self.done {
            return Seen::Other;
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Seen::Done;
        }
        let Ok(text) = std::str::from_utf8(data) else { return Seen::Other };
        let told = match self.dialect {
            Dialect::Chat | Dialect::Completions => chat::told(self.dialect, text),
            Dialect::Responses => responses::told(text, &mut self.mark),
            Dialect::Messages => messages::told(text, &mut self.disjoint),
            Dialect::Gemini => gemini::told(text),
            Dialect::Embeddings | Dialect::GeminiEmbed | Dialect::GeminiBatchEmbed => Told::default(),
        };
        self.output += told.output;
        self.usage = told.usage.or(self.usage);
        self.finished |= told.finished;
        self.done |= told.done;
        self.errored |= told.failed;
        if told.failed {
            Seen::Error
        } else if told.done {
            Seen::Done
        } else if told.output > Tokens::ZERO {
            Seen::Content
        } else if told.usage_only {
            Seen::UsageOnly
        } else {
            Seen::Other
        }
    }

    /// The output so far, as the text tells: about four bytes a token, the common approximation for English
    /// and code, rounded up for each delta, since no provider sends less than a token at a time.
    pub fn output(&self) -> Tokens {
        self.output
    }

    /// The last usage that the provider sent, which is worth more than [`Tally::output`].
    ///
    /// Anthropic tells the input at the beginning, with a token or two of output, and the output at the end: in
    /// between, what has flowed by is worth more than that.
    pub fn usage(&self) -> Option<Usage> {
        let usage = self.usage?;
        let early = self.dialect == Dialect::Messages && !self.finished();
        let output = if early { usage.output.max(self.output) } else { usage.output };
        Some(Usage { output, ..usage })
    }

    /// Whether the stream said that it is complete.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Whether the answer is whole, said or not: some servers leave `[DONE]` out, but none goes on after a
    /// `finish_reason` or the extra chunk with the usage. Usage alone proves nothing, because some servers
    /// send it with every chunk.
    pub fn finished(&self) -> bool {
        self.done || self.finished
    }

    /// Where the stream stands. Only responses tell.
    pub fn mark(&self) -> Mark {
        self.mark.clone()
    }

    /// Whether the provider reported a failure.
    pub fn errored(&self) -> bool {
        self.errored
    }
}

fn tokens(bytes: usize) -> Tokens {
    Tokens(u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX))
}

/// The length of a text. Mistral sends content as parts too; these count as they are spelled.
fn length(value: Option<&str>) -> usize {
    given(value).map_or(0, |value| json::text(value).map_or(value.len(), |text| text.len()))
}

#[cfg(test)]
mod tests;
