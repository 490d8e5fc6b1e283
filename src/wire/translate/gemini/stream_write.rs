//! Writes a stream: events, or the elements of one array.
//!
//! Google does not stream a call's arguments, so those are held until they are whole. Refuses to write comments, names
//! of events and signs of life, which Google's libraries take for broken JSON. Invariant: the last element tells why
//! the answer ended and what it cost, or is an error; an array is closed.

use super::super::Scene;
use super::super::hub::{Event, Opened, Part, Seal, Spent, Stop, Thought, ToolCall};
use super::answer;
use serde_json::{Value, json};

/// The longest input of a call that is held, in bytes. No model writes so much: at four bytes a token it is a million
/// tokens.
const INPUT_MAX: usize = 4 << 20;

/// Writes the events of one stream.
#[derive(Debug)]
pub struct StreamWriter {
    scene: Scene,
    id: String,
    model: String,
    /// What `Begin` said of the input, for a provider that says nothing at the end.
    usage: Option<Spent>,
    open: Open,
    /// Whether an element has been written.
    begun: bool,
    ended: bool,
}

/// The part that is open.
#[derive(Debug)]
enum Open {
    Nothing,
    Text,
    Thought,
    Call(ToolCall),
}

impl StreamWriter {
    pub(in super::super) fn new(scene: Scene) -> StreamWriter {
        StreamWriter {
            scene,
            id: String::new(),
            model: String::new(),
            usage: None,
            open: Open::Nothing,
            begun: false,
            ended: false,
        }
    }

    pub(in super::super) fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Begin { id, model, usage } => {
                id.clone_into(&mut self.id);
                model.clone_into(&mut self.model);
                self.usage = *usage;
            }
            Event::Open(opened) => self.on_open(opened, out),
            Event::Delta(text) => self.on_delta(text, out),
            Event::Sealed(seal) => self.on_sealed(seal, out),
            Event::Close => self.close(out),
            Event::Ping => {}
            Event::End { stop, usage } => self.end(stop, *usage, out),
            Event::Failed { message, kind, code } => {
                self.fail(message, kind.as_deref(), code.as_deref(), out);
            }
        }
    }

    fn on_open(&mut self, opened: &Opened, out: &mut Vec<u8>) {
        self.close(out);
        self.open = match opened {
            Opened::Text | Opened::Refusal => Open::Text,
            Opened::Thought => Open::Thought,
            Opened::ToolCall(call) => Open::Call(call.clone()),
            Opened::Whole(part) => {
                self.put_part(part, out);
                Open::Nothing
            }
        };
    }

    fn on_delta(&mut self, text: &str, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Nothing => {}
            Open::Text => self.put_part(&Part::Text(text.to_owned()), out),
            Open::Thought => {
                self.put_part(&Part::Thought(Thought { text: text.to_owned(), seal: None }), out);
            }
            Open::Call(call) if call.input.len() + text.len() <= INPUT_MAX => call.input.push_str(text),
            Open::Call(_) => self.fail("a tool call is too long to be translated", None, None, out),
        }
    }

    fn on_sealed(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Call(call) => call.seal = Some(seal.clone()),
            _ => {
                let seal = Some(seal.clone());
                self.put_part(&Part::Thought(Thought { text: String::new(), seal }), out);
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Open::Call(call) = std::mem::replace(&mut self.open, Open::Nothing) {
            self.put_part(&Part::ToolCall(call), out);
        }
    }

    fn end(&mut self, stop: &Stop, usage: Option<Spent>, out: &mut Vec<u8>) {
        self.close(out);
        let mut chunk = json!({
            "candidates": [{
                "content": {"parts": [{"text": ""}], "role": "model"},
                "finishReason": answer::write_stop(stop),
                "index": 0,
            }],
            "usageMetadata": answer::write_usage(usage.or(self.usage)),
        });
        answer::sign(&mut chunk, &self.id, &self.model, &self.scene);
        self.put(&chunk, out);
        self.finish(out);
    }

    fn fail(&mut self, message: &str, kind: Option<&str>, code: Option<&str>, out: &mut Vec<u8>) {
        let (status, class) = class(kind, code);
        self.put(&json!({"error": {"code": status, "message": message, "status": class}}), out);
        self.finish(out);
    }

    fn put_part(&mut self, part: &Part, out: &mut Vec<u8>) {
        let Some(part) = answer::write_part(part) else { return };
        let mut chunk = json!({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]});
        answer::sign(&mut chunk, &self.id, &self.model, &self.scene);
        self.put(&chunk, out);
    }

    fn put(&mut self, element: &Value, out: &mut Vec<u8>) {
        let begun = std::mem::replace(&mut self.begun, true);
        let element = match (self.scene.json_array, begun) {
            (false, _) => format!("data: {element}\n\n"),
            (true, false) => format!("[{element}"),
            (true, true) => format!(",\r\n{element}"),
        };
        out.extend_from_slice(element.as_bytes());
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        self.open = Open::Nothing;
        if self.scene.json_array {
            out.push(b']');
        }
    }
}

/// Google's status and word for a failure of whatever provider.
fn class(kind: Option<&str>, code: Option<&str>) -> (u16, &'static str) {
    let has = |words: &[&str]| {
        [kind, code].into_iter().flatten().any(|said| {
            let said = said.to_ascii_lowercase();
            words.iter().any(|word| said.contains(word))
        })
    };
    if has(&["overloaded", "unavailable", "503", "529"]) {
        (503, "UNAVAILABLE")
    } else if has(&["rate_limit", "resource_exhausted", "quota", "429"]) {
        (429, "RESOURCE_EXHAUSTED")
    } else if has(&["invalid_request", "invalid_argument", "400"]) {
        (400, "INVALID_ARGUMENT")
    } else if has(&["timeout", "deadline", "504"]) {
        (504, "DEADLINE_EXCEEDED")
    } else {
        (500, "INTERNAL")
    }
}
