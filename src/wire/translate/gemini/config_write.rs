//! Writes `generationConfig`.
//!
//! Knows versions of Gemini and no names, so that a model of tomorrow counts as the newest. Invariant: what a version
//! refuses is left out and named.

use super::super::Losses;
use super::super::hub::{Format, Reasoning, Request};
use serde_json::{Map, Value, json};

/// The most texts that end an answer.
const STOPS_MAX: usize = 5;
/// The largest budgets of thinking, in tokens, of Gemini 2.5 Pro and of the others.
const BUDGET_MAX_PRO: u64 = 32_768;
const BUDGET_MAX: u64 = 24_576;
/// The smallest budget of Gemini 2.5 Pro, which cannot but think.
const BUDGET_MIN_PRO: u64 = 128;

/// A Gemini's version, such as `(2, 5)`; `None` if the name has none, such as `gemini-flash-latest`, or is no Gemini's.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.rsplit_once("gemini-")?;
    let number = name.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether a model refuses a turn whose first call bears no signature.
pub(in super::super) fn signs(model: &str) -> bool {
    model.contains("gemini") && version(model).is_none_or(|version| version >= (3, 0))
}

/// Writes settings.
pub(super) fn write_config(request: &Request, model: &str, losses: &mut Losses) -> Map<String, Value> {
    let mut config = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        config.extend(value.map(|value| (key.to_owned(), value)));
    };
    put("maxOutputTokens", request.output_cap.map(Value::from));
    put("temperature", request.temperature.map(Value::from));
    put("topP", request.top_p.map(Value::from));
    put("topK", request.top_k.map(Value::from));
    // From 2.5 on penalties are refused.
    let penalties = version(model).is_some_and(|version| version < (2, 5));
    for (key, name, asked) in [
        ("presencePenalty", "presence_penalty", request.presence_penalty),
        ("frequencyPenalty", "frequency_penalty", request.frequency_penalty),
    ] {
        put(key, asked.filter(|_| penalties).map(Value::from));
        if !penalties && asked.is_some_and(|penalty| penalty != 0.0) {
            losses.add(name);
        }
    }
    // Google's seeds have 32 bits.
    let seed = request.seed.filter(|seed| i32::try_from(*seed).is_ok());
    put("seed", seed.map(Value::from));
    if seed != request.seed {
        losses.add("seed");
    }
    let stop = &request.stop[..request.stop.len().min(STOPS_MAX)];
    put("stopSequences", (!stop.is_empty()).then(|| json!(stop)));
    if stop.len() < request.stop.len() {
        losses.add("stop");
    }
    if let Some(reasoning) = &request.reasoning {
        let thinking = write_thinking(reasoning, request.output_cap, model, losses);
        put("thinkingConfig", (!thinking.is_empty()).then_some(Value::Object(thinking)));
    }
    // Before Gemini 3 a format and tools exclude one another; an agent lives by its tools.
    if request.format != Format::Text
        && !request.tools.is_empty()
        && version(model).is_some_and(|version| version < (3, 0))
    {
        losses.add("response_format");
        return config;
    }
    match &request.format {
        Format::Text => {}
        Format::Json => put("responseMimeType", Some("application/json".into())),
        Format::Schema { schema, .. } => {
            put("responseMimeType", Some("application/json".into()));
            put("responseJsonSchema", Some(schema.clone()));
        }
    }
    config
}

