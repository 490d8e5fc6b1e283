//! Counts what a streamed answer costs while it flows by, one event after the other.
//!
//! Knows the chunks of chat and text completions; refuses to judge them: what cannot be read is `Other` and
//! costs nothing. Holds numbers only, so a stream of any length takes the same room.

use super::json;
use super::read::given;
use super::usage::Usage;
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
    /// The id of the response, if it has been told.
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
    done: bool,
    finished: bool,
    errored: bool,
}

impl Tally {
    /// A tally that has seen nothing.
    pub fn new(dialect: Dialect) -> Self {
        Tally { dialect, output: Tokens::ZERO, usage: None, done: false, finished: false, errored: false }
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
        let [choices, usage, error, groq] = json::pick_any(text, ["choices", "usage", "error", "x_groq"]);
        let usage = given(usage).or_else(|| given(json::pick_any(groq?, ["usage"])[0]));
        self.usage = usage.and_then(|usage| Usage::read(usage.as_bytes())).or(self.usage);

        let mut empty = true;
        let mut bytes: usize = 0;
        let listed = choices.is_some_and(|choices| {
            json::elements(choices, |choice| {
                empty = false;
                let [reason] = json::pick_any(choice, ["finish_reason"]);
                self.finished |= given(reason).is_some();
                let written = self.written(choice);
                bytes = bytes.saturating_add(written);
                self.output += tokens(written);
            })
        });
        if error.is_some_and(json::truthy) {
            self.errored = true;
            Seen::Error
        } else if bytes > 0 {
            Seen::Content
        } else if listed && empty && usage.is_some() {
            self.finished = true;
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
    pub fn usage(&self) -> Option<Usage> {
        self.usage
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

    /// Where the stream stands.
    pub fn mark(&self) -> Mark {
        Mark::default()
    }

    /// Whether the provider reported a failure.
    pub fn errored(&self) -> bool {
        self.errored
    }

    /// Bytes of text that a choice of a chunk adds to the answer.
    fn written(&self, choice: &str) -> usize {
        match self.dialect {
            Dialect::Chat => {
                let [delta] = json::pick_any(choice, ["delta"]);
                delta.map_or(0, written_by_delta)
            }
            Dialect::Completions => {
                let [text] = json::pick_any(choice, ["text"]);
                length(text)
            }
            _ => 0,
        }
    }
}

fn tokens(bytes: usize) -> Tokens {
    Tokens(u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX))
}

fn written_by_delta(delta: &str) -> usize {
    let [content, reasoning_content, reasoning, refusal, tool_calls, function_call] = json::pick_any(
        delta,
        ["content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"],
    );
    // The two names of reasoning are one text where a server sends both.
    let mut bytes = length(content) + length(refusal) + length(reasoning_content).max(length(reasoning));
    bytes += function_call.map_or(0, written_by_function);
    if let Some(calls) = tool_calls {
        json::elements(calls, |call| {
            let [function] = json::pick_any(call, ["function"]);
            bytes += function.map_or(0, written_by_function);
        });
    }
    bytes
}

fn written_by_function(function: &str) -> usize {
    let [name, arguments] = json::pick_any(function, ["name", "arguments"]);
    length(name) + length(arguments)
}

/// The length of a text. Mistral sends content as parts too; these count as they are spelled.
fn length(value: Option<&str>) -> usize {
    given(value).map_or(0, |value| json::text(value).map_or(value.len(), |text| text.len()))
}

#[cfg(test)]
mod tests;
