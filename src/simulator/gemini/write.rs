//! An answer as Gemini writes it: the same object whole or in pieces, each with what was used so far.
//!
//! A call comes whole in one part. A thought is signed on the part that follows it: the first call, or the end.

use crate::simulator::answer::{Choice, Finish};
use crate::simulator::base64::base64;
use crate::simulator::hash::fingerprint;
use crate::simulator::refusal_shapes::google_code;
use crate::simulator::speech::{Breakage, Speech, data};
use crate::simulator::usage::{Meter, Used};
use bytes::Bytes;
use serde_json::{Value, json};

/// Everything that an answer says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) choices: Vec<Choice>,
    pub(super) meter: Meter,
    pub(super) framing: Framing,
    /// How many tokens of its stream have been written, and how many of them were thoughts.
    pub(super) written: u64,
    pub(super) thoughts: u64,
}

/// How a stream is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// As events, for who asks for `alt=sse`.
    Events,
    /// As one array, an element at a time.
    Array,
}

/// One event of a stream; the numbers are of the candidate and of its piece or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Thought(usize, usize),
    Word(usize, usize),
    Call(usize, usize),
    Finish(usize),
    /// The end of the array.
    Close,
}

impl Answer {
    fn candidate(&self, index: usize, parts: &[Value], ended: bool) -> Value {
        let content = json!({"parts": parts, "role": "model"});
        let mut candidate = json!({"content": content, "index": index});
        if ended {
            candidate["finishReason"] = json!(match self.choices[index].finish {
                Finish::Length => "MAX_TOKENS",
                Finish::Done | Finish::Stop(_) | Finish::Calls => "STOP",
            });
        }
        candidate
    }

    fn response(&self, candidates: &[Value], used: Option<Used>) -> Value {
        let mut response = json!({"candidates": candidates});
        if let Some(used) = used {
            response["usageMetadata"] = usage(used);
        }
        response["modelVersion"] = json!(self.model);
        response["responseId"] = json!(self.id);
        response
    }

    fn signed(&self, index: usize, mut part: Value) -> Value {
        let thoughts = &self.choices[index].thoughts;
        if !thoughts.is_empty() {
            let hash = fingerprint(thoughts.concat().as_bytes());
            part["thoughtSignature"] = json!(base64(format!("simulated thought {hash}").as_bytes()));
        }
        part
    }

    fn call(&self, index: usize, number: usize) -> Value {
        let call = &self.choices[index].calls[number];
        // A cap may have cut the arguments in the middle.
        let args: Value = serde_json::from_str(&call.arguments()).unwrap_or(json!({}));
        let part = json!({"functionCall": {"name": call.name, "args": args}});
        if number == 0 { self.signed(index, part) } else { part }
    }

    /// All parts of a candidate.
    fn parts(&self, index: usize) -> Vec<Value> {
        let choice = &self.choices[index];
        let mut parts = Vec::new();
        if !choice.thoughts.is_empty() {
            parts.push(json!({"text": choice.thoughts.concat(), "thought": true}));
        }
        match choice.calls.is_empty() {
            true => parts.push(self.signed(index, json!({"text": choice.text()}))),
            false => parts.extend((0..choice.calls.len()).map(|number| self.call(index, number))),
        }
        parts
    }

    fn framed(&self, chunk: &Value, number: u32) -> Bytes {
        match (self.framing, number) {
            (Framing::Events, _) => data(&chunk.to_string()),
            (Framing::Array, 0) => Bytes::from(format!("[{chunk}\n")),
            (Framing::Array, _) => Bytes::from(format!(",\r\n{chunk}\n")),
        }
    }
}

/// Thoughts stand beside the candidates' tokens, not within them; what was cached stands within the prompt's.
fn usage(used: Used) -> Value {
    let mut usage = json!({
        "promptTokenCount": used.input,
        "candidatesTokenCount": used.output.saturating_sub(used.thoughts),
        "totalTokenCount": used.total(),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used.input}],
    });
    if used.thoughts > 0 {
        usage["thoughtsTokenCount"] = json!(used.thoughts);
    }
    usage
}

impl Speech for Answer {
    type Event = Event;

    fn whole(&self) -> String {
        let all = 0..self.choices.len();
        let candidates: Vec<_> = all.map(|index| self.candidate(index, &self.parts(index), true)).collect();
        self.response(&candidates, self.meter.told()).to_string()
    }

    fn events(&self, end: bool) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, choice) in self.choices.iter().enumerate() {
            events.extend((0..choice.thoughts.len()).map(|piece| Event::Thought(index, piece)));
            events.extend((0..choice.words.len()).map(|piece| Event::Word(index, piece)));
            events.extend((0..choice.calls.len()).map(|number| Event::Call(index, number)));
            if end {
                events.push(Event::Finish(index));
            }
        }
        if end && self.framing == Framing::Array {
            events.push(Event::Close);
        }
        events
    }

    fn write(&mut self, event: Event, number: u32) -> Bytes {
        let (index, part, ended) = match event {
            Event::Thought(index, piece) => {
                self.written += 1;
                self.thoughts += 1;
                (index, json!({"text": self.choices[index].thoughts[piece], "thought": true}), false)
            }
            Event::Word(index, piece) => {
                self.written += 1;
                (index, json!({"text": self.choices[index].words[piece]}), false)
            }
            Event::Call(index, call) => {
                let pieces = self.choices[index].calls[call].pieces.len();
                self.written += u64::try_from(pieces).unwrap_or(u64::MAX);
                (index, self.call(index, call), false)
            }
            Event::Finish(index) => {
                let end = json!({"text": ""});
                let part = if self.choices[index].calls.is_empty() { self.signed(index, end) } else { end };
                (index, part, true)
            }
            Event::Close => return Bytes::from_static(b"]"),
        };
        let candidate = self.candidate(index, &[part], ended);
        let used = self.meter.told_so_far(self.written, self.thoughts);
        self.framed(&self.response(&[candidate], used), number)
    }

    fn is_token(event: Event) -> bool {
        matches!(event, Event::Thought(..) | Event::Word(..) | Event::Call(..))
    }

    fn tokens(&self) -> u64 {
        self.choices.iter().map(Choice::tokens).sum()
    }

    fn error(&self, fault: &Breakage, number: u32) -> Bytes {
        let status = fault.kind_or("INTERNAL");
        let error = json!({"code": google_code(status), "message": fault.message, "status": status});
        let framed = self.framed(&json!({"error": error}), number);
        match self.framing {
            Framing::Events => framed,
            Framing::Array => Bytes::from([&framed, &b"]"[..]].concat()),
        }
    }

    fn garbage(&self) -> &'static [u8] {
        match self.framing {
            Framing::Events => b"data: {\"candidates\": [{\"cont\n\n",
            Framing::Array => b",\r\n{\"candidates\": [{\"cont\n",
        }
    }

    /// Blank lines alone: Google's client takes anything else for a piece of JSON.
    fn noise(&self) -> &'static [u8] {
        b"\n\r\n"
    }

    fn media_type(&self) -> &'static str {
        match self.framing {
            Framing::Events => "text/event-stream; charset=utf-8",
            Framing::Array => "application/json; charset=UTF-8",
        }
    }
}
