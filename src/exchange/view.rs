//! What the operator sees of the exchanges: providers for `/health`, gauges for `/metrics`.

use super::Gateway;
use crate::observe::{LevelStatus, ProviderStatus};
use std::collections::BTreeMap;

/// The label of models that no setting names; it shows the sickest of them.
const OTHER_MODEL: &str = "other";

impl Gateway {
    /// Each provider as it stands.
    pub fn providers(&self) -> Vec<ProviderStatus> {
        let mut last_errors = self.health.last_errors();
        let breakers = self.health.breakers();
        let show = |view: crate::admission::BudgetView| ProviderStatus {
            name: view.provider.to_string(),
            open: view.open,
            paused_ms: u64::try_from(view.paused.as_millis()).unwrap_or(u64::MAX),
            budget: view
                .levels
                .iter()
                .map(|(dimension, limit, available)| {
                    (dimension.name(), LevelStatus { limit: *limit, available: *available })
                })
                .collect(),
            breakers: breakers
                .iter()
                .filter(|(target, _)| target.provider == view.provider)
                .map(|(target, status)| (target.model.to_string(), *status))
                .collect(),
            last_error: last_errors.remove(&view.provider),
        };
        self.turnstile.view().into_iter().map(show).collect()
    }

    /// How many exchanges wait in each class.
    pub fn queue_depth(&self) -> BTreeMap<&'static str, usize> {
        self.turnstile.depths().into_iter().map(|(priority, depth)| (priority.name(), depth)).collect()
    }

    /// Sets the gauges that are only true at the moment of reading.
    pub fn refresh_gauges(&self) {
        let metrics = &self.metrics;
        for (class, depth) in self.queue_depth() {
            let gauge = metrics.queue_depth.get_or_create(&[("priority", class.to_owned())]);
            gauge.set(as_f64(depth as u64));
        }
        let (factors, lengths) = self.learned.sizes();
        for (what, size) in
            [("counts", self.learned.memo.len()), ("corrections", factors), ("lengths", lengths)]
        {
            metrics.learned_entries.get_or_create(&[("what", what.to_owned())]).set(as_f64(size as u64));
        }
        metrics.estimate_correction.clear();
        metrics.bucket_available_tokens.clear();
        metrics.bucket_available_requests.clear();
        metrics.reservations_open.clear();
        metrics.breaker_state.clear();
        for view in self.turnstile.view() {
            let provider = || ("provider", view.provider.to_string());
            metrics.reservations_open.get_or_create(&[provider()]).set(f64::from(view.open));
            let correction = as_f64(self.learned.permille(&view.provider)) / 1_000.0;
            metrics.estimate_correction.get_or_create(&[provider()]).set(correction);
            for (dimension, _, available) in &view.levels {
                let family = if dimension.counts_requests() {
                    &metrics.bucket_available_requests
                } else {
                    &metrics.bucket_available_tokens
                };
                #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                let available = *available as f64;
                family.get_or_create(&[provider(), ("limit", dimension.name().to_owned())]).set(available);
            }
        }
        let live = self.live.load();
        for (target, status) in self.health.breakers() {
            // A client may name any model; only those that stand in the settings become a label.
            let model = if live.names(&target) { target.model.as_str() } else { OTHER_MODEL };
            let labels = [("provider", target.provider.to_string()), ("model", model.to_owned())];
            let state = match status.state {
                "closed" => 0.0,
                "probing" => 1.0,
                _ => 2.0,
            };
            let gauge = metrics.breaker_state.get_or_create(&labels);
            gauge.set(gauge.get().max(state));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
