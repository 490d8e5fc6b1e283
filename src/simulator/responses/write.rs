//! An answer as OpenAI's Responses write it: an object with items, or numbered events that open, fill and close them.

use super::item::{Item, Kind};
use crate::simulator::answer::Finish;
use crate::simulator::speech::{Breakage, Speech, named};
use crate::simulator::usage::{Meter, Used};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Everything that an answer says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// What it repeats of the request.
    pub(super) echo: Map<String, Value>,
    pub(super) items: Vec<Item>,
    pub(super) finish: Finish,
    pub(super) meter: Meter,
    pub(super) tokens: u64,
}

/// One event of a stream; the numbers are of the item and of its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Created,
    InProgress,
    ItemAdded(usize),
    PartAdded(usize),
    Delta(usize, usize),
    TextDone(usize),
    PartDone(usize),
    ItemDone(usize),
    End,
}

impl Answer {
    /// The object when all is said.
    pub(super) fn completed(&self) -> Value {
        let output: Vec<_> = self.items.iter().map(Item::full).collect();
        let mut response = self.object(self.status(), &output, self.meter.told());
        if self.finish == Finish::Length {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        response
    }

    fn status(&self) -> &'static str {
        if self.finish == Finish::Length { "incomplete" } else { "completed" }
    }

    fn object(&self, status: &str, output: &[Value], used: Option<Used>) -> Value {
        let mut response = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": null,
            "incomplete_details": null,
            "output": output,
            "service_tier": "default",
            "truncation": "disabled",
            "usage": used.map(usage),
        });
        if let Value::Object(keys) = &mut response {
            keys.extend(self.echo.clone());
        }
        response
    }

    /// The event's type and its keys, but for those that every event has.
    fn event(&self, event: Event) -> (&'static str, Value) {
        let place = |at: usize| json!({"item_id": self.items[at].id, "output_index": at});
        let running = || json!({"response": self.object("in_progress", &[], None)});
        match event {
            Event::Created => ("response.created", running()),
            Event::InProgress => ("response.in_progress", running()),
            Event::ItemAdded(at) => {
                ("response.output_item.added", json!({"output_index": at, "item": self.items[at].empty()}))
            }
            Event::ItemDone(at) => {
                ("response.output_item.done", json!({"output_index": at, "item": self.items[at].full()}))
            }
            Event::PartAdded(at) => {
                let keys = json!({"part": self.items[at].part("")});
                (self.words(at).part_added, with(self.within(at, place(at)), keys))
            }
            Event::PartDone(at) => {
                let keys = json!({"part": self.items[at].part(&self.items[at].text())});
                (self.words(at).part_done, with(self.within(at, place(at)), keys))
            }
            Event::Delta(at, piece) => {
                let keys = json!({"delta": self.items[at].pieces[piece]});
                (self.words(at).delta, self.with_logprobs(at, with(self.within(at, place(at)), keys)))
            }
            Event::TextDone(at) => {
                let words = self.words(at);
                let mut keys = self.with_logprobs(at, self.within(at, place(at)));
                keys[words.text] = json!(self.items[at].text());
                (words.done, keys)
            }
            Event::End => {
                let name =
                    if self.finish == Finish::Length { "response.incomplete" } else { "response.completed" };
                (name, json!({"response": self.completed()}))
            }
        }
    }

    /// Where within the item, if it has parts.
    fn within(&self, at: usize, mut place: Value) -> Value {
        match self.items[at].kind {
            Kind::Reasoning { .. } => place["summary_index"] = json!(0),
            Kind::Message => place["content_index"] = json!(0),
            Kind::Function { .. } | Kind::Custom { .. } => {}
        }
        place
    }

    fn with_logprobs(&self, at: usize, mut keys: Value) -> Value {
        if matches!(self.items[at].kind, Kind::Message) {
            keys["logprobs"] = json!([]);
        }
        keys
    }

    fn words(&self, at: usize) -> Words {
        match self.items[at].kind {
            Kind::Reasoning { .. } => REASONING,
            Kind::Message => MESSAGE,
            Kind::Function { .. } => FUNCTION,
            Kind::Custom { .. } => CUSTOM,
        }
    }
}

/// The names of the events of one kind of item, and of the key that has its whole text.
#[derive(Clone, Copy)]
struct Words {
    part_added: &'static str,
    delta: &'static str,
    done: &'static str,
    text: &'static str,
    part_done: &'static str,
}

const REASONING: Words = Words {
    part_added: "response.reasoning_summary_part.added",
    delta: "response.reasoning_summary_text.delta",
    done: "response.reasoning_summary_text.done",
    text: "text",
    part_done: "response.reasoning_summary_part.done",
};

const MESSAGE: Words = Words {
    part_added: "response.content_part.added",
    delta: "response.output_text.delta",
    done: "response.output_text.done",
    text: "text",
    part_done: "response.content_part.done",
};

const FUNCTION: Words = Words {
    part_added: "",
    delta: "response.function_call_arguments.delta",
    done: "response.function_call_arguments.done",
    text: "arguments",
    part_done: "",
};

const CUSTOM: Words = Words {
    part_added: "",
    delta: "response.custom_tool_call_input.delta",
    done: "response.custom_tool_call_input.done",
    text: "input",
    part_done: "",
};

/// What was used, as Responses tell it.
pub(super) fn usage(used: Used) -> Value {
    json!({
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cache_read},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.thoughts},
        "total_tokens": used.total(),
    })
}

fn with(mut place: Value, more: Value) -> Value {
    if let (Value::Object(keys), Value::Object(more)) = (&mut place, more) {
        keys.extend(more);
    }
    place
}

fn numbered(name: &str, keys: Value, number: u32) -> Bytes {
    let event = with(json!({"type": name, "sequence_number": number}), keys);
    named(name, &event.to_string())
}

impl Speech for Answer {
    type Event = Event;

    fn whole(&self) -> String {
        self.completed().to_string()
    }

    fn events(&self, end: bool) -> Vec<Event> {
        let mut events = vec![Event::Created, Event::InProgress];
        for (at, item) in self.items.iter().enumerate() {
            let parts = item.has_parts();
            events.push(Event::ItemAdded(at));
            events.extend(parts.then_some(Event::PartAdded(at)));
            events.extend((0..item.pieces.len()).map(|piece| Event::Delta(at, piece)));
            events.push(Event::TextDone(at));
            events.extend(parts.then_some(Event::PartDone(at)));
            events.push(Event::ItemDone(at));
        }
        if end {
            events.push(Event::End);
        }
        events
    }

    fn write(&mut self, event: Event, number: u32) -> Bytes {
        let (name, keys) = self.event(event);
        numbered(name, keys, number)
    }

    fn is_token(event: Event) -> bool {
        matches!(event, Event::Delta(..))
    }

    fn tokens(&self) -> u64 {
        self.tokens
    }

    fn error(&self, fault: &Breakage, number: u32) -> Bytes {
        let mut response = self.object("failed", &[], None);
        response["error"] = json!({"code": fault.kind_or("server_error"), "message": fault.message});
        numbered("response.failed", json!({"response": response}), number)
    }

    fn garbage(&self) -> &'static [u8] {
        b"event: response.output_text.delta\ndata: {\"type\": \"respon\n\n"
    }

    /// A comment, a field that nobody knows, an odd line end.
    fn noise(&self) -> &'static [u8] {
        b": keep-alive\n\nnoise: ignore me\r\n\r\n"
    }
}
