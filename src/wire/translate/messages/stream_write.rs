//! Writes a stream.
//!
//! Refuses to hold an answer: a tool's input is passed on as it comes. Invariant: `message_start` comes first,
//! `message_stop` or `error` last, every block that begins ends with its own index, and the pieces of a tool's input
//! are one JSON object where the provider's were, or were no object at all.

use super::super::Scene;
use super::super::hub::{Event, Opened, Part, Seal, Spent, Stop, Thought, ToolCall};
use super::answer;
use crate::dialect::Dialect;
use serde_json::{Value, json};

/// The classes that Anthropic's clients know, and take as they are.
const CLASSES: [&str; 11] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
];

/// Writes the events of one stream.
#[derive(Debug)]
pub struct StreamWriter {
    scene: Scene,
    begun: bool,
    ended: bool,
    /// What `Begin` said of the input, for a provider that says nothing at the end.
    usage: Option<Spent>,
    /// The place of the next block.
    index: usize,
    /// Whether there was a text.
    said: bool,
    /// Another dialect's seal behind a text, over nothing that can be seen, until a block follows. At the end it is
    /// dropped: clients take the last block for the answer, and no provider insists on a seal over a text.
    held: Option<Seal>,
    open: Open,
}

/// The block that is open.
#[derive(Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    /// A thought of which nothing has been written, because its kind shows only with its first piece.
    Unwritten,
    Thought,
    Call(Input),
}

/// How the input of the open call goes on.
#[derive(Debug, PartialEq, Eq)]
enum Input {
    /// Nothing but blanks so far.
    Unknown,
    /// An object, passed on.
    Object,
    /// Text, written into the one property of an object.
    Text,
}

impl StreamWriter {
    pub(in super::super) fn new(scene: Scene) -> StreamWriter {
        StreamWriter {
            scene,
            begun: false,
            ended: false,
            usage: None,
            index: 0,
            said: false,
            held: None,
            open: Open::Nothing,
        }
    }

