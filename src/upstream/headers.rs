//! Which headers pass between client and provider.
//!
//! Invariants: no credential of a client reaches a provider, configured key or not; no header that belongs to
//! one connection reaches another.

use http::header::{ACCEPT_ENCODING, CONNECTION, HeaderMap, HeaderName, HeaderValue};

const HOP: HeaderName = HeaderName::from_static("x-tidegate-hop");

/// Gateways in a row before a request is taken for one that goes round in circles. Two or three are sane.
const HOPS_MAX: usize = 8;

/// The name of this process towards other gateways, so that a provider that leads back here is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop(HeaderValue);

impl Hop {
    /// A name that no other process has. `None` if it does not fit into a header.
    pub fn new(id: &str) -> Option<Hop> {
        HeaderValue::from_str(id).ok().map(Hop)
    }

    /// Whether a client's request has been here before, or has gone through too many gateways.
    pub fn has_seen(&self, headers: &HeaderMap) -> bool {
        let hops = headers.get_all(HOP);
        hops.iter().any(|hop| *hop == self.0) || hops.iter().count() >= HOPS_MAX
    }
}

/// Request headers that may go to a provider. The empty ones are for requests of our own.
#[derive(Clone, Debug, Default)]
pub struct Forwardable(HeaderMap);

impl Forwardable {
    /// Sets a header in the place of the client's.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.insert(name, value);
    }

    /// The headers.
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }

    pub(super) fn into_map(self) -> HeaderMap {
        self.0
    }
}

/// What of a client's request headers may go to a provider. The client's own credentials never do: a provider
/// without a configured key gets none, because a client that talks to us did not mean its key for whoever
/// happens to serve it. Answers are asked for unencoded, because usage is read from them.
pub fn forwardable(client: &HeaderMap, hop: &Hop) -> Forwardable {
    let mut headers = filter(client, |name| !stays_here(name));
    for seen in client.get_all(HOP).iter().take(HOPS_MAX).chain([&hop.0]) {
        headers.append(HOP, seen.clone());
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Forwardable(headers)
}

/// The same for a request that goes on in another dialect than the client's. What only that dialect has a
/// meaning for must not travel: a beta of one vendor is a bad request at another, and the body is not the one
/// that the client has described.
pub fn forwardable_translated(client: &HeaderMap, hop: &Hop) -> Forwardable {
    let mut forwardable = forwardable(client, hop);
    let foreign: Vec<HeaderName> =
        forwardable.0.keys().filter(|name| is_of_dialect(name.as_str())).cloned().collect();
    for name in foreign {
        forwardable.0.remove(name);
    }
    forwardable
}

/// What of a provider's answer headers may go to the client. Cookies and promises about other ports are
/// between the provider and us; names of our own cannot be forged; and what a web page may read of us is not
/// for a provider to say.
pub fn for_client(provider: &HeaderMap) -> HeaderMap {
    filter(provider, |name| {
        !name.starts_with("x-tidegate-")
            && !name.starts_with("access-control-")
            && !matches!(name, "set-cookie" | "alt-svc" | "strict-transport-security")
    })
}

/// What remains without the headers of the connection, and those that `Connection` names.
pub(super) fn without_hop_by_hop(headers: &HeaderMap) -> HeaderMap {
    filter(headers, |_| true)
}

fn filter(headers: &HeaderMap, keep: impl Fn(&str) -> bool) -> HeaderMap {
    let named: Vec<&str> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let of_connection =
        |name: &str| is_hop_by_hop(name) || named.iter().any(|n| n.eq_ignore_ascii_case(name));
    let mut kept = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        if !of_connection(name.as_str()) && keep(name.as_str()) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>, and the older ones still in use.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn stays_here(name: &str) -> bool {
    // They name an account of the client's, which the configured key does not belong to.
    let account = matches!(
        name,
        "openai-organization" | "openai-project" | "chatgpt-account-id" | "x-goog-user-project"
    );
    let about_client = matches!(name, "forwarded" | "x-real-ip") || name.starts_with("x-forwarded-");
    // Nobody is asked for a tunnel; and browsers, which cannot send a header, put their key among its protocols.
    let tunnel = name.starts_with("sec-websocket-");
    is_credential(name)
        || tunnel
        || looks_like_credential(name)
        || account
        || is_made_anew(name)
        || about_client
        || is_ours(name)
}

/// Whether a header of this name proves who somebody is.
pub(super) fn is_credential(name: &str) -> bool {
    matches!(
        name,
        "authorization" | "x-api-key" | "api-key" | "x-goog-api-key" | "cookie" | "proxy-authorization"
    )
}

/// Whether a client's header of this name may hold a key of its own: gateways, clouds and their SDKs have names
/// that nobody can list.
fn looks_like_credential(name: &str) -> bool {
    const ENDS: [&str; 4] = ["authorization", "api-key", "subscription-key", "-token"];
    ENDS.iter().any(|end| name.ends_with(end))
}

/// Of the connection or of the body as the client sent it; the ones for the provider are made anew.
pub(super) fn is_made_anew(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "accept-encoding" | "expect")
}

/// Whether a header of this name is between tidegate and its clients, or between two of its kind.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("x-tidegate-")
}

