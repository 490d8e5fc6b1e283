//! What several tests do beside the world: requests that run by themselves, clients that obey a refusal,
//! waiting for what `/health` tells, and a provider that answers in fixed bytes.

use crate::world::{Plan, World, header};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::dialect::Family;
use tidegate::exchange::Provider;
use tidegate::ids::{ModelName, ProviderId};
use tidegate::tasks::Tasks;
use tidegate::upstream::UpstreamSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Sends a request that runs while the test goes on. Aborting it is a client that goes away.
pub(crate) fn beside(request: RequestBuilder) -> JoinHandle<Response> {
    Tasks::new().spawn("request", async { request.send().await.expect("the gateway answers") })
}

/// Fails instead of hanging where a promise is broken; nothing that holds comes near the bound.
pub(crate) async fn soon<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it comes to an end")
}

/// Waits exactly as long as a refusal says, as its client would.
pub(crate) async fn obey(refusal: &Response) -> Duration {
    let millis = header(refusal, "retry-after-ms").parse().expect("a refusal says when to come back");
    let (clock, wait) = (Clock::start(), Duration::from_millis(millis));
    clock.sleep_until(clock.now() + wait).await;
    wait
}

/// Waits until `/health` is so. Asks again and again, because nobody tells.
pub(crate) async fn until(world: &World, condition: impl Fn(&Value) -> bool) -> Value {
    soon(async {
        loop {
            let health = world.health().await;
            if condition(&health) {
                return health;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// What `/health` tells of a provider.
pub(crate) fn provider<'h>(health: &'h Value, name: &str) -> &'h Value {
    let all = health["providers"].as_array().expect("providers are a list");
    all.iter().find(|provider| provider["name"] == name).expect("it is configured")
}

/// Milliseconds that an answer says its request waited for room.
pub(crate) fn queued(answer: &Response) -> u64 {
    header(answer, "x-tidegate-queued-ms").parse().expect("every answer tells how long it waited")
}

/// How many requests a provider of fixed bytes has been sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<AtomicU64>);

impl Asked {
    pub(crate) fn times(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Adds a provider that gives these bytes to every request, then closes.
pub(crate) async fn canned(plan: Plan, name: &str, answer: impl Into<Vec<u8>>) -> (Plan, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    let (asked, answer, tasks) = (Asked::default(), Arc::new(answer.into()), Tasks::new());
    let counter = asked.clone();
    tasks.clone().spawn("canned provider", async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.0.fetch_add(1, Ordering::SeqCst);
            tasks.spawn("canned answer", give(stream, Arc::clone(&answer)));
        }
    });
    let provider = Provider {
        id: ProviderId::from(name),
        account_of: None,
        family: Family::OpenAi,
        upstream: UpstreamSettings::new(format!("http://{address}/v1"), None),
        limits: tidegate::admission::Limits::default(),
        counting: Default::default(),
        day_end: None,
        cache_life: Provider::CACHE_LIFE,
        breaker: tidegate::routing::BreakerPolicy::default(),
        models: vec![ModelName::from("sim")],
        claims: Vec::new(),
    };
    (plan.set(|settings| settings.exchange.providers.push(provider)), asked)
}

/// A whole answer with a body of this type, after which the connection ends.
pub(crate) fn whole(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// The request is read whole first, because closing on unread bytes would take the answer back.
async fn give(mut stream: TcpStream, answer: Arc<Vec<u8>>) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4_096]);
    while !is_whole(&seen) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
    // A client that has gone is none of this provider's concern.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
