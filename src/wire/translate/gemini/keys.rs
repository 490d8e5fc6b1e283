//! Keys in either spelling that Google reads (`inlineData`, `inline_data`), numbers that may be texts, and schemas.
//!
//! Follows the JSON form of protocol buffers, which Google's servers read. Refuses to know what a key is for.
//! Invariant: a schema that was read says the same in JSON Schema, and its keys keep their order.

use serde_json::{Map, Value, json};

/// A key in Google's own spelling.
pub(super) fn camel(key: &str) -> String {
    let mut spelled = String::with_capacity(key.len());
    let mut upper = false;
    for c in key.trim_start_matches('_').chars() {
        if c == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            spelled.push(c.to_ascii_uppercase());
        } else {
            spelled.push(c);
        }
    }
    spelled
}

/// The value at a key, given in Google's own spelling; `null` if there is none.
pub(super) fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    static NOTHING: Value = Value::Null;
    let Some(keys) = value.as_object() else { return &NOTHING };
    if let Some(found) = keys.get(key) {
        return found;
    }
    let mut snake = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    keys.get(&snake).unwrap_or(&NOTHING)
}

/// The text at a key; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    at(value, key).as_str().unwrap_or_default()
}

/// The bytes at a key, in the base64 that every other dialect takes. Google reads, and its library for Python writes,
/// the alphabet for URLs too, with padding or without.
pub(super) fn bytes(value: &Value, key: &str) -> String {
    let mut data = text(value, key).replace('-', "+").replace('_', "/");
    while !data.len().is_multiple_of(4) {
        data.push('=');
    }
    data
}

/// What is given at an object's keys, in Google's own spelling of them.
pub(super) fn given(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    let keys = value.as_object().into_iter().flatten();
    keys.filter(|(_, value)| !value.is_null()).map(|(key, value)| (camel(key), value))
}

/// A list; a lone value is a list of one, as Google's libraries take it.
pub(super) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    }
}

/// A whole number, which may be a text, as 64-bit numbers are, or have a fraction of zero.
pub(super) fn whole(value: &Value) -> Option<i64> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    })
}

/// Google's schema as JSON Schema.
pub(super) fn read_schema(schema: &Value) -> Value {
    let Value::Object(keys) = schema else { return schema.clone() };
    let mut read = Map::new();
    for (key, value) in keys {
        let key = camel(key);
        let value = match key.as_str() {
            "type" => match value.as_str() {
                Some("TYPE_UNSPECIFIED") => continue,
                Some(kind) => kind.to_ascii_lowercase().into(),
                None => value.clone(),
            },
            "properties" => Value::Object(
                value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), read_schema(v))).collect(),
            ),
            "items" | "additionalProperties" => read_schema(value),
            "anyOf" | "prefixItems" | "oneOf" | "allOf" => list(value).iter().map(read_schema).collect(),
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                whole(value).map_or_else(|| value.clone(), Value::from)
            }
            // An order of properties is only told by the order in which they stand; `nullable` is a type.
            "propertyOrdering" | "nullable" => continue,
            "example" => {
                read.insert("examples".to_owned(), json!([value]));
                continue;
            }
            _ => value.clone(),
        };
        read.insert(key, value);
    }
    if *at(schema, "nullable") == true {
        if let Some(kind) = read.get_mut("type") {
            *kind = json!([kind.take(), "null"]);
        }
        if let Some(values) = read.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
    }
    Value::Object(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_key() {
        for (spelled, wanted) in
            [("inline_data", "inlineData"), ("inlineData", "inlineData"), ("_a__b_", "aB"), ("", "")]
        {
            assert_eq!(camel(spelled), wanted);
        }
        assert_eq!(at(&json!({"inline_data": 1}), "inlineData"), &json!(1));
        assert_eq!(at(&json!({"inlineData": 1}), "inlineData"), &json!(1));
        assert_eq!(at(&json!([1]), "inlineData"), &Value::Null);
        assert_eq!(
            [json!(5), json!("5"), json!(5.0), json!(5.5)].each_ref().map(whole),
            [Some(5), Some(5), Some(5), None]
        );
    }

    #[test]
    fn bytes_in_either_alphabet_are_standard_base64() {
        for (written, wanted) in
            [("-_-_", "+/+/"), ("+/+/", "+/+/"), ("AA", "AA=="), ("AA==", "AA=="), ("", "")]
        {
            assert_eq!(bytes(&json!({ "data": written }), "data"), wanted);
        }
    }

    #[test]
    fn googles_schema_becomes_json_schema_in_order() {
        let schema = json!({"type": "OBJECT", "propertyOrdering": ["z", "a"], "required": ["z"], "properties": {
            "z": {"type": "STRING", "nullable": true, "enum": ["x"], "example": "x"},
            "a": {"type": "ARRAY", "min_items": "1", "items": {"anyOf": [{"type": "INTEGER"}, {"type": "NULL"}]}}}});
        let wanted = json!({"type": "object", "required": ["z"], "properties": {
            "z": {"type": ["string", "null"], "enum": ["x", null], "examples": ["x"]},
            "a": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}});
        assert_eq!(read_schema(&schema).to_string(), wanted.to_string());
    }
}
