//! A stream of chat completion chunks, read.
//!
//! The first tool call streams as it comes. From then on everything else, other calls too, is held back and given
//! whole when the choice ends: providers may interleave what the hub has one after the other. Invariant: what is
//! held is bounded, and a stream that goes beyond it has failed.

use super::super::hub::{Event, Opened, Part, Spent, Stop, Thought, ToolCall};
use super::super::openai::{CALLS_MAX, HELD_MAX, call_id, failed, failure, spent, url};
use super::super::stream::events_of_part;
use super::super::tree::{is_off, list, text, tree};
use super::{answer, stop_of};
use serde_json::Value;

/// What a piece costs beyond its bytes, so that many small ones are bounded too.
const HELD_EXTRA: usize = 128;

/// Reads a stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    id: String,
    begun: bool,
    ended: bool,
    /// Which part is open.
    open: Option<Open>,
    /// What waits for the end of the choice, in the order of its beginning.
    held: Vec<Held>,
    /// Bytes of `held`.
    held_bytes: usize,
    calls: usize,
    /// Where calls stand in `held`.
    places: Vec<usize>,
    refuses: bool,
    reason: Option<String>,
    usage: Option<Spent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Thought,
    /// The first call, which is the first of `held` too, so that its later pieces find it.
    Call,
}

#[derive(Debug)]
enum Held {
    Part(Part),
    Call {
        /// Its place among the calls, as the provider counts; some do not.
        index: Option<u64>,
        call: ToolCall,
    },
}

impl StreamReader {
    /// Reads the data of one event.
    pub(in super::super) fn on_event(&mut self, data: &[u8], out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if data.trim_ascii().starts_with(b"[DONE]") {
            self.begin("", out);
            self.end(out);
            return;
        }
        let Some(chunk) = tree(data) else { return };
        self.usage = spent(&chunk["usage"]).or_else(|| spent(&chunk["x_groq"]["usage"])).or(self.usage);
        let error =
            chunk.get("error").is_some_and(|error| !is_off(error)) || text(&chunk, "object") == "error";
        let choices = chunk.get("choices").map_or(&[][..], list);
        let choice = choices.iter().find(|choice| matches!(choice["index"].as_u64(), None | Some(0)));
        if error || choice.is_some_and(|choice| text(choice, "finish_reason") == "error") {
            self.fail(failed(data), out);
            return;
        }
        // Azure's first chunk, about its filters, names neither.
        if choice.is_some() || !text(&chunk, "id").is_empty() {
            self.id = if self.begun { self.id.clone() } else { text(&chunk, "id").to_owned() };
            self.begin(text(&chunk, "model"), out);
        }
        if let Some(choice) = choice {
            self.on_choice(choice, out);
        }
    }

