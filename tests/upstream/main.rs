//! The upstream client against small servers of single bytes, over real sockets.
//!
//! Each server is written out by hand, because what is promised here is about bytes that no well-behaved
//! server sends. Nothing sleeps: each side waits for what the other does.

mod provider;
mod wanted;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use provider::Provider;
use std::io::Write;
use std::process::Command;
use std::time::Duration;
use tidegate::upstream::{
    BuildError, Failure, FailureKind, Forwardable, Hop, Reply, RequestBody, Upstream, UpstreamRequest,
    UpstreamSettings, forwardable,
};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn post(path: &str, body: RequestBody) -> UpstreamRequest {
    let (path_and_query, headers) = (path.to_owned(), Forwardable::default());
    UpstreamRequest { method: Method::POST, path_and_query, headers, auth: None, body }
}

fn get() -> UpstreamRequest {
    UpstreamRequest { method: Method::GET, ..post("/models", RequestBody::Empty) }
}

/// Lets client and server talk until both have finished. The bound is there so that a promise that is broken
/// fails instead of hanging; nothing that holds comes near it.
async fn both<C: Future, S: Future>(client: C, server: S) -> (C::Output, S::Output) {
    let talk = async { tokio::join!(client, server) };
    tokio::time::timeout(Duration::from_secs(30), talk).await.expect("neither side waits for ever")
}

/// The bytes of the answer up to its end, and how it ended.
async fn drain(mut reply: Reply) -> (String, Option<FailureKind>) {
    let mut text = String::new();
    while let Some(next) = reply.body.next().await {
        match next {
            Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Err(failure) => {
                assert!(reply.body.next().await.is_none(), "nothing follows a failure");
                return (text, Some(failure.kind));
            }
        }
    }
    (text, None)
}

/// Sends a request to a provider that answers with these bytes and closes.
async fn exchange(answer: &str) -> Result<(String, Option<FailureKind>), Failure> {
    let provider = Provider::start().await;
    let upstream = provider.upstream();
    let client = async { Ok(drain(upstream.send(get()).await?).await) };
    let (result, _) = both(client, async { drop(provider.answer(answer).await) }).await;
    result
}

#[tokio::test]
async fn a_provider_gets_the_clients_request_with_our_key_and_no_other() {
    let client: HeaderMap = [("authorization", "Bearer theirs"), ("x-custom", "kept"), ("cookie", "theirs")]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let provider = Provider::start().await;
    let keyless = UpstreamSettings { credential: None, ..provider.settings() };
    for (settings, authorization) in [(provider.settings(), Some("Bearer sk-canary")), (keyless, None)] {
        let upstream = Upstream::new(&settings).expect("the settings are good");
        let mut request = post("/chat?x=1&key=theirs", RequestBody::Whole(Bytes::from_static(b"{}")));
        request.headers = forwardable(&client, &Hop::new("me").expect("a good name"));
        let server = async {
            let mut connection = provider.accept().await;
            let head = connection.read_until("\r\n\r\n").await;
            assert_eq!(connection.read_until("}").await, "{}");
            connection.write("HTTP/1.1 204 No Content\r\n\r\n").await;
            head
        };
        let (reply, head) = both(upstream.send(request), server).await;
        assert_eq!(reply.expect("an answer").status, 204);
        assert!(head.starts_with("POST /v1/chat?x=1 HTTP/1.1\r\n"), "{head}");
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        assert_eq!(value("authorization"), authorization);
        assert_eq!(value("x-custom"), Some("kept"));
        assert_eq!(value("host"), Some(provider.address().as_str()));
        assert_eq!(value("content-length"), Some("2"));
        assert_eq!(value("accept-encoding"), Some("identity"));
        assert!(!head.contains("theirs"), "{head}");
    }
}

