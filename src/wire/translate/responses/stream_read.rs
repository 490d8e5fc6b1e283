//! A stream of response events, read.
//!
//! One item streams at a time, until it is done. Deltas of another item meanwhile are passed over: that item is
//! given whole when it is done itself, behind the first. Where no deltas came at all, the text is taken from the
//! events that say that a part, an item or the answer is done. Invariant: nothing is given twice, what is held is
//! bounded, and a stream that goes beyond it has failed.

use super::super::hub::{Event, Opened, Part};
use super::super::openai::{CALLS_MAX, HELD_MAX, call_id, failed, failure, spent};
use super::super::stream::events_of_part;
use super::super::tree::{bytes, list, text, tree};
use super::{items, stop_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most items of an answer. A long search has dozens.
const ITEMS_MAX: usize = CALLS_MAX * 8;

/// Reads a stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    id: String,
    begun: bool,
    ended: bool,
    open: Option<Open>,
    /// Places of items that were given, or are being given.
    given: BTreeSet<u64>,
    /// Parts of items that were done while another was open.
    held: Vec<Part>,
    held_bytes: usize,
    calls: bool,
    refuses: bool,
}

/// The item that streams.
#[derive(Debug)]
struct Open {
    place: u64,
    /// The index of the part that is being told.
    part: u64,
    /// Which part of the hub is open.
    heard: Option<Kind>,
    /// Whether anything was told of it.
    said: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought,
    Call,
}

impl StreamReader {
    /// Reads the data of one event.
    pub(in super::super) fn on_event(&mut self, data: &[u8], out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        let Some(event) = tree(data) else { return };
        let kind = text(&event, "type");
        let told = &event["response"];
        match kind {
            "error" => return self.fail(failed(data), out),
            "response.failed" => {
                return self.fail(failed(&bytes(&json!({"error": told["error"]}))), out);
            }
            "response.cancelled" => return self.fail(failure("the provider cancelled the response"), out),
            _ if kind.is_empty() => {
                if event.get("error").is_some_and(|error| !error.is_null()) {
                    self.fail(failed(data), out);
                }
                return;
            }
            _ => {}
        }
        self.begin(told, out);
        let place = event["output_index"].as_u64().unwrap_or_default();
        match kind {
            "response.output_item.added" => self.added(place, &event["item"], out),
            "response.output_item.done" => self.done(place, &event["item"], data.len(), out),
            "response.completed" | "response.incomplete" | "response.done" => {
                self.complete(told, data.len(), out);
            }
            _ => self.on_piece(kind, place, &event, out),
        }
        if self.held_bytes > HELD_MAX || self.given.len() > ITEMS_MAX {
            self.fail(failure("the provider's answer is too long to be translated"), out);
        }
    }

    /// The stream is over. An answer is whole only where the provider says so.
    #[expect(clippy::unused_self, reason = "readers of other dialects have something to add")]
    pub(in super::super) fn finish(&mut self, _out: &mut Vec<Event>) {}