    pub(in super::super) fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Begin { id, model, usage } => self.begin(id, model, *usage, out),
            _ => self.begin("", "", None, out),
        }
        match event {
            Event::Begin { .. } => {}
            Event::Open(opened) => self.on_open(opened, out),
            Event::Delta(text) => self.on_delta(text, out),
            Event::Sealed(seal) => self.on_sealed(seal, out),
            Event::Close => self.close(out),
            Event::Ping => put("ping", &json!({"type": "ping"}), out),
            Event::End { stop, usage } => self.end(stop, *usage, out),
            Event::Failed { message, kind, code } => {
                self.ended = true;
                let class = class(kind.as_deref(), code.as_deref());
                let error = json!({"type": class, "message": message});
                put("error", &json!({"type": "error", "error": error}), out);
            }
        }
    }

    fn begin(&mut self, id: &str, model: &str, usage: Option<Spent>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.usage = usage;
        let message = json!({
            "id": answer::write_id(id, &self.scene),
            "type": "message",
            "role": "assistant",
            "model": answer::write_model(model, &self.scene),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": answer::write_usage(usage),
        });
        put("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    fn on_open(&mut self, opened: &Opened, out: &mut Vec<u8>) {
        self.close(out);
        if let Some(seal) = self.held.take() {
            self.seal_alone(&seal, out);
        }
        match opened {
            Opened::Text | Opened::Refusal => {
                self.start(&json!({"type": "text", "text": ""}), Open::Text, out);
            }
            Opened::Thought => self.open = Open::Unwritten,
            Opened::ToolCall(call) => self.on_call(call, out),
            // Of what comes whole, Anthropic's answers hold text alone.
            Opened::Whole(Part::Text(text) | Part::Refusal(text)) => {
                self.start(&json!({"type": "text", "text": ""}), Open::Text, out);
                self.on_delta(text, out);
            }
            Opened::Whole(_) => {}
        }
    }

    /// A block of a call has no place for a signature; the thought before it has.
    fn on_call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        if let Some(seal) = &call.seal {
            self.seal_alone(seal, out);
        }
        let id = answer::write_call_id(call, self.index, &self.scene);
        let block = json!({"type": "tool_use", "id": id, "name": call.name, "input": {}});
        let free_text = call.free_text;
        self.start(&block, Open::Call(if free_text { Input::Text } else { Input::Unknown }), out);
        if free_text {
            self.delta(&json!({"type": "input_json_delta", "partial_json": "{\"input\":\""}), out);
        }
        self.on_delta(&call.input, out);
    }

    /// A thought of which nothing can be seen.
    fn seal_alone(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        self.open = Open::Unwritten;
        self.write_seal(seal, out);
        self.close(out);
    }

    fn on_delta(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match &mut self.open {
            Open::Nothing => {}
            Open::Text => self.delta(&json!({"type": "text_delta", "text": text}), out),
            Open::Unwritten => {
                let block = json!({"type": "thinking", "thinking": "", "signature": ""});
                self.start(&block, Open::Thought, out);
                self.on_delta(text, out);
                if let Some(seal) = self.held.take() {
                    self.write_seal(&seal, out);
                }
            }
            Open::Thought => self.delta(&json!({"type": "thinking_delta", "thinking": text}), out),
            Open::Call(input) => {
                let piece = input.next(text);
                if !piece.is_empty() {
                    self.delta(&json!({"type": "input_json_delta", "partial_json": piece}), out);
                }
            }
        }
    }

    fn on_sealed(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        match self.open {
            Open::Unwritten if self.said && seal.by != Dialect::Messages => self.held = Some(seal.clone()),
            _ => self.write_seal(seal, out),
        }
    }

    fn write_seal(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        let seal = Some(seal.clone());
        let Some(block) = answer::write_thought(&Thought { text: String::new(), seal }) else { return };
        match self.open {
            Open::Unwritten if block["type"] == "redacted_thinking" => self.start(&block, Open::Thought, out),
            Open::Unwritten | Open::Thought => {
                if self.open == Open::Unwritten {
                    let empty = json!({"type": "thinking", "thinking": "", "signature": ""});
                    self.start(&empty, Open::Thought, out);
                }
                let signature =
                    if block["type"] == "thinking" { &block["signature"] } else { &block["data"] };
                self.delta(&json!({"type": "signature_delta", "signature": signature}), out);
            }
            _ => {}
        }
    }

    fn start(&mut self, block: &Value, open: Open, out: &mut Vec<u8>) {
        self.said |= open == Open::Text;
        self.open = open;
        let data = json!({"type": "content_block_start", "index": self.index, "content_block": block});
        put("content_block_start", &data, out);
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let data = json!({"type": "content_block_delta", "index": self.index, "delta": delta});
        put("content_block_delta", &data, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing | Open::Unwritten => return,
            Open::Call(Input::Text) => {
                self.delta(&json!({"type": "input_json_delta", "partial_json": "\"}"}), out);
            }
            // Clients that join the pieces expect an object.
            Open::Call(Input::Unknown) => {
                self.delta(&json!({"type": "input_json_delta", "partial_json": "{}"}), out);
            }
            _ => {}
        }
        put("content_block_stop", &json!({"type": "content_block_stop", "index": self.index}), out);
        self.index += 1;
    }

    fn end(&mut self, stop: &Stop, usage: Option<Spent>, out: &mut Vec<u8>) {
        self.close(out);
        self.ended = true;
        let (reason, sequence) = answer::write_stop(stop);
        let data = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": answer::write_usage(usage.or(self.usage)),
        });
        put("message_delta", &data, out);
        put("message_stop", &json!({"type": "message_stop"}), out);
    }
}

impl Input {
    /// What is written for the next piece. Its first character that is no blank decides.
    fn next(&mut self, text: &str) -> String {
        match self {
            Input::Object => text.to_owned(),
            Input::Text => escaped(text),
            Input::Unknown => {
                let text = text.trim_start();
                if text.starts_with('{') {
                    *self = Input::Object;
                    return text.to_owned();
                }
                if text.is_empty() {
                    return String::new();
                }
                *self = Input::Text;
                format!("{{\"input\":\"{}", escaped(text))
            }
        }
    }
}

/// A piece of text as it stands within a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn put(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
}

/// Anthropic's word for the class of a failure of whatever provider.
fn class<'a>(kind: Option<&'a str>, code: Option<&str>) -> &'a str {
    if let Some(known) = kind.filter(|kind| CLASSES.contains(kind)) {
        return known;
    }
    let has = |words: &[&str]| {
        [kind, code].into_iter().flatten().any(|said| {
            let said = said.to_ascii_lowercase();
            words.iter().any(|word| said.contains(word))
        })
    };
    if has(&["overloaded", "unavailable", "503", "529"]) {
        "overloaded_error"
    } else if has(&["rate_limit", "resource_exhausted", "quota", "429"]) {
        "rate_limit_error"
    } else {
        "api_error"
    }
}
