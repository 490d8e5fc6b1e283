//! Writes a request.
//!
//! Refuses to know its settings (`config_write`). Invariant: contents alternate and begin with the user's, responses
//! come before anything else of their turn, and carry the name of the function that they answer.

use super::super::hub::{Part, Request, Seal, Thought, Tool, ToolCall, ToolChoice};
use super::super::turns::{self, Joined};
use super::super::{Losses, Unfit, inputs};
use super::config_write::{self, write_config};
use super::parts;
use crate::dialect::Dialect;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Stands for a signature on a call that no Gemini made. From Gemini 3 on the first call of a turn is refused without
/// one, and Google documents this word for calls that come from elsewhere
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
pub(in super::super) const UNSIGNED: &str = "skip_thought_signature_validator";
/// The longest name of a function.
const NAME_MAX: usize = 128;
/// What the user says where the conversation begins with the model, or is empty: Google refuses a call that nobody's
/// turn came before, and contents that are empty.
const NOTHING_SAID: &str = ".";

/// Writes a request for a model. The model and whether it streams stand in the path.
///
/// # Errors
/// It holds what no Gemini takes.
pub(in super::super) fn write_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, Unfit> {
    let said = turns::conversation(request);
    let mut body = Map::new();
    let system = write_system(&said.system, losses);
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "parts": system }));
    }
    let mut writer = Contents { signs: config_write::signs(model), names: BTreeMap::new(), losses };
    let mut contents: Vec<(bool, Vec<Value>)> = Vec::new();
    for turn in &said.turns {
        let mut parts = writer.write_turn(turn)?;
        // A turn of which nothing was left may have stood between two of one role.
        match contents.last_mut().filter(|(assistant, _)| *assistant == turn.assistant) {
            Some((_, last)) => last.append(&mut parts),
            None if parts.is_empty() => {}
            None => contents.push((turn.assistant, parts)),
        }
    }
    if contents.first().is_none_or(|(assistant, _)| *assistant) {
        contents.insert(0, (false, vec![json!({ "text": NOTHING_SAID })]));
    }
    let contents = contents
        .into_iter()
        .map(|(assistant, parts)| json!({"role": if assistant { "model" } else { "user" }, "parts": parts}));
    body.insert("contents".to_owned(), contents.collect());
    write_tools(request, &mut body)?;
    for (name, lost) in [
        ("tools.strict", request.tools.iter().any(|tool| tool.strict == Some(true))),
        ("parallel_tool_calls", request.parallel_tools == Some(false)),
        ("user", request.user.is_some()),
    ] {
        if lost {
            losses.add(name);
        }
    }
    let config = write_config(request, model, losses);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    Ok(Value::Object(body).to_string().into_bytes())
}

fn write_system(parts: &[&Part], losses: &mut Losses) -> Vec<Value> {
    let mut written = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) if !text.is_empty() => {
                written.push(json!({ "text": text }));
            }
            Part::Text(_) | Part::Refusal(_) | Part::CacheMark => {}
            _ => losses.add("system.media"),
        }
    }
    written
}

/// Writes turns, one after the other.
struct Contents<'a> {
    /// Whether the model refuses a turn whose first call is not signed.
    signs: bool,
    /// The name of each call's function, by its id.
    names: BTreeMap<String, String>,
    losses: &'a mut Losses,
}

