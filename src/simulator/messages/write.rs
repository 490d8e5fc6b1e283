//! An answer as Anthropic writes it: blocks of thinking, text and tool use, whole or opened, filled and closed by events.

use crate::simulator::answer::{Call, Choice, Finish};
use crate::simulator::base64::base64;
use crate::simulator::hash::fingerprint;
use crate::simulator::speech::{Breakage, Speech, named};
use crate::simulator::usage::{Meter, Used};
use bytes::Bytes;
use serde_json::{Value, json};

/// Everything that an answer says.
#[derive(Debug)]
pub(super) struct Answer {
    id: String,
    model: String,
    choice: Choice,
    meter: Meter,
    blocks: Vec<Block>,
    shows_thoughts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Thinking,
    Text,
    /// The call with this number.
    ToolUse(usize),
}

/// One event of a stream; the numbers are of the block and of its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    Ping,
    Open(usize),
    /// The empty piece by which Anthropic begins the input of a tool.
    Begin(usize),
    Piece(usize, usize),
    Signature(usize),
    Close(usize),
    Delta,
    Stop,
}

impl Answer {
    pub(super) fn new(
        id: String,
        model: String,
        choice: Choice,
        meter: Meter,
        shows_thoughts: bool,
    ) -> Answer {
        let mut blocks = Vec::new();
        if !choice.thoughts.is_empty() {
            blocks.push(Block::Thinking);
        }
        if !choice.words.is_empty() {
            blocks.push(Block::Text);
        }
        blocks.extend((0..choice.calls.len()).map(Block::ToolUse));
        Answer { id, model, choice, meter, blocks, shows_thoughts }
    }

    fn pieces(&self, block: usize) -> &[String] {
        match self.blocks[block] {
            Block::Thinking if !self.shows_thoughts => &[],
            Block::Thinking => &self.choice.thoughts,
            Block::Text => &self.choice.words,
            Block::ToolUse(call) => &self.choice.calls[call].pieces,
        }
    }

    /// A block with all that it says.
    fn full(&self, block: usize) -> Value {
        let text = self.pieces(block).concat();
        match self.blocks[block] {
            Block::Thinking => json!({"type": "thinking", "thinking": text, "signature": self.signature()}),
            Block::Text => json!({"type": "text", "text": text}),
            Block::ToolUse(number) => {
                let call = &self.choice.calls[number];
                // A cap may have cut the arguments in the middle.
                let input = serde_json::from_str(&call.arguments()).unwrap_or(json!({}));
                self.tool_use(number, call, &input)
            }
        }
    }

    /// A block that has said nothing yet.
    fn empty(&self, block: usize) -> Value {
        match self.blocks[block] {
            Block::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Block::Text => json!({"type": "text", "text": ""}),
            Block::ToolUse(number) => self.tool_use(number, &self.choice.calls[number], &json!({})),
        }
    }

    fn tool_use(&self, number: usize, call: &Call, input: &Value) -> Value {
        let id = format!("toolu_{}{number}", self.id.trim_start_matches("msg_"));
        json!({"type": "tool_use", "id": id, "name": call.name, "input": input})
    }

    fn delta(&self, block: usize, text: &str) -> Value {
        match self.blocks[block] {
            Block::Thinking => json!({"type": "thinking_delta", "thinking": text}),
            Block::Text => json!({"type": "text_delta", "text": text}),
            Block::ToolUse(_) => json!({"type": "input_json_delta", "partial_json": text}),
        }
    }

    fn signature(&self) -> String {
        let hash = fingerprint(self.choice.thoughts.concat().as_bytes());
        base64(format!("simulated thought {hash}").as_bytes())
    }

