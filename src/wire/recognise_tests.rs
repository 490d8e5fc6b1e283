//! What request lines ask for, in every spelling that clients use.

use super::*;

fn asked(surface: Surface<'_>) -> Option<Asked> {
    match surface {
        Surface::Call(asked) | Surface::Count(asked) => Some(asked),
        _ => None,
    }
}

#[test]
fn every_spelling_of_the_prefix_means_the_same() {
    let in_body = Dialect::ALL.into_iter().filter(|dialect| dialect.family() != Family::Gemini);
    for dialect in in_body {
        for prefix in ["", "/v1", "/v1/v1"] {
            let path = format!("{prefix}{}", dialect.path());
            let wanted = Surface::Call(Asked::in_body(dialect));
            assert_eq!(recognise(&Method::POST, &path, Some("beta=true")), wanted, "{path}");
            let other = recognise(&Method::GET, &path, None);
            assert!(
                matches!(other, Surface::Passthrough { path, .. } if path == dialect.path()),
                "GET {path}"
            );
        }
    }
    for prefix in ["", "/v1", "/v1/v1"] {
        let list = format!("{prefix}/models");
        assert_eq!(recognise(&Method::GET, &list, None), Surface::Models(Family::OpenAi));
        let one = format!("{prefix}/models/openai%2Fgpt-4o");
        assert_eq!(recognise(&Method::GET, &one, None), Surface::Model(Family::OpenAi, "openai%2Fgpt-4o"));
        let slashed = format!("{prefix}/models/org/name");
        assert_eq!(recognise(&Method::GET, &slashed, None), Surface::Model(Family::OpenAi, "org/name"));
        let delete = recognise(&Method::DELETE, &one, None);
        assert_eq!(delete, Surface::Passthrough { family: None, path: "/models/openai%2Fgpt-4o" });
        for path in ["/messages/count_tokens", "/responses/input_tokens"] {
            let path = format!("{prefix}{path}");
            assert!(matches!(recognise(&Method::POST, &path, None), Surface::Count(_)), "{path}");
        }
    }
}

