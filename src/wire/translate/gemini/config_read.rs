//! Reads `generationConfig`.
//!
//! Refuses to know contents. Invariant: a setting that changes what kind of answer comes, and that the hub has not,
//! refuses the request; any other is named as lost.

use super::super::hub::{Format, Reasoning, Request};
use super::super::{Losses, Unfit, tree};
use super::keys;
use serde_json::Value;

/// Reads settings.
///
/// # Errors
/// An answer of an unknown kind than one text is asked for.
pub(super) fn read_config(config: &Value, request: &mut Request, losses: &mut Losses) -> Result<(), Unfit> {
    for (key, value) in keys::given(config) {
        let odd = || Unfit::new(format!("{key} of an unknown kind"));
        let positive = || keys::whole(value).and_then(|number| u64::try_from(number).ok()).ok_or_else(odd);
        let number = || value.as_f64().ok_or_else(odd);
        match key.as_str() {
            "maxOutputTokens" => request.output_cap = Some(positive()?).filter(|cap| *cap > 0),
            "temperature" => request.temperature = Some(number()?),
            "topP" => request.top_p = Some(number()?),
            // A float to Google.
            "topK" => request.top_k = Some(positive()?),
            "seed" => request.seed = Some(keys::whole(value).ok_or_else(odd)?),
            "presencePenalty" => request.presence_penalty = Some(number()?),
            "frequencyPenalty" => request.frequency_penalty = Some(number()?),
            "stopSequences" => {
                let texts = keys::list(value).iter().filter_map(Value::as_str);
                request.stop = texts.map(str::to_owned).collect();
            }
            "candidateCount" => match positive()? {
                0 | 1 => {}
                count => return Err(Unfit::new(format!("candidateCount = {count}"))),
            },
            "responseModalities" => {
                let text = |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("TEXT"));
                if !keys::list(value).iter().all(text) {
                    return Err(Unfit::new("output other than text"));
                }
            }
            "thinkingConfig" => request.reasoning = read_thinking(value, losses),
            "responseMimeType" | "responseSchema" | "responseJsonSchema" => {}
            other if !tree::is_off(value) => losses.add(other),
            _ => {}
        }
    }
    request.format = read_format(config, losses);
    Ok(())
}

fn read_format(config: &Value, losses: &mut Losses) -> Format {
    // Google's libraries once sent the key with a line before it.
    let json_schema = ["responseJsonSchema", "_responseJsonSchema"].map(|key| keys::at(config, key));
    let schema =
        match (json_schema.into_iter().find(|schema| schema.is_object()), keys::at(config, "responseSchema"))
        {
            (Some(schema), _) => Some(schema.clone()),
            (None, schema @ Value::Object(_)) => Some(keys::read_schema(schema)),
            _ => None,
        };
    match (keys::text(config, "responseMimeType"), schema) {
        ("" | "application/json", Some(schema)) => Format::Schema { name: None, schema, strict: None },
        ("application/json", None) => Format::Json,
        ("" | "text/plain", _) => Format::Text,
        _ => {
            losses.add("responseMimeType");
            Format::Text
        }
    }
}

/// A budget of -1 leaves it to the model, one of 0 forbids it.
fn read_thinking(config: &Value, losses: &mut Losses) -> Option<Reasoning> {
    let budget = keys::whole(keys::at(config, "thinkingBudget"));
    let level = keys::text(config, "thinkingLevel").to_ascii_lowercase();
    let effort = match (budget, level.as_str()) {
        (Some(0), _) => Some("none".to_owned()),
        (_, "minimal" | "low" | "medium" | "high") => Some(level),
        (_, "" | "thinking_level_unspecified") => None,
        _ => {
            losses.add("thinkingLevel");
            None
        }
    };
    let budget = budget.and_then(|budget| u64::try_from(budget).ok()).filter(|budget| *budget > 0);
    let shown = *keys::at(config, "includeThoughts") == true;
    // Only what asks for thoughts asks for thinking: an empty object changes nothing.
    (effort.is_some() || budget.is_some() || shown || config["thinkingBudget"] == -1).then_some(Reasoning {
        effort,
        budget,
        shown,
    })
}
