//! What the operator sees of the exchanges: providers for `/health`, gauges for `/metrics`.

use super::Gateway;
use super::live::Live;
use super::settings::Group;
use crate::admission::{BudgetView, Known, Level};
use crate::ids::{BudgetId, ModelName, ProviderId, TargetId};
use crate::observe::{GroupStatus, LevelStatus, PoolStatus, ProviderStatus};
use std::collections::BTreeMap;

/// The label of models that no setting names; it shows the sickest of them.
const OTHER_MODEL: &str = "other";

impl Gateway {
    /// Each provider as it stands.
    pub fn providers(&self) -> Vec<ProviderStatus> {
        let mut last_errors = self.health.last_errors();
        let breakers = self.health.breakers();
        let views = self.turnstile.view();
        let live = self.live.load();
        let mut show = |provider: &ProviderId| {
            let own = views.iter().find(|view| !view.is_pool && view.budget.as_str() == provider.as_str());
            let pools = views.iter().filter(|view| view.is_pool).filter_map(|view| {
                let model = view.budget.as_str().strip_prefix(provider.as_str())?.strip_prefix('/')?;
                let pool = PoolStatus { paused_ms: millis(view.paused), budget: levels(view) };
                Some((model.to_owned(), pool))
            });
            let pools: BTreeMap<String, PoolStatus> =
                pools.filter(|(_, pool)| pool.tells_something()).collect();
            let pauses = pools.values().map(|pool| pool.paused_ms);
            ProviderStatus {
                name: provider.to_string(),
                open: own.map_or(0, |view| view.open),
                paused_ms: pauses.fold(own.map_or(0, |view| millis(view.paused)), Ord::max),
                budget: own.map(levels).unwrap_or_default(),
                pools,
                breakers: breakers
                    .iter()
                    .filter(|(target, _)| target.provider == *provider)
                    .map(|(target, status)| (target.model.to_string(), *status))
                    .collect(),
                last_error: last_errors.remove(provider),
            }
        };
        live.settings.providers.iter().map(|provider| show(&provider.id)).collect()
    }

    /// Each group as it stands.
    pub fn groups(&self) -> Vec<GroupStatus> {
        let live = self.live.load();
        if live.settings.groups.is_empty() {
            return Vec::new();
        }
        let views = self.turnstile.view();
        let view = |budget: &BudgetId| views.iter().find(|view| view.budget == *budget);
        let show = |group: &Group| {
            let own = view(&BudgetId::of_group(&group.name));
            let pool = view(&BudgetId::of_group_pool(&group.name)).filter(|_| group.learn_together);
            GroupStatus {
                name: group.name.clone(),
                open: own.map_or(0, |view| view.open),
                budget: own.map(levels).unwrap_or_default(),
                pool: pool.map(|view| PoolStatus { paused_ms: millis(view.paused), budget: levels(view) }),
            }
        };
        live.settings.groups.iter().map(show).collect()
    }

    /// How many exchanges wait in each class.
    pub fn queue_depth(&self) -> BTreeMap<&'static str, usize> {
        self.turnstile.depths().into_iter().map(|(priority, depth)| (priority.name(), depth)).collect()
    }

    /// Each budget with its limits.
    fn refresh_budgets(&self, live: &Live) {
        let metrics = &self.metrics;
        for view in self.turnstile.view() {
            // A client may name any model; only those that stand in the settings become a label.
            let (provider, model) = match view.budget.as_str().split_once('/') {
                Some(names) if view.is_pool => names,
                _ => (view.budget.as_str(), ""),
            };
            let target = TargetId { provider: ProviderId::from(provider), model: ModelName::from(model) };
            let is_shared = live
                .settings
                .groups
                .iter()
                .any(|group| group.learn_together && BudgetId::of_group_pool(&group.name) == view.budget);
            if view.is_pool && !is_shared && !live.names(&target) {
                continue;
            }
            let provider = || ("provider", provider.to_owned());
            if !view.is_pool {
                metrics.reservations_open.get_or_create(&[provider()]).set(f64::from(view.open));
            }
            for Level { dimension, level, known, used_elsewhere, .. } in &view.levels {
                let family = if dimension.counts_requests() {
                    &metrics.bucket_available_requests
                } else {
                    &metrics.bucket_available_tokens
                };
                #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                let available = *level as f64;
                let name = if *known == Known::Ramp { known.name() } else { dimension.name() };
                let limit = ("limit", name.to_owned());
                if view.is_pool {
                    let labels = [provider(), ("model", model.to_owned()), limit.clone()];
                    metrics.limit_used_elsewhere.get_or_create(&labels).set(as_f64(*used_elsewhere));
                }
                family.get_or_create(&[provider(), ("model", model.to_owned()), limit]).set(available);
            }
        }
    }

    /// Sets the gauges that are only true at the moment of reading.
    pub fn refresh_gauges(&self) {
        let metrics = &self.metrics;
        for (class, depth) in self.queue_depth() {
            let gauge = metrics.queue_depth.get_or_create(&[("priority", class.to_owned())]);
            gauge.set(as_f64(depth as u64));
        }
        metrics.exchanges_kept.set(i64::try_from(self.chronicle.kept().0).unwrap_or(i64::MAX));
        let (factors, lengths) = self.learned.sizes();
        for (what, size) in
            [("counts", self.learned.memo.len()), ("corrections", factors), ("lengths", lengths)]
        {
            metrics.learned_entries.get_or_create(&[("what", what.to_owned())]).set(as_f64(size as u64));
        }
        metrics.estimate_correction.clear();
        metrics.bucket_available_tokens.clear();
        metrics.limit_used_elsewhere.clear();
        metrics.bucket_available_requests.clear();
        metrics.reservations_open.clear();
        metrics.breaker_state.clear();
        let live = self.live.load();
        self.refresh_budgets(&live);
        for provider in &live.settings.providers {
            let permille = self.learned.permille(&provider.id);
            let labels = [("provider", provider.id.to_string())];
            metrics.estimate_correction.get_or_create(&labels).set(as_f64(permille) / 1_000.0);
        }
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

fn levels(view: &BudgetView) -> BTreeMap<&'static str, LevelStatus> {
    let level = |level: &Level| {
        // What is held for a while stands beside what lasts.
        let name = if level.known == Known::Ramp { level.known.name() } else { level.dimension.name() };
        let status = LevelStatus {
            limit: level.limit,
            available: level.level,
            known: level.known.name(),
            used_elsewhere: level.used_elsewhere,
        };
        (name, status)
    };
    view.levels.iter().map(level).collect()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
