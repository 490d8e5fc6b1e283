//! Streams, read into hub events and written from them.
//!
//! Knows which dialect's reader and writer there are and nothing of their shapes. Invariant: a reader gives
//! `Begin` first and either `End` or `Failed` last, each once, whatever a provider sends; a writer that was given
//! a whole stream has written a whole stream of its dialect.

use super::hub::{Answer, Event, Opened, Part};
use super::{Scene, chat, gemini, messages, responses};
use crate::dialect::Dialect;

/// Reads the events of a provider's stream.
#[derive(Debug)]
pub enum StreamReader {
    /// Chat completions.
    Chat(Box<chat::StreamReader>),
    /// Responses.
    Responses(Box<responses::StreamReader>),
    /// Anthropic messages.
    Messages(Box<messages::StreamReader>),
    /// Gemini.
    Gemini(Box<gemini::StreamReader>),
}

impl StreamReader {
    /// A reader that has seen nothing; `None` if the dialect holds no conversation.
    pub fn new(from: Dialect) -> Option<StreamReader> {
        Some(match from {
            Dialect::Chat => StreamReader::Chat(Box::default()),
            Dialect::Responses => StreamReader::Responses(Box::default()),
            Dialect::Messages => StreamReader::Messages(Box::default()),
            Dialect::Gemini => StreamReader::Gemini(Box::default()),
            _ => return None,
        })
    }

    /// Reads the data of one event. What cannot be read adds nothing.
    pub fn on_event(&mut self, data: &[u8], out: &mut Vec<Event>) {
        match self {
            StreamReader::Chat(reader) => reader.on_event(data, out),
            StreamReader::Responses(reader) => reader.on_event(data, out),
            StreamReader::Messages(reader) => reader.on_event(data, out),
            StreamReader::Gemini(reader) => reader.on_event(data, out),
        }
    }

    /// The provider's stream is over. Adds `End` where the answer was whole but for its last words, and nothing
    /// where it was not, or has ended already.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        match self {
            StreamReader::Chat(reader) => reader.finish(out),
            StreamReader::Responses(reader) => reader.finish(out),
            StreamReader::Messages(reader) => reader.finish(out),
            StreamReader::Gemini(reader) => reader.finish(out),
        }
    }
}

/// Writes the events of a client's stream.
#[derive(Debug)]
pub enum StreamWriter {
    /// Chat completions.
    Chat(Box<chat::StreamWriter>),
    /// Responses.
    Responses(Box<responses::StreamWriter>),
    /// Anthropic messages.
    Messages(Box<messages::StreamWriter>),
    /// Gemini.
    Gemini(Box<gemini::StreamWriter>),
}

impl StreamWriter {
    /// A writer that has written nothing; `None` if the dialect holds no conversation.
    pub fn new(to: Dialect, scene: Scene) -> Option<StreamWriter> {
        Some(match to {
            Dialect::Chat => StreamWriter::Chat(Box::new(chat::StreamWriter::new(scene))),
            Dialect::Responses => StreamWriter::Responses(Box::new(responses::StreamWriter::new(scene))),
            Dialect::Messages => StreamWriter::Messages(Box::new(messages::StreamWriter::new(scene))),
            Dialect::Gemini => StreamWriter::Gemini(Box::new(gemini::StreamWriter::new(scene))),
            _ => return None,
        })
    }

    /// Writes what a hub event means, as bytes of whole events.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match self {
            StreamWriter::Chat(writer) => writer.write(event, out),
            StreamWriter::Responses(writer) => writer.write(event, out),
            StreamWriter::Messages(writer) => writer.write(event, out),
            StreamWriter::Gemini(writer) => writer.write(event, out),
        }
    }
}

/// A whole answer as the events of a stream, for a client that asked for one where the provider did not.
pub fn events_of(answer: Answer) -> Vec<Event> {
    let mut events = vec![Event::Begin { id: answer.id, model: answer.model, usage: None }];
    events.extend(answer.parts.into_iter().flat_map(events_of_part));
    events.push(Event::End { stop: answer.stop, usage: answer.usage });
    events
}

/// A whole part as the events of a stream.
pub(super) fn events_of_part(part: Part) -> Vec<Event> {
    let (opened, text, seal) = match part {
        Part::Text(text) => (Opened::Text, text, None),
        Part::Refusal(text) => (Opened::Refusal, text, None),
        Part::Thought(thought) => (Opened::Thought, thought.text, thought.seal),
        Part::ToolCall(mut call) => {
            let input = std::mem::take(&mut call.input);
            (Opened::ToolCall(call), input, None)
        }
        whole => (Opened::Whole(whole), String::new(), None),
    };
    let mut events = vec![Event::Open(opened)];
    if !text.is_empty() {
        events.push(Event::Delta(text));
    }
    events.extend(seal.map(Event::Sealed));
    events.push(Event::Close);
    events
}
