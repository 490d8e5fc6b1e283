//! A value that satisfies a JSON schema, as far as tool parameters and structured outputs use one.
//!
//! Required properties only (all of them where none is required), `enum`, `const`, `default`, `anyOf`, and the least
//! number or length allowed. References and patterns are not followed. Depth is bounded, so no schema is endless.

use serde_json::{Map, Value, json};

/// How deep a value goes; deeper schemas get `null` there.
const DEPTH_MAX: u32 = 16;

/// The longest text or list made to satisfy a minimum.
const LENGTH_MAX: u64 = 64;

/// The value; texts contain `say`.
pub(super) fn satisfy(schema: &Value, say: &str) -> Value {
    fill(schema, say, 0)
}

fn fill(schema: &Value, say: &str, depth: u32) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    for fixed in ["const", "default"] {
        if let Some(value) = schema.get(fixed) {
            return value.clone();
        }
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    for either in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(either).and_then(|schemas| schemas.get(0)) {
            return fill(first, say, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    };
    // Google writes its types in capitals.
    match kind.to_ascii_lowercase().as_str() {
        "string" => text(schema, say),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => Value::Bool(true),
        "array" => list(schema, say, depth),
        "object" => object(schema, say, depth),
        _ => Value::Null,
    }
}

fn text(schema: &Value, say: &str) -> Value {
    let mut text = say.to_owned();
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0).min(LENGTH_MAX);
    while text.chars().count() < usize::try_from(least).unwrap_or(0) {
        text.push('.');
    }
    Value::String(text)
}

fn list(schema: &Value, say: &str, depth: u32) -> Value {
    // Lists nest: past the first levels one element each, or a hostile schema would multiply them.
    let most = if depth > 1 { 1 } else { LENGTH_MAX };
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(most);
    let item = schema.get("items").unwrap_or(&Value::Null);
    (0..least).map(|_| fill(item, say, depth + 1)).collect()
}

fn object(schema: &Value, say: &str, depth: u32) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return json!({}) };
    let required: Option<Vec<&str>> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect());
    let wanted = |name: &str| required.as_ref().is_none_or(|names| names.contains(&name));
    let filled = properties.iter().filter(|(name, _)| wanted(name));
    Value::Object(
        filled.map(|(name, schema)| (name.clone(), fill(schema, say, depth + 1))).collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_properties_are_there_with_their_types() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 3},
                "unit": {"type": "string", "enum": ["C", "F"]},
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                "flag": {"type": ["boolean", "null"]},
                "optional": {"type": "string"}
            },
            "required": ["city", "days", "unit", "tags", "flag"]
        });
        let value = json!({"city": "x", "days": 3, "unit": "C", "tags": ["x", "x"], "flag": true});
        assert_eq!(satisfy(&schema, "x"), value);
    }

    #[test]
    fn odd_schemas_get_some_value_and_never_a_panic() {
        for schema in [json!(null), json!([]), json!({"type": 3}), json!({"enum": []}), json!({"items": {}})]
        {
            satisfy(&schema, "x");
        }
        assert_eq!(satisfy(&json!({"type": "object"}), "x"), json!({}));
        let mut deep = json!({"type": "string"});
        for _ in 0..100 {
            deep = json!({"type": "array", "minItems": 64, "items": deep});
        }
        satisfy(&deep, "x");
    }
}
