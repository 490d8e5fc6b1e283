//! The composition root: builds the parts, runs them, drains them.
//!
//! The only place that knows all parts. Invariant: everything that can be wrong is found before the daemon
//! calls itself ready, and everything that was started is waited for before it ends.

mod ask;
mod checkpoint;
mod descriptors;
mod plan;
mod reload;
mod run;
mod signals;
mod simulate;
mod simulated;
mod systemd;

pub use crate::observe::start_logging;
pub use crate::server::BoundAddress;
pub use crate::simulator::{CountingWindow, LimitHeaders, OutputCharge, SimulatedCounting, SimulatedLimits};
pub use ask::{NoAnswer, Running};
pub use descriptors::raise_descriptor_limit;
pub use plan::{IN_ORDER_MAX, PlanLimits, PlanQuestion, PlanReport, PlannedProvider, plan, plan_limits};
pub use run::{Ended, Source, run};
pub use simulate::{Simulation, simulate};
pub use systemd::inherited_sockets;

use crate::clock::Clock;
use crate::config::Settings;
use crate::exchange::{Gateway, Unusable};
use crate::observe::{Metrics, Phase, Vitals};
use crate::server::{self, App, BindError, Bound, Server};
use crate::simulator::Simulator;
use crate::store::{self, OpenError};
use crate::tasks::Tasks;
use checkpoint::Checkpoint;
use std::io;
use std::sync::Arc;

/// A daemon that serves.
#[derive(Debug)]
pub struct Daemon {
    settings: Settings,
    gateway: Arc<Gateway>,
    vitals: Arc<Vitals>,
    server: Server,
    checkpoint: Checkpoint,
    simulator: Option<Simulator>,
    tasks: Tasks,
}

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process keeps its state in the same directory.
    #[error(transparent)]
    Locked(#[from] OpenError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A provider cannot be reached in the way the settings say.
    #[error(transparent)]
    Provider(#[from] Unusable),
    /// The built-in provider cannot be started.
    #[error("the simulated provider cannot be started")]
    Simulator(#[source] io::Error),
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
}

impl StartError {
    /// The exit code, in the manner of sysexits: 69 unavailable, 70 our own fault, 75 try again later,
    /// 77 no permission, 78 configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Locked(_) => 75,
            StartError::Bind(error) if error.source.kind() == io::ErrorKind::PermissionDenied => 77,
            StartError::Bind(_) => 69,
            StartError::Provider(_) => 78,
            StartError::Simulator(_) | StartError::Signals(_) => 70,
        }
    }
}

impl Daemon {
    /// Starts a daemon with these settings, on these sockets if there are any, else on those that the
    /// settings name. Without any provider it serves the built-in simulated one. When it returns, the
    /// daemon is ready.
    ///
    /// # Errors
    /// Why it cannot; nothing runs then.
    pub async fn start(mut settings: Settings, inherited: Vec<Bound>) -> Result<Daemon, StartError> {
        let tasks = Tasks::new();
        let vitals = Arc::new(Vitals::new());
        let opened = opened(&settings).await?;
        let bound =
            if inherited.is_empty() { server::bind(&settings.server.listen).await? } else { inherited };
        let simulator = simulated::start_if_needed(&settings, &tasks).await.map_err(StartError::Simulator)?;
        simulated::add(&mut settings, simulator.as_ref());

        let metrics = Arc::new(Metrics::new());
        let clock = Clock::start();
        let gateway = Arc::new(Gateway::new(settings.exchange.clone(), clock, Arc::clone(&metrics))?);
        let checkpoint = Checkpoint::new(opened, &settings.store, Arc::clone(&gateway), Arc::clone(&vitals));
        checkpoint.restore().await;
        gateway.tell_days();
        tasks.spawn("turnstile", Arc::clone(gateway.turnstile()).run(tasks.stopping()));
        tasks.spawn("days", Arc::clone(&gateway).keep_days(tasks.stopping()));
        tasks.spawn("checkpoint", checkpoint.clone().run(tasks.stopping()));

        let app = App {
            gateway: Arc::clone(&gateway),
            vitals: Arc::clone(&vitals),
            settings: Arc::new(settings.server.clone()),
        };
        let server = server::serve(app, bound, &tasks);
        metrics.config_last_reload_successful.set(1);
        vitals.enter(Phase::Ready);
        Ok(Daemon { settings, gateway, vitals, server, checkpoint, simulator, tasks })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[BoundAddress] {
        self.server.addresses()
    }

    /// The URL of the first address that has one.
    pub fn url(&self) -> Option<String> {
        let is_tcp = |address: &&BoundAddress| matches!(address, BoundAddress::Tcp(_));
        self.addresses().iter().find(is_tcp).map(ToString::to_string)
    }

    /// What it serves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it tells of itself.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// The parts that serve exchanges.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The built-in provider, if it runs.
    pub fn simulator(&self) -> Option<&Simulator> {
        self.simulator.as_ref()
    }

    /// Takes no more, finishes what runs, saves what was learned, and ends. Tells whether everything was
    /// done within the time that the settings give.
    pub async fn drain(self) -> bool {
        self.vitals.enter(Phase::Draining);
        let done = self.server.drain(self.settings.server.drain, || self.gateway.turnstile().close()).await;
        // What was broken off settles as its task ends, and no earlier checkpoint is still being written then.
        self.tasks.stop().await;
        self.checkpoint.save_now().await;
        done
    }
}

/// Opens the store where it may block.
async fn opened(settings: &Settings) -> Result<store::Opened, StartError> {
    let wanted = settings.store.clone();
    let opened = tokio::task::spawn_blocking(move || store::open(&wanted)).await;
    Ok(opened.expect("opening the store does not panic, and nobody cancels it")?)
}
