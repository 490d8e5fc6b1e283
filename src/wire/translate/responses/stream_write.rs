//! A stream of response events, written.
//!
//! Every part is an item, told in pieces and then once more as a whole, as this dialect wants it; so the whole
//! answer is held until it ends. Invariant: numbers count up without a gap, each item is added before it is told
//! of and done before the next, and an answer that is too long to be held has failed.

use super::super::Scene;
use super::super::hub::{Event, Opened, Part, Seal, Spent, Stop, Thought, ToolCall};
use super::super::openai::{HELD_MAX, Input};
use super::super::tree::bytes;
use super::{Told, error_code, incomplete, items, response};
use serde_json::{Value, json};

/// What an item costs beyond its text, so that many small ones are bounded too.
const ITEM_EXTRA: usize = 1 << 10;

/// Writes a stream.
#[derive(Debug)]
pub struct StreamWriter {
    scene: Scene,
    id: String,
    model: String,
    number: u64,
    /// The items that are done.
    output: Vec<Value>,
    open: Option<Open>,
    /// Bytes of what is held.
    held: usize,
    refuses: bool,
    over: bool,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    /// The item's identifier.
    id: String,
    text: String,
    seal: Option<Seal>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    Thought,
    Call(ToolCall, Input),
}

impl StreamWriter {
    /// A writer that has written nothing.
    pub(in super::super) fn new(scene: Scene) -> StreamWriter {
        StreamWriter {
            scene,
            id: String::new(),
            model: String::new(),
            number: 0,
            output: Vec::new(),
            open: None,
            held: 0,
            refuses: false,
            over: false,
        }
    }

