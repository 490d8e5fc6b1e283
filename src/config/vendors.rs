//! Vendors as data: what a known name spares a person from writing.
//!
//! One table; a new vendor is a row. Knows no file, no environment and no network; whose OpenAI-compatible
//! surface stands where is in the vendors' own documents.

use super::base_url::BaseUrl;
use crate::upstream::AuthScheme;

/// What is known about a vendor.
#[derive(Debug)]
pub(super) struct Vendor {
    /// The word used in configuration, and the name of the provider that is found without one.
    pub(super) name: &'static str,
    /// Its OpenAI-compatible surface. `None` where every account has its own.
    pub(super) base_url: Option<&'static str>,
    /// Variables that may hold the key; the first one set counts.
    pub(super) key_names: &'static [&'static str],
    /// Variables that may hold another address; the first one set counts.
    pub(super) base_url_names: &'static [&'static str],
    /// What the path of such an address must end in. People set these variables for the vendor's own SDK, which
    /// appends this itself. Empty: the address is taken as it stands.
    pub(super) tail: &'static [&'static str],
    /// The header that carries the key.
    pub(super) scheme: AuthScheme,
    /// How its models' names begin, where the name alone tells whose they are.
    pub(super) claims: &'static [&'static str],
    /// The port on this machine where it answers if it runs. `None` for what is far away.
    pub(super) probe: Option<u16>,
}

/// A vendor far away that is reached with a bearer token.
const FAR: Vendor = Vendor {
    name: "",
    base_url: None,
    key_names: &[],
    base_url_names: &[],
    tail: &["v1"],
    scheme: AuthScheme::Bearer,
    claims: &[],
    probe: None,
};

/// Every known vendor. Without a file, the first one found also takes what nobody claims.
pub(super) const VENDORS: [Vendor; 15] = [
    Vendor {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        key_names: &["OPENAI_API_KEY"],
        base_url_names: &["OPENAI_BASE_URL"],
        // Its SDK appends nothing, and compatible servers stand under any path.
        tail: &[],
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
        ..FAR
    },
    Vendor {
        name: "anthropic",
        base_url: Some("https://api.anthropic.com/v1"),
        key_names: &["ANTHROPIC_API_KEY"],
        base_url_names: &["ANTHROPIC_BASE_URL"],
        claims: &["claude-"],
        ..FAR
    },
    Vendor {
        name: "gemini",
        base_url: Some("https://generativelanguage.googleapis.com/v1beta/openai"),
        key_names: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url_names: &["GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"],
        tail: &["v1beta", "openai"],
        claims: &["gemini-", "gemma-", "models/gemini-"],
        ..FAR
    },
    Vendor {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        key_names: &["MISTRAL_API_KEY"],
        base_url_names: &["MISTRAL_BASE_URL"],
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
        ..FAR
    },
    Vendor {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        key_names: &["GROQ_API_KEY"],
        base_url_names: &["GROQ_BASE_URL"],
        tail: &["openai", "v1"],
        claims: &["groq/", "llama-3.1-8b-instant", "llama-3.3-70b-versatile"],
        ..FAR
    },
    Vendor {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        key_names: &["OPENROUTER_API_KEY"],
        base_url_names: &["OPENROUTER_BASE_URL"],
        tail: &["api", "v1"],
        ..FAR
    },
    Vendor {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com/v1"),
        key_names: &["DEEPSEEK_API_KEY"],
        base_url_names: &["DEEPSEEK_BASE_URL"],
        // It answers with and without the version, and has another surface under /beta.
        tail: &[],
        claims: &["deepseek-"],
        ..FAR
    },
    Vendor {
        name: "xai",
        base_url: Some("https://api.x.ai/v1"),
        key_names: &["XAI_API_KEY"],
        base_url_names: &["XAI_BASE_URL"],
        claims: &["grok-"],
        ..FAR
    },
    Vendor {
        name: "azure",
        key_names: &["AZURE_OPENAI_API_KEY"],
        base_url_names: &["AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"],
        tail: &["openai", "v1"],
        scheme: AuthScheme::ApiKey,
        ..FAR
    },
    Vendor {
        name: "together",
        base_url: Some("https://api.together.xyz/v1"),
        key_names: &["TOGETHER_API_KEY"],
        base_url_names: &["TOGETHER_BASE_URL"],
        ..FAR
    },
    Vendor {
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        key_names: &["FIREWORKS_API_KEY"],
        base_url_names: &["FIREWORKS_BASE_URL"],
        tail: &["inference", "v1"],
        ..FAR
    },
    Vendor { name: "ollama", base_url: Some("http://127.0.0.1:11434/v1"), probe: Some(11_434), ..FAR },
    Vendor { name: "lmstudio", base_url: Some("http://127.0.0.1:1234/v1"), probe: Some(1_234), ..FAR },
    Vendor { name: "vllm", base_url: Some("http://127.0.0.1:8000/v1"), probe: Some(8_000), ..FAR },
    Vendor { name: "llamacpp", base_url: Some("http://127.0.0.1:8080/v1"), probe: Some(8_080), ..FAR },
];

