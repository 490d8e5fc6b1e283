//! A request that goes on within its own dialect after another dialect's provider has answered before.
//!
//! A client brings back what it got: seals that only the other provider can open, marked as `seal` marks them, and
//! thoughts that nobody signed. The dialect's own provider refuses both (400), and with them every turn from then on.
//! Refuses to know what else a request says. Invariant: a body without any of these keeps its bytes.

use super::{gemini, seal, tree};
use crate::dialect::Dialect;
use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

/// The body without what other dialects' providers have sealed; `model` is the one that shall read it.
pub fn without_foreign_seals(dialect: Dialect, model: &str, body: Bytes) -> Bytes {
    if !may_hold_foreign_seals(dialect, model, &body) {
        return body;
    }
    let Some(mut request) = tree::tree(&body) else { return body };
    let changed = match dialect {
        Dialect::Messages => in_messages(&mut request, is_claude(model)),
        Dialect::Responses => in_responses(&mut request),
        Dialect::Gemini => in_gemini(&mut request, model),
        _ => false,
    };
    if changed { tree::bytes(&request).into() } else { body }
}

/// Whether a model is Anthropic's. Others that offer this dialect sign nothing, and want their thoughts back.
fn is_claude(model: &str) -> bool {
    model.contains("claude")
}

/// Whether a body is worth reading for it: a look that costs little, because nearly no request holds one.
pub fn may_hold_foreign_seals(dialect: Dialect, model: &str, body: &[u8]) -> bool {
    let has = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    match dialect {
        // OpenAI's calls, vLLM's, and those whose names are made up here, begin so; Anthropic's do not.
        Dialect::Messages => {
            let elsewhere = || has("\"call_") || has("\"chatcmpl-") || has_empty_signature(body);
            has("\"tidegate:") || is_claude(model) && elsewhere()
        }
        Dialect::Responses => has("\"tidegate:"),
        // The mark in base64; nine bytes make twelve letters, whatever follows.
        Dialect::Gemini => has("\"dGlkZWdhdGU6") || !gemini::signs(model) && has(gemini::UNSIGNED),
        _ => false,
    }
}

fn has_empty_signature(body: &[u8]) -> bool {
    const KEY: &[u8] = b"\"signature\"";
    memmem::find_iter(body, KEY).any(|at| {
        let behind = body[at + KEY.len()..].trim_ascii_start().strip_prefix(b":");
        behind.is_some_and(|behind| behind.trim_ascii_start().starts_with(b"\"\""))
    })
}

/// Keeps the elements of an array that pass; tells whether one went.
fn keep(array: Option<&mut Value>, mut passes: impl FnMut(&mut Value) -> bool) -> bool {
    let Some(array) = array.and_then(Value::as_array_mut) else { return false };
    let before = array.len();
    array.retain_mut(|value| passes(value));
    array.len() < before
}

fn in_messages(request: &mut Value, claude: bool) -> bool {
    let mut changed = false;
    keep(request.get_mut("messages"), |message| {
        let went = keep(message.get_mut("content"), |block| !is_foreign_thought(block, claude));
        changed |= went;
        !(went && tree::list(&message["content"]).is_empty())
    });
    if claude && request["thinking"]["type"] == "enabled" && calls_without_thought(&request["messages"]) {
        // Anthropic refuses a budget where the model's last turn called a tool without having thought.
        if let Some(keys) = request.as_object_mut() {
            keys.shift_remove("thinking");
        }
        keep(request.pointer_mut("/context_management/edits"), |edit| {
            !tree::text(edit, "type").starts_with("clear_thinking")
        });
        changed = true;
    }
    changed
}

fn is_foreign_thought(block: &Value, claude: bool) -> bool {
    let data = match tree::text(block, "type") {
        "thinking" => tree::text(block, "signature"),
        "redacted_thinking" => tree::text(block, "data"),
        _ => return false,
    };
    claude && data.is_empty() || seal::is_foreign(Dialect::Messages, data)
}

/// Whether the model's last turn is another provider's: it called a tool of an id that is not Anthropic's.
fn calls_without_thought(messages: &Value) -> bool {
    let last = tree::list(messages).iter().rev().find(|message| message["role"] == "assistant");
    let blocks = last.map_or(&[][..], |message| tree::list(&message["content"]));
    let thought = blocks.first().is_some_and(|block| tree::text(block, "type").ends_with("thinking"));
    let foreign =
        |block: &Value| block["type"] == "tool_use" && !tree::text(block, "id").starts_with("toolu_");
    !thought && blocks.iter().any(foreign)
}

fn in_responses(request: &mut Value) -> bool {
    keep(request.get_mut("input"), |item| {
        let sealed = tree::text(item, "encrypted_content");
        !(item["type"] == "reasoning" && seal::is_foreign(Dialect::Responses, sealed))
    })
}

