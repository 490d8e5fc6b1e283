//! What the words of a refusal tell of the limit that was met.
//!
//! Knows sentences, quota names and policy names of vendors; refuses to know JSON and whether waiting helps. Invariant:
//! a limit is never 0 and never told without what it counts, or a limit over images would be taken for one over tokens.

use super::budget::Dimension;
use super::heard::Reading;
use super::readings::{Span, Unit, number};

/// The limit that a refusal names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Which limit.
    pub dimension: Option<Dimension>,
    /// Its units in one window; never 0.
    pub limit: Option<u64>,
    /// What the refused call would have taken.
    pub requested: Option<u64>,
}

/// As much of a message as is read: providers put their reason first, and may quote the client behind it.
const HEAD: usize = 2_048;

/// How vendors name what is counted, in lower case. Azure names no window; its limits are a minute's.
#[rustfmt::skip]
const PHRASES: &[(&str, Unit, Span)] = &[
    ("input tokens per min", Unit::Input, Span::Minute),
    ("prompt tokens per min", Unit::Input, Span::Minute),
    ("output tokens per min", Unit::Output, Span::Minute),
    ("generated tokens per min", Unit::Output, Span::Minute),
    ("tokens per min", Unit::Tokens, Span::Minute),
    ("requests per min", Unit::Requests, Span::Minute),
    ("input tokens per day", Unit::Input, Span::Day),
    ("output tokens per day", Unit::Output, Span::Day),
    ("tokens per day", Unit::Tokens, Span::Day),
    ("requests per day", Unit::Requests, Span::Day),
    ("(itpm)", Unit::Input, Span::Minute),
    ("(otpm)", Unit::Output, Span::Minute),
    ("(tpm)", Unit::Tokens, Span::Minute),
    ("(rpm)", Unit::Requests, Span::Minute),
    ("(tpd)", Unit::Tokens, Span::Day),
    ("(rpd)", Unit::Requests, Span::Day),
    ("token rate limit", Unit::Tokens, Span::Minute),
    ("call rate limit", Unit::Requests, Span::Minute),
];

impl Said {
    /// Reads the sentence for people. `kind` is the error's type, which with OpenAI is `tokens` or `requests`;
    /// `daily` is whether the limit is known to be a day's.
    pub fn in_words(message: &str, kind: Option<&str>, daily: bool) -> Said {
        let head = message.as_bytes().get(..HEAD).unwrap_or(message.as_bytes());
        let text = String::from_utf8_lossy(head).to_ascii_lowercase();
        // The first place counts, and of several that begin there the first of the list.
        let named = PHRASES.iter().filter_map(|named| Some((text.find(named.0)?, named)));
        let Some((_, (phrase, unit, span))) = named.min_by_key(|(at, _)| *at) else {
            let span = if daily { Span::Day } else { Span::Minute };
            let unit = match kind {
                Some("tokens") => Some(Unit::Tokens),
                Some("requests") => Some(Unit::Requests),
                _ => None,
            };
            return Said { dimension: unit.and_then(|unit| unit.over(span)), ..Said::default() };
        };
        let dimension = unit.over(*span);
        let limit = number_before(&text, phrase).or_else(|| number_behind(&text, "limit"));
        Said {
            dimension,
            limit: limit.filter(|_| dimension.is_some()),
            requested: number_behind(&text, "requested"),
        }
    }

    /// Reads Google's names for a quota, such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`, and its value.
    pub fn in_quota(id: &str, metric: &str, value: Option<&str>) -> Said {
        let (id, metric) = (id.to_ascii_lowercase(), metric.to_ascii_lowercase());
        let unit = [&id, &metric].into_iter().find_map(|name| {
            if name.contains("inputtoken") || name.contains("input_token") {
                Some(Unit::Input)
            } else if name.contains("token") {
                Some(Unit::Tokens)
            } else {
                name.contains("request").then_some(Unit::Requests)
            }
        });
        let dimension = unit.and_then(|unit| match unit {
            // Google counts no output, so its input of a day is all that counts of a day.
            Unit::Input if is_daily_quota(&id) => Some(Dimension::TokensPerDay),
            _ if is_daily_quota(&id) => unit.over(Span::Day),
            _ if id.contains("perminute") => unit.over(Span::Minute),
            _ => None,
        });
        let limit = value.and_then(units).filter(|_| dimension.is_some());
        Said { dimension, limit, requested: None }
    }