#[test]
fn gemini_says_model_and_stream_in_the_path() {
    for (path, query, dialect, model, stream, framing) in [
        ("/v1beta/models/g:generateContent", None, Dialect::Gemini, "g", false, Framing::JsonArray),
        ("/v1beta/models/g:streamGenerateContent", Some("alt=sse"), Dialect::Gemini, "g", true, Framing::Sse),
        (
            "/v1beta/models/g:streamGenerateContent",
            Some("x=1&alt=sse"),
            Dialect::Gemini,
            "g",
            true,
            Framing::Sse,
        ),
        (
            "/v1beta/models/g:streamGenerateContent",
            Some("alt=json"),
            Dialect::Gemini,
            "g",
            true,
            Framing::JsonArray,
        ),
        ("/v1/models/a%2Fb:generateContent", None, Dialect::Gemini, "a/b", false, Framing::JsonArray),
        ("/v1beta/models/a/b:c:generateContent", None, Dialect::Gemini, "a/b:c", false, Framing::JsonArray),
        ("/v1beta/models/e:embedContent", None, Dialect::GeminiEmbed, "e", false, Framing::JsonArray),
        (
            "/v1beta/models/e:batchEmbedContents",
            None,
            Dialect::GeminiBatchEmbed,
            "e",
            false,
            Framing::JsonArray,
        ),
    ] {
        let found = recognise(&Method::POST, path, query);
        assert!(matches!(found, Surface::Call(_)), "{path}");
        let wanted = Asked { dialect, model: Some(ModelName::from(model)), stream, framing };
        assert_eq!(asked(found), Some(wanted), "{path}");
    }
    let count = recognise(&Method::POST, "/v1beta/models/g:countTokens", None);
    assert!(matches!(count, Surface::Count(_)));
    assert_eq!(recognise(&Method::GET, "/v1beta/models", None), Surface::Models(Family::Gemini));
    assert_eq!(recognise(&Method::GET, "/v1beta/models/g", None), Surface::Model(Family::Gemini, "g"));
    for (method, path, below) in [
        (Method::POST, "/v1beta/models/g:predict", "/models/g:predict"),
        (Method::GET, "/v1beta/models/g:generateContent", "/models/g:generateContent"),
        (Method::POST, "/v1beta/models/:generateContent", "/models/:generateContent"),
        (Method::POST, "/v1beta/cachedContents", "/cachedContents"),
    ] {
        let found = recognise(&method, path, None);
        match found {
            Surface::Passthrough { family: Some(Family::Gemini), path } => assert_eq!(path, below),
            Surface::Model(Family::Gemini, id) => assert_eq!(format!("/models/{id}"), below),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn googles_compatible_surface_is_openais() {
    let chat = recognise(&Method::POST, "/v1beta/openai/chat/completions", None);
    assert_eq!(chat, Surface::Call(Asked::in_body(Dialect::Chat)));
    let models = recognise(&Method::GET, "/v1beta/openai/models", None);
    assert_eq!(models, Surface::Models(Family::OpenAi));
}

#[test]
fn a_warm_up_is_a_greeting() {
    for path in ["/api/hello", "/v1/api/hello"] {
        assert_eq!(recognise(&Method::HEAD, path, None), Surface::Hello);
        assert_eq!(recognise(&Method::GET, path, None), Surface::Hello);
    }
    assert_eq!(recognise(&Method::POST, "/api/hello", None), Surface::Unknown);
}

#[test]
fn the_rest_of_v1_passes_through_and_nothing_else_does() {
    use Family::{Anthropic, OpenAi};
    for (path, family, below) in [
        ("/v1/files", None, "/files"),
        ("/v1/files/f-1/content", None, "/files/f-1/content"),
        ("/v1/responses", Some(OpenAi), "/responses"),
        ("/v1/responses/resp_1/cancel", Some(OpenAi), "/responses/resp_1/cancel"),
        ("/v1/responses/compact", Some(OpenAi), "/responses/compact"),
        ("/v1/messages/batches/b/results", Some(Anthropic), "/messages/batches/b/results"),
        ("/v1/messagesx", None, "/messagesx"),
        ("/v1/", None, "/"),
        ("/v1/models/", None, "/models/"),
        ("/v1/chat/completions/x", Some(OpenAi), "/chat/completions/x"),
        ("/v1/v1/files", None, "/v1/files"),
        ("/v1/a..b/...", None, "/a..b/..."),
    ] {
        let wanted = Surface::Passthrough { family, path: below };
        assert_eq!(recognise(&Method::GET, path, None), wanted, "{path}");
    }
    for path in ["", "/", "*", "v1/files", "/v1", "/v2/files", "/files", "/modelsx", "/v1x/files", "/v1beta"]
    {
        assert_eq!(recognise(&Method::GET, path, None), Surface::Unknown, "{path}");
    }
}

#[test]
fn nothing_climbs_out_of_the_base_path() {
    for path in [
        "/v1/../admin",
        "/v1/..",
        "/v1/./files",
        "/v1/files/%2e%2e/%2E%2E/admin",
        "/v1/.%2e/admin",
        "/v1/files%2f..%2fadmin",
        "/v1/files%5c..%5Cadmin",
        "/v1/files\\..\\admin",
        "/v1//files",
        "//v1/files",
        "/v1/models/../x",
        "/v1beta/models/..:generateContent/../x",
        "/v1beta/models/..%2fx:generateContent",
        "/v1/.\t./admin",
        "/v1/files?x",
        "/v1/files#x",
    ] {
        assert_eq!(recognise(&Method::GET, path, None), Surface::Unknown, "{path}");
        assert_eq!(recognise(&Method::POST, path, None), Surface::Unknown, "{path}");
    }
}

#[test]
fn percent_codes_are_read_and_broken_ones_stay() {
    assert_eq!(percent_decoded("openai%2Fgpt-4o"), "openai/gpt-4o");
    assert_eq!(percent_decoded("50%"), "50%");
    assert_eq!(percent_decoded("%zz%2"), "%zz%2");
    assert_eq!(percent_decoded("%+1"), "%+1");
}
