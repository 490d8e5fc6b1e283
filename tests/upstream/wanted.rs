//! What a provider wants of every request: its query, its headers, and its key in the header that the path asks for.

use super::provider::Provider;
use super::{both, get};
use http::{HeaderName, HeaderValue};
use tidegate::upstream::{AuthScheme, DefaultHeaders, Upstream, UpstreamSettings};

#[tokio::test]
async fn a_request_has_what_its_provider_wants_and_the_key_under_the_scheme_of_its_path() {
    let provider = Provider::start().await;
    let mut headers = DefaultHeaders::default();
    headers.add("anthropic-version", "2023-06-01").expect("a good header");
    headers.add("x-title", "ours").expect("a good header");
    let query = Some("api-version=2024-10-21".to_owned());
    let settings = UpstreamSettings { query, headers, ..provider.settings() };
    let upstream = Upstream::new(&settings).expect("the settings are good");
    for (auth, key) in [
        (None, "authorization: Bearer sk-canary"),
        (Some(AuthScheme::XApiKey), "x-api-key: sk-canary"),
        (Some(AuthScheme::XGoogApiKey), "x-goog-api-key: sk-canary"),
    ] {
        let mut request = get();
        request.path_and_query = "/models?api-version=theirs&after=x".to_owned();
        request.headers.insert(HeaderName::from_static("x-title"), HeaderValue::from_static("theirs"));
        request.auth = auth;
        let server = async {
            let mut connection = provider.accept().await;
            let head = connection.read_until("\r\n\r\n").await;
            connection.write("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            head
        };
        let (reply, head) = both(upstream.send(request), server).await;
        assert_eq!(reply.expect("an answer").status, 204);
        assert!(head.starts_with("GET /v1/models?api-version=2024-10-21&after=x HTTP/1.1\r\n"), "{head}");
        for line in ["anthropic-version: 2023-06-01", "x-title: theirs", key] {
            assert!(head.lines().any(|sent| sent == line), "{line} in {head}");
        }
        assert_eq!(head.matches("canary").count(), 1, "the key is sent once: {head}");
    }
}
