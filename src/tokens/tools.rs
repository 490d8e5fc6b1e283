//! What tool definitions cost.
//!
//! OpenAI shows its models a rendering of each function that is not published; its cookbook gives a
//! formula that is exact for flat functions. Everything else is counted as the JSON that it is, without
//! its white space, which is what other models are shown and a little more than OpenAI's rendering.

use super::encoding::{Counter, Encoding};
use super::memo::Way;
use super::vocabulary::Vocabulary;
use crate::units::Tokens;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How a family is shown its tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolRule {
    /// OpenAI's cookbook, "How to count tokens with tiktoken", where the functions are flat.
    Cookbook,
    /// As JSON, below a prompt of this many tokens that the provider adds once where there is a tool.
    Text { prompt: u64 },
}

/// Tokens that frame one function: the cookbook's figure for o200k models, and for older ones.
const FUNCTION: u64 = 7;
const FUNCTION_CL100K: u64 = 10;
/// Tokens that a function's properties add together, and each of them.
const PROPERTIES: u64 = 3;
const PROPERTY: u64 = 3;
/// What a choice among values saves, and what each value adds to its own text.
const CHOICE_SAVES: u64 = 3;
const CHOICE: u64 = 3;
/// Tokens that follow the last function.
const END: u64 = 12;

impl ToolRule {
    /// The tokens of all definitions together, of which so many are tools; none cost none.
    pub(super) fn tokens(self, schemas: &[&str], tools: u32, counter: &mut Counter<'_>) -> Tokens {
        if schemas.is_empty() {
            return Tokens::ZERO;
        }
        let encoding = counter.encoding;
        let frame = if encoding.vocabulary == Vocabulary::Cl100k { FUNCTION_CL100K } else { FUNCTION };
        let text = |schema: &str| encoding.count_uncorrected(&minified(schema));
        match self {
            ToolRule::Cookbook => {
                let formula = |schema: &str| match Function::read(schema) {
                    Some(function) => function.tokens(encoding),
                    None => text(schema),
                };
                let each = schemas.iter().map(|schema| {
                    let count = counter.once(Way::Function, schema, || formula(schema));
                    Tokens(frame) + encoding.corrected(count)
                });
                each.sum::<Tokens>() + Tokens(END)
            }
            ToolRule::Text { prompt } => {
                let prompt = if tools > 0 { prompt } else { 0 };
                let each = schemas
                    .iter()
                    .map(|schema| encoding.corrected(counter.once(Way::Json, schema, || text(schema))));
                each.sum::<Tokens>() + Tokens(prompt)
            }
        }
    }
}

/// A tool around its function.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

/// A function without nesting. Any key that the formula does not know makes it none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Cow<'a, str>,
    #[serde(borrow, default)]
    parameters: Parameters<'a>,
    /// Responses put it beside the name; chat around the function.
    #[serde(default, rename = "type")]
    _kind: IgnoredAny,
    #[serde(default, rename = "strict")]
    _strict: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters<'a> {
    #[serde(borrow, default)]
    properties: BTreeMap<String, Property<'a>>,
    #[serde(default, rename = "type")]
    _kind: IgnoredAny,
    #[serde(default, rename = "required")]
    _required: IgnoredAny,
    #[serde(default, rename = "additionalProperties")]
    _additional: IgnoredAny,
    #[serde(default, rename = "$schema")]
    _schema: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Property<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Cow<'a, str>,
    #[serde(default, rename = "enum")]
    choices: Vec<String>,
}

