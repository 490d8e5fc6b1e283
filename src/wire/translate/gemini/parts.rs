//! Pieces of contents, read and written.
//!
//! Refuses to know whose turn it is. Invariant: a call without an id gets one that is the same whenever the same
//! conversation is read, and that its response gets as well.

use super::super::hub::{Media, Part, Seal, Thought, ToolCall};
use super::super::{Losses, Unfit, inputs, seal, tree};
use super::keys;
use crate::dialect::Dialect;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Calls that have had no response yet, by name: Google pairs by name and order where there are no ids.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Calls so far; makes up ids.
    count: usize,
    /// The id of each, by its place among all calls.
    open: BTreeMap<usize, String>,
    /// The places of calls, by name and by id; some may be open no more.
    names: BTreeMap<String, VecDeque<usize>>,
    ids: BTreeMap<String, VecDeque<usize>>,
}

impl Calls {
    fn made_up(&mut self) -> String {
        self.count += 1;
        format!("call_{}", self.count)
    }

    fn on_call(&mut self, call: &mut ToolCall) {
        if call.id.is_empty() {
            call.id = self.made_up();
        } else {
            self.count += 1;
        }
        let place = self.count;
        self.open.insert(place, call.id.clone());
        self.names.entry(call.name.clone()).or_default().push_back(place);
        self.ids.entry(call.id.clone()).or_default().push_back(place);
    }

    fn on_response(&mut self, id: &str, name: &str) -> String {
        let places = if id.is_empty() { self.names.get_mut(name) } else { self.ids.get_mut(id) };
        let mut places = places.into_iter().flat_map(|places| std::iter::from_fn(|| places.pop_front()));
        match places.find_map(|place| self.open.remove(&place)) {
            Some(id) => id,
            None if id.is_empty() => self.made_up(),
            None => id.to_owned(),
        }
    }
}

/// Reads a part of a request's turn.
///
/// # Errors
/// It refers to a file at Google.
pub(super) fn read_part(
    part: &Value,
    calls: &mut Calls,
    parts: &mut Vec<Part>,
    losses: &mut Losses,
) -> Result<(), Unfit> {
    let response = keys::at(part, "functionResponse");
    if response.is_object() {
        parts.push(read_response(response, calls)?);
        return Ok(());
    }
    let mut read = read_said(part);
    if let Some(Part::ToolCall(call)) = read.first_mut() {
        calls.on_call(call);
    }
    if !keys::at(part, "fileData").is_null() {
        read.push(read_file(keys::at(part, "fileData"))?);
    }
    for (key, value) in keys::given(part) {
        let known = ["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall"];
        if !known.contains(&key.as_str()) && !tree::is_off(value) {
            losses.add(&key);
        }
    }
    for part in read {
        match part {
            Part::Thought(thought) => push_thought(thought, parts),
            part => parts.push(part),
        }
    }
    Ok(())
}

/// Adds a thought. Pieces of a stream that follow one another are one, with the signature that came last: whoever
/// signed a thought signed all of it.
pub(super) fn push_thought(thought: Thought, parts: &mut Vec<Part>) {
    let redacted = thought.seal.as_ref().is_some_and(|seal| seal.redacted);
    match parts.last_mut() {
        Some(Part::Thought(Thought { text, seal: seal @ None })) if !redacted => {
            text.push_str(&thought.text);
            *seal = thought.seal;
        }
        _ => parts.push(Part::Thought(thought)),
    }
}

/// Reads what both a request's turn and an answer may hold. The signature of a part that is no call is a thought
/// without words behind it, because only thoughts and calls have seals in the hub.
pub(super) fn read_said(part: &Value) -> Vec<Part> {
    let mut seal = read_seal(part);
    let mut read = Vec::new();
    let call = keys::at(part, "functionCall");
    let inline = keys::at(part, "inlineData");
    let is_thought = *keys::at(part, "thought") == true;
    if call.is_object() {
        read.push(Part::ToolCall(ToolCall { seal: seal.take(), ..read_call(call) }));
    } else if let Some(text) = keys::at(part, "text").as_str() {
        if is_thought {
            read.push(Part::Thought(Thought { text: text.to_owned(), seal: seal.take() }));
        } else if !text.is_empty() || seal.is_none() {
            read.push(Part::Text(text.to_owned()));
        }
    } else if inline.is_object() {
        let kind = keys::text(inline, "mimeType").to_owned();
        let media = Media::Inline { kind: kind.clone(), data: keys::bytes(inline, "data") };
        read.push(of_kind(&kind, media, keys::text(inline, "displayName")));
    }
    if let Some(seal) = seal {
        read.push(Part::Thought(Thought { text: String::new(), seal: Some(seal) }));
    }
    read
}

