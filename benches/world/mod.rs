//! What the benches over sockets share: a simulated provider, a daemon in front of it, and a client.
//!
//! All of it lives in one process, so that the processor time of a run is that of the process. Nothing is
//! logged: a bench that installs no log gets none.

mod prose;

pub(crate) use prose::prose;

use reqwest::Client;
use tidegate::admission::Limits;
use tidegate::config::{Env, Settings};
use tidegate::daemon::Daemon;
use tidegate::dialect::Family;
use tidegate::exchange::Provider;
use tidegate::ids::{ModelName, ProviderId};
use tidegate::routing::BreakerPolicy;
use tidegate::server::{BoundAddress, ListenAddress};
use tidegate::simulator::{self, Simulator, SimulatorSettings};
use tidegate::tasks::Tasks;
use tidegate::upstream::UpstreamSettings;
use tokio::net::TcpListener;

/// A simulated provider and a daemon in front of it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    daemon: Daemon,
    tasks: Tasks,
    gateway: String,
}

impl World {
    /// Starts both: the provider behaves so, the daemon knows these limits of it.
    pub(crate) async fn start(behaviour: SimulatorSettings, limits: Limits) -> World {
        let tasks = Tasks::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let simulator = simulator::start(listener, behaviour, &tasks).await.expect("it can listen");

        let mut settings = Settings::usual(&Env::from_pairs::<&str, &str>([]));
        settings.store.path = None;
        settings.server.listen =
            vec![ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address is written here"))];
        settings.exchange.providers.push(Provider {
            id: ProviderId::from("simulated"),
            account_of: None,
            family: Family::OpenAi,
            upstream: UpstreamSettings::new(simulator.base_url(), None),
            limits,
            counting: Default::default(),
            day_end: None,
            cache_life: Provider::CACHE_LIFE,
            breaker: BreakerPolicy::default(),
            models: vec![ModelName::from("sim")],
            claims: Vec::new(),
        });
        let daemon = Daemon::start(settings, Vec::new()).await.expect("the daemon starts");
        let BoundAddress::Tcp(address) = &daemon.addresses()[0] else { panic!("not TCP") };
        let gateway = format!("http://{address}/v1");

        // No TLS is spoken, so no certificates are looked for.
        let client = Client::builder().no_proxy().http1_only().tls_certs_only([]).tcp_nodelay(true);
        let client = client.build().expect("a client can be built");
        World { simulator, client, daemon, tasks, gateway }
    }

    /// The base URLs to compare, with their names.
    pub(crate) fn ways(&self) -> [(&'static str, String); 2] {
        [("direct", self.simulator.base_url()), ("through", self.gateway.clone())]
    }

    /// Ends both.
    pub(crate) async fn stop(self) {
        self.daemon.drain().await;
        self.tasks.stop().await;
    }
}
