//! `tidegate simulate`: the built-in provider alone, to try clients and limits against.

use super::terminal::say;
use crate::observe::{self, LogSettings};
use crate::secret::Secret;
use crate::simulator::{self, SimulatedLimits, SimulatorSettings};
use crate::tasks::Tasks;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// What to simulate. Delays and faults are set while it runs, at `/control`.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArguments {
    /// Listen here.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8434")]
    listen: SocketAddr,
    /// A model to serve. May be repeated.
    #[arg(long = "model", value_name = "NAME", default_values_t = ["sim".to_owned()])]
    models: Vec<String>,
    /// Requests a minute that are enforced; 0 is no limit.
    #[arg(long, value_name = "NUMBER", default_value_t = 60)]
    requests_per_minute: u64,
    /// Tokens a minute that are enforced; 0 is no limit.
    #[arg(long, value_name = "NUMBER", default_value_t = 60_000)]
    tokens_per_minute: u64,
    /// Requests at a time that are allowed; 0 is no limit.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    concurrent: u64,
    /// The key that clients must bring, from a variable so that it is in no process list.
    #[arg(long, env = "TIDEGATE_SIMULATOR_KEY", hide_env_values = true, hide = true)]
    key: Option<String>,
    /// What answers and errors are derived from.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(arguments: &SimulateArguments) -> ExitCode {
    if let Err(error) = observe::start_logging(&LogSettings::default()) {
        say(&format!("tidegate: {error}"));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("tidegate: no threads: {error}"));
            return ExitCode::from(71);
        }
    };
    match runtime.block_on(simulate(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("tidegate: cannot listen on {}: {error}", arguments.listen));
            ExitCode::from(69)
        }
    }
}

async fn simulate(arguments: &SimulateArguments) -> std::io::Result<()> {
    let limit = |number: u64| (number > 0).then_some(number);
    let settings = SimulatorSettings {
        models: arguments.models.clone(),
        limits: SimulatedLimits {
            requests_per_minute: limit(arguments.requests_per_minute),
            tokens_per_minute: limit(arguments.tokens_per_minute),
            concurrent: limit(arguments.concurrent),
        },
        seed: arguments.seed,
        key: arguments.key.clone().map(Secret::new),
        ..SimulatorSettings::default()
    };
    let listener = TcpListener::bind(arguments.listen).await?;
    let tasks = Tasks::new();
    let simulator = simulator::start(listener, settings, &tasks).await?;
    say(&format!("  models: {}", arguments.models.join(", ")));
    say(&format!("  listening on http://{}", simulator.address));
    say(&format!(
        "  control: curl http://{0}/control, and -d '{{\"faults\":{{\"error_rate\":0.5}}}}'",
        simulator.address
    ));
    wait_for_signal().await?;
    tasks.stop().await;
    Ok(())
}

async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
