//! What OpenAI's servers, and those that take after them, refuse in a request (400).
//!
//! Knows versions of OpenAI's models by their names, so that a model of tomorrow counts as the newest; of other models
//! only what all servers take is asked. Refuses to know where in a body anything stands. Invariant: the same
//! identifier is always written the same way, so that a result finds its call.

use super::hub::{Format, Part, Reasoning, Request};
use super::{Losses, inputs};
use serde_json::{Value, json};

/// The largest budget, in tokens, that counts as little thought, and as middling. Anthropic's advice to begin
/// with, and half of the usual most.
const LITTLE: u64 = 4_096;
const MIDDLING: u64 = 16_384;
/// Families of open models that do not think; Ollama and Groq refuse (400) to tell them how much.
const NEVER_THINKS: [&str; 9] =
    ["llama", "mixtral", "codestral", "gemma-2", "gemma2", "gemma-3", "gemma3", "qwen2", "phi3"];
/// The longest name of a user, in characters. Claude Code's has about 150.
const USER_MAX: usize = 64;
/// The longest name of a tool.
const NAME_MAX: usize = 64;

/// The name of a model without the vendor before it.
fn plain_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Whether a model is OpenAI's own, by its name; `gpt-oss` is served by anybody.
pub(super) fn is_openai(model: &str) -> bool {
    let version = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    let name = plain_name(model);
    ["gpt-", "o", "chatgpt-"].iter().any(|family| name.strip_prefix(family).is_some_and(version))
}

/// Whether a model is one of OpenAI's that think, and so take `max_completion_tokens` alone.
pub(super) fn thinks(model: &str) -> bool {
    is_openai(model) && version(model).is_none_or(|version| version >= (5, 0))
}

/// The version of a GPT, such as `(5, 1)`; `None` for OpenAI's other models, which are named `o3` and so on.
fn version(model: &str) -> Option<(u32, u32)> {
    let number = plain_name(model).split_once("gpt-")?.1;
    let number = number.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().unwrap_or_default()))
}

/// Whether a model is Mistral's, whose server refuses whatever its own dialect of this dialect has not.
pub(super) fn is_mistral(model: &str) -> bool {
    let families = ["mistral", "ministral", "codestral", "devstral", "pixtral", "magistral", "open-mixtral"];
    families.iter().any(|family| plain_name(model).contains(family))
}

/// How much to think, in words that the model knows. A budget becomes words only for models that are known to think:
/// others refuse to be told, and nobody who does not think need be told not to.
pub(super) fn effort(reasoning: &Reasoning, model: &str, losses: &mut Losses) -> Option<String> {
    let thinks = thinks(model);
    let of_budget = reasoning.budget.map(|budget| match budget {
        budget if budget <= LITTLE => "low",
        budget if budget <= MIDDLING => "medium",
        _ => "high",
    });
    let asked = reasoning.effort.as_deref();
    if !thinks && asked.is_none() {
        of_budget.inspect(|_| losses.add("reasoning.budget"));
        return None;
    }
    let asked = asked.or(of_budget)?;
    let cannot = is_openai(model) || NEVER_THINKS.iter().any(|family| plain_name(model).contains(family));
    if !thinks && (asked == "none" || cannot) {
        if !cannot || asked != "none" {
            losses.add("reasoning");
        }
        return None;
    }
    let version = version(model).filter(|_| thinks);
    let most = version >= Some((5, 2)) || plain_name(model).contains("codex-max");
    Some(match (asked, version) {
        ("none", Some((5, 0))) => "minimal".to_owned(),
        ("none", None) => "low".to_owned(),
        ("minimal", version) if version != Some((5, 0)) => "low".to_owned(),
        ("xhigh" | "max", Some(_)) if most => "xhigh".to_owned(),
        ("xhigh" | "max", _) => "high".to_owned(),
        (asked, _) => asked.to_owned(),
    })
}

