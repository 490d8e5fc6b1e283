//! The items of a Responses answer: a summary of thoughts, a message, calls; each empty at first, then full.

use crate::simulator::answer::{Choice, Finish};
use crate::simulator::base64::base64;
use crate::simulator::hash::fingerprint;
use serde_json::{Value, json};

/// One item.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) pieces: Vec<String>,
    /// `completed`, or `incomplete` where the cap cut it.
    status: &'static str,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Kind {
    Reasoning {
        /// The thoughts for the next turn, sealed, if the client keeps them itself.
        sealed: Option<String>,
    },
    Message,
    Function {
        call_id: String,
        name: String,
    },
    Custom {
        call_id: String,
        name: String,
    },
}

/// The items of what a choice says; their ids end in `number`.
pub(super) fn items(choice: &Choice, number: &str, encrypts: bool) -> Vec<Item> {
    let mut items = Vec::new();
    if !choice.thoughts.is_empty() {
        let hash = fingerprint(choice.thoughts.concat().as_bytes());
        let sealed = encrypts.then(|| base64(format!("simulated thought {hash}").as_bytes()));
        items.push(Item::new(format!("rs_{number}"), Kind::Reasoning { sealed }, &choice.thoughts));
    }
    if choice.calls.is_empty() && (!choice.words.is_empty() || items.is_empty()) {
        items.push(Item::new(format!("msg_{number}"), Kind::Message, &choice.words));
    }
    for (at, call) in choice.calls.iter().enumerate() {
        let (call_id, name) = (format!("call_{number}{at}"), call.name.clone());
        let (prefix, kind) = match call.free {
            true => ("ctc", Kind::Custom { call_id, name }),
            false => ("fc", Kind::Function { call_id, name }),
        };
        items.push(Item::new(format!("{prefix}_{number}{at}"), kind, &call.pieces));
    }
    if let (Finish::Length, Some(last)) = (&choice.finish, items.last_mut()) {
        last.status = "incomplete";
    }
    items
}

impl Item {
    fn new(id: String, kind: Kind, pieces: &[String]) -> Item {
        Item { id, kind, pieces: pieces.to_vec(), status: "completed" }
    }

    /// Everything that it says.
    pub(super) fn text(&self) -> String {
        self.pieces.concat()
    }

    /// With all that it says.
    pub(super) fn full(&self) -> Value {
        let parts = if self.has_parts() { vec![self.part(&self.text())] } else { Vec::new() };
        self.json(&parts, &self.text(), self.status)
    }

    /// Before it has said anything.
    pub(super) fn empty(&self) -> Value {
        self.json(&[], "", "in_progress")
    }

    /// Whether its text stands in a part of its own.
    pub(super) fn has_parts(&self) -> bool {
        matches!(self.kind, Kind::Reasoning { .. } | Kind::Message)
    }

    /// Its part with this text.
    pub(super) fn part(&self, text: &str) -> Value {
        match self.kind {
            Kind::Reasoning { .. } => json!({"type": "summary_text", "text": text}),
            _ => json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}),
        }
    }

    fn json(&self, parts: &[Value], text: &str, status: &str) -> Value {
        let id = &self.id;
        match &self.kind {
            Kind::Reasoning { sealed: None } => json!({"id": id, "type": "reasoning", "summary": parts}),
            Kind::Reasoning { sealed: Some(sealed) } => {
                json!({"id": id, "type": "reasoning", "summary": parts, "encrypted_content": sealed})
            }
            Kind::Message => {
                json!({"id": id, "type": "message", "status": status, "content": parts, "role": "assistant"})
            }
            Kind::Function { call_id, name } => json!({
                "id": id, "type": "function_call", "status": status, "arguments": text, "call_id": call_id,
                "name": name,
            }),
            Kind::Custom { call_id, name } => json!({
                "id": id, "type": "custom_tool_call", "status": status, "call_id": call_id, "input": text,
                "name": name,
            }),
        }
    }
}
