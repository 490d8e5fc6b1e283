//! The rows: what is known about each vendor, and about a server of which only its family is known.
//!
//! Data alone. Facts are from the vendors' own documents. What a vendor may speak beyond its row is left out
//! where a conversation is meant, because translation serves it; completions and embeddings, which nothing can
//! take the place of, stand wherever the vendor is not known to lack them, so that it can say so itself.

use super::super::resolve::PACIFIC;
use super::{Vendor, Way};
use crate::admission::{Counting, OutputCounts, Slices};
use crate::dialect::Dialect;
use crate::exchange::DayEnd;
use crate::upstream::AuthScheme;
use std::time::Duration;

const CHAT: Way = Way::usual(Dialect::Chat);
const COMPLETIONS: Way = Way::usual(Dialect::Completions);
const EMBEDDINGS: Way = Way::usual(Dialect::Embeddings);
const RESPONSES: Way = Way::usual(Dialect::Responses);
const MESSAGES: Way = Way::usual(Dialect::Messages);
const GEMINI: Way = Way::usual(Dialect::Gemini);
const GEMINI_EMBED: Way = Way::usual(Dialect::GeminiEmbed);
const GEMINI_BATCH_EMBED: Way = Way::usual(Dialect::GeminiBatchEmbed);

/// What every server that calls itself compatible with OpenAI's offers.
const COMPATIBLE: &[Way] = &[CHAT, COMPLETIONS, EMBEDDINGS];

/// The same and responses. Chat is first, so what is translated becomes chat: it keeps nothing at the vendor
/// between two turns, and every model there takes it.
const WITH_RESPONSES: &[Way] = &[CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS];

/// The same and Anthropic's messages.
const WITH_ALL: &[Way] = &[CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS];

/// The whole cap at admission, and nothing is known to be given back before the minute has passed.
const CHARGED_AHEAD: Counting = Counting { gives_back: false, ..Counting::USUAL };

/// Input at admission but for what the cache holds; output as it is produced, whatever the cap.
const AS_PRODUCED: Counting =
    Counting { output: OutputCounts::AsProduced, cached_input: false, ..Counting::USUAL };

/// Input alone; that cached input counts is assumed, because nothing says otherwise.
const INPUT_ALONE: Counting = Counting { output: OutputCounts::Never, ..Counting::USUAL };

/// Nothing is known of what is checked in less than a minute: the usual slices, ten seconds.
const SIXTHS: Slices = Slices { requests: Duration::from_secs(10), tokens: Duration::from_secs(10) };

/// Requests are checked by the second.
const SECONDS_OF_REQUESTS: Slices = Slices { requests: Duration::from_secs(1), ..SIXTHS };

/// Tokens are checked by the second too.
const SECONDS: Slices = Slices { requests: Duration::from_secs(1), tokens: Duration::from_secs(1) };

/// A day's limits come back at midnight in California.
const PACIFIC_MIDNIGHT: Option<DayEnd> = Some(DayEnd { minute: 0, zone: PACIFIC });

/// A vendor of which nothing is special, reached with a bearer token.
const PLAIN: Vendor = Vendor {
    name: "",
    base_url: None,
    spellings: &[],
    key_names: &[],
    base_url_names: &[],
    region_names: &[],
    tail: &["v1"],
    excess: None,
    scheme: AuthScheme::Bearer,
    spoken: COMPATIBLE,
    query: None,
    headers: &[],
    counting: Counting::USUAL,
    slices: SIXTHS,
    day_end: None,
    claims: &[],
    probe: None,
    is_searched: true,
};

/// A second way to a vendor: by its name in a file alone, because its key already leads to the first.
const SECOND: Vendor = Vendor { is_searched: false, ..PLAIN };

const CLAUDE_HEADERS: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];
const GEMINI_CLAIMS: &[&str] = &["gemini-", "gemma-", "models/gemini-"];
const GEMINI_KEYS: &[&str] = &["GEMINI_API_KEY", "GOOGLE_API_KEY"];

