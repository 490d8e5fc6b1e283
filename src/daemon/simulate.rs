//! The simulated provider as a process of its own.

use super::signals::Signals;
use crate::secret::Secret;
use crate::simulator::{self, SimulatedCounting, SimulatedLimits, SimulatorSettings};
use crate::tasks::Tasks;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The models that it serves.
    pub models: Vec<String>,
    /// What is enforced.
    pub limits: SimulatedLimits,
    /// What counts against that, and what is said of it.
    pub counting: SimulatedCounting,
    /// The key that clients must bring.
    pub key: Option<Secret>,
    /// What answers and errors are derived from.
    pub seed: u64,
}

/// Runs the simulated provider until it is told to stop. `started` is called with its address once it
/// listens.
///
/// # Errors
/// The address cannot be listened on.
pub async fn simulate(simulation: Simulation, started: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let mut signals = Signals::listen()?;
    let settings = SimulatorSettings {
        models: simulation.models,
        limits: simulation.limits,
        counting: simulation.counting,
        seed: simulation.seed,
        key: simulation.key,
        ..SimulatorSettings::default()
    };
    let listener = TcpListener::bind(simulation.listen).await?;
    let tasks = Tasks::new();
    let simulator = simulator::start(listener, settings, &tasks).await?;
    started(simulator.address);
    signals.stop().await;
    tasks.stop().await;
    Ok(())
}
