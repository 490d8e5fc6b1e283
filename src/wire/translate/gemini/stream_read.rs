//! Reads a stream.
//!
//! Refuses to know how events are framed. Invariant: `Begin` comes first; `Failed` comes last, or `End` does, once all
//! of the stream has been read, because the cost may come behind the reason of the end.

use super::super::hub::{Event, Opened, Part, Spent, Stop, Thought};
use super::super::tree;
use super::{answer, keys, parts};
use crate::wire::provider_error::ProviderError;
use serde_json::Value;

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    begun: bool,
    ended: bool,
    open: Open,
    id: String,
    /// Calls so far.
    calls: usize,
    stop: Option<Stop>,
    usage: Option<Spent>,
}

/// The part that is open: pieces of one kind that follow one another are one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Text,
    Thought,
}

impl StreamReader {
    pub(in super::super) fn on_event(&mut self, data: &[u8], out: &mut Vec<Event>) {
        let Some(event) = tree::tree(data) else { return };
        if self.ended || !(event.is_object() || event.is_array()) {
            return;
        }
        if !tree::is_off(&event["error"]) || !tree::is_off(&event[0]["error"]) {
            self.begin(&event, out);
            self.ended = true;
            let ProviderError { message, kind, code, .. } = ProviderError::read(data);
            out.push(Event::Failed { message, kind, code });
            return;
        }
        // The chunks of a stream that is one array come one by one, or all at once.
        for chunk in keys::list(&event).iter().filter(|chunk| chunk.is_object()) {
            self.on_chunk(chunk, out);
        }
    }

    pub(in super::super) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if let Some(stop) = self.stop.take() {
            self.close(out);
            self.ended = true;
            out.push(Event::End { stop, usage: self.usage });
        }
    }

    fn begin(&mut self, chunk: &Value, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.begun, true) {
            keys::text(chunk, "responseId").clone_into(&mut self.id);
            let model = keys::text(chunk, "modelVersion").to_owned();
            out.push(Event::Begin { id: self.id.clone(), model, usage: None });
        }
    }

    fn on_chunk(&mut self, chunk: &Value, out: &mut Vec<Event>) {
        self.begin(chunk, out);
        self.usage = answer::read_usage(keys::at(chunk, "usageMetadata")).or(self.usage);
        let candidate = keys::list(keys::at(chunk, "candidates")).first().unwrap_or(&Value::Null);
        for part in keys::list(keys::at(keys::at(candidate, "content"), "parts")) {
            parts::read_said(part).into_iter().for_each(|part| self.on_part(part, out));
        }
        let reason = keys::text(candidate, "finishReason");
        if answer::is_blocked(chunk) {
            self.stop = Some(Stop::Refused);
        } else if !matches!(reason, "" | "FINISH_REASON_UNSPECIFIED") {
            self.stop = Some(answer::read_stop(reason, self.calls > 0));
        }
    }

    fn on_part(&mut self, part: Part, out: &mut Vec<Event>) {
        match part {
            Part::Text(text) => self.on_text(Open::Text, text, out),
            Part::Thought(Thought { text, seal }) => {
                // A signature without words is a thought of its own, unless a thought is open.
                if !text.is_empty() || (seal.is_some() && self.open != Open::Thought) {
                    self.on_text(Open::Thought, text, out);
                }
                if let Some(seal) = seal {
                    out.push(Event::Sealed(seal));
                    self.close(out);
                }
            }
            Part::ToolCall(mut call) => {
                self.close(out);
                self.calls += 1;
                let input = std::mem::take(&mut call.input);
                if call.id.is_empty() {
                    call.id = answer::made_up_id(&self.id, &call.name, &input, self.calls);
                }
                out.extend([Event::Open(Opened::ToolCall(call)), Event::Delta(input), Event::Close]);
            }
            whole => {
                self.close(out);
                out.extend([Event::Open(Opened::Whole(whole)), Event::Close]);
            }
        }
    }

    fn on_text(&mut self, kind: Open, text: String, out: &mut Vec<Event>) {
        if kind == Open::Text && text.is_empty() {
            return;
        }
        if self.open != kind {
            self.close(out);
            self.open = kind;
            out.push(Event::Open(if kind == Open::Text { Opened::Text } else { Opened::Thought }));
        }
        if !text.is_empty() {
            out.push(Event::Delta(text));
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if std::mem::take(&mut self.open) != Open::Nothing {
            out.push(Event::Close);
        }
    }
}