    fn begin(&mut self, response: &Value, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.begun, true) {
            text(response, "id").clone_into(&mut self.id);
            let model = text(response, "model").to_owned();
            out.push(Event::Begin { id: self.id.clone(), model, usage: None });
        }
    }

    /// A piece of a part, or all of it again.
    fn on_piece(&mut self, event: &str, place: u64, data: &Value, out: &mut Vec<Event>) {
        let (index, kind, whole) = match event.trim_end_matches(".delta").trim_end_matches(".done") {
            "response.output_text" => ("content_index", Kind::Text, "text"),
            "response.refusal" => ("content_index", Kind::Refusal, "refusal"),
            "response.reasoning_summary_text" => ("summary_index", Kind::Thought, "text"),
            "response.reasoning_text" => ("content_index", Kind::Thought, "text"),
            "response.function_call_arguments" => ("", Kind::Call, "arguments"),
            "response.custom_tool_call_input" => ("", Kind::Call, "input"),
            _ => return,
        };
        let part = data[index].as_u64().unwrap_or_default();
        if event.ends_with(".delta") {
            self.say(place, part, kind, text(data, "delta"), out);
        } else {
            self.say_missing(place, part, kind, text(data, whole), out);
        }
    }

    /// An item begins.
    fn added(&mut self, place: u64, item: &Value, out: &mut Vec<Event>) {
        if self.open.is_some() || !self.given.insert(place) {
            return;
        }
        let mut open = Open { place, part: 0, heard: None, said: false };
        if matches!(text(item, "type"), "function_call" | "custom_tool_call") {
            let mut call = items::call_of(item);
            call.input.clear();
            if call.id.is_empty() {
                call.id = call_id(&self.id, self.given.len());
            }
            out.push(Event::Open(Opened::ToolCall(call)));
            open.heard = Some(Kind::Call);
            self.calls = true;
        }
        self.open = Some(open);
    }

    fn say(&mut self, place: u64, part: u64, kind: Kind, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if self.open.is_none() && kind != Kind::Call && self.given.insert(place) {
            self.open = Some(Open { place, part, heard: None, said: false });
        }
        let Some(open) = self.open.as_mut().filter(|open| open.place == place) else { return };
        let same = open.heard == Some(kind);
        match (same, kind) {
            (false, Kind::Call) => return,
            (true, Kind::Thought) if open.part != part => out.push(Event::Delta("\n\n".to_owned())),
            (true, _) if open.part == part => {}
            _ => {
                if open.heard.is_some() {
                    out.push(Event::Close);
                }
                out.push(Event::Open(match kind {
                    Kind::Refusal => Opened::Refusal,
                    Kind::Thought => Opened::Thought,
                    Kind::Text | Kind::Call => Opened::Text,
                }));
            }
        }
        *open = Open { place, part, heard: Some(kind), said: true };
        self.refuses |= kind == Kind::Refusal;
        out.push(Event::Delta(text.to_owned()));
    }

    /// The whole of a part, for where no piece of it came.
    fn say_missing(&mut self, place: u64, part: u64, kind: Kind, text: &str, out: &mut Vec<Event>) {
        let missing = match self.open.as_ref().filter(|open| open.place == place) {
            Some(open) => !open.said || part > open.part,
            None => self.open.is_none() && !self.given.contains(&place),
        };
        if missing {
            self.say(place, part, kind, text, out);
        }
    }

    /// An item is whole.
    fn done(&mut self, place: u64, item: &Value, length: usize, out: &mut Vec<Event>) {
        if self.open.as_ref().is_some_and(|open| open.place == place) {
            self.rest(place, item, out);
            if self.open.take().is_some_and(|open| open.heard.is_some()) {
                out.push(Event::Close);
            }
            for part in std::mem::take(&mut self.held) {
                self.give(part, out);
            }
            self.held_bytes = 0;
        } else if self.given.insert(place) {
            let mut parts = items::parts_of(item);
            for part in &mut parts {
                if let Part::ToolCall(call) = part
                    && call.id.is_empty()
                {
                    call.id = call_id(&self.id, self.given.len());
                }
            }
            if self.open.is_some() {
                self.held_bytes += length;
                self.held.append(&mut parts);
            } else {
                parts.into_iter().for_each(|part| self.give(part, out));
            }
        }
    }

    /// What is missing of the item that streams.
    fn rest(&mut self, place: u64, item: &Value, out: &mut Vec<Event>) {
        match text(item, "type") {
            "message" => {
                for (part, content) in (0..).zip(list(&item["content"])) {
                    let (kind, key) = match text(content, "type") {
                        "output_text" => (Kind::Text, "text"),
                        "refusal" => (Kind::Refusal, "refusal"),
                        _ => continue,
                    };
                    self.say_missing(place, part, kind, text(content, key), out);
                }
            }
            "reasoning" => {
                if self.open.as_ref().is_some_and(|open| !open.said) {
                    let thought = items::thought_of(item).unwrap_or_default();
                    self.say(place, 0, Kind::Thought, &thought.text, out);
                }
                let Some((seal, open)) = items::seal_of(item).zip(self.open.as_mut()) else { return };
                if open.heard.replace(Kind::Thought).is_none() {
                    out.push(Event::Open(Opened::Thought));
                }
                out.push(Event::Sealed(seal));
            }
            "function_call" | "custom_tool_call" => {
                self.say_missing(place, 0, Kind::Call, &items::call_of(item).input, out);
            }
            _ => items::parts_of(item).into_iter().for_each(|part| self.give(part, out)),
        }
    }

    fn give(&mut self, part: Part, out: &mut Vec<Event>) {
        self.calls |= matches!(part, Part::ToolCall(_));
        self.refuses |= matches!(part, Part::Refusal(_));
        out.extend(events_of_part(part));
    }

    /// The answer is whole. Gives the items that were never heard of.
    fn complete(&mut self, response: &Value, length: usize, out: &mut Vec<Event>) {
        let output = list(&response["output"]);
        if let Some(place) = self.open.as_ref().map(|open| open.place) {
            let item = usize::try_from(place).ok().and_then(|place| output.get(place));
            self.done(place, item.unwrap_or(&Value::Null), length, out);
        }
        for (place, item) in (0..).zip(output) {
            self.done(place, item, length, out);
        }
        let stop = stop_of(response, self.calls, self.refuses);
        out.push(Event::End { stop, usage: spent(&response["usage"]) });
        self.ended = true;
    }

    fn fail(&mut self, failure: Event, out: &mut Vec<Event>) {
        if !self.ended {
            self.begin(&Value::Null, out);
            out.push(failure);
            self.ended = true;
            self.held.clear();
        }
    }
}
