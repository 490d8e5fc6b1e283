//! The promises of the search for providers.

use super::probe::{Reply, read_reply};
use super::*;
use crate::server::ListenAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn found(pairs: &[(&str, &str)]) -> Found {
    from_environment(&Env::from_pairs(pairs.iter().copied()), &ServerSettings::default())
}

/// Name, address and key of each provider, then the notes.
fn check(pairs: &[(&str, &str)], expected: &[&str]) {
    let found = found(pairs);
    let shown = |provider: &Provider| {
        let credential = provider.upstream.credential.as_ref();
        let key = credential.map_or("", |credential| credential.key.expose());
        format!("{} {} {key}", provider.id, provider.upstream.base_url).trim_end().to_owned()
    };
    let lines: Vec<String> = found.providers.iter().map(shown).chain(found.notes).collect();
    assert_eq!(lines, expected, "{pairs:?}");
}

#[test]
fn keys_in_the_environment_become_providers() {
    check(&[], &[]);
    check(
        &[
            ("GOOGLE_API_KEY", "g"),
            ("OPENAI_API_KEY", " sk-1\n"),
            ("ANTHROPIC_API_KEY", "a"),
            ("GROQ_API_KEY", ""),
        ],
        &[
            "openai https://api.openai.com/v1 sk-1",
            "anthropic https://api.anthropic.com/v1 a",
            "gemini https://generativelanguage.googleapis.com/v1beta g",
        ],
    );
    let azure =
        found(&[("AZURE_OPENAI_API_KEY", "z"), ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/")]);
    let [azure] = &azure.providers[..] else { panic!("{azure:?}") };
    assert_eq!(azure.upstream.base_url, "https://r.openai.azure.com/openai/v1");
    assert_eq!(azure.upstream.credential.as_ref().unwrap().scheme, crate::upstream::AuthScheme::ApiKey);
    check(
        &[("GEMINI_API_KEY", " "), ("GOOGLE_API_KEY", "g")],
        &["gemini https://generativelanguage.googleapis.com/v1beta g"],
    );
}

#[test]
fn a_vendor_that_is_found_speaks_what_its_row_says() {
    let found = found(&[("ANTHROPIC_API_KEY", "a"), ("GEMINI_API_KEY", "g"), ("DEEPSEEK_API_KEY", "d")]);
    let shown = |provider: &Provider| {
        let upstream = &provider.upstream;
        let scheme = upstream.credential.as_ref().map(|credential| credential.scheme.name());
        let spoken = upstream.spoken.iter().map(|spoken| format!("{}:{}", spoken.dialect, spoken.path));
        let spoken = spoken.collect::<Vec<_>>().join(" ");
        format!("{} {:?} {} {spoken}", provider.id, provider.family, scheme.unwrap_or_default())
    };
    assert_eq!(
        found.providers.iter().map(shown).collect::<Vec<_>>(),
        [
            "anthropic Anthropic x-api-key messages:/messages",
            "gemini Gemini x-goog-api-key gemini:/models/{model}:{verb} gemini_embed:/models/{model}:{verb} \
             gemini_batch_embed:/models/{model}:{verb} chat:/openai/chat/completions embeddings:/openai/embeddings",
            "deepseek OpenAi bearer chat:/chat/completions messages:/anthropic/v1/messages",
        ]
    );
    assert!(!found.providers[0].counting.cached_input);
    assert_eq!(found.providers[0].upstream.headers.names().count(), 1);
}

#[test]
fn bedrock_is_found_where_its_region_is_known() {
    let key = ("AWS_BEARER_TOKEN_BEDROCK", "b");
    check(&[key, ("AWS_REGION", "us-east-1")], &["bedrock https://bedrock-mantle.us-east-1.api.aws/v1 b"]);
    check(
        &[key, ("AWS_DEFAULT_REGION", "eu-west-3")],
        &["bedrock https://bedrock-mantle.eu-west-3.api.aws/v1 b"],
    );
    let unused = ["AWS_BEARER_TOKEN_BEDROCK is ignored: AWS_REGION gives it no address"];
    check(&[key], &unused);
    check(&[key, ("AWS_REGION", "evil.example/")], &unused);
    check(&[("AWS_REGION", "us-east-1")], &[]);
}

#[test]
fn what_is_set_and_not_used_is_said() {
    check(
        &[("AZURE_OPENAI_API_KEY", "z")],
        &["AZURE_OPENAI_API_KEY is ignored: AZURE_OPENAI_ENDPOINT gives it no address"],
    );
    check(
        &[("GROQ_API_KEY", "sk canary")],
        &["GROQ_API_KEY is ignored: it holds characters that no header can carry"],
    );
    check(
        &[("OPENAI_BASE_URL", "https://far.example/v1")],
        &["OPENAI_BASE_URL is ignored: it is not on this machine, and OPENAI_API_KEY is not set"],
    );
}

#[test]
fn an_address_in_the_environment_is_completed() {
    check(
        &[("ANTHROPIC_API_KEY", "a"), ("ANTHROPIC_BASE_URL", "https://proxy.example")],
        &["anthropic https://proxy.example/v1 a"],
    );
    check(&[("OPENAI_BASE_URL", "http://127.0.0.1:9000/v1")], &["openai http://127.0.0.1:9000/v1"]);
    for written in ["http://127.0.0.1:9000", "http://127.0.0.1:9000/v1beta/openai"] {
        check(&[("GOOGLE_GEMINI_BASE_URL", written)], &["gemini http://127.0.0.1:9000/v1beta"]);
    }
}

#[test]
fn an_address_that_leads_back_to_the_gateway_is_ignored_and_said() {
    for own in ["http://localhost:8433/v1", "http://127.0.0.1:8433", "http://[::1]:8433/v1"] {
        check(
            &[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", own)],
            &[
                "openai https://api.openai.com/v1 sk-1",
                "OPENAI_BASE_URL is ignored: it points at this gateway itself",
            ],
        );
    }
    for (name, key, provider) in [
        ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "anthropic https://api.anthropic.com/v1 k"),
        (
            "GOOGLE_GEMINI_BASE_URL",
            "GEMINI_API_KEY",
            "gemini https://generativelanguage.googleapis.com/v1beta k",
        ),
    ] {
        check(
            &[(key, "k"), (name, "http://localhost:8433")],
            &[provider, &format!("{name} is ignored: it points at this gateway itself")],
        );
    }
}

#[test]
fn an_address_that_would_give_a_key_away_is_not_used() {
    check(
        &[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "http://far.example/v1")],
        &["openai is not used: its key would go unencrypted to far.example"],
    );
    let notes = found(&[("OPENAI_API_KEY", "sk"), ("OPENAI_BASE_URL", "https://u:canary@h/?k=canary")]).notes;
    assert!(notes.len() == 1 && !notes[0].contains("canary"), "{notes:?}");
}

#[test]
fn ollamas_variable_is_read_as_ollama_reads_it() {
    for (written, expected) in [
        ("", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:9", "http://127.0.0.1:9/v1"),
        (":9", "http://127.0.0.1:9/v1"),
        ("gpu-box", "http://gpu-box:11434/v1"),
        ("http://gpu-box", "http://gpu-box:80/v1"),
        ("http://gpu-box:9/", "http://gpu-box:9/v1"),
        ("::", "http://[::1]:11434/v1"),
        ("[::]:9", "http://[::1]:9/v1"),
        ("::1", "http://[::1]:11434/v1"),
        ("not a host", "http://127.0.0.1:11434/v1"),
    ] {
        let candidates =
            local_candidates(&Env::from_pairs([("OLLAMA_HOST", written)]), &ServerSettings::default());
        assert_eq!(candidates[0].place(), ("ollama", expected), "{written}");
        assert_eq!(candidates.len(), 4);
    }
}

#[test]
fn our_own_port_is_never_asked() {
    let listen = vec![ListenAddress::Tcp("127.0.0.1:8080".parse().unwrap())];
    let server = ServerSettings { listen, ..ServerSettings::default() };
    let candidates = local_candidates(&Env::default(), &server);
    assert!(candidates.iter().all(|candidate| candidate.place().0 != "llamacpp"), "{candidates:?}");
}

const LIST: &str = r#"{"object":"list","data":[{"id":"llama-3"},{"id":"bad\u001bname"},{"id":"qwen"}]}"#;

fn whole(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

#[test]
fn a_reply_is_read_at_every_split_and_in_every_framing() {
    let (first, second) = LIST.split_at(20);
    let chunks = format!("{:x}\r\n{first}\r\n{:X};x=1\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    for answer in [
        whole("200 OK", &format!("Content-Length: {}\r\n", LIST.len()), LIST),
        whole("200 OK", "transfer-encoding: chunked\r\n", &chunks),
    ] {
        let bytes = answer.as_bytes();
        let reply = (0..=bytes.len()).find_map(|end| read_reply(&bytes[..end], false).unwrap()).unwrap();
        assert_eq!(reply, Reply { status: 200, models: Some(vec!["llama-3".into(), "qwen".into()]) });
    }
    let until_end = whole("200 OK", "", LIST);
    assert_eq!(read_reply(until_end.as_bytes(), false).unwrap(), None);
    assert!(read_reply(until_end.as_bytes(), true).unwrap().unwrap().models.is_some());
}

#[test]
fn what_is_no_list_of_models_is_told_from_one() {
    let reply =
        |status: &str, body: &str| read_reply(whole(status, "", body).as_bytes(), true).unwrap().unwrap();
    assert_eq!(reply("200 OK", r#"{"object":"list","data":null}"#).models, Some(Vec::new()));
    for (status, body) in
        [("200 OK", "<html>"), ("200 OK", "{}"), ("200 OK", r#"{"data":[1]}"#), ("404 Not Found", LIST)]
    {
        assert_eq!(reply(status, body).models, None, "{status} {body}");
    }
    for bytes in ["SSH-2.0-OpenSSH", "HTTP/1.1 abc\r\n\r\n", "HTTP/2 200\r\n\r\n", "\0"] {
        assert!(read_reply(bytes.as_bytes(), true).is_err(), "{bytes}");
    }
    for size in ["ffffffffffffffff", "fffffffffffffffe", "-1", "zz"] {
        let body = format!("{size}\r\nx\r\n");
        assert_eq!(
            read_reply(whole("200 OK", "transfer-encoding: chunked\r\n", &body).as_bytes(), false).unwrap(),
            None
        );
    }
}

fn at(listener: &TcpListener, vendor: &str) -> Candidate {
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let base = BaseUrl::parse(&base).unwrap();
    Candidate { vendor: super::super::vendors::vendor(vendor).unwrap(), base }
}

#[tokio::test]
async fn servers_that_answer_are_found_beside_one_that_is_gone() {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let (good, other, gone) = (bind().await.unwrap(), bind().await.unwrap(), bind().await.unwrap());
    let candidates = vec![at(&good, "vllm"), at(&gone, "lmstudio"), at(&other, "llamacpp")];
    drop(gone);
    let serve = |listener: TcpListener, answer: String| async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = [0; 17];
        stream.read_exact(&mut question).await.unwrap();
        assert_eq!(&question[..], b"GET /v1/models HT");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let length = format!("content-length: {}\r\n", LIST.len());
    let (answers, _good, _other) = tokio::join!(
        answering_within(Duration::from_secs(60), candidates),
        serve(good, whole("200 OK", &length, LIST)),
        serve(other, whole("401 Unauthorized", "content-length: 0\r\n", ""))
    );
    let mut found = Found::default();
    found.add(answers);
    assert_eq!(found.providers.len(), 1, "{found:?}");
    assert_eq!(found.providers[0].id.as_str(), "vllm");
    assert_eq!(found.providers[0].models, vec!["llama-3".into(), "qwen".into()]);
    assert!(found.notes[0].contains("status 401") && found.notes.len() == 1, "{:?}", found.notes);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answers = answering_within(Duration::from_millis(5), vec![at(&silent, "ollama")]).await;
    assert!(answers.is_empty(), "{answers:?}");
}