    /// The stream is over.
    pub(in super::super) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.reason.is_some() && !self.ended {
            self.end(out);
        }
    }

    fn begin(&mut self, model: &str, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.push(Event::Begin { id: self.id.clone(), model: model.to_owned(), usage: None });
        }
    }

    fn on_choice(&mut self, choice: &Value, out: &mut Vec<Event>) {
        let delta = &choice["delta"];
        let thought = ["reasoning_content", "reasoning"].map(|key| text(delta, key));
        if let Some(thought) = thought.into_iter().find(|thought| !thought.is_empty()) {
            self.say(Open::Thought, thought, out);
        }
        for part in answer::content(&delta["content"]) {
            match part {
                Part::Text(text) => self.say(Open::Text, &text, out),
                Part::Thought(thought) => self.say(Open::Thought, &thought.text, out),
                Part::Refusal(text) => self.say(Open::Refusal, &text, out),
                _ => {}
            }
        }
        self.say(Open::Refusal, text(delta, "refusal"), out);
        for picture in answer::pictures(delta) {
            self.show(picture, out);
        }
        for piece in delta.get("tool_calls").map_or(&[][..], list) {
            let free_text = piece["custom"].is_object();
            let inner = &piece[if free_text { "custom" } else { "function" }];
            self.call(piece["index"].as_u64(), text(piece, "id"), inner, free_text, out);
        }
        if delta["function_call"].is_object() {
            self.call(None, "", &delta["function_call"], false, out);
        }
        if self.ended {
            return;
        }
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.reason = Some(reason.to_owned());
            self.flush(out);
        }
        if self.held_bytes > HELD_MAX {
            self.fail(failure("the provider's answer is too long to be translated"), out);
        }
    }

    /// Passes text on, or holds it back behind a call.
    fn say(&mut self, kind: Open, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() || self.ended {
            return;
        }
        self.refuses |= kind == Open::Refusal;
        if self.open == Some(Open::Call) {
            self.held_bytes += text.len() + HELD_EXTRA;
            match (self.held.last_mut(), kind) {
                (Some(Held::Part(Part::Text(held))), Open::Text)
                | (Some(Held::Part(Part::Refusal(held))), Open::Refusal) => held.push_str(text),
                (Some(Held::Part(Part::Thought(held))), Open::Thought) => held.text.push_str(text),
                (_, Open::Refusal) => self.held.push(Held::Part(Part::Refusal(text.to_owned()))),
                (_, Open::Thought) => {
                    let thought = Thought { text: text.to_owned(), seal: None };
                    self.held.push(Held::Part(Part::Thought(thought)));
                }
                (_, Open::Text | Open::Call) => self.held.push(Held::Part(Part::Text(text.to_owned()))),
            }
            return;
        }
        if self.open != Some(kind) {
            self.close(out);
            out.push(Event::Open(match kind {
                Open::Refusal => Opened::Refusal,
                Open::Thought => Opened::Thought,
                Open::Text | Open::Call => Opened::Text,
            }));
            self.open = Some(kind);
        }
        out.push(Event::Delta(text.to_owned()));
    }

    fn show(&mut self, picture: Part, out: &mut Vec<Event>) {
        if self.open == Some(Open::Call) {
            if let Part::Image(media) = &picture {
                self.held_bytes += url(media).len() + HELD_EXTRA;
            }
            self.held.push(Held::Part(picture));
        } else {
            self.close(out);
            out.extend(events_of_part(picture));
        }
    }

    /// A piece of a call.
    fn call(&mut self, index: Option<u64>, id: &str, inner: &Value, free_text: bool, out: &mut Vec<Event>) {
        let named = !text(inner, "name").is_empty();
        let Some(at) = self.place(index, id, named, free_text, out) else { return };
        let Held::Call { call, .. } = &mut self.held[at] else { return };
        if call.name.is_empty() {
            text(inner, "name").clone_into(&mut call.name);
            self.held_bytes += call.name.len();
        }
        let input = match &inner[if free_text { "input" } else { "arguments" }] {
            Value::String(piece) => piece.clone(),
            object @ Value::Object(_) => object.to_string(),
            _ => String::new(),
        };
        let first = at == 0 && self.open == Some(Open::Call);
        if first && !call.name.is_empty() {
            if !input.is_empty() {
                out.push(Event::Delta(input));
            }
            return;
        }
        call.input.push_str(&input);
        self.held_bytes += input.len();
        if at == 0 && self.open != Some(Open::Call) && !call.name.is_empty() {
            let input = std::mem::take(&mut call.input);
            let opened = Event::Open(Opened::ToolCall(call.clone()));
            self.close(out);
            out.push(opened);
            self.open = Some(Open::Call);
            if !input.is_empty() {
                out.push(Event::Delta(input));
            }
        }
    }

    /// Where the call is that a piece belongs to. Some providers count all their calls as the first, so that only
    /// another identifier tells them apart; some do not count at all.
    fn place(
        &mut self,
        index: Option<u64>,
        id: &str,
        named: bool,
        free_text: bool,
        out: &mut Vec<Event>,
    ) -> Option<usize> {
        let same = |held: &Held| match held {
            Held::Call { index: known, call } => {
                let same_id = id.is_empty() || call.id == id || call.id.is_empty();
                // Older vLLM makes up another identifier for every piece; only the first has a name.
                (*known == index || index.is_none()) && (same_id || !named && index.is_some())
            }
            Held::Part(_) => false,
        };
        if let Some(at) = self.places.iter().rev().find(|at| self.held.get(**at).is_some_and(same)) {
            return Some(*at);
        }
        if self.calls == CALLS_MAX {
            self.fail(failure("the provider's answer calls too many tools"), out);
        }
        if self.ended {
            return None;
        }
        self.held_bytes += id.len() + HELD_EXTRA;
        let id = if id.is_empty() { call_id(&self.id, self.calls) } else { id.to_owned() };
        self.calls += 1;
        self.places.push(self.held.len());
        self.held.push(Held::Call { index, call: ToolCall { id, free_text, ..ToolCall::default() } });
        Some(self.held.len() - 1)
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if self.open.take().is_some() {
            out.push(Event::Close);
        }
    }

    /// Gives what was held back.
    fn flush(&mut self, out: &mut Vec<Event>) {
        let streamed = usize::from(self.open == Some(Open::Call));
        self.close(out);
        for held in self.held.drain(..).skip(streamed) {
            out.extend(events_of_part(match held {
                Held::Part(part) => part,
                Held::Call { call, .. } => Part::ToolCall(call),
            }));
        }
        self.places.clear();
        self.held_bytes = 0;
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.flush(out);
        let reason = self.reason.as_deref().unwrap_or_default();
        let stop: Stop = stop_of(reason, self.calls > 0, self.refuses);
        out.push(Event::End { stop, usage: self.usage });
        self.ended = true;
    }

    fn fail(&mut self, failure: Event, out: &mut Vec<Event>) {
        if !self.ended {
            self.begin("", out);
            out.push(failure);
            self.ended = true;
            self.held.clear();
        }
    }
}