    fn message(&self, content: &[Value], ended: bool, used: Option<Used>) -> Value {
        let (reason, sequence) = if ended { self.stop() } else { (Value::Null, Value::Null) };
        let mut message = json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
        });
        if let Some(used) = used {
            message["usage"] = usage(used);
        }
        message
    }

    fn stop(&self) -> (Value, Value) {
        match &self.choice.finish {
            Finish::Done => (json!("end_turn"), Value::Null),
            Finish::Stop(sequence) => (json!("stop_sequence"), json!(sequence)),
            Finish::Length => (json!("max_tokens"), Value::Null),
            Finish::Calls => (json!("tool_use"), Value::Null),
        }
    }
}

/// The cached input stands beside the other input, not within it.
fn usage(used: Used) -> Value {
    json!({
        "input_tokens": used.uncached(),
        "cache_creation_input_tokens": used.cache_write,
        "cache_read_input_tokens": used.cache_read,
        "output_tokens": used.output,
        "service_tier": "standard",
    })
}

impl Speech for Answer {
    type Event = Event;

    fn whole(&self) -> String {
        let content: Vec<_> = (0..self.blocks.len()).map(|block| self.full(block)).collect();
        self.message(&content, true, self.meter.told()).to_string()
    }

    fn events(&self, end: bool) -> Vec<Event> {
        let mut events = vec![Event::Start, Event::Ping];
        for (number, block) in self.blocks.iter().enumerate() {
            events.push(Event::Open(number));
            if matches!(block, Block::ToolUse(_)) {
                events.push(Event::Begin(number));
            }
            events.extend((0..self.pieces(number).len()).map(|piece| Event::Piece(number, piece)));
            if *block == Block::Thinking {
                events.push(Event::Signature(number));
            }
            events.push(Event::Close(number));
        }
        events.push(Event::Delta);
        if end {
            events.push(Event::Stop);
        }
        events
    }

    fn write(&mut self, event: Event, _number: u32) -> Bytes {
        let delta = |block: usize, delta: Value| {
            let data = json!({"type": "content_block_delta", "index": block, "delta": delta});
            named("content_block_delta", &data.to_string())
        };
        match event {
            Event::Start => {
                let message = self.message(&[], false, self.meter.told_so_far(1, 0));
                named("message_start", &json!({"type": "message_start", "message": message}).to_string())
            }
            Event::Ping => named("ping", r#"{"type":"ping"}"#),
            Event::Open(block) => {
                let data = json!({
                    "type": "content_block_start", "index": block, "content_block": self.empty(block),
                });
                named("content_block_start", &data.to_string())
            }
            Event::Begin(block) => delta(block, self.delta(block, "")),
            Event::Piece(block, piece) => delta(block, self.delta(block, &self.pieces(block)[piece])),
            Event::Signature(block) => {
                delta(block, json!({"type": "signature_delta", "signature": self.signature()}))
            }
            Event::Close(block) => {
                let data = json!({"type": "content_block_stop", "index": block});
                named("content_block_stop", &data.to_string())
            }
            Event::Delta => {
                let (reason, sequence) = self.stop();
                let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
                let mut data = json!({"type": "message_delta", "delta": delta});
                if let Some(used) = self.meter.told() {
                    data["usage"] = usage(used);
                }
                named("message_delta", &data.to_string())
            }
            Event::Stop => named("message_stop", r#"{"type":"message_stop"}"#),
        }
    }

    fn is_token(event: Event) -> bool {
        matches!(event, Event::Piece(..))
    }

    fn tokens(&self) -> u64 {
        self.choice.tokens()
    }

    fn error(&self, fault: &Breakage, _number: u32) -> Bytes {
        let error = json!({"type": fault.kind_or("api_error"), "message": fault.message});
        named("error", &json!({"type": "error", "error": error}).to_string())
    }

    fn garbage(&self) -> &'static [u8] {
        b"event: content_block_delta\ndata: {\"type\": \"content_bl\n\n"
    }

    /// A comment, a ping, a field that nobody knows.
    fn noise(&self) -> &'static [u8] {
        b": keep-alive\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nnoise: ignore me\r\n\r\n"
    }
}
