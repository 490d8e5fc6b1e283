//! Reads a stream.
//!
//! Refuses to know an event's name, which its data repeats, and a block's index: blocks come one after the other, and
//! servers that only resemble Anthropic's count them wrongly. Invariant: `Begin` comes first, `End` or `Failed` last,
//! and of an event that cannot be read nothing.

use super::super::hub::{Event, Opened, Seal, Stop, ToolCall};
use super::super::tree;
use super::answer::{Counts, read_stop};
use super::content_read::{read_call, read_seal};
use crate::wire::provider_error::ProviderError;
use serde_json::Value;

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    begun: bool,
    ended: bool,
    open: Open,
    counts: Counts,
    stop: Option<Stop>,
}

/// The block that is open.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    /// A block that has no place in the hub.
    Unknown,
    Text,
    Thought {
        seal: Option<Seal>,
    },
    /// With the input that it began with, which counts where none follows.
    Call {
        input: Option<String>,
    },
}

impl StreamReader {
    pub(in super::super) fn on_event(&mut self, data: &[u8], out: &mut Vec<Event>) {
        let Some(event) = tree::tree(data) else { return };
        if self.ended {
            return;
        }
        match tree::text(&event, "type") {
            "ping" if self.begun => out.push(Event::Ping),
            "message_start" => self.begin(&event["message"], out),
            "content_block_start" => self.on_start(&event["content_block"], out),
            "content_block_delta" => self.on_delta(&event["delta"], out),
            "content_block_stop" => self.close(out),
            "message_delta" => {
                self.counts = self.counts.with(&event["usage"]);
                self.stop = read_stop(&event["delta"]).or(self.stop.take());
            }
            "message_stop" => self.end(out),
            "error" => self.fail(data, out),
            _ if !tree::is_off(&event["error"]) => self.fail(data, out),
            _ => {}
        }
    }

    pub(in super::super) fn finish(&mut self, out: &mut Vec<Event>) {
        if !self.ended && self.stop.is_some() {
            self.end(out);
        }
    }

    fn begin(&mut self, message: &Value, out: &mut Vec<Event>) {
        self.counts = self.counts.with(&message["usage"]);
        if !std::mem::replace(&mut self.begun, true) {
            let (id, model) = (tree::text(message, "id").to_owned(), tree::text(message, "model").to_owned());
            out.push(Event::Begin { id, model, usage: self.counts.spent() });
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.close(out);
        self.begin(&Value::Null, out);
        self.ended = true;
        out.push(Event::End { stop: self.stop.take().unwrap_or_default(), usage: self.counts.spent() });
    }

    fn fail(&mut self, data: &[u8], out: &mut Vec<Event>) {
        self.begin(&Value::Null, out);
        self.ended = true;
        let ProviderError { message, kind, code, .. } = ProviderError::read(data);
        out.push(Event::Failed { message, kind, code });
    }

    fn on_start(&mut self, block: &Value, out: &mut Vec<Event>) {
        self.close(out);
        match tree::text(block, "type") {
            "text" => {
                self.open_text(out);
                delta(tree::text(block, "text"), out);
            }
            "thinking" => {
                self.open_thought(read_seal(tree::text(block, "signature"), false), out);
                delta(tree::text(block, "thinking"), out);
            }
            "redacted_thinking" => self.open_thought(read_seal(tree::text(block, "data"), true), out),
            "tool_use" => {
                self.begin(&Value::Null, out);
                let ToolCall { id, name, input, .. } = read_call(block);
                let call = ToolCall { id, name, ..ToolCall::default() };
                out.push(Event::Open(Opened::ToolCall(call)));
                self.open = Open::Call { input: Some(input) };
            }
            _ => self.open = Open::Unknown,
        }
    }

    fn on_delta(&mut self, step: &Value, out: &mut Vec<Event>) {
        match (tree::text(step, "type"), &mut self.open) {
            ("text_delta", Open::Text | Open::Nothing) => {
                if matches!(self.open, Open::Nothing) {
                    self.open_text(out);
                }
                delta(tree::text(step, "text"), out);
            }
            ("thinking_delta", Open::Thought { .. } | Open::Nothing) => {
                if matches!(self.open, Open::Nothing) {
                    self.open_thought(None, out);
                }
                delta(tree::text(step, "thinking"), out);
            }
            ("signature_delta", Open::Thought { seal }) => {
                *seal = read_seal(tree::text(step, "signature"), false).or(seal.take());
            }
            ("input_json_delta", Open::Call { input }) => {
                let more = tree::text(step, "partial_json");
                if !more.is_empty() {
                    *input = None;
                    delta(more, out);
                }
            }
            _ => {}
        }
    }

    fn open_text(&mut self, out: &mut Vec<Event>) {
        self.begin(&Value::Null, out);
        self.open = Open::Text;
        out.push(Event::Open(Opened::Text));
    }

    fn open_thought(&mut self, seal: Option<Seal>, out: &mut Vec<Event>) {
        self.begin(&Value::Null, out);
        self.open = Open::Thought { seal };
        out.push(Event::Open(Opened::Thought));
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        match std::mem::take(&mut self.open) {
            Open::Nothing | Open::Unknown => return,
            Open::Text => {}
            Open::Thought { seal } => out.extend(seal.map(Event::Sealed)),
            Open::Call { input } => out.extend(input.map(Event::Delta)),
        }
        out.push(Event::Close);
    }
}

fn delta(text: &str, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Delta(text.to_owned()));
    }
}
