//! The shapes of a choice on the wire: a message, a delta, a text. Nothing but keys and their order.

use serde::Serialize;

/// A choice of a chat answer in one piece.
#[derive(Serialize)]
pub(super) struct MessageChoice {
    index: usize,
    message: Message,
    logprobs: (),
    finish_reason: &'static str,
}

impl MessageChoice {
    pub(super) fn new(index: usize, message: Message, finish_reason: &'static str) -> MessageChoice {
        MessageChoice { index, message, logprobs: (), finish_reason }
    }
}

#[derive(Serialize)]
pub(super) struct Message {
    role: &'static str,
    content: Option<String>,
    refusal: (),
    annotations: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Call>>,
}

impl Message {
    pub(super) fn saying(text: String) -> Message {
        Message { content: Some(text), ..Message::empty() }
    }

    pub(super) fn calling(calls: Vec<Call>) -> Message {
        Message { tool_calls: Some(calls), ..Message::empty() }
    }

    fn empty() -> Message {
        Message { role: "assistant", content: None, refusal: (), annotations: [], tool_calls: None }
    }
}

/// A tool call in one piece.
#[derive(Serialize)]
pub(super) struct Call {
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: String,
}

impl Call {
    pub(super) fn whole(id: String, name: String, arguments: String) -> Call {
        Call { id, r#type: "function", function: Function { name, arguments } }
    }
}

/// A choice of a chat chunk.
#[derive(Serialize)]
pub(super) struct DeltaChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

impl<'a> DeltaChoice<'a> {
    pub(super) fn new(
        index: usize,
        delta: Delta<'a>,
        finish_reason: Option<&'static str>,
    ) -> DeltaChoice<'a> {
        DeltaChoice { index, delta, logprobs: (), finish_reason }
    }
}

#[derive(Default, Serialize)]
pub(super) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Absent, `null`, or a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Default, Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Default, Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> Delta<'a> {
    pub(super) fn role(speaks: bool) -> Delta<'a> {
        Delta { role: Some("assistant"), content: Some(speaks.then_some("")), tool_calls: None }
    }

    pub(super) fn text(text: &'a str) -> Delta<'a> {
        Delta { content: Some(Some(text)), ..Delta::default() }
    }

    pub(super) fn call(index: usize, id: String, name: &'a str) -> Delta<'a> {
        let function = FunctionDelta { name: Some(name), arguments: "" };
        let call = CallDelta { index, id: Some(id), r#type: Some("function"), function };
        Delta { tool_calls: Some([call]), ..Delta::default() }
    }

    pub(super) fn arguments(index: usize, piece: &'a str) -> Delta<'a> {
        let function = FunctionDelta { name: None, arguments: piece };
        Delta {
            tool_calls: Some([CallDelta { index, function, ..CallDelta::default() }]),
            ..Delta::default()
        }
    }
}

/// A choice of a completions answer or chunk.
#[derive(Serialize)]
pub(super) struct TextChoice {
    text: String,
    index: usize,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

impl TextChoice {
    pub(super) fn new(index: usize, text: String, finish_reason: Option<&'static str>) -> TextChoice {
        TextChoice { text, index, logprobs: (), finish_reason }
    }
}
