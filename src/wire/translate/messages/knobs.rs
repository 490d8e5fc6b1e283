//! What a request may ask of which Claude: length, thinking, sampling.
//!
//! Anthropic refuses a request (400) whose settings do not fit its model or one another, so what does not fit is left
//! out here and named. Knows versions and no names, so that a model of tomorrow counts as the newest; a model that is
//! no Claude (other vendors offer this dialect too) is held to the rules that all versions before 4.6 share.
//! Invariant: a budget of thinking is within 1,024 and the length of the answer.

use super::super::Losses;
use super::super::hub::{Reasoning, Request, ToolChoice};
use serde_json::{Map, Value, json};

/// The smallest budget of thinking that Anthropic takes, in tokens.
const BUDGET_MIN: u64 = 1_024;
/// The smallest `top_p` that Anthropic takes beside thinking.
const TOP_P_MIN: f64 = 0.95;

/// A Claude's version, such as `(4, 5)`; `None` if the name is no Claude's or has no version.
pub(super) fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.rsplit_once("claude")?;
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    // A date has eight digits, a version one or two.
    let number = |word: &str| if word.len() <= 2 { word.parse().ok() } else { None };
    let major = words.by_ref().find_map(number)?;
    Some((major, words.next().and_then(number).unwrap_or_default()))
}

/// The most tokens of an answer, which Anthropic demands: what was asked for, or as much as every model of the
/// version can write. That is 4,096 for Claude 3 and before and 8,192 for 3.5 and 3.7; of those since, Opus 4 has the
/// least, 32,000.
pub(super) fn output_cap(request: &Request, model: &str) -> u64 {
    request.output_cap.unwrap_or(match version(model) {
        Some((..=2, _) | (3, ..=4)) => 4_096,
        Some((3, _)) => 8_192,
        _ => 32_000,
    })
}

/// Writes `thinking`, its effort, and what of sampling goes with it. `ready` tells whether the conversation is one
/// that a budget of thinking can go on with.
pub(super) fn write_knobs(
    request: &Request,
    model: &str,
    ready: bool,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let version = version(model);
    let thinks = request.reasoning.as_ref().is_some_and(|reasoning| {
        if reasoning.effort.as_deref() == Some("none") {
            // Models before 3.7 do not know the key, and do not think either.
            if version.is_none_or(|version| version >= (3, 7)) {
                body.insert("thinking".to_owned(), json!({"type": "disabled"}));
            }
            return false;
        }
        let written = write_thinking(reasoning, request, version, ready, body);
        if !written {
            losses.add("reasoning");
        }
        written
    });
    write_sampling(request, version, thinks, body, losses);
}

/// Tells whether it could be written. A call that is forced and thinking exclude one another; the call is what the
/// client's program waits for.
fn write_thinking(
    reasoning: &Reasoning,
    request: &Request,
    version: Option<(u32, u32)>,
    ready: bool,
    body: &mut Map<String, Value>,
) -> bool {
    let forced = matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Named(_)));
    let cap = body.get("max_tokens").and_then(Value::as_u64).unwrap_or_default();
    if forced && !request.tools.is_empty() || version.is_some_and(|version| version < (3, 7)) {
        return false;
    }
    // From 4.6 on the model decides how long it thinks; from 4.7 on a budget is refused.
    if version.is_some_and(|version| version >= (4, 6)) {
        let display = if reasoning.shown { "summarized" } else { "omitted" };
        body.insert("thinking".to_owned(), json!({"type": "adaptive", "display": display}));
        if let Some(effort) = effort(reasoning, cap, version) {
            body.insert("output_config".to_owned(), json!({ "effort": effort }));
        }
        return true;
    }
    if !ready || cap <= BUDGET_MIN {
        return false;
    }
    let budget = reasoning.budget.unwrap_or_else(|| cap * share(reasoning.effort.as_deref()) / 100);
    let budget = budget.clamp(BUDGET_MIN, cap - 1);
    body.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": budget}));
    true
}

/// The percentage of an answer's length that may be thought, as OpenRouter counts efforts.
fn share(effort: Option<&str>) -> u64 {
    match effort {
        Some("minimal" | "low") => 20,
        Some("high") => 80,
        Some("xhigh" | "max") => 95,
        _ => 50,
    }
}

/// The effort in Anthropic's words; a budget is the effort whose share of the answer is nearest.
fn effort(reasoning: &Reasoning, cap: u64, version: Option<(u32, u32)>) -> Option<&'static str> {
    let of_budget = reasoning.budget.map(|budget| match budget.saturating_mul(100) / cap.max(1) {
        ..35 => "low",
        35..65 => "medium",
        _ => "high",
    });
    match reasoning.effort.as_deref() {
        Some("minimal" | "low") => Some("low"),
        Some("medium") => Some("medium"),
        Some("xhigh") if version >= Some((4, 7)) => Some("xhigh"),
        Some("high" | "xhigh") => Some("high"),
        Some("max") => Some("max"),
        _ => of_budget,
    }
}

