//! Bytes on a socket, as no well-behaved client and no well-behaved provider would send them.
//!
//! Knows just enough HTTP to take an answer apart. Every wait ends after [`PATIENCE`] with a panic, so that a
//! gateway that hangs fails its test instead of hanging it.

use crate::world::{PROVIDER_KEY, World, chat_body};
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::dialect::Family;
use tidegate::exchange::Provider;
use tidegate::ids::{ModelName, ProviderId};
use tidegate::routing::BreakerPolicy;
use tidegate::secret::Secret;
use tidegate::tasks::Tasks;
use tidegate::upstream::{AuthScheme, Credential, UpstreamSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Far longer than anything here takes, on a machine with a lot to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes in time")
}

/// A connection to the gateway.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    came: Vec<u8>,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// The status line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(world: &World) -> Raw {
        let address = world.base.strip_prefix("http://").expect("the world is HTTP");
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        Raw { stream, came: Vec::new() }
    }

    /// Sends bytes; tells whether the gateway still took them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon(self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// The next answer; `None` if the connection ends before one is whole.
    pub(crate) async fn answer(&mut self) -> Option<RawAnswer> {
        let end = soon(self.until(|came| find(came, b"\r\n\r\n"))).await?;
        let head = String::from_utf8_lossy(&self.came[..end]).to_ascii_lowercase();
        self.came.drain(..end + 4);
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = RawAnswer { status, head, body: Vec::new() };
        if (100..200).contains(&status) {
            return Some(answer);
        }
        let length = answer.header("content-length").map(|length| length.parse().expect("a number"));
        if let Some(length) = length {
            soon(self.until(|came| (came.len() >= length).then_some(length))).await?;
            answer.body = self.came.drain(..length).collect();
        } else if answer.header("transfer-encoding") == Some("chunked") {
            let end = soon(self.until(|came| find(came, b"0\r\n\r\n"))).await?;
            answer.body = self.came.drain(..end + 5).collect();
        } else {
            self.until_closed().await;
            answer.body = std::mem::take(&mut self.came);
        }
        Some(answer)
    }

    /// Waits until the gateway ends the connection, orderly or not; nothing more may come before.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.until_closed().await;
        self.came.is_empty()
    }

    /// Waits for the end; what came before it is in `came`.
    async fn until_closed(&mut self) {
        let none: Option<usize> = soon(self.until(|_| None)).await;
        assert!(none.is_none(), "nothing was looked for");
    }

    /// Reads until `found` finds something in what has come; `None` if the connection ends before.
    async fn until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        loop {
            if let Some(place) = found(&self.came) {
                return Some(place);
            }
            match self.stream.read_buf(&mut self.came).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Sends a byte again and again, with a breath between, until the gateway answers or ends it; tells
    /// whether it ever did.
    pub(crate) async fn trickle(&mut self, byte: u8) -> bool {
        for _ in 0..2_000 {
            if self.trickle_once(byte).await {
                return true;
            }
        }
        false
    }

    /// Sends a byte and takes a breath; tells whether the gateway answers or ends it meanwhile.
    pub(crate) async fn trickle_once(&mut self, byte: u8) -> bool {
        // After an answer the rest is not taken any more; that is the answer's business.
        let _ = self.stream.write_all(&[byte]).await;
        let breath = Duration::from_millis(10);
        tokio::time::timeout(breath, self.stream.readable()).await.is_ok()
    }
}

impl RawAnswer {
    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The error that it tells, in OpenAI's shape.
    pub(crate) fn error(&self) -> Value {
        let body: Value = serde_json::from_slice(&self.body).expect("an error is JSON");
        error_of(&body)
    }
}

/// The error of a body in OpenAI's shape: all four keys, and words in it.
pub(crate) fn error_of(body: &Value) -> Value {
    let error = body["error"].as_object().expect("it has an error");
    let keys: Vec<&str> = error.keys().map(String::as_str).collect();
    assert!(["message", "type", "param", "code"].iter().all(|key| keys.contains(key)), "{keys:?}");
    assert!(error["message"].as_str().is_some_and(|words| !words.is_empty()), "{error:?}");
    body["error"].clone()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Sends one request on a connection of its own; the answer, and whether the gateway then ended it.
pub(crate) async fn ask(world: &World, request: impl AsRef<[u8]>) -> Option<RawAnswer> {
    let mut raw = Raw::connect(world).await;
    raw.send(request).await;
    raw.answer().await
}

/// A chat call as it stands on the wire, with these header lines besides.
pub(crate) fn chat_request(headers: &str) -> String {
    chat_request_for("sim", headers)
}

/// The same for a model.
pub(crate) fn chat_request_for(model: &str, headers: &str) -> String {
    let body = chat_body(model, json!({"max_tokens": 3})).to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Waits until nothing is held and nobody waits, and finds that a good request is still served.
pub(crate) async fn assert_well(world: &World, model: &str) {
    soon(until_idle(world)).await;
    let answer = world.chat(model, json!({"max_tokens": 2})).send().await.expect("the gateway answers");
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("the answer is whole");
    soon(until_idle(world)).await;
}

/// Waits until nothing is held and nobody waits.
pub(crate) async fn until_idle(world: &World) {
    loop {
        let health = world.health().await;
        let open = health["providers"].as_array().expect("a list").iter().map(|one| one["open"].as_u64());
        let depths = health["queue_depth"].as_object().expect("by class").values().map(Value::as_u64);
        if open.chain(depths).all(|count| count == Some(0)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A provider at any address.
pub(crate) fn provider_at(name: &str, base_url: &str, limits: Limits) -> Provider {
    let key = Secret::new(PROVIDER_KEY.to_owned());
    let credential = Credential { scheme: AuthScheme::Bearer, key };
    Provider {
        id: ProviderId::from(name),
        account_of: None,
        family: Family::OpenAi,
        upstream: UpstreamSettings::new(base_url, Some(credential)),
        limits,
        counting: Default::default(),
        day_end: None,
        cache_life: Provider::CACHE_LIFE,
        breaker: BreakerPolicy::default(),
        models: vec![ModelName::from("sim")],
        claims: Vec::new(),
    }
}

/// A provider that answers every request with the same bytes and then ends the connection.
pub(crate) struct Canned {
    pub(crate) base_url: String,
    /// The request heads that came, oldest first.
    pub(crate) heads: watch::Receiver<Vec<String>>,
}

impl Canned {
    pub(crate) async fn start(answer: impl Into<Vec<u8>>) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("it listens"));
        let (seen, heads) = watch::channel(Vec::new());
        let answer = answer.into();
        // It ends with the runtime of its test.
        Tasks::new().spawn("canned", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(head) = request_head(&mut stream).await else { continue };
                seen.send_modify(|heads| heads.push(head));
                // A client that has gone does not want it any more.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Canned { base_url, heads }
    }

    /// One that answers with this body and these header lines.
    pub(crate) async fn saying(headers: &str, body: &str) -> Canned {
        let length = body.len();
        Canned::start(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n{body}")).await
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.heads.borrow().len()
    }
}

/// Reads a request with its body; gives the head in lower case.
async fn request_head(stream: &mut TcpStream) -> Option<String> {
    let mut came = Vec::new();
    loop {
        if let Some(end) = find(&came, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&came[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
            if came.len() >= end + 4 + length {
                return Some(head);
            }
        }
        if stream.read_buf(&mut came).await.ok()? == 0 {
            return None;
        }
    }
}