/// Whether a header of this name means something in one dialect alone, or tells of a body in that dialect or of
/// the program that speaks it.
fn is_of_dialect(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "anthropic-",
        "openai-",
        "x-goog-",
        "x-stainless-",
        "x-claude-",
        "x-codex-",
        "x-openai-",
        "x-gemini-",
    ];
    matches!(name, "content-type" | "accept" | "x-app" | "originator" | "session_id" | "conversation_id")
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    fn show(headers: &HeaderMap) -> Vec<String> {
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<String> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    fn hop(id: &str) -> Hop {
        Hop::new(id).unwrap()
    }

    #[test]
    fn nothing_of_the_clients_own_reaches_a_provider() {
        let client = headers(&[
            ("authorization", "Bearer theirs"),
            ("x-api-key", "theirs"),
            ("api-key", "theirs"),
            ("x-goog-api-key", "theirs"),
            ("cookie", "theirs"),
            ("openai-organization", "theirs"),
            ("openai-project", "theirs"),
            ("chatgpt-account-id", "theirs"),
            ("x-goog-user-project", "theirs"),
            ("x-auth-token", "theirs"),
            ("sec-websocket-protocol", "openai-insecure-api-key.theirs"),
            ("x-amz-security-token", "theirs"),
            ("x-litellm-api-key", "theirs"),
            ("ocp-apim-subscription-key", "theirs"),
            ("cf-aig-authorization", "theirs"),
            ("host", "localhost"),
            ("content-length", "5"),
            ("accept-encoding", "gzip, br"),
            ("expect", "100-continue"),
            ("forwarded", "for=1"),
            ("x-real-ip", "1"),
            ("x-forwarded-for", "1"),
            ("x-forwarded-anything", "1"),
            ("x-tidegate-priority", "batch"),
            ("proxy-authorization", "theirs"),
            ("content-type", "application/json"),
            ("user-agent", "sdk/1"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("x-request-id", "r"),
        ]);
        assert_eq!(
            show(forwardable(&client, &hop("me")).as_map()),
            [
                "accept-encoding: identity",
                "anthropic-beta: a",
                "anthropic-beta: b",
                "content-type: application/json",
                "user-agent: sdk/1",
                "x-request-id: r",
                "x-tidegate-hop: me",
            ]
        );
    }

    #[test]
    fn nothing_of_the_clients_dialect_reaches_a_provider_of_another() {
        let client = headers(&[
            ("authorization", "Bearer theirs"),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("anthropic-dangerous-direct-browser-access", "true"),
            ("openai-beta", "a"),
            ("x-goog-api-client", "genai"),
            ("x-stainless-lang", "js"),
            ("x-claude-code-session-id", "s"),
            ("x-app", "cli"),
            ("originator", "codex"),
            ("session_id", "s"),
            ("conversation_id", "s"),
            ("x-codex-turn-state", "s"),
            ("x-openai-subagent", "s"),
            ("x-gemini-api-privileged-user-id", "s"),
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("user-agent", "sdk/1"),
            ("x-request-id", "r"),
        ]);
        let through = forwardable_translated(&client, &hop("me"));
        let kept =
            ["accept-encoding: identity", "user-agent: sdk/1", "x-request-id: r", "x-tidegate-hop: me"];
        assert_eq!(show(through.as_map()), kept);
        assert!(hop("me").has_seen(through.as_map()));
    }

    #[test]
    fn what_belongs_to_a_connection_stays_on_it() {
        let lines = headers(&[
            ("connection", "close, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authenticate", "Basic"),
            ("x-kept", "1"),
        ]);
        assert_eq!(show(&for_client(&lines)), ["x-kept: 1"]);
        assert_eq!(show(&without_hop_by_hop(&lines)), ["x-kept: 1"]);
        let kept = ["accept-encoding: identity", "x-kept: 1", "x-tidegate-hop: me"];
        assert_eq!(show(forwardable(&lines, &hop("me")).as_map()), kept);
    }

    #[test]
    fn a_client_gets_the_providers_headers_but_no_cookies_and_no_forged_names() {
        let provider = headers(&[
            ("content-type", "text/event-stream"),
            ("x-request-id", "r"),
            ("x-ratelimit-remaining-tokens", "7"),
            ("set-cookie", "__cf_bm=1"),
            ("alt-svc", "h3=\":443\""),
            ("strict-transport-security", "max-age=1"),
            ("x-tidegate-provider", "forged"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-request-id"),
        ]);
        assert_eq!(
            show(&for_client(&provider)),
            ["content-type: text/event-stream", "x-ratelimit-remaining-tokens: 7", "x-request-id: r"]
        );
    }

    #[test]
    fn a_request_that_comes_round_is_recognised_through_any_gateway() {
        let (a, b) = (hop("a"), hop("b"));
        let through_a = forwardable(&HeaderMap::new(), &a);
        let through_b = forwardable(through_a.as_map(), &b);
        assert!(a.has_seen(through_b.as_map()));
        assert!(!hop("c").has_seen(through_b.as_map()));
        assert!(!a.has_seen(&HeaderMap::new()));
    }

    #[test]
    fn too_many_gateways_count_as_a_circle() {
        let mut through = HeaderMap::new();
        for n in 0..HOPS_MAX {
            assert!(!hop("me").has_seen(&through), "after {n}");
            through = forwardable(&through, &hop(&n.to_string())).into_map();
        }
        assert!(hop("me").has_seen(&through));
    }
}
