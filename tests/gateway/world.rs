//! A daemon on a free port in front of simulated providers, and a client for it.
//!
//! Everything lives in the test's own runtime and ends with it. Nothing here sleeps: a test waits for what a
//! simulator has seen, or for an answer.

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate::admission::{Limits, Priority};
use tidegate::config::{Env, Settings};
use tidegate::daemon::Daemon;
use tidegate::dialect::{Dialect, Family};
use tidegate::exchange::{Provider, Route};
use tidegate::ids::{ModelName, ProviderId, TargetId};
use tidegate::routing::BreakerPolicy;
use tidegate::secret::Secret;
use tidegate::server::{BoundAddress, ListenAddress};
use tidegate::simulator::{self, Control, Simulator, SimulatorSettings};
use tidegate::tasks::Tasks;
use tidegate::upstream::{AuthScheme, Credential, Spoken, UpstreamSettings};
use tokio::net::TcpListener;

/// The key that the gateway holds for every provider here.
pub(crate) const PROVIDER_KEY: &str = "sk-provider-key";

/// A world to be: providers, routes, and whatever else the settings say.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    simulators: BTreeMap<String, (Simulator, Tasks)>,
}

impl Plan {
    /// No provider yet, nothing kept over a restart.
    pub(crate) fn new() -> Plan {
        // The client is built for TLS even where it speaks none; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings = Settings::usual(&Env::from_pairs::<&str, &str>([]));
        settings.store.path = None;
        settings.server.listen =
            vec![ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address is written here"))];
        Plan { settings, simulators: BTreeMap::new() }
    }

    /// A provider without limits on either side.
    pub(crate) async fn provider(self, name: &str) -> Plan {
        self.provider_with(name, Limits::default(), SimulatorSettings::unlimited()).await
    }

    /// A provider with these limits configured, and this behaviour behind it.
    pub(crate) async fn provider_with(
        mut self,
        name: &str,
        limits: Limits,
        behaviour: SimulatorSettings,
    ) -> Plan {
        let tasks = Tasks::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let simulator = simulator::start(listener, behaviour, &tasks).await.expect("it can listen");
        let key = Secret::new(PROVIDER_KEY.to_owned());
        let credential = Credential { scheme: AuthScheme::Bearer, key };
        self.settings.exchange.providers.push(Provider {
            id: ProviderId::from(name),
            account_of: None,
            family: Family::OpenAi,
            upstream: UpstreamSettings::new(simulator.base_url(), Some(credential)),
            limits,
            counting: Default::default(),
            day_end: None,
            cache_life: Provider::CACHE_LIFE,
            breaker: BreakerPolicy::default(),
            models: vec![ModelName::from("sim")],
            claims: Vec::new(),
        });
        self.simulators.insert(name.to_owned(), (simulator, tasks));
        self
    }

    /// A provider without limits that speaks these dialects and no other.
    pub(crate) async fn speaking(self, name: &str, dialects: &[Dialect]) -> Plan {
        let mut plan = self.provider(name).await;
        let provider = plan.settings.exchange.providers.last_mut().expect("it was just added");
        let family = dialects[0].family();
        let scheme = match family {
            Family::OpenAi => AuthScheme::Bearer,
            Family::Anthropic => AuthScheme::XApiKey,
            Family::Gemini => AuthScheme::XGoogApiKey,
        };
        provider.family = family;
        provider.upstream.spoken = dialects.iter().copied().map(Spoken::usual).collect();
        provider.upstream.credential.as_mut().expect("each has a key").scheme = scheme;
        if family == Family::Gemini {
            provider.upstream.base_url = provider.upstream.base_url.replace("/v1", "/v1beta");
        }
        plan
    }

    /// A public name for model `sim` of these providers, in failover order.
    pub(crate) fn route(mut self, name: &str, providers: &[&str]) -> Plan {
        let target = |provider: &&str| TargetId {
            provider: ProviderId::from(*provider),
            model: ModelName::from("sim"),
        };
        self.settings.exchange.routes.push(Route {
            name: ModelName::from(name),
            targets: providers.iter().map(target).collect(),
            priority: Priority::Normal,
        });
        self
    }

    /// Changes any setting.
    pub(crate) fn set(mut self, change: impl FnOnce(&mut Settings)) -> Plan {
        change(&mut self.settings);
        self
    }

    /// Starts the daemon.
    pub(crate) async fn start(self) -> World {
        let daemon = Daemon::start(self.settings, Vec::new()).await.expect("the daemon starts");
        let BoundAddress::Tcp(address) = daemon.addresses()[0].clone() else { panic!("not TCP") };
        let client = Client::builder().no_proxy().build().expect("a client can be built");
        World { daemon, client, base: format!("http://{address}"), simulators: self.simulators }
    }
}

/// A daemon that serves, and what is behind it.
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) client: Client,
    /// `http://HOST:PORT`.
    pub(crate) base: String,
    simulators: BTreeMap<String, (Simulator, Tasks)>,
}

impl World {
    /// One provider `a`, without limits.
    pub(crate) async fn new() -> World {
        Plan::new().provider("a").await.start().await
    }

    /// The simulator behind a provider.
    pub(crate) fn simulator(&self, provider: &str) -> &Control {
        &self.simulators[provider].0.control
    }

    /// The base URL of the simulator behind a provider.
    pub(crate) fn simulator_url(&self, provider: &str) -> String {
        self.simulators[provider].0.base_url()
    }

    /// Takes a provider away: its port refuses connections from here on.
    pub(crate) async fn kill_provider(&self, provider: &str) {
        self.simulators[provider].1.stop().await;
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("the gateway answers")
    }

    /// A request whose body is this text, whatever it is.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        request.body(body).send().await.expect("the gateway answers")
    }

    /// A chat call that says hello to `model`, with these keys besides.
    pub(crate) fn chat(&self, model: &str, more: Value) -> RequestBuilder {
        self.request(Method::POST, "/v1/chat/completions").json(&chat_body(model, more))
    }

    /// What `/health` tells.
    pub(crate) async fn health(&self) -> Value {
        self.get("/health").await.json().await.expect("health is JSON")
    }

    /// The value of a metric line that begins so; 0 if there is none.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let page = self.get("/metrics").await.text().await.expect("metrics are text");
        let found = page.lines().find_map(|known| known.strip_prefix(line));
        found.map_or(0.0, |value| value.trim().parse().expect("a metric is a number"))
    }

    /// Waits until as many exchanges wait at the gateway. Asks again and again, because nobody tells.
    pub(crate) async fn until_waiting(&self, count: u64) {
        loop {
            let health = self.health().await;
            let depths = health["queue_depth"].as_object().expect("depths are by class");
            if depths.values().filter_map(Value::as_u64).sum::<u64>() == count {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The body of a chat call that says hello, with these keys besides.
pub(crate) fn chat_body(model: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    if let (Value::Object(keys), Some(body)) = (more, body.as_object_mut()) {
        body.extend(keys);
    }
    body
}

/// A header as text; empty if it is not there.
pub(crate) fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name).map(|value| value.to_str().expect("ours are text"));
    value.unwrap_or_default().to_owned()
}

/// The data of every event of a stream, in order.
pub(crate) fn events(stream: &str) -> Vec<String> {
    stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
}
