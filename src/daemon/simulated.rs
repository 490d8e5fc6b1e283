//! The built-in provider as a stand-in: where nobody has configured one, the gateway still serves.

use crate::admission::Limits;
use crate::config::Settings;
use crate::dialect::{Dialect, Family};
use crate::exchange::Provider;
use crate::ids::{ModelName, ProviderId};
use crate::routing::BreakerPolicy;
use crate::simulator::{self, Simulator, SimulatorSettings};
use crate::tasks::Tasks;
use crate::upstream::{Spoken, UpstreamSettings};
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use tokio::net::TcpListener;

/// The name of the stand-in, and of its model.
const NAME: &str = "sim";

/// Starts the simulated provider if the settings name no other.
pub(super) async fn start_if_needed(settings: &Settings, tasks: &Tasks) -> io::Result<Option<Simulator>> {
    if !settings.exchange.providers.is_empty() {
        return Ok(None);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    simulator::start(listener, SimulatorSettings::default(), tasks).await.map(Some)
}

/// Adds it to settings that name no other provider.
pub(super) fn add(settings: &mut Settings, simulator: Option<&Simulator>) {
    let (Some(simulator), true) = (simulator, settings.exchange.providers.is_empty()) else { return };
    let limits = SimulatorSettings::default().limits;
    let limit = |limit: Option<u64>| limit.and_then(|limit| NonZeroU32::new(u32::try_from(limit).ok()?));
    // It speaks whatever its client does, so that nothing is translated where nothing must be.
    let spoken = Dialect::ALL.into_iter().map(Spoken::usual).collect();
    let upstream = UpstreamSettings { spoken, ..UpstreamSettings::new(simulator.base_url(), None) };
    settings.exchange.default_provider = Some(ProviderId::from(NAME));
    settings.exchange.providers.push(Provider {
        id: ProviderId::from(NAME),
        account_of: None,
        family: Family::OpenAi,
        upstream,
        limits: Limits {
            requests_per_minute: limit(limits.requests_per_minute),
            tokens_per_minute: limit(limits.tokens_per_minute),
            concurrent: limit(limits.concurrent),
            ..Limits::default()
        },
        counting: Default::default(),
        day_end: None,
        cache_life: Provider::CACHE_LIFE,
        breaker: BreakerPolicy::default(),
        models: vec![ModelName::from(NAME)],
        claims: Vec::new(),
    });
}