#[tokio::test]
async fn each_chunk_of_an_answer_comes_at_once() {
    let provider = Provider::start().await;
    let upstream = provider.upstream();
    let (read, is_read) = oneshot::channel();
    let server = async {
        let head = "HTTP/1.1 429 Slow\r\nconnection: keep-alive, x-own\r\nx-own: 1\r\nretry-after: 3\r\n";
        let mut connection = provider.answer(head).await;
        connection.write("transfer-encoding: chunked\r\n\r\n4\r\none \r\n").await;
        is_read.await.expect("the client has read");
        connection.write("3\r\ntwo\r\n0\r\nx-trailer: 1\r\n\r\n").await;
        connection
    };
    let client = async {
        let mut reply = upstream.send(get()).await.expect("an answer");
        assert_eq!(reply.status, 429);
        assert_eq!(reply.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["retry-after"]);
        assert_eq!(reply.body.next().await, Some(Ok(Bytes::from_static(b"one "))));
        read.send(()).expect("the server waits");
        drain(reply).await
    };
    let (rest, _connection) = both(client, server).await;
    assert_eq!(rest, ("two".to_owned(), None));
}

#[tokio::test]
async fn a_cut_answer_is_an_error_and_not_an_end() {
    let chunk = format!("{CHUNKED}4\r\nhalf\r\n");
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", Some(FailureKind::Reset)),
        (&chunk, Some(FailureKind::Reset)),
        (&format!("{CHUNKED}4\r\nhalf\r\nnonsense\r\n"), Some(FailureKind::Protocol)),
        (&format!("{chunk}0\r\n\r\n"), None),
    ] {
        assert_eq!(exchange(answer).await, Ok(("half".to_owned(), expected)), "{answer}");
    }
}

#[tokio::test]
async fn what_breaks_before_the_answer_is_told_apart() {
    for (answer, expected) in [
        ("", FailureKind::Reset),
        ("HTTP/1.1 200 OK\r\ncontent-le", FailureKind::Reset),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", FailureKind::Protocol),
    ] {
        assert_eq!(exchange(answer).await.map_err(|failure| failure.kind), Err(expected), "{answer}");
    }

    let gone = Provider::start().await;
    let upstream = gone.upstream();
    drop(gone);
    let refused = upstream.send(get()).await.map(drop).map_err(|failure| failure.kind);
    assert_eq!(refused, Err(FailureKind::Connect));
}