/// The vendor with this name.
pub(super) fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

impl Vendor {
    /// The names of its models, as a provider keeps them.
    pub(super) fn claims(&self) -> Vec<String> {
        self.claims.iter().map(|&prefix| prefix.to_owned()).collect()
    }

    /// The address with as much of the vendor's tail appended as it lacks: of `v1beta/openai`, an address that
    /// ends in `/v1beta` gets `/openai`, one that ends in the last part is complete.
    pub(super) fn completed(&self, base: &BaseUrl) -> String {
        let path: Vec<&str> = base.path().split('/').filter(|part| !part.is_empty()).collect();
        let tail = self.tail;
        if path.last().is_some_and(|last| tail.last() == Some(last)) {
            return base.as_str().to_owned();
        }
        let kept = (0..tail.len()).rev().find(|&kept| path.ends_with(&tail[..kept])).unwrap_or(0);
        tail[kept..].iter().fold(base.as_str().to_owned(), |url, part| format!("{url}/{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, written: &str, expected: &str) {
        let base = BaseUrl::parse(written).unwrap();
        assert_eq!(vendor(name).unwrap().completed(&base), expected);
    }

    #[test]
    fn an_address_for_the_vendors_own_sdk_gets_what_is_missing() {
        check("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1");
        check("anthropic", "https://proxy.corp/anthropic/", "https://proxy.corp/anthropic/v1");
        check("anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com/v1");
        check("gemini", "https://g.example", "https://g.example/v1beta/openai");
        check("gemini", "https://g.example/v1beta", "https://g.example/v1beta/openai");
        check("gemini", "https://g.example/v1beta/openai", "https://g.example/v1beta/openai");
        check("azure", "https://res.openai.azure.com", "https://res.openai.azure.com/openai/v1");
        check("azure", "https://res.openai.azure.com/openai", "https://res.openai.azure.com/openai/v1");
        check("azure", "https://res.openai.azure.com/openai/v1/", "https://res.openai.azure.com/openai/v1");
        check("openai", "http://127.0.0.1:8000", "http://127.0.0.1:8000");
        check("openai", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1");
    }

    #[test]
    fn names_are_unique_and_addresses_complete() {
        for (nth, vendor) in VENDORS.iter().enumerate() {
            assert!(VENDORS[..nth].iter().all(|other| other.name != vendor.name), "{}", vendor.name);
            if let Some(url) = vendor.base_url {
                assert_eq!(vendor.completed(&BaseUrl::parse(url).unwrap()), url);
            }
        }
    }

    #[test]
    fn no_prefix_is_claimed_twice() {
        let claims: Vec<&str> = VENDORS.iter().flat_map(|vendor| vendor.claims).copied().collect();
        for (nth, claim) in claims.iter().enumerate() {
            assert!(!claims[..nth].contains(claim), "{claim}");
        }
    }
}
