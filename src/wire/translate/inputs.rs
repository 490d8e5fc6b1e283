//! A tool's input, and its schema, as the objects that some dialects demand.
//!
//! Refuses to know any dialect's keys. Invariant: an input that is written is an object, whatever a model said, and
//! nothing of it is lost.

use super::{Unfit, tree};
use serde_json::{Map, Value, json};

/// The object that a request's body is.
///
/// # Errors
/// It is none.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Unfit> {
    match tree::tree(body) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(Unfit::new("a body that is no JSON object")),
    }
}

/// A call's input for a dialect whose inputs are objects. Free text, and what is no JSON object although it
/// should be one, goes into the one property of [`free_text_schema`], so that it is valid and nothing of it is lost.
pub(super) fn input_object(input: &str, free_text: bool) -> Value {
    if !free_text {
        if input.trim().is_empty() {
            return json!({});
        }
        if let Ok(object @ Value::Object(_)) = serde_json::from_str(input) {
            return object;
        }
    }
    json!({ "input": input })
}

/// The schema of a tool whose input is free text, for dialects that know objects alone.
pub(super) fn free_text_schema() -> Value {
    json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]})
}

/// A schema that says at least that the input is an object, which every provider demands of a tool.
pub(super) fn object_schema(schema: Option<&Value>) -> Value {
    let Some(schema) = schema else { return free_text_schema() };
    let Value::Object(keys) = schema else { return json!({"type": "object", "properties": {}}) };
    if keys.contains_key("type") {
        return schema.clone();
    }
    let mut typed = Map::new();
    typed.insert("type".to_owned(), json!("object"));
    typed.extend(keys.clone());
    Value::Object(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_always_an_object() {
        for (input, free_text, wanted) in [
            ("", false, json!({})),
            (" \n", false, json!({})),
            (r#"{"b":1,"a":2}"#, false, json!({"b": 1, "a": 2})),
            ("[1]", false, json!({"input": "[1]"})),
            (r#"{"cut":"#, false, json!({"input": r#"{"cut":"#})),
            (r#"{"a":1}"#, true, json!({"input": r#"{"a":1}"#})),
            ("", true, json!({"input": ""})),
        ] {
            assert_eq!(input_object(input, free_text), wanted, "{input}");
        }
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(input_object(&deep, false), json!({ "input": deep }));
    }

    #[test]
    fn a_schema_says_object_and_keeps_its_order() {
        let schema = json!({"properties": {"z": {}, "a": {}}, "required": ["z"]});
        let text = object_schema(Some(&schema)).to_string();
        assert_eq!(text, r#"{"type":"object","properties":{"z":{},"a":{}},"required":["z"]}"#);
        assert_eq!(object_schema(None), free_text_schema());
        assert_eq!(object_schema(Some(&Value::Null)), json!({"type": "object", "properties": {}}));
        assert!(object(b"[]").is_err() && object(b"{").is_err());
    }
}