    /// Reads the name of the policy that refused, as Azure gives it: `DeploymentRatelimit-Token`.
    pub fn in_policy(policy: &str) -> Said {
        let policy = policy.to_ascii_lowercase();
        let dimension = if policy.contains("token") {
            Some(Dimension::TokensPerMinute)
        } else {
            (policy.contains("call") || policy.contains("request")).then_some(Dimension::RequestsPerMinute)
        };
        Said { dimension, ..Said::default() }
    }

    /// This, or what `other` says where this says nothing.
    #[must_use]
    pub fn or(self, other: Said) -> Said {
        if self.dimension.is_none() || (self.limit.is_none() && self.dimension == other.dimension) {
            let requested = self.requested.or(other.requested);
            return Said { requested, ..other };
        }
        self
    }

    /// Whether the call alone is larger than the limit, so that no wait makes room for it.
    pub fn is_above_limit(&self) -> bool {
        self.limit.zip(self.requested).is_some_and(|(limit, requested)| requested > limit)
    }

    /// The same as a reading, which tells nothing of what is left.
    pub fn reading(&self) -> Option<Reading> {
        let (dimension, limit) = self.dimension.zip(self.limit)?;
        Some(Reading { dimension, limit: Some(limit), remaining: None, full_in: None, grain: 1 })
    }
}

/// Whether a quota of this name is a day's.
fn is_daily_quota(id: &str) -> bool {
    id.contains("perday") || id.contains("daily")
}

/// `40,000 input tokens per minute`.
fn number_before(text: &str, phrase: &str) -> Option<u64> {
    text.match_indices(phrase).find_map(|(at, _)| {
        let word = text[..at].strip_suffix(' ')?.rsplit(|c: char| c.is_whitespace() || c == '(').next()?;
        units(word)
    })
}

/// `Limit 30000, Used`, `Limit: 20`.
fn number_behind(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).find_map(|(at, _)| {
        let rest = text[at + word.len()..].trim_start_matches([':', ' ']);
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != ',' && c != '.').unwrap_or(rest.len());
        units(rest[..digits].trim_end_matches([',', '.']))
    })
}