/// The seal of a part; an empty one is none.
pub(super) fn read_seal(part: &Value) -> Option<Seal> {
    let data = keys::text(part, "thoughtSignature");
    // Google's own placeholder for a call that it has not signed says nothing.
    (!data.is_empty() && data != super::request_write::UNSIGNED)
        .then(|| seal::unwrapped(Dialect::Gemini, data))
}

/// A call as it stands: perhaps without an id.
pub(super) fn read_call(call: &Value) -> ToolCall {
    let input = keys::at(call, "args");
    ToolCall {
        id: keys::text(call, "id").to_owned(),
        name: keys::text(call, "name").to_owned(),
        input: if input.is_null() { "{}".to_owned() } else { input.to_string() },
        free_text: false,
        seal: None,
    }
}

fn of_kind(kind: &str, media: Media, name: &str) -> Part {
    if kind.starts_with("image/") {
        Part::Image(media)
    } else if kind.starts_with("audio/") {
        Part::Audio(media)
    } else {
        Part::File { media, name: (!name.is_empty()).then(|| name.to_owned()) }
    }
}

/// Only what anybody can fetch is a URL; files at Google are Google's alone.
fn read_file(file: &Value) -> Result<Part, Unfit> {
    let url = keys::text(file, "fileUri");
    let own = url.contains("://generativelanguage.googleapis.com/");
    if own || !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(Unfit::new("a file at Google"));
    }
    Ok(of_kind(keys::text(file, "mimeType"), Media::Url(url.to_owned()), keys::text(file, "displayName")))
}

fn read_response(response: &Value, calls: &mut Calls) -> Result<Part, Unfit> {
    let name = keys::text(response, "name");
    let id = calls.on_response(keys::text(response, "id"), name);
    let told = keys::at(response, "response");
    let alone = |key: &str| told.as_object().filter(|keys| keys.len() == 1)?.get(key)?.as_str();
    let error = alone("error");
    let text = error.or_else(|| alone("result")).or_else(|| alone("output")).map(str::to_owned);
    let mut parts = match text {
        Some(text) => vec![Part::Text(text)],
        None if told.is_null() => Vec::new(),
        None => vec![Part::Text(told.to_string())],
    };
    for part in keys::list(keys::at(response, "parts")) {
        if !keys::at(part, "fileData").is_null() {
            parts.push(read_file(keys::at(part, "fileData"))?);
        }
        parts.append(&mut read_said(part));
    }
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok(Part::ToolResult { id, name, parts, is_error: error.is_some(), free_text: false })
}

/// What a tool gave as the object that Google demands. A text that is an object is that object.
pub(super) fn write_response(text: &str, is_error: bool) -> Value {
    if is_error {
        return json!({ "error": text });
    }
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({ "result": text }),
    }
}

/// A call, without its seal.
pub(super) fn write_call(id: &str, name: &str, input: &str, free_text: bool) -> Value {
    let mut call = json!({});
    if !id.is_empty() {
        call["id"] = id.into();
    }
    call["name"] = name.into();
    call["args"] = inputs::input_object(input, free_text);
    json!({ "functionCall": call })
}

/// Bytes, or where they are. `what` is a picture, a sound or a file, for whoever is refused.
///
/// # Errors
/// Nothing says what kind of file is at the address.
pub(super) fn write_media(media: &Media, what: &'static str) -> Result<Value, Unfit> {
    match media {
        Media::Inline { kind, data } => Ok(json!({"inlineData": {"mimeType": kind, "data": data}})),
        Media::Url(url) => match kind_of(url) {
            Some(kind) => Ok(json!({"fileData": {"mimeType": kind, "fileUri": url}})),
            None => Err(Unfit::new(format!("{what} by URL"))),
        },
    }
}

/// The kind of a file, by the end of its address.
fn kind_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('/')?.1.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => return None,
    })
}
