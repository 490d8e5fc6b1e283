//! Translates an answer: events of the target's dialect in while they flow by, or all of it, bytes of the client's out.
//!
//! Knows the two ends of the hub and nothing of sockets. Invariant: what has begun ends in the client's dialect,
//! with an end or with an error, whatever the provider does.

use crate::dialect::Dialect;
use crate::wire::translate::{self, Event, Scene, StreamReader, StreamWriter};
use crate::wire::{Usage, UsageScan};
use bytes::Bytes;

/// Both ends of a translated stream.
#[derive(Debug)]
pub(super) struct Interpreter {
    reader: StreamReader,
    writer: StreamWriter,
    /// Reused from event to event.
    heard: Vec<Event>,
    over: bool,
}

impl Interpreter {
    /// `None` if either dialect holds no conversation.
    pub(super) fn new(spoken: Dialect, client: Dialect, scene: Scene) -> Option<Interpreter> {
        let (reader, writer) = (StreamReader::new(spoken)?, StreamWriter::new(client, scene)?);
        Some(Interpreter { reader, writer, heard: Vec::new(), over: false })
    }

    /// What the data of an event means to the client; nothing where it means nothing.
    pub(super) fn hear(&mut self, data: &[u8]) -> Option<Bytes> {
        self.reader.on_event(data, &mut self.heard);
        self.say()
    }

    /// The provider's stream is over: says what is missing, and that it broke off if it did.
    pub(super) fn finish(&mut self, message: &str) -> Option<Bytes> {
        self.reader.finish(&mut self.heard);
        if !self.over && !self.heard.iter().any(is_last) {
            self.heard.push(Event::Failed {
                message: message.to_owned(),
                kind: Some("api_error".to_owned()),
                code: Some("stream_broken".to_owned()),
            });
        }
        self.say()
    }

    fn say(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        for event in self.heard.drain(..) {
            if !self.over {
                self.writer.write(&event, &mut out);
            }
            self.over |= is_last(&event);
        }
        (!out.is_empty()).then(|| out.into())
    }
}

/// An answer in one piece as its client is told it, and what it has used; `None` if it is none.
pub(super) fn retold(
    spoken: Dialect,
    client: Dialect,
    stream: bool,
    scene: Scene,
    bytes: &[u8],
) -> Option<(Vec<u8>, Option<Usage>)> {
    let answer = translate::read_answer(spoken, bytes).ok()?;
    let mut scan = UsageScan::new(spoken);
    scan.feed(bytes);
    let told = if stream {
        let mut out = Vec::new();
        let mut writer = StreamWriter::new(client, scene)?;
        translate::events_of(answer).iter().for_each(|event| writer.write(event, &mut out));
        out
    } else {
        translate::write_answer(&answer, client, &scene)
    };
    Some((told, scan.usage()))
}

fn is_last(event: &Event) -> bool {
    matches!(event, Event::End { .. } | Event::Failed { .. })
}