fn units(text: &str) -> Option<u64> {
    number(text).filter(|units| *units > 0).map(i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dimension::*;

    fn check(message: &str, expected: (Option<Dimension>, Option<u64>)) {
        let said = Said::in_words(message, None, false);
        assert_eq!((said.dimension, said.limit), expected, "{message}");
    }

    #[test]
    fn sentences_name_the_limit() {
        check(
            "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29500, \
             Requested 800. Please try again in 600ms.",
            (Some(TokensPerMinute), Some(30_000)),
        );
        check(
            "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1.",
            (Some(RequestsPerMinute), Some(3)),
        );
        check(
            "Rate limit reached on requests per day (RPD): Limit 200, Used 200",
            (Some(RequestsPerDay), Some(200)),
        );
        check(
            "Rate limit reached for model `llama` in organization `org` service tier `on_demand` on tokens per day \
             (TPD): Limit 100000, Used 99000, Requested 2000. Please try again in 14m24s.",
            (Some(TokensPerDay), Some(100_000)),
        );
        check("on tokens (TPM): Limit 30,000, Requested 36,055.", (Some(TokensPerMinute), Some(30_000)));
        check(
            "This request would exceed your organization's rate limit of 40,000 input tokens per minute. For details",
            (Some(InputTokensPerMinute), Some(40_000)),
        );
        check(
            "This request would exceed the rate limit for your organization (7f54fbff-3504-477a-b4a2-08359988239d) of \
             8,000 output tokens per minute.",
            (Some(OutputTokensPerMinute), Some(8_000)),
        );
        check("rate limit of 50 requests per minute (org: 7f)", (Some(RequestsPerMinute), Some(50)));
        check(
            "This request would exceed your organization's maximum usage increase rate for input tokens per minute \
             (org: f1c6, model: m). Your current limit is 58,276 input tokens per minute, and will increase to 68,276",
            (Some(InputTokensPerMinute), Some(58_276)),
        );
        check(
            "Requests have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 37 \
             seconds.",
            (Some(TokensPerMinute), None),
        );
        check("have exceeded call rate limit of your tier", (Some(RequestsPerMinute), None));
    }

    #[test]
    fn what_budgets_do_not_count_is_not_taken_for_tokens() {
        for message in [
            "Rate limit reached on images per min (IPM): Limit 5, Used 5",
            "Rate limit reached on seconds of audio per hour (ASPH): Limit 7200, Used 7200",
            "Rate limit exceeded",
            "Number of requests has exceeded your limit 7",
            "",
        ] {
            check(message, (None, None));
        }
        check("on tokens per min (TPM): Limit 0, Used 0", (Some(TokensPerMinute), None));
        check("on tokens per min (TPM): Limit unknown", (Some(TokensPerMinute), None));
        check("on input tokens per day: Limit 5", (None, None));
        let quoted = format!("{}on tokens per min (TPM): Limit 5", "x".repeat(3_000));
        check(&quoted, (None, None));
    }

    #[test]
    fn the_type_tells_where_the_sentence_does_not() {
        let said = |kind, daily| Said::in_words("Rate limit reached. Limit 5", Some(kind), daily);
        assert_eq!(said("tokens", false).dimension, Some(TokensPerMinute));
        assert_eq!(said("tokens", true).dimension, Some(TokensPerDay));
        assert_eq!(said("requests", false).dimension, Some(RequestsPerMinute));
        assert_eq!(said("tokens", false).limit, None, "of what, nobody has said");
        assert_eq!(said("rate_limit_error", false), Said::default());
    }

    #[test]
    fn a_call_above_the_limit_is_seen_by_its_numbers() {
        let said = |words| Said::in_words(words, None, false);
        assert!(said("(TPM): Limit 30000, Requested 36055.").is_above_limit());
        assert!(said("(TPM): Limit 30000, Used 0, Requested 30001").is_above_limit());
        assert!(!said("(TPM): Limit 30000, Used 29500, Requested 30000.").is_above_limit());
        assert!(!said("(TPM): Limit 30000").is_above_limit());
    }

    #[test]
    fn quotas_and_policies_have_telling_names() {
        for (id, metric, value, dimension, limit) in [
            (
                "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                "",
                Some("50"),
                Some(RequestsPerDay),
                Some(50),
            ),
            (
                "GenerateRequestsPerMinutePerProjectPerModel",
                "",
                Some("15"),
                Some(RequestsPerMinute),
                Some(15),
            ),
            (
                "GenerateContentInputTokensPerModelPerMinute-FreeTier",
                "generativelanguage.googleapis.com/generate_content_free_tier_input_token_count",
                Some("250000"),
                Some(InputTokensPerMinute),
                Some(250_000),
            ),
            ("GenerateContentInputTokensPerModelPerDay", "", None, Some(TokensPerDay), None),
            ("PerMinute", "x/generate_content_requests", Some("5"), Some(RequestsPerMinute), Some(5)),
            ("Quota", "x/generate_content_requests", Some("5"), None, None),
            ("ImagesPerMinute", "", Some("5"), None, None),
            ("GenerateRequestsPerMinute", "", Some("0"), Some(RequestsPerMinute), None),
            ("GenerateRequestsPerMinute", "", Some("many"), Some(RequestsPerMinute), None),
        ] {
            let expected = Said { dimension, limit, requested: None };
            assert_eq!(Said::in_quota(id, metric, value), expected, "{id} {metric}");
        }
        assert_eq!(Said::in_policy("DeploymentRatelimit-Token").dimension, Some(TokensPerMinute));
        assert_eq!(Said::in_policy("DeploymentRatelimit-Call").dimension, Some(RequestsPerMinute));
        assert_eq!(Said::in_policy("other"), Said::default());
    }

    proptest::proptest! {
        #[test]
        fn no_words_make_it_panic_or_a_limit_0(
            words in ".{0,80}",
            near in "((limit|requested|of) ?:? ?[-0-9,.é]{0,24} ?(input tokens per min|\\(tpm\\)|requests per day)? ?){1,4}",
        ) {
            for text in [&words, &near] {
                let said = Said::in_words(text, Some(text), true).or(Said::in_quota(text, &near, Some(text)));
                proptest::prop_assert!(said.limit != Some(0));
                proptest::prop_assert!(said.limit.is_none() || said.dimension.is_some());
                said.reading();
            }
        }
    }
}