/// Servers of which no more is known than whose format they speak, in the order of the families.
pub(super) const UNKNOWN: [Vendor; 3] = [
    PLAIN,
    Vendor {
        scheme: AuthScheme::XApiKey,
        spoken: &[MESSAGES],
        headers: CLAUDE_HEADERS,
        counting: AS_PRODUCED,
        ..PLAIN
    },
    Vendor {
        scheme: AuthScheme::XGoogApiKey,
        spoken: &[GEMINI, GEMINI_EMBED, GEMINI_BATCH_EMBED],
        counting: INPUT_ALONE,
        ..PLAIN
    },
];

/// Every known vendor. Without a file, the first one found also takes what nobody claims.
pub(in crate::config) const VENDORS: [Vendor; 18] = [
    Vendor {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        key_names: &["OPENAI_API_KEY"],
        base_url_names: &["OPENAI_BASE_URL"],
        // Its SDK appends nothing, and compatible servers stand under any path.
        tail: &[],
        spoken: WITH_RESPONSES,
        counting: CHARGED_AHEAD,
        claims: &[
            "gpt-",
            "chatgpt-",
            "o1",
            "o3",
            "o4",
            "codex-",
            "text-embedding-",
            "davinci-",
            "babbage-",
            "dall-e-",
            "whisper-",
            "tts-",
            "omni-moderation-",
        ],
        ..PLAIN
    },
    Vendor {
        name: "anthropic",
        base_url: Some("https://api.anthropic.com/v1"),
        key_names: &["ANTHROPIC_API_KEY"],
        base_url_names: &["ANTHROPIC_BASE_URL"],
        scheme: AuthScheme::XApiKey,
        spoken: &[MESSAGES],
        // Required; clients of other formats do not send it.
        headers: CLAUDE_HEADERS,
        counting: AS_PRODUCED,
        claims: &["claude-"],
        ..PLAIN
    },
    Vendor {
        name: "gemini",
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        key_names: GEMINI_KEYS,
        base_url_names: &["GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"],
        tail: &["v1beta"],
        // The base of its compatible surface, which people have from its documents.
        excess: Some("openai"),
        scheme: AuthScheme::XGoogApiKey,
        spoken: &[
            GEMINI,
            GEMINI_EMBED,
            GEMINI_BATCH_EMBED,
            Way::at(Dialect::Chat, "/openai/chat/completions", Some(AuthScheme::Bearer)),
            Way::at(Dialect::Embeddings, "/openai/embeddings", Some(AuthScheme::Bearer)),
        ],
        counting: INPUT_ALONE,
        day_end: PACIFIC_MIDNIGHT,
        claims: GEMINI_CLAIMS,
        ..PLAIN
    },
    Vendor {
        name: "gemini-openai",
        base_url: Some("https://generativelanguage.googleapis.com/v1beta/openai"),
        key_names: GEMINI_KEYS,
        tail: &["v1beta", "openai"],
        spoken: &[CHAT, EMBEDDINGS],
        counting: INPUT_ALONE,
        day_end: PACIFIC_MIDNIGHT,
        claims: GEMINI_CLAIMS,
        ..SECOND
    },
    Vendor {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        key_names: &["MISTRAL_API_KEY"],
        base_url_names: &["MISTRAL_BASE_URL"],
        // Its completions fill in the middle and are another format.
        spoken: &[CHAT, EMBEDDINGS],
        slices: SECONDS_OF_REQUESTS,
        claims: &[
            "mistral-",
            "ministral-",
            "magistral-",
            "codestral-",
            "devstral-",
            "pixtral-",
            "voxtral-",
            "open-mistral-",
            "open-mixtral-",
        ],
        ..PLAIN
    },
    Vendor {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        key_names: &["GROQ_API_KEY"],
        base_url_names: &["GROQ_BASE_URL"],
        tail: &["openai", "v1"],
        counting: Counting { cached_input: false, requests_are_daily: true, ..Counting::USUAL },
        claims: &["groq/", "llama-3.1-8b-instant", "llama-3.3-70b-versatile"],
        ..PLAIN
    },
    Vendor {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        key_names: &["OPENROUTER_API_KEY"],
        base_url_names: &["OPENROUTER_BASE_URL"],
        tail: &["api", "v1"],
        spoken: WITH_ALL,
        ..PLAIN
    },
    Vendor {
        name: "deepseek",
        // Its two formats have no version in common.
        base_url: Some("https://api.deepseek.com"),
        spellings: &["https://api.deepseek.com/v1"],
        key_names: &["DEEPSEEK_API_KEY"],
        base_url_names: &["DEEPSEEK_BASE_URL"],
        // It answers with and without the version, and has another surface under /beta.
        tail: &[],
        // Chat is first: its messages leave out images and documents. Its completions are under /beta alone.
        spoken: &[CHAT, Way::at(Dialect::Messages, "/anthropic/v1/messages", Some(AuthScheme::XApiKey))],
        claims: &["deepseek-"],
        ..PLAIN
    },
    Vendor {
        name: "xai",
        base_url: Some("https://api.x.ai/v1"),
        key_names: &["XAI_API_KEY"],
        base_url_names: &["XAI_BASE_URL"],
        spoken: WITH_RESPONSES,
        slices: SECONDS,
        claims: &["grok-"],
        ..PLAIN
    },
    Vendor {
        name: "azure",
        key_names: &["AZURE_OPENAI_API_KEY"],
        base_url_names: &["AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"],
        tail: &["openai", "v1"],
        scheme: AuthScheme::ApiKey,
        spoken: WITH_RESPONSES,
        counting: CHARGED_AHEAD,
        slices: SECONDS_OF_REQUESTS,
        ..PLAIN
    },
    Vendor {
        name: "azure-classic",
        tail: &["openai"],
        scheme: AuthScheme::ApiKey,
        spoken: &[
            Way::at(Dialect::Chat, "/deployments/{model}/chat/completions", None),
            Way::at(Dialect::Completions, "/deployments/{model}/completions", None),
            Way::at(Dialect::Embeddings, "/deployments/{model}/embeddings", None),
        ],
        // The last dated version that is no preview; later ones are for the form without dates.
        query: Some("api-version=2024-10-21"),
        counting: CHARGED_AHEAD,
        slices: SECONDS_OF_REQUESTS,
        ..SECOND
    },
    Vendor {
        name: "together",
        base_url: Some("https://api.together.xyz/v1"),
        key_names: &["TOGETHER_API_KEY"],
        base_url_names: &["TOGETHER_BASE_URL"],
        ..PLAIN
    },
    Vendor {
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        key_names: &["FIREWORKS_API_KEY"],
        base_url_names: &["FIREWORKS_BASE_URL"],
        tail: &["inference", "v1"],
        ..PLAIN
    },
    Vendor {
        name: "bedrock",
        base_url: Some("https://bedrock-mantle.{region}.api.aws/v1"),
        key_names: &["AWS_BEARER_TOKEN_BEDROCK"],
        region_names: &["AWS_REGION", "AWS_DEFAULT_REGION"],
        spoken: &[CHAT, RESPONSES],
        // Output is held at admission as the cap allows, and given back to what there was.
        counting: Counting::USUAL,
        claims: &["amazon.", "anthropic.", "openai.gpt-oss-"],
        ..PLAIN
    },
    // Servers on this machine, which limit no tokens: what they have room for is a number of requests.
    Vendor {
        name: "ollama",
        base_url: Some("http://127.0.0.1:11434/v1"),
        spoken: WITH_ALL,
        probe: Some(11_434),
        ..PLAIN
    },
    Vendor {
        name: "lmstudio",
        base_url: Some("http://127.0.0.1:1234/v1"),
        spoken: WITH_ALL,
        probe: Some(1_234),
        ..PLAIN
    },
    Vendor {
        name: "vllm",
        base_url: Some("http://127.0.0.1:8000/v1"),
        spoken: WITH_RESPONSES,
        probe: Some(8_000),
        ..PLAIN
    },
    // Responses and messages depend on its version.
    Vendor { name: "llamacpp", base_url: Some("http://127.0.0.1:8080/v1"), probe: Some(8_080), ..PLAIN },
];