/// What of sampling a model takes: those of OpenAI's that think refuse all of it. What is usual is not missed.
pub(super) fn sampling(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> [(&'static str, Option<f64>); 4] {
    [
        ("temperature", request.temperature, 1.0),
        ("top_p", request.top_p, 1.0),
        ("frequency_penalty", request.frequency_penalty, 0.0),
        ("presence_penalty", request.presence_penalty, 0.0),
    ]
    .map(|(key, asked, usual)| {
        if !thinks(model) {
            return (key, asked);
        }
        if asked.is_some_and(|asked| asked != usual) {
            losses.add(key);
        }
        (key, None)
    })
}

/// The client's name of its user, if it is not too long.
pub(super) fn user(request: &Request, losses: &mut Losses) -> Option<Value> {
    let user = request.user.as_deref()?;
    if user.chars().count() > USER_MAX {
        losses.add("user");
        return None;
    }
    Some(user.into())
}

/// Whether OpenAI takes a tool's name. Other servers take what their templates take.
pub(super) fn takes_name(name: &str, model: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !is_openai(model) || ((1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed))
}

/// The schema of a function's input, with what OpenAI misses otherwise: its type and its properties.
pub(super) fn parameters(schema: Option<&Value>) -> Value {
    let mut schema = inputs::object_schema(schema);
    if schema["type"] == "object" && schema["properties"].is_null() {
        schema["properties"] = json!({});
    }
    schema
}

/// The identifier of a call, no longer than `max`; for Mistral's models the nine letters and digits that they demand.
pub(super) fn call_id(id: &str, max: usize, model: &str) -> String {
    // FNV-1a.
    let digest = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    if is_mistral(model) {
        let fits = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return if fits { id.to_owned() } else { format!("{digest:016x}")[..9].to_owned() };
    }
    if id.len() <= max {
        return id.to_owned();
    }
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).take(max - 17).collect();
    format!("{plain}_{digest:016x}")
}

/// What is to be said besides where any JSON object is asked for: OpenAI refuses that unless somebody says JSON.
pub(super) fn unsaid_json<'a>(
    request: &Request,
    mut said: impl Iterator<Item = &'a Part>,
) -> Option<&'static str> {
    let says = |part: &Part| matches!(part, Part::Text(text) if text.to_ascii_lowercase().contains("json"));
    (request.format == Format::Json && !said.any(says)).then_some("Answer with one JSON object.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_what_it_takes() {
        for (model, openai, thinking) in [
            ("gpt-4o", true, false),
            ("chatgpt-4o-latest", true, false),
            ("gpt-5.1-codex", true, true),
            ("openai/gpt-10", true, true),
            ("o3-mini", true, true),
            ("gpt-oss-120b", false, false),
            ("olmo-2", false, false),
            ("llama-3.3-70b", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_openai(model), thinks(model)), (openai, thinking), "{model}");
        }
    }

    #[test]
    fn effort_is_told_in_words_that_the_model_knows() {
        for (asked, budget, model, wanted, lost) in [
            ("max", None, "gpt-5.1", "high", ""),
            ("max", None, "gpt-5.2", "xhigh", ""),
            ("xhigh", None, "gpt-5.1-codex-max", "xhigh", ""),
            ("minimal", None, "gpt-5.1", "low", ""),
            ("minimal", None, "gpt-5", "minimal", ""),
            ("none", None, "gpt-5.1", "none", ""),
            ("none", None, "gpt-5-mini", "minimal", ""),
            ("none", None, "o3", "low", ""),
            ("max", None, "o3", "high", ""),
            ("none", None, "gpt-4o", "", ""),
            ("high", None, "gpt-4o", "", "reasoning"),
            ("none", None, "qwen3:8b", "", "reasoning"),
            ("none", None, "llama-3.3", "", ""),
            ("high", None, "llama-3.3", "", "reasoning"),
            ("high", None, "qwen3:8b", "high", ""),
            ("max", None, "gpt-oss-120b", "high", ""),
            ("", Some(20_000), "gpt-5.1", "high", ""),
            ("", Some(20_000), "llama-3.3", "", "reasoning.budget"),
        ] {
            let effort = (!asked.is_empty()).then(|| asked.to_owned());
            let mut losses = Losses::default();
            let told = super::effort(&Reasoning { effort, budget, shown: false }, model, &mut losses);
            let told = (told.unwrap_or_default(), losses.show().unwrap_or_default());
            assert_eq!(told, (wanted.to_owned(), lost.to_owned()), "{asked} {budget:?} {model}");
        }
    }

    #[test]
    fn identifiers_fit_and_stay_apart() {
        assert_eq!(call_id("toolu_01AbC", 40, "gpt-5"), "toolu_01AbC");
        let long = "call_0123456789012345678901234567890123456789_1";
        let (one, other) = (call_id(long, 40, "gpt-5"), call_id(&format!("{long}1"), 40, "gpt-5"));
        assert_eq!((one.len(), other.len()), (40, 40));
        assert_ne!(one, other);
        assert_eq!(call_id("a1B2c3D4e", 40, "mistral-large-latest"), "a1B2c3D4e");
        let short = call_id("toolu_01AbC", 40, "devstral-medium");
        assert!(short.len() == 9 && short.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{short}");
    }
}