/// Gemini 3 and later take a level, 2.5 a budget, and those before do not think. A budget that the client named is
/// taken by both.
fn write_thinking(
    reasoning: &Reasoning,
    output_cap: Option<u64>,
    model: &str,
    losses: &mut Losses,
) -> Map<String, Value> {
    let mut config = Map::new();
    let version = version(model);
    let pro = model.contains("pro");
    let none = reasoning.effort.as_deref() == Some("none");
    if version.is_some_and(|version| version < (2, 5)) {
        if !none {
            losses.add("reasoning");
        }
        return config;
    }
    let (least, most) = if pro { (BUDGET_MIN_PRO, BUDGET_MAX_PRO) } else { (0, BUDGET_MAX) };
    if none && (pro || version >= Some((3, 0))) {
        // It cannot but think.
        losses.add("reasoning");
    }
    if reasoning.shown {
        config.insert("includeThoughts".to_owned(), true.into());
    }
    let level = match reasoning.effort.as_deref() {
        _ if reasoning.budget.is_some() && !none => None,
        Some("none" | "minimal") => Some(if pro { "low" } else { "minimal" }),
        Some("low") => Some("low"),
        Some("medium") => Some("medium"),
        Some("high" | "xhigh" | "max") => Some("high"),
        _ => None,
    };
    match (level, version) {
        (Some(level), Some((3.., _))) => {
            config.insert("thinkingLevel".to_owned(), level.into());
        }
        _ => {
            // The budgets by which Google's own OpenAI-like interface reads efforts. Thoughts count as output, so half
            // of a short answer is left for words.
            let most_of_level = output_cap.map_or(u64::MAX, |cap| cap / 2);
            let of_level = level.map(|level| match level {
                _ if none => 0,
                "minimal" | "low" => most_of_level.min(1_024),
                "medium" => most_of_level.min(8_192),
                _ => most_of_level.min(24_576),
            });
            if let Some(budget) = of_level.or(reasoning.budget) {
                config.insert("thinkingBudget".to_owned(), budget.clamp(least, most).into());
            }
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model: &str, reasoning: (&str, Option<u64>), config: &Value, losses: &str) {
        let effort = (!reasoning.0.is_empty()).then(|| reasoning.0.to_owned());
        let reasoning = Reasoning { effort, budget: reasoning.1, shown: false };
        let request = Request { reasoning: Some(reasoning), ..Request::default() };
        let mut lost = Losses::default();
        let written = Value::Object(write_config(&request, model, &mut lost));
        let wanted = if config.is_null() { json!({}) } else { json!({ "thinkingConfig": config }) };
        assert_eq!((written, lost.show().unwrap_or_default()), (wanted, losses.to_owned()), "{model}");
    }

    #[test]
    fn every_version_is_told_in_its_own_words_how_much_to_think() {
        check("gemini-2.5-flash", ("none", None), &json!({"thinkingBudget": 0}), "");
        check("gemini-2.5-pro", ("none", None), &json!({"thinkingBudget": 128}), "reasoning");
        check("gemini-2.5-pro", ("max", None), &json!({"thinkingBudget": 24_576}), "");
        check("gemini-2.5-flash", ("", Some(99_999)), &json!({"thinkingBudget": 24_576}), "");
        check("gemini-flash-latest", ("low", None), &json!({"thinkingBudget": 1_024}), "");
        check("google/gemini-3-flash-preview", ("xhigh", None), &json!({"thinkingLevel": "high"}), "");
        check("gemini-3.1-pro-preview", ("none", None), &json!({"thinkingLevel": "low"}), "reasoning");
        check("gemini-3-flash", ("low", Some(2_000)), &json!({"thinkingBudget": 2_000}), "");
        check("gemini-2.0-flash", ("high", None), &Value::Null, "reasoning");
        check("gemini-2.0-flash", ("none", None), &Value::Null, "");
    }

    #[test]
    fn a_format_gives_way_to_tools_where_they_exclude_one_another() {
        let tool = super::super::super::hub::Tool {
            name: "get".to_owned(),
            description: None,
            schema: None,
            strict: None,
        };
        let request = Request {
            format: Format::Json,
            tools: vec![tool],
            seed: Some(1 << 40),
            stop: (0..6).map(|n| n.to_string()).collect(),
            ..Request::default()
        };
        let mut losses = Losses::default();
        let config = write_config(&request, "gemini-2.5-pro", &mut losses);
        assert_eq!(Value::Object(config), json!({"stopSequences": ["0", "1", "2", "3", "4"]}));
        assert_eq!(losses.show().as_deref(), Some("response_format, seed, stop"));
        let config = write_config(&request, "gemini-3-pro-preview", &mut losses);
        assert_eq!(config["responseMimeType"], "application/json");
    }
}
