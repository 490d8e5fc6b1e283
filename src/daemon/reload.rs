//! Taking over a changed configuration while serving. A wrong one changes nothing and is told.

use super::{Daemon, simulated};
use crate::config::{self, Settings};
use std::time::{Duration, UNIX_EPOCH};

impl Daemon {
    /// Takes over what `read` gives, for exchanges to come.
    pub(super) fn reload(&mut self, read: Result<Settings, String>) {
        let outcome = read.and_then(|settings| self.apply(settings));
        let metrics = self.gateway.metrics();
        let now = UNIX_EPOCH + Duration::from_millis(self.gateway.clock().wall().0);
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        metrics.config_last_reload_timestamp.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        metrics.config_last_reload_successful.set(i64::from(outcome.is_ok()));
        if let Err(error) = &outcome {
            tracing::error!("the configuration was not reloaded:\n{error}");
        }
        self.vitals.set_reload_error(outcome.err());
    }

    fn apply(&mut self, mut settings: Settings) -> Result<(), String> {
        simulated::add(&mut settings, self.simulator.as_ref());
        if settings.exchange.providers.is_empty() {
            return Err("no provider is left; the built-in one can only be started at the start".to_owned());
        }
        let changes = config::diff(&self.settings, &settings);
        self.gateway
            .reload(settings.exchange.clone())
            .map_err(|unusable| format!("{unusable}: {}", unusable.source))?;
        for change in &changes.summary {
            tracing::info!("reloaded: {change}");
        }
        for key in &changes.restart_needed {
            tracing::warn!("{key} has changed and takes effect at the next start");
        }
        if changes.is_empty() {
            tracing::info!("reloaded: nothing has changed");
        }
        // What needs a restart stays as it is, so that the next reload still tells of it.
        self.settings.exchange = settings.exchange;
        Ok(())
    }
}
