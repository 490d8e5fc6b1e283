//! What a dialect has to know to write an answer: whole, event by event, and what its breakages look like.
//!
//! `flow` sends the events and decides when one breaks; a dialect only writes, so that every fault is the same in all.

use super::faults::Faults;
use bytes::Bytes;

/// An answer in one dialect.
pub(super) trait Speech: Send + Sync + 'static {
    /// One event of its stream: where it stands in the answer, not yet its text.
    type Event: Copy + Send + 'static;

    /// The answer in one piece, as JSON.
    fn whole(&self) -> String;

    /// The events of its stream, in order. Without `end`, the mark that the stream is complete is left out.
    fn events(&self, end: bool) -> Vec<Self::Event>;

    /// One event as it stands on the wire; `number` counts those before it.
    fn write(&mut self, event: Self::Event, number: u32) -> Bytes;

    /// Whether the event carries a token, which takes the time of one.
    fn is_token(event: Self::Event) -> bool;

    /// All tokens that it writes.
    fn tokens(&self) -> u64;

    /// An error that ends the stream.
    fn error(&self, fault: &Breakage, number: u32) -> Bytes;

    /// An event whose data is no JSON.
    fn garbage(&self) -> &'static [u8];

    /// What stands before every event when noise is asked for; legal, and of no meaning.
    fn noise(&self) -> &'static [u8];

    /// The media type of its stream.
    fn media_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }
}

/// An error in the middle of a stream.
#[derive(Clone, Debug)]
pub(super) struct Breakage {
    /// The word that the test chose for it.
    pub(super) kind: Option<String>,
    pub(super) message: String,
}

impl Breakage {
    pub(super) fn of(faults: &Faults) -> Breakage {
        let usual = "The server had an error while processing your request. Sorry about that!";
        let message = faults.error_message.clone().unwrap_or_else(|| usual.to_owned());
        Breakage { kind: faults.error_kind.clone(), message }
    }

    /// The word for it, or the dialect's usual one.
    pub(super) fn kind_or<'a>(&'a self, usual: &'a str) -> &'a str {
        self.kind.as_deref().unwrap_or(usual)
    }
}

/// A nameless event with this data.
pub(super) fn data(json: &str) -> Bytes {
    Bytes::from(format!("data: {json}\n\n"))
}

/// A named event with this data.
pub(super) fn named(name: &str, json: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}
