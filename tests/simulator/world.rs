//! A simulator on a free port and a client for it. Dropping the world leaves the simulator to the test's runtime,
//! which ends it.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tidegate::simulator::{Control, Faults, SimulatedLimits, Simulator, SimulatorSettings, start};
use tidegate::tasks::Tasks;
use tokio::net::TcpListener;

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) tasks: Tasks,
    pub(crate) client: Client,
}

impl World {
    /// Without limits, without faults.
    pub(crate) async fn new() -> World {
        World::with(SimulatorSettings::unlimited()).await
    }

    pub(crate) async fn faulty(faults: Faults) -> World {
        World::with(SimulatorSettings { faults, ..SimulatorSettings::unlimited() }).await
    }

    pub(crate) async fn limited(limits: SimulatedLimits) -> World {
        World::with(SimulatorSettings { limits, ..SimulatorSettings::unlimited() }).await
    }

    pub(crate) async fn with(settings: SimulatorSettings) -> World {
        // The client is built for TLS even where it speaks none; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tasks = Tasks::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = start(listener, settings, &tasks).await.unwrap();
        World { simulator, tasks, client: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.simulator.control
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.simulator.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, path).body(body).send().await.unwrap()
    }

    /// A chat call that says hello, with these keys besides.
    pub(crate) async fn chat(&self, more: impl std::borrow::Borrow<Value>) -> Response {
        self.post("/v1/chat/completions", chat_body(more.borrow())).await
    }

    /// The same beside the test.
    pub(crate) fn chat_beside(&self, more: &Value) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
        let request = self.request(Method::POST, "/v1/chat/completions").body(chat_body(more));
        self.tasks.spawn("call", request.send())
    }
}

/// A chat body that says hello, its keys replaced by or joined with these.
pub(crate) fn chat_body(more: &Value) -> String {
    let mut body = json!({"model": "sim", "messages": [{"role": "user", "content": "hello"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Every event's data, and whether the stream ended as HTTP prescribes.
pub(crate) async fn events_of(mut response: Response) -> (Vec<String>, bool) {
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut text = Vec::new();
    let clean = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8(text).unwrap();
    (text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect(), clean)
}

/// The named events of a stream that must end well, each with its data.
pub(crate) async fn named_events_of(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let text = response.text().await.unwrap();
    let events = text.split("\n\n").filter_map(|event| {
        let name = event.lines().find_map(|line| line.strip_prefix("event: "))?;
        let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some((name.to_owned(), serde_json::from_str(data).unwrap()))
    });
    events.collect()
}

/// The chunks of a stream that must end with `[DONE]`.
pub(crate) async fn chunks_of(response: Response) -> Vec<Value> {
    let (mut events, clean) = events_of(response).await;
    assert!(clean);
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
