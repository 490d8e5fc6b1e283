//! A stream of chat completion chunks, written.
//!
//! Refuses to know how events came about. Invariant: every chunk is one that OpenAI's own libraries read; usage
//! is told only to a client that asked for it, for others stumble over a chunk without a choice.

use super::super::Scene;
use super::super::hub::{Event, Opened, Part, Spent, Stop};
use super::super::openai::{HELD_MAX, Input};
use super::super::tree::bytes;
use super::{answer, answer_id, reason_of, usage};
use serde_json::{Value, json};

/// Writes a stream.
#[derive(Debug)]
pub struct StreamWriter {
    scene: Scene,
    id: String,
    model: String,
    open: Open,
    calls: u64,
    pictures: usize,
    refuses: bool,
    over: bool,
}

/// Which part is open.
#[derive(Debug)]
enum Open {
    Nothing,
    Text,
    Refusal,
    Thought,
    Call {
        input: Input,
        /// Whether any of its input was written.
        said: bool,
        /// Input that can only be shown when it is whole.
        held: String,
    },
}

impl StreamWriter {
    /// A writer that has written nothing.
    pub(in super::super) fn new(scene: Scene) -> StreamWriter {
        StreamWriter {
            id: answer_id("", &scene.id),
            model: scene.model.clone(),
            scene,
            open: Open::Nothing,
            calls: 0,
            pictures: 0,
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
                self.id = answer_id(id, &self.scene.id);
                if !model.is_empty() {
                    self.model.clone_from(model);
                }
                self.delta(&json!({"role": "assistant", "content": ""}), out);
            }
            Event::Open(opened) => self.open(opened, out),
            Event::Delta(text) => self.more(text, out),
            // Chat clients have no place for signatures.
            Event::Sealed(_) => {}
            Event::Close => self.close(out),
            // A comment, which every library of OpenAI's skips.
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End { stop, usage } => self.end(stop, usage.as_ref(), out),
            Event::Failed { message, kind, code } => {
                self.fail(message, kind.as_deref(), code.as_deref(), out);
            }
        }
    }

    fn open(&mut self, opened: &Opened, out: &mut Vec<u8>) {
        self.open = match opened {
            Opened::Text => Open::Text,
            Opened::Refusal => Open::Refusal,
            Opened::Thought => Open::Thought,
            Opened::ToolCall(call) => {
                let input = Input::of(call, &self.scene);
                self.calls += 1;
                let begin = match input {
                    Input::Json => json!({"id": call.id, "type": "function",
                        "function": {"name": call.name, "arguments": ""}}),
                    Input::Text | Input::Wrapped => json!({"id": call.id, "type": "custom",
                        "custom": {"name": call.name, "input": ""}}),
                };
                self.call_delta(begin, out);
                if !call.input.is_empty() {
                    self.open = Open::Call { input, said: false, held: String::new() };
                    self.more(&call.input, out);
                    return;
                }
                Open::Call { input, said: false, held: String::new() }
            }
            Opened::Whole(Part::Image(media)) => {
                let picture = answer::picture(media, self.pictures);
                self.pictures += 1;
                self.delta(&json!({"images": [picture]}), out);
                Open::Nothing
            }
            Opened::Whole(_) => Open::Nothing,
        };
    }

    fn more(&mut self, text: &str, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Text => self.delta(&json!({ "content": text }), out),
            Open::Thought => self.delta(&json!({ "reasoning_content": text }), out),
            Open::Refusal => {
                self.refuses = true;
                self.delta(&json!({ "refusal": text }), out);
            }
            Open::Call { input: Input::Wrapped, held, .. } => {
                held.push_str(text);
                if held.len() > HELD_MAX {
                    self.fail("the input of a tool is too long to be translated", None, None, out);
                }
            }
            Open::Call { input, said, .. } => {
                *said = true;
                let input = *input;
                self.input(input, text, out);
            }
            Open::Nothing => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Open::Call { input, said: false, held } = std::mem::replace(&mut self.open, Open::Nothing) {
            let shown = input.shown(&held);
            if !shown.is_empty() {
                self.input(input, &shown, out);
            }
        }
    }

    fn input(&mut self, input: Input, text: &str, out: &mut Vec<u8>) {
        let piece = match input {
            Input::Json => json!({"function": {"arguments": text}}),
            Input::Text | Input::Wrapped => json!({"custom": {"input": text}}),
        };
        self.call_delta(piece, out);
    }

    fn call_delta(&mut self, mut piece: Value, out: &mut Vec<u8>) {
        let mut call = json!({"index": self.calls.saturating_sub(1)});
        if let (Some(call), Some(piece)) = (call.as_object_mut(), piece.as_object_mut()) {
            call.append(piece);
        }
        self.delta(&json!({ "tool_calls": [call] }), out);
    }

    fn delta(&mut self, delta: &Value, out: &mut Vec<u8>) {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
        self.chunk(&json!([choice]), None, out);
    }

    fn end(&mut self, stop: &Stop, spent: Option<&Spent>, out: &mut Vec<u8>) {
        let reason = reason_of(stop, self.refuses);
        let choice = json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason});
        self.chunk(&json!([choice]), None, out);
        if self.scene.wants_usage && spent.is_some() {
            self.chunk(&json!([]), spent, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.over = true;
    }

    fn fail(&mut self, message: &str, kind: Option<&str>, code: Option<&str>, out: &mut Vec<u8>) {
        let kind = kind.unwrap_or("server_error");
        line(&json!({"error": {"message": message, "type": kind, "param": null, "code": code}}), out);
        self.over = true;
    }

    fn chunk(&self, choices: &Value, spent: Option<&Spent>, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.scene.created,
            "model": self.model,
            "choices": choices,
        });
        if self.scene.wants_usage {
            chunk["usage"] = spent.map_or(Value::Null, usage);
        }
        line(&chunk, out);
    }
}

fn line(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&bytes(value));
    out.extend_from_slice(b"\n\n");
}
