//! What a provider says when it refuses, in whatever shape.
//!
//! Knows the shapes of error bodies (OpenAI, Google, Anthropic, Mistral, FastAPI, Ollama, and the pages of the
//! proxies before them); refuses to judge: whether it means wait, move on or give up is for routing. Any body
//! yields an error, at worst one without words.

use crate::units::parse_duration;
use serde_json::Value;
use std::time::Duration;

/// The longest body that is read as JSON. Error bodies have a few KiB; a tree of a large one would be larger.
const BODY_MAX: usize = 256 << 10;
/// The most bytes of a page that are looked at for words.
const PAGE_MAX: usize = 16 << 10;
/// The most characters of a message that are kept. Reasons and waits stand at the beginning.
const MESSAGE_MAX: usize = 2_000;
/// The most characters that are kept of a page or text that is no JSON.
const TEXT_MAX: usize = 200;
/// The most characters of a kind or code. They are words like `rate_limit_exceeded`.
const WORD_MAX: usize = 100;

/// The most quotas that are kept. Google names as many as a call has met, of the few that a model has.
const QUOTAS_MAX: usize = 8;

/// An upstream's error, as far as it could be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// What happened, in the provider's words; empty if it has none.
    pub message: String,
    /// The class: `type`, or Google's `status`.
    pub kind: Option<String>,
    /// The exact reason: Google's `reason`, Anthropic's `error_code`, else `code`, numbers written out.
    pub code: Option<String>,
    /// How long Google says to wait (`RetryInfo`).
    pub retry_delay: Option<Duration>,
    /// A quota of the day is used up (`QuotaFailure`), which outweighs any `retry_delay`.
    pub daily: bool,
    /// The quotas that Google says are used up (`QuotaFailure`).
    pub quotas: Vec<Quota>,
}

/// A quota that is used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// What tells its window, such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    pub id: String,
    /// What tells what it counts.
    pub metric: String,
    /// Its units, if they are told.
    pub value: Option<String>,
}

impl Quota {
    /// Whether there is none of it for this account, which no wait will change.
    pub fn allows_nothing(&self) -> bool {
        self.value.as_deref() == Some("0")
    }
}

impl ProviderError {
    /// Reads the body of an answer that is an error, or the data of an event that is one.
    pub fn read(body: &[u8]) -> ProviderError {
        let json = if body.len() <= BODY_MAX { serde_json::from_slice(body).ok() } else { None };
        match json {
            Some(value) => read_json(&value),
            None => ProviderError { message: page_text(body), ..ProviderError::default() },
        }
    }
}

fn read_json(value: &Value) -> ProviderError {
    // Google answers a stream with an array of one.
    let outer = value.get(0).unwrap_or(value);
    // OpenAI's event that a response has failed.
    let outer = outer.get("response").filter(|response| response["error"].is_object()).unwrap_or(outer);
    let inner = outer.get("error").filter(|error| !error.is_null()).unwrap_or(outer);
    let kind =
        ["type", "status"].into_iter().find_map(|key| word(inner.get(key).filter(|word| word.is_string())?));
    let mut error = ProviderError {
        message: clip(&words(inner), MESSAGE_MAX),
        kind,
        code: word(&inner["code"]),
        ..ProviderError::default()
    };
    match &inner["details"] {
        Value::Array(details) => details.iter().for_each(|detail| read_detail(detail, &mut error)),
        // Anthropic's refusal on spending.
        details => error.code = word(&details["error_code"]).or(error.code),
    }
    error
}

/// Reads an entry of Google's `details`; `@type` ends in the name of its kind.
fn read_detail(detail: &Value, error: &mut ProviderError) {
    let kind = detail["@type"].as_str().unwrap_or_default();
    if kind.ends_with("RetryInfo") {
        error.retry_delay = detail["retryDelay"].as_str().and_then(parse_duration).or(error.retry_delay);
    } else if kind.ends_with("QuotaFailure") {
        let violations = detail["violations"].as_array().into_iter().flatten();
        let text = |value: &Value| word(value).unwrap_or_default();
        let quotas = violations.take(QUOTAS_MAX.saturating_sub(error.quotas.len())).map(|violation| Quota {
            id: text(&violation["quotaId"]),
            metric: text(&violation["quotaMetric"]),
            value: word(&violation["quotaValue"]),
        });
        error.quotas.extend(quotas);
        error.daily =
            error.quotas.iter().any(|quota| quota.id.contains("PerDay") || quota.id.contains("Daily"));
    } else if kind.ends_with("ErrorInfo") {
        error.code = word(&detail["reason"]).or(error.code.take());
    }
}