impl Contents<'_> {
    fn write_turn(&mut self, turn: &Joined<'_>) -> Result<Vec<Value>, Unfit> {
        let mut written = Vec::new();
        // The signature of a thought without words belongs to the call behind it: other dialects' calls have no place
        // for one.
        let mut seal: Option<&Seal> = None;
        let mut called = false;
        // What a response cannot hold stands behind all responses: between two of them Google refuses it.
        let mut behind = Vec::new();
        for part in &turn.parts {
            match part.as_ref() {
                Part::Thought(Thought { text, seal: Some(own) }) if own.by == Dialect::Gemini => {
                    lone_seal(seal.take(), &mut written);
                    if text.is_empty() {
                        seal = Some(own);
                    } else {
                        let data = &own.data;
                        written.push(json!({"text": text, "thought": true, "thoughtSignature": data}));
                    }
                }
                Part::Thought(_) => self.losses.add("thinking"),
                Part::ToolCall(call) => {
                    let own = call.seal.as_ref().filter(|own| own.by == Dialect::Gemini);
                    let before = seal.take();
                    let signature = own.or(before).map(|seal| seal.data.as_str());
                    let first = !std::mem::replace(&mut called, true);
                    written.push(
                        self.write_call(call, signature.or((first && self.signs).then_some(UNSIGNED)))?,
                    );
                }
                Part::ToolResult { id, name, parts, is_error, .. } => {
                    let name = self.names.get(id).or(name.as_ref()).cloned();
                    written.push(write_result(id, name, parts, *is_error, &mut behind)?);
                }
                other => {
                    lone_seal(seal.take(), &mut written);
                    written.append(&mut behind);
                    written.extend(write_part(other)?);
                }
            }
        }
        lone_seal(seal, &mut written);
        written.append(&mut behind);
        Ok(written)
    }

    fn write_call(&mut self, call: &ToolCall, signature: Option<&str>) -> Result<Value, Unfit> {
        // Every result of a call repeats its name.
        if call.name.len() > NAME_MAX {
            return Err(Unfit::new("a tool's name"));
        }
        self.names.insert(call.id.clone(), call.name.clone());
        let mut part = parts::write_call(&call.id, &call.name, &call.input, call.free_text);
        if let Some(signature) = signature {
            part["thoughtSignature"] = signature.into();
        }
        Ok(part)
    }
}

/// A signature that no call followed stands alone, as it came.
fn lone_seal(seal: Option<&Seal>, written: &mut Vec<Value>) {
    written.extend(seal.map(|seal| json!({"text": "", "thoughtSignature": seal.data})));
}

fn write_part(part: &Part) -> Result<Option<Value>, Unfit> {
    Ok(match part {
        Part::Text(text) | Part::Refusal(text) => (!text.is_empty()).then(|| json!({ "text": text })),
        Part::Image(media) => Some(parts::write_media(media, "image")?),
        Part::Audio(media) => Some(parts::write_media(media, "audio")?),
        Part::File { media, .. } => Some(parts::write_media(media, "file")?),
        _ => None,
    })
}

fn write_result(
    id: &str,
    name: Option<String>,
    parts: &[Part],
    is_error: bool,
    behind: &mut Vec<Value>,
) -> Result<Value, Unfit> {
    let name = name.ok_or_else(|| Unfit::new("a tool's result without its call"))?;
    let mut texts: Vec<&str> = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => texts.push(text),
            other => behind.extend(write_part(other)?),
        }
    }
    let told = parts::write_response(&texts.join("\n"), is_error);
    let mut response = json!({});
    if !id.is_empty() {
        response["id"] = id.into();
    }
    response["name"] = name.into();
    response["response"] = told;
    Ok(json!({ "functionResponse": response }))
}

fn write_tools(request: &Request, body: &mut Map<String, Value>) -> Result<(), Unfit> {
    if request.tools.is_empty() {
        return Ok(());
    }
    let declared = request.tools.iter().map(write_tool).collect::<Result<Vec<_>, _>>()?;
    body.insert("tools".to_owned(), json!([{ "functionDeclarations": declared }]));
    let calling = match &request.tool_choice {
        None | Some(ToolChoice::Auto) => return Ok(()),
        Some(ToolChoice::Any) => json!({"mode": "ANY"}),
        Some(ToolChoice::None) => json!({"mode": "NONE"}),
        Some(ToolChoice::Named(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": calling }));
    Ok(())
}

/// A tool's name is not written anew, because the model's call of it would have to be translated back.
fn write_tool(tool: &Tool) -> Result<Value, Unfit> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let begins = tool.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || tool.name.len() > NAME_MAX || !tool.name.bytes().all(allowed) {
        return Err(Unfit::new("a tool's name"));
    }
    let mut declared = json!({ "name": tool.name });
    if let Some(description) = &tool.description {
        declared["description"] = description.as_str().into();
    }
    declared["parametersJsonSchema"] = inputs::object_schema(tool.schema.as_ref());
    Ok(declared)
}