#[tokio::test]
async fn no_head_in_time_cancels() {
    let provider = Provider::start().await;
    let settings = UpstreamSettings { first_byte_timeout: Duration::from_millis(50), ..provider.settings() };
    let upstream = Upstream::new(&settings).expect("the settings are good");
    let server = async { provider.answer("HTTP/1.1 200 OK\r\n").await.closed().await };
    let (result, _) = both(upstream.send(get()), server).await;
    assert_eq!(result.map(drop), Err(Failure { kind: FailureKind::TimedOut, detail: String::new() }));
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_cancelled() {
    let provider = Provider::start().await;
    let settings = UpstreamSettings { idle_timeout: Duration::from_millis(50), ..provider.settings() };
    let upstream = Upstream::new(&settings).expect("the settings are good");
    let answer = format!("{CHUNKED}4\r\nhalf\r\n");
    let server = async { provider.answer(&answer).await.closed().await };
    let client = async { drain(upstream.send(get()).await.expect("an answer")).await };
    let (drained, _) = both(client, server).await;
    assert_eq!(drained, ("half".to_owned(), Some(FailureKind::Idle)));
}

#[tokio::test]
async fn dropping_the_body_or_the_wait_for_it_closes_the_connection() {
    let provider = Provider::start().await;
    let upstream = provider.upstream();
    let answer = format!("{CHUNKED}4\r\nhalf\r\n");
    let client = async {
        let mut reply = upstream.send(get()).await.expect("an answer");
        reply.body.next().await.expect("more").expect("bytes");
    };
    let ((), _) = both(client, async { provider.answer(&answer).await.closed().await }).await;

    let mut wait = Box::pin(upstream.send(get()));
    let connection = tokio::select! {
        _ = &mut wait => panic!("nobody has answered"),
        connection = provider.answer("") => connection,
    };
    drop(wait);
    both(async {}, connection.closed()).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_key_along() {
    let (provider, elsewhere) = (Provider::start().await, Provider::start().await);
    let upstream = provider.upstream();
    let location = format!("http://{}/v1/models", elsewhere.address());
    for status in [301, 302, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Over\r\nlocation: {location}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let (reply, _connection) = both(upstream.send(get()), provider.answer(&answer)).await;
        let reply = reply.expect("an answer");
        assert_eq!(reply.status.as_u16(), status);
        assert_eq!(reply.headers["location"], location.as_str());
    }
    let probe = TcpStream::connect(elsewhere.address()).await.expect("it listens");
    let (first, _) = elsewhere.0.accept().await.expect("the probe connects");
    let ports = (first.peer_addr().map(|a| a.port()).ok(), probe.local_addr().map(|a| a.port()).ok());
    assert_eq!(ports.0, ports.1, "nobody came before the probe");
}

#[tokio::test]
async fn a_request_body_is_passed_on_as_it_comes() {
    for (length, header, first, rest) in [
        (None, "transfer-encoding: chunked", "3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"),
        (Some(6), "content-length: 6", "one", "two"),
    ] {
        let provider = Provider::start().await;
        let upstream = provider.upstream();
        let (chunks, rx) = mpsc::channel(1);
        let bytes = stream::unfold(rx, |mut rx| async { rx.recv().await.map(|next| (Ok(next), rx)) }).boxed();
        let request = post("/files", RequestBody::Stream { bytes, length });
        let server = async {
            let mut connection = provider.accept().await;
            chunks.send(Bytes::from_static(b"one")).await.expect("the client sends");
            let head = connection.read_until("\r\n\r\n").await;
            assert!(head.contains(header), "{head}");
            assert_eq!(connection.read_until(first).await, first);
            chunks.send(Bytes::from_static(b"two")).await.expect("the client sends");
            drop(chunks);
            assert_eq!(connection.read_until(rest).await, rest);
            connection.write("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
        };
        let (reply, ()) = both(upstream.send(request), server).await;
        assert_eq!(reply.expect("an answer").status, 201);
    }
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_is_not_the_providers_fault() {
    let provider = Provider::start().await;
    let upstream = provider.upstream();
    let broken = Err(std::io::Error::other("the client left"));
    let bytes = stream::iter([Ok(Bytes::from_static(b"one")), broken]).boxed();
    let request = post("/files", RequestBody::Stream { bytes, length: None });
    let server = async { provider.accept().await.closed().await };
    let (result, seen) = both(upstream.send(request), server).await;
    let failure = result.map(drop).expect_err("no answer");
    assert_eq!(failure, Failure { kind: FailureKind::ClientBody, detail: "the client left".to_owned() });
    assert!(!seen.contains("0\r\n\r\n"), "the body must not look whole: {seen}");
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_has_been_sent() {
    let provider = Provider::start().await;
    let upstream = provider.upstream();
    let request = post("/files", RequestBody::Stream { bytes: stream::pending().boxed(), length: None });
    let answer = "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
    let (reply, _connection) = both(upstream.send(request), provider.answer(answer)).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 413);
    assert_eq!(drain(reply).await, ("no".to_owned(), None));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let provider = Provider::start().await;
    let upstream = provider.upstream();
    let mut connection = None;
    for _ in 0..3 {
        let server = async {
            let mut connection = match connection.take() {
                Some(connection) => connection,
                None => provider.accept().await,
            };
            connection.read_until("\r\n\r\n").await;
            connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            connection
        };
        let client = async { drain(upstream.send(get()).await.expect("an answer")).await };
        let (drained, same) = both(client, server).await;
        assert_eq!(drained, ("ok".to_owned(), None));
        connection = Some(same);
    }
}

#[tokio::test]
async fn a_path_out_of_the_base_url_is_not_sent() {
    let provider = Provider::start().await;
    for path in ["/../admin", "@evil.example/", "/%2e%2e/admin"] {
        let result = provider.upstream().send(post(path, RequestBody::Empty)).await.map(drop);
        assert_eq!(result.map_err(|failure| failure.kind), Err(FailureKind::Path), "{path}");
    }
    assert!(provider.0.accept().now_or_never().is_none());
}

#[tokio::test]
async fn no_failure_shows_the_key_or_the_query() {
    let gone = Provider::start().await;
    let upstream = gone.upstream();
    drop(gone);
    let request = post("/chat?token=hidden-query", RequestBody::Whole(Bytes::from_static(b"hidden-body")));
    let mut shown = format!("{upstream:?} {request:?}").replace("token=hidden-query", "");
    let failure = upstream.send(request).await.map(drop).expect_err("nobody listens");
    shown += &format!(" {failure} {failure:?}");
    assert!(
        failure.to_string().starts_with("cannot connect to the provider: Connection refused"),
        "{failure}"
    );
    assert!(!shown.contains("canary") && !shown.contains("hidden"), "{shown}");
}

/// A root that has signed nothing, so that TLS can be set up wherever the tests run.
const ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUH5MmwGTnemFWRpazAnqt4sHezEIwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSdGlkZWdhdGUgdGVzdCByb290MCAXDTI2MTEyMzA1MjI0OFoY
DzIxMjYxMDMwMDUyMjQ4WjAdMRswGQYDVQQDDBJ0aWRlZ2F0ZSB0ZXN0IHJvb3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS6oJPmqRTC2g3NusmTOErbDsZ7Y+/a
dnH34gXvKzCiM7PKnIpH2dB4HTev9CdPsx1ZaB46P1jHXCbEIwpzaqWFo1MwUTAd
BgNVHQ4EFgQUqNYEwojrIAFLMK4gr1JlnLvF1dAwHwYDVR0jBBgwFoAUqNYEwojr
IAFLMK4gr1JlnLvF1dAwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiEA4IK5eKLOjoOoQfSZ6cG89wY9LDqBfaUaZoBwQG4rFsoCIB8crHiXQ6cM35V9
Jp2n8b3ptqbUb3tg37Rzz24x1CMP
-----END CERTIFICATE-----
";

/// Runs the named test again in a process of its own with this environment, where that matters for the whole
/// process. True in that process.
#[expect(clippy::disallowed_methods, reason = "the child is told by a variable that it is one")]
fn in_own_process(test: &str, environment: &[(&str, &str)]) -> bool {
    if std::env::var_os("TIDEGATE_TEST_CHILD").is_some() {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().expect("a test has a program"));
    child.args(["--exact", test]).env("TIDEGATE_TEST_CHILD", "1").envs(environment.iter().copied());
    let output = child.output().expect("the program starts again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    false
}

#[test]
fn without_certificates_plain_http_works_and_https_says_why_not() {
    let nowhere = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    if in_own_process("without_certificates_plain_http_works_and_https_says_why_not", &nowhere) {
        let plain = UpstreamSettings::new("http://127.0.0.1:9/v1", None);
        assert!(Upstream::new(&plain).is_ok());
        let encrypted = UpstreamSettings::new("https://127.0.0.1:9/v1", None);
        let error = Upstream::new(&encrypted).map(drop).expect_err("there are no certificates");
        assert!(matches!(&error, BuildError::Tls(why) if why.contains("No CA certificates")), "{error}");
    }
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let proxies =
        ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:9"));
    if in_own_process("proxies_of_the_environment_are_ignored", &proxies) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let drained = runtime.block_on(exchange("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
        assert_eq!(drained, Ok(("ok".to_owned(), None)));
    }
}

#[test]
fn a_provider_that_speaks_no_tls_gets_no_key() {
    let mut root = tempfile::NamedTempFile::new().expect("a temporary file");
    root.write_all(ROOT.as_bytes()).expect("room on the disk");
    let path = root.path().to_str().expect("a plain path");
    if in_own_process("a_provider_that_speaks_no_tls_gets_no_key", &[("SSL_CERT_FILE", path)]) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let provider = Provider::start().await;
            let base_url = format!("https://{}/v1", provider.address());
            let settings = UpstreamSettings { base_url, ..provider.settings() };
            let upstream = Upstream::new(&settings).expect("there is a root");
            let server = async {
                let mut connection = provider.accept().await;
                connection.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
                connection.closed().await
            };
            let (result, seen) = both(upstream.send(get()), server).await;
            assert_eq!(result.map(drop).map_err(|failure| failure.kind), Err(FailureKind::Tls));
            assert!(!seen.contains(provider::KEY));
        });
    }
}