/// The words for a person: a text itself, `message`, FastAPI's `detail` with its list of `msg`, or Ollama's
/// `error`. One look is taken at each depth, and JSON has at most 128.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().take(8).map(words).collect::<Vec<_>>().join("; "),
        Value::Object(keys) => {
            let mut told = ["message", "msg", "detail", "error"].into_iter().filter_map(|key| keys.get(key));
            told.find(|value| !value.is_null()).map(words).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(clip(text, WORD_MAX)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// The first words that a page shows: tags, styles and scripts removed, blanks made one.
fn page_text(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(&body[..body.len().min(PAGE_MAX)]);
    let mut rest = body.as_ref();
    let mut text = String::new();
    while let Some((shown, tag)) = rest.split_once('<') {
        text.push_str(shown);
        text.push(' ');
        let hidden = ["script", "style"].into_iter().find(|name| begins_with(tag, name));
        let behind = hidden.and_then(|name| behind_close(tag, name));
        rest = behind.unwrap_or(tag).split_once('>').map_or("", |(_, behind)| behind);
    }
    text.push_str(rest);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    clip(&text, TEXT_MAX)
}

fn behind_close<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.match_indices("</").map(|(at, _)| &text[at + 2..]).find(|close| begins_with(close, name))
}

fn begins_with(tag: &str, name: &str) -> bool {
    tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: &str, kind: Option<&str>, code: Option<&str>) -> ProviderError {
        let error = ProviderError::read(body.as_bytes());
        let got = (error.message.as_str(), error.kind.as_deref(), error.code.as_deref());
        assert_eq!(got, (message, kind, code), "{body}");
        error
    }

    #[test]
    fn every_vendors_shape_is_understood() {
        check(
            r#"{"error":{"message":"m","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            "m",
            Some("tokens"),
            Some("rate_limit_exceeded"),
        );
        check(r#"{"error":{"code":402,"message":"m","metadata":{}}}"#, "m", None, Some("402"));
        check(
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"m",
                "details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"r"}"#,
            "m",
            Some("rate_limit_error"),
            Some("enforced_spend_limit_reached"),
        );
        check(
            r#"{"object":"error","message":"m","type":"rate_limited","param":null,"code":"1300"}"#,
            "m",
            Some("rate_limited"),
            Some("1300"),
        );
        check(r#"{"error":{"code":"content_filter","status":400}}"#, "", None, Some("content_filter"));
        check(r#"{"error":"model not found"}"#, "model not found", None, None);
        check(r#"{"detail":"Not Found"}"#, "Not Found", None, None);
        check(r#"{"detail":[{"loc":["body"],"msg":"a"},{"msg":"b"}]}"#, "a; b", None, None);
        check(r#"{"message":{"detail":[{"msg":"a"}]},"code":null}"#, "a", None, None);
        check(r#""just text""#, "just text", None, None);
        check(r#"{"error":null,"message":"m"}"#, "m", None, None);
        check(
            r#"{"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"m"}}}"#,
            "m",
            None,
            Some("server_error"),
        );
        check(
            r#"{"type":"error","code":"rate_limit_exceeded","message":"m","sequence_number":1}"#,
            "m",
            Some("error"),
            Some("rate_limit_exceeded"),
        );
        check(r#"{"message":null,"detail":"m"}"#, "m", None, None);
    }

    #[test]
    fn google_says_how_long_and_why() {
        let body = r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"QUOTA"}]},
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}]"#;
        for (quota, daily) in [
            ("GenerateRequestsPerMinutePerProjectPerModel", false),
            ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", true),
            ("DailyTokens", true),
        ] {
            let body = body.replace("QUOTA", quota);
            let error = check(&body, "m", Some("RESOURCE_EXHAUSTED"), Some("RATE_LIMIT_EXCEEDED"));
            assert_eq!((error.daily, error.retry_delay), (daily, Some(Duration::from_millis(34_500))));
            assert_eq!(error.quotas, [Quota { id: quota.to_owned(), ..Quota::default() }]);
        }
        let odd = r#"{"error":{"code":429,"details":[7,{"@type":"RetryInfo","retryDelay":"soon"},
            {"@type":"QuotaFailure","violations":{}},{"@type":"ErrorInfo"}]}}"#;
        assert_eq!(check(odd, "", None, Some("429")).retry_delay, None);
        let quota = r#"{"quotaId":"PerDay","quotaMetric":"x/requests","quotaValue":"50"}"#;
        let quotas = |all: &str| {
            let body =
                format!(r#"{{"error":{{"details":[{{"@type":"QuotaFailure","violations":[{all}]}}]}}}}"#);
            ProviderError::read(body.as_bytes())
        };
        let (id, metric) = ("PerDay".to_owned(), "x/requests".to_owned());
        assert_eq!(quotas(quota).quotas, [Quota { id, metric, value: Some("50".to_owned()) }]);
        assert_eq!(quotas(&vec![quota; 100].join(",")).quotas.len(), 8);
        let nothing = quotas(&quota.replace("\"50\"", "0"));
        assert!(nothing.daily && nothing.quotas[0].allows_nothing());
    }

    #[test]
    fn pages_and_texts_give_their_first_words() {
        check(
            "<!DOCTYPE html><html><head><title>x | 502: Bad gateway</title><STYLE>p {}</STYLE>\n<style>a>b{}</style>\
             <script>if (a<b) {}</script></head><body>\n\n<h1>Bad  gateway</h1></body>",
            "x | 502: Bad gateway Bad gateway",
            None,
            None,
        );
        check("upstream connect error", "upstream connect error", None, None);
        check(&"x".repeat(1_000), &"x".repeat(200), None, None);
        check("<<<>>> <", ">>", None, None);
        check("<script>never closed", "never closed", None, None);
        for body in ["", "null", "7", "[]", "{}", "<"] {
            check(body, "", None, None);
        }
    }

    #[test]
    fn hostile_bodies_are_bounded() {
        let deep = "[".repeat(100_000);
        assert_eq!(ProviderError::read(deep.as_bytes()).message.len(), 200);
        let long = format!(r#"{{"error":{{"message":"{0}","type":"{0}","code":"{0}"}}}}"#, "é".repeat(5_000));
        let error = ProviderError::read(long.as_bytes());
        assert_eq!(error.message.chars().count(), 2_000);
        assert_eq!(error.kind.unwrap().chars().count(), 100);
        let huge = "x".repeat(1 << 20);
        assert_eq!(ProviderError::read(huge.as_bytes()).message.len(), 200);
        assert_eq!(ProviderError::read(b"\xff\xfe bad").message, "\u{fffd}\u{fffd} bad");
    }
}