impl<'a> Function<'a> {
    /// Reads a definition, with or without the tool around it; `None` where it is not flat.
    fn read(schema: &'a str) -> Option<Function<'a>> {
        serde_json::from_str(schema)
            .or_else(|_| serde_json::from_str::<Tool<'a>>(schema).map(|tool| tool.function))
            .ok()
    }

    fn tokens(&self, encoding: Encoding) -> u64 {
        let mut tokens =
            encoding.count_uncorrected(&format!("{}:{}", self.name, sentence(&self.description)));
        if !self.parameters.properties.is_empty() {
            tokens += PROPERTIES;
        }
        for (name, property) in &self.parameters.properties {
            let line = format!("{name}:{}:{}", property.kind, sentence(&property.description));
            tokens += PROPERTY + encoding.count_uncorrected(&line);
            for choice in &property.choices {
                tokens += CHOICE + encoding.count_uncorrected(choice);
            }
            if !property.choices.is_empty() {
                tokens -= CHOICE_SAVES;
            }
        }
        tokens
    }
}

fn sentence(description: &str) -> &str {
    description.strip_suffix('.').unwrap_or(description)
}

/// JSON without the white space outside its strings.
fn minified(json: &str) -> String {
    let mut kept = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string || !c.is_ascii_whitespace() {
            kept.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEATHER: &str = r#"{"type": "function", "function": {"name": "get_current_weather",
        "description": "Get the current weather in a given location", "parameters": {"type": "object", "properties": {
        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]}},
        "required": ["location"]}}}"#;

    fn cookbook(model: &str, schemas: &[&str]) -> u64 {
        ToolRule::Cookbook.tokens(schemas, 1, &mut Counter::new(Encoding::of_model(model), None)).0
    }

    #[test]
    fn flat_functions_cost_what_the_cookbook_says() {
        // The cookbook's example is 101 and 105 with two messages of 30 tokens.
        for (model, with_messages) in [("gpt-4o", 101), ("gpt-4", 105), ("gpt-3.5-turbo", 105)] {
            let encoding = Encoding::of_model(model);
            let messages = [
                "system",
                "You are a helpful assistant that can answer to questions about the weather.",
                "user",
                "What's the weather like in San Francisco?",
            ];
            let texts: u64 = messages.iter().map(|text| encoding.count(text).0).sum();
            assert_eq!(cookbook(model, &[WEATHER]) + texts + 2 * 3 + 3, with_messages, "{model}");
        }
    }

    #[test]
    fn a_function_costs_the_same_without_the_tool_around_it() {
        let start = WEATHER.find(r#"{"name""#).expect("the function");
        let function = &WEATHER[start..WEATHER.len() - 1];
        assert_eq!(cookbook("gpt-4o", &[function]), cookbook("gpt-4o", &[WEATHER]));
        let flat = function.replacen('{', r#"{"type":"function","strict":true,"#, 1);
        assert_eq!(cookbook("gpt-4o", &[&flat]), cookbook("gpt-4o", &[WEATHER]));
    }

    #[test]
    fn nested_schemas_are_counted_as_their_text() {
        let nested = r#"{"name": "f", "parameters": {"properties": {"a": {"type": "array", "items": {"type": "string"}}}}}"#;
        assert!(Function::read(nested).is_none());
        let text = Encoding::of_model("gpt-4o").count(&minified(nested)).0;
        assert_eq!(cookbook("gpt-4o", &[nested]), FUNCTION + text + END);
        let claude = Encoding::of_model("claude-sonnet-4-5");
        let text = claude.count(&minified(nested));
        for (tools, prompt) in [(1, 496), (0, 0)] {
            let rule = ToolRule::Text { prompt: 496 };
            let tokens = rule.tokens(&[nested], tools, &mut Counter::new(claude, None));
            assert_eq!(tokens, text + Tokens(prompt), "the hidden prompt is that of tools, not of schemas");
        }
    }

    #[test]
    fn tools_cost_nothing_where_there_are_none_and_anything_else_is_text() {
        assert_eq!(cookbook("gpt-4o", &[]), 0);
        for odd in ["", "null", "[]", "{", "\"\\", r#"{"function":1}"#, &"[".repeat(100_000)] {
            let text = Encoding::of_model("gpt-4o").count(odd).0;
            assert_eq!(cookbook("gpt-4o", &[odd]), FUNCTION + text + END, "{odd:.20}");
        }
    }

    #[test]
    fn white_space_goes_outside_strings_only() {
        let kept = r#"{"a b":" \" c \\","d":[1,{}]}"#;
        let spread = "{ \"a b\" :\n\t\" \\\" c \\\\\" , \"d\":[ 1 ,\r\n{ } ] }";
        assert_eq!(minified(spread), kept);
        assert_eq!(minified(kept), kept);
    }
}