fn write_sampling(
    request: &Request,
    version: Option<(u32, u32)>,
    thinks: bool,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    // From 4.7 on only the defaults are taken.
    let fixed = version >= Some((4, 7));
    let mut write = |key: &str, asked: Option<Value>, given: Option<Value>| {
        if asked != given {
            losses.add(key);
        }
        body.extend(given.map(|given| (key.to_owned(), given)));
    };
    // From 4.1 on one of `temperature` and `top_p` is taken; a temperature of 1 is what is not said.
    let one = version >= Some((4, 1));
    let asked = request.temperature.filter(|heat| !(one && *heat == 1.0));
    // Anthropic's temperatures end at 1, and beside thinking there is no other.
    let given = asked.filter(|heat| !fixed && (!thinks || *heat == 1.0));
    write("temperature", asked.map(Value::from), given.map(|heat| heat.clamp(0.0, 1.0).into()));
    let given = request.top_p.filter(|_| !(fixed || one && given.is_some()));
    let given = given.map(|top_p| if thinks { top_p.clamp(TOP_P_MIN, 1.0) } else { top_p });
    write("top_p", request.top_p.map(Value::from), given.map(Value::from));
    let given = request.top_k.filter(|_| !fixed && !thinks);
    write("top_k", request.top_k.map(Value::from), given.map(Value::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_vendors_names() {
        for (model, wanted) in [
            ("claude-3-opus-20240229", Some((3, 0))),
            ("claude-3-5-sonnet-latest", Some((3, 5))),
            ("anthropic/claude-3.7-sonnet", Some((3, 7))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some((4, 5))),
            ("claude-opus-4-1@20250805", Some((4, 1))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude", None),
            ("kimi-k2", None),
        ] {
            assert_eq!(version(model), wanted, "{model}");
        }
    }

    /// The knobs that a request gets for a model, and what got lost.
    fn knobs(request: &Request, model: &str, ready: bool) -> (String, String) {
        let mut body = Map::new();
        let mut losses = Losses::default();
        body.insert("max_tokens".to_owned(), output_cap(request, model).into());
        write_knobs(request, model, ready, &mut body, &mut losses);
        (Value::Object(body).to_string(), losses.show().unwrap_or_default())
    }

    fn thinking(effort: &str, cap: Option<u64>) -> Request {
        let reasoning = Reasoning { effort: Some(effort.to_owned()), budget: None, shown: true };
        Request { output_cap: cap, reasoning: Some(reasoning), ..Request::default() }
    }

    fn check(request: &Request, model: &str, ready: bool, body: &str, losses: &str) {
        assert_eq!(knobs(request, model, ready), (body.to_owned(), losses.to_owned()), "{model}");
    }

    #[test]
    fn every_model_gets_a_length() {
        let request = Request::default();
        check(&request, "claude-3-haiku-20240307", true, r#"{"max_tokens":4096}"#, "");
        check(&request, "claude-3-5-haiku-20241022", true, r#"{"max_tokens":8192}"#, "");
        check(&request, "claude-opus-4-20250514", true, r#"{"max_tokens":32000}"#, "");
        check(&request, "kimi-k2", true, r#"{"max_tokens":32000}"#, "");
    }

    #[test]
    fn effort_is_a_share_of_the_answer_within_bounds() {
        let enabled = |cap: u64, budget: u64| {
            format!(r#"{{"max_tokens":{cap},"thinking":{{"type":"enabled","budget_tokens":{budget}}}}}"#)
        };
        let model = "claude-sonnet-4-5";
        check(&thinking("high", Some(10_000)), model, true, &enabled(10_000, 8_000), "");
        check(&thinking("low", Some(2_000)), model, true, &enabled(2_000, 1_024), "");
        check(&thinking("max", Some(1_025)), model, true, &enabled(1_025, 1_024), "");
        check(&thinking("high", Some(1_024)), model, true, r#"{"max_tokens":1024}"#, "reasoning");
        check(&thinking("high", Some(2_000)), model, false, r#"{"max_tokens":2000}"#, "reasoning");
        check(&thinking("high", None), "claude-3-5-sonnet", true, r#"{"max_tokens":8192}"#, "reasoning");
        let off = r#"{"max_tokens":9,"thinking":{"type":"disabled"}}"#;
        check(&thinking("none", Some(9)), model, true, off, "");
        check(&thinking("none", Some(9)), "claude-3-opus", true, r#"{"max_tokens":9}"#, "");
        let adaptive = r#"{"max_tokens":9,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"high"}}"#;
        check(&thinking("xhigh", Some(9)), "claude-opus-4-6", false, adaptive, "");
    }

    #[test]
    fn sampling_gives_way_to_thinking_and_to_new_models() {
        let mut request = Request {
            output_cap: Some(9),
            temperature: Some(1.5),
            top_p: Some(0.5),
            top_k: Some(3),
            ..Request::default()
        };
        check(
            &request,
            "claude-3-haiku",
            true,
            r#"{"max_tokens":9,"temperature":1.0,"top_p":0.5,"top_k":3}"#,
            "temperature",
        );
        let sampled = r#"{"max_tokens":9,"temperature":1.0,"top_k":3}"#;
        check(&request, "claude-sonnet-4-5", true, sampled, "temperature, top_p");
        check(&request, "claude-opus-4-7", true, r#"{"max_tokens":9}"#, "temperature, top_k, top_p");
        let usual = Request { temperature: Some(1.0), top_k: None, ..request.clone() };
        check(&usual, "claude-sonnet-4-5", true, r#"{"max_tokens":9,"top_p":0.5}"#, "");
        request.reasoning = Some(Reasoning { effort: None, budget: Some(2_000), shown: false });
        request.output_cap = Some(4_000);
        let thinks = r#"{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000},"top_p":0.95}"#;
        check(&request, "claude-sonnet-4-5", true, thinks, "temperature, top_k, top_p");
    }
}