    /// Writes what an event means.
    pub(in super::super) fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Begin { id, model, .. } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                for kind in ["response.created", "response.in_progress"] {
                    let response = self.response("in_progress", None, None);
                    self.event(kind, json!({ "response": response }), out);
                }
            }
            Event::Open(Opened::Whole(part)) => self.whole(part, out),
            Event::Open(opened) => self.open(opened, out),
            Event::Delta(text) => self.more(text, out),
            Event::Sealed(seal) => {
                if let Some(open) = &mut self.open {
                    open.seal = Some(seal.clone());
                }
            }
            Event::Close => self.close(out),
            // A comment, which every library of OpenAI's skips.
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End { stop, usage } => self.end(stop, usage.as_ref(), out),
            Event::Failed { message, kind, code } => {
                self.fail(message, error_code(kind.as_deref(), code.as_deref()), out);
            }
        }
    }

    /// Whether there is room for more bytes.
    fn holds(&mut self, more: usize) -> bool {
        self.held += more;
        self.held <= HELD_MAX
    }

    /// A part that comes whole.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        let Some(item) = items::item(part, self.output.len(), &self.scene) else { return };
        if !self.holds(bytes(&item).len() + ITEM_EXTRA) {
            return self.fail(TOO_LONG, "server_error", out);
        }
        let place = self.output.len();
        for kind in ["response.output_item.added", "response.output_item.done"] {
            self.event(kind, json!({"output_index": place, "item": item}), out);
        }
        self.output.push(item);
    }

    fn open(&mut self, opened: &Opened, out: &mut Vec<u8>) {
        if !self.holds(ITEM_EXTRA) {
            return self.fail(TOO_LONG, "server_error", out);
        }
        let kind = match opened {
            Opened::Text => Kind::Text,
            Opened::Refusal => Kind::Refusal,
            Opened::Thought => Kind::Thought,
            Opened::ToolCall(call) => {
                if let Some(sealing) = items::sealing(call) {
                    self.whole(&sealing, out);
                }
                let call = ToolCall { seal: None, ..call.clone() };
                let input = Input::of(&call, &self.scene);
                Kind::Call(call, input)
            }
            Opened::Whole(_) => return,
        };
        self.refuses |= matches!(kind, Kind::Refusal);
        let mut open = Open { kind, id: String::new(), text: String::new(), seal: None };
        open.id = items::id(&open.part(), self.output.len(), &self.scene);
        let item = match &open.kind {
            Kind::Text | Kind::Refusal => items::message(&open.id, "in_progress", &[]),
            Kind::Thought => json!({"id": open.id, "type": "reasoning", "summary": []}),
            Kind::Call(call, input) => items::call_item(&open.id, "in_progress", call, *input, ""),
        };
        let part = match &open.kind {
            Kind::Text => Some(items::output_text("")),
            Kind::Refusal => Some(items::refusal("")),
            Kind::Thought | Kind::Call(..) => None,
        };
        let place = self.output.len();
        self.event("response.output_item.added", json!({"output_index": place, "item": item}), out);
        self.open = Some(open);
        if let Some(part) = part {
            self.piece("response.content_part.added", json!({"content_index": 0, "part": part}), out);
        }
    }

    fn more(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        let first = open.text.is_empty();
        open.text.push_str(text);
        self.held += text.len();
        if self.held > HELD_MAX {
            return self.fail(TOO_LONG, "server_error", out);
        }
        let (event, fields) = match &open.kind {
            Kind::Text => {
                ("response.output_text.delta", json!({"content_index": 0, "delta": text, "logprobs": []}))
            }
            Kind::Refusal => ("response.refusal.delta", json!({"content_index": 0, "delta": text})),
            Kind::Thought => {
                ("response.reasoning_summary_text.delta", json!({"summary_index": 0, "delta": text}))
            }
            Kind::Call(_, Input::Json) => {
                ("response.function_call_arguments.delta", json!({ "delta": text }))
            }
            Kind::Call(_, Input::Text) => ("response.custom_tool_call_input.delta", json!({ "delta": text })),
            // It can only be shown when it is whole.
            Kind::Call(_, Input::Wrapped) => return,
        };
        if first && matches!(open.kind, Kind::Thought) {
            let part = items::summary_text("");
            self.piece(
                "response.reasoning_summary_part.added",
                json!({"summary_index": 0, "part": part}),
                out,
            );
        }
        self.piece(event, fields, out);
    }

    /// Tells the open part once more, as a whole.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let part = open.part();
        let text = open.text.clone();
        match &open.kind {
            Kind::Text => {
                let done = json!({"content_index": 0, "text": text, "logprobs": []});
                self.piece("response.output_text.done", done, out);
                let part = items::output_text(&text);
                self.piece("response.content_part.done", json!({"content_index": 0, "part": part}), out);
            }
            Kind::Refusal => {
                self.piece("response.refusal.done", json!({"content_index": 0, "refusal": text}), out);
                let part = items::refusal(&text);
                self.piece("response.content_part.done", json!({"content_index": 0, "part": part}), out);
            }
            Kind::Thought if text.is_empty() => {}
            Kind::Thought => {
                let done = json!({"summary_index": 0, "text": text});
                self.piece("response.reasoning_summary_text.done", done, out);
                let part = items::summary_text(&text);
                let done = json!({"summary_index": 0, "part": part});
                self.piece("response.reasoning_summary_part.done", done, out);
            }
            Kind::Call(_, input) => {
                let (shown, input) = (input.shown(&text), *input);
                let late = input == Input::Wrapped || text.is_empty();
                let (name, key) = match input {
                    Input::Json => ("response.function_call_arguments", "arguments"),
                    Input::Text | Input::Wrapped => ("response.custom_tool_call_input", "input"),
                };
                if late && !shown.is_empty() {
                    self.piece(&format!("{name}.delta"), json!({ "delta": shown }), out);
                }
                self.piece(&format!("{name}.done"), json!({ key: shown }), out);
            }
        }
        let place = self.output.len();
        if let Some(item) = items::item(&part, place, &self.scene) {
            self.event("response.output_item.done", json!({"output_index": place, "item": item}), out);
            self.output.push(item);
        }
        self.open = None;
    }

    fn end(&mut self, stop: &Stop, spent: Option<&Spent>, out: &mut Vec<u8>) {
        let incomplete = incomplete(stop, self.refuses);
        let status = if incomplete.is_some() { "incomplete" } else { "completed" };
        let response = self.response(status, incomplete, spent);
        self.event(&format!("response.{status}"), json!({ "response": response }), out);
        self.over = true;
    }

    /// Codex reads the first of the two events, OpenAI's libraries raise the second.
    fn fail(&mut self, message: &str, code: &str, out: &mut Vec<u8>) {
        let mut response = self.response("failed", None, None);
        response["error"] = json!({"code": code, "message": message});
        self.event("response.failed", json!({ "response": response }), out);
        self.event("error", json!({"code": code, "message": message, "param": null}), out);
        self.over = true;
    }

    fn response(&self, status: &str, incomplete: Option<&str>, usage: Option<&Spent>) -> Value {
        let told = Told { id: &self.id, model: &self.model, status, incomplete, usage };
        response(told, &self.output, &self.scene)
    }

    /// An event about the open item.
    fn piece(&mut self, kind: &str, mut fields: Value, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let mut all = json!({"item_id": open.id, "output_index": self.output.len()});
        if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object_mut()) {
            all.append(fields);
        }
        self.event(kind, all, out);
    }

    fn event(&mut self, kind: &str, mut fields: Value, out: &mut Vec<u8>) {
        let mut all = json!({"type": kind, "sequence_number": self.number});
        if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object_mut()) {
            all.append(fields);
        }
        self.number += 1;
        out.extend_from_slice(format!("event: {kind}\ndata: ").as_bytes());
        out.extend_from_slice(&bytes(&all));
        out.extend_from_slice(b"\n\n");
    }
}

const TOO_LONG: &str = "the provider's answer is too long to be translated";

impl Open {
    /// What has been told so far, as a part.
    fn part(&self) -> Part {
        let text = self.text.clone();
        match &self.kind {
            Kind::Text => Part::Text(text),
            Kind::Refusal => Part::Refusal(text),
            Kind::Thought => Part::Thought(Thought { text, seal: self.seal.clone() }),
            Kind::Call(call, _) => Part::ToolCall(ToolCall { input: text, ..call.clone() }),
        }
    }
}