fn in_gemini(request: &mut Value, model: &str) -> bool {
    let mut changed = false;
    keep(request.get_mut("contents"), |content| {
        let went = keep(content.get_mut("parts"), |part| {
            let Some(keys) = part.as_object_mut() else { return true };
            for key in ["thoughtSignature", "thought_signature"] {
                let sealed = keys.get(key).and_then(Value::as_str).unwrap_or_default();
                let unsigned = sealed == gemini::UNSIGNED && !gemini::signs(model);
                if !unsigned && !seal::is_foreign(Dialect::Gemini, sealed) {
                    continue;
                }
                changed = true;
                let calls = ["functionCall", "function_call"].into_iter().any(|key| keys.contains_key(key));
                if calls && gemini::signs(model) {
                    keys.insert(key.to_owned(), json!(gemini::UNSIGNED));
                } else {
                    keys.shift_remove(key);
                }
                return calls
                    || keys.get("thought") != Some(&json!(true)) && keys.get("text") != Some(&json!(""));
            }
            true
        });
        !(went && tree::list(&content["parts"]).is_empty())
    });
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, model: &str, body: &Value, wanted: &Value) {
        let bytes = Bytes::from(body.to_string());
        let left = without_foreign_seals(dialect, model, bytes.clone());
        assert_eq!(serde_json::from_slice::<Value>(&left).unwrap(), *wanted);
        assert_eq!(left.as_ptr() == bytes.as_ptr(), body == wanted, "copied only if changed");
    }

    #[test]
    fn anthropic_sees_no_thought_that_it_has_not_signed() {
        let own = json!({"type": "thinking", "thinking": "a", "signature": "Eq+/"});
        let foreign = json!({"type": "thinking", "thinking": "b", "signature": "tidegate:responses:x"});
        let unsigned = json!({"type": "thinking", "thinking": "c", "signature": ""});
        let redacted = json!({"type": "redacted_thinking", "data": "tidegate:gemini:x"});
        let text = json!({"type": "text", "text": "\"signature\":\"\" \"tidegate:"});
        let body = |blocks: Value, rest: Vec<Value>| {
            let mut messages = vec![json!({"role": "assistant", "content": blocks})];
            messages.extend(rest);
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": messages})
        };
        check(
            Dialect::Messages,
            "claude-sonnet-4-5",
            &body(json!([own, foreign, unsigned, redacted, text]), vec![]),
            &body(json!([own, text]), vec![]),
        );
        let said = json!({"role": "user", "content": "x"});
        let mut wanted = body(json!([]), vec![said.clone()]);
        wanted["messages"].as_array_mut().unwrap().remove(0);
        check(Dialect::Messages, "claude-sonnet-4-5", &body(json!([unsigned]), vec![said]), &wanted);
        check(
            Dialect::Messages,
            "kimi-k2",
            &body(json!([unsigned, foreign, text]), vec![]),
            &body(json!([unsigned, text]), vec![]),
        );
        let same = body(json!([own, text]), vec![]);
        check(Dialect::Messages, "claude-sonnet-4-5", &same, &same);
    }

    #[test]
    fn a_call_by_another_provider_leaves_no_budget_of_thinking() {
        let call = |id| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
        let messages = |blocks: Value| json!([{"role": "assistant", "content": blocks}, {"role": "user", "content": []}]);
        let edits =
            json!({"edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]});
        let thinking = json!({"type": "enabled", "budget_tokens": 1024});
        let unsigned = json!({"type": "thinking", "thinking": "c", "signature": ""});
        check(
            Dialect::Messages,
            "claude-sonnet-4-5",
            &json!({"thinking": thinking, "context_management": edits, "messages": messages(json!([unsigned, call("call_1")]))}),
            &json!({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
                "messages": messages(json!([call("call_1")]))}),
        );
        let own = json!({"thinking": thinking, "messages": messages(json!([call("toolu_1")]))});
        check(Dialect::Messages, "claude-sonnet-4-5", &own, &own);
    }

    #[test]
    fn openai_sees_no_reasoning_that_it_has_not_encrypted() {
        let item = |sealed| json!({"type": "reasoning", "summary": [], "encrypted_content": sealed});
        check(
            Dialect::Responses,
            "gpt-5",
            &json!({"input": [item("tidegate:messages:redacted:x"), item("gAAAA"), {"type": "message"}]}),
            &json!({"input": [item("gAAAA"), {"type": "message"}]}),
        );
        let same = json!({"input": "\"tidegate:"});
        check(Dialect::Responses, "gpt-5", &same, &same);
    }

    #[test]
    fn google_sees_no_signature_of_others() {
        let foreign = seal::wrapped(
            &super::super::Seal { by: Dialect::Messages, data: "Ab".to_owned(), redacted: false },
            Dialect::Gemini,
        );
        let call = json!({"name": "f", "args": {}});
        let body = json!({"contents": [
            {"role": "model", "parts": [{"text": "t", "thought": true, "thoughtSignature": foreign}]},
            {"role": "model", "parts": [
                {"text": "a", "thought_signature": foreign},
                {"functionCall": call, "thoughtSignature": foreign},
                {"functionCall": call, "thoughtSignature": "b3du"}]}]});
        let wanted = |first: Value| {
            json!({"contents": [{"role": "model", "parts": [{"text": "a"}, first,
                {"functionCall": call, "thoughtSignature": "b3du"}]}]})
        };
        check(Dialect::Gemini, "gemini-2.5-pro", &body, &wanted(json!({"functionCall": call})));
        let older =
            json!({"contents": [{"parts": [{"functionCall": call, "thoughtSignature": gemini::UNSIGNED}]}]});
        check(Dialect::Gemini, "gemini-3-pro", &older, &older);
        let bare = json!({"contents": [{"parts": [{"functionCall": call}]}]});
        check(Dialect::Gemini, "gemini-2.5-pro", &older, &bare);
        let skipped = json!({"functionCall": call, "thoughtSignature": gemini::UNSIGNED});
        check(Dialect::Gemini, "gemini-3-pro", &body, &wanted(skipped));
    }
}
