//! The settings of a gateway, made ready for use. Swapped whole on a reload; an exchange keeps the one
//! that it began with.

use super::settings::{ExchangeSettings, Provider};
use crate::admission::{Counting, Draws, Limits, Priority};
use crate::dialect::Family;
use crate::ids::{BudgetId, ModelName, ProviderId, TargetId};
use crate::routing::{BreakerPolicy, Catalogue, CatalogueProvider};
use crate::upstream::{BuildError, Upstream};
use std::collections::HashMap;
use std::sync::Arc;

/// A provider that cannot be reached in the way its settings say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("provider {provider} cannot be used")]
pub struct Unusable {
    /// Which.
    pub provider: ProviderId,
    /// Why.
    #[source]
    pub source: BuildError,
}

/// Settings in use.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) settings: ExchangeSettings,
    pub(super) catalogue: Catalogue,
    pub(super) priorities: HashMap<ModelName, Priority>,
    upstreams: HashMap<ProviderId, Arc<Upstream>>,
    /// Where each provider stands among the settings.
    places: HashMap<ProviderId, usize>,
}

impl Live {
    /// Makes the settings ready. Connections of providers that are reached as before are kept.
    ///
    /// # Errors
    /// A provider cannot be reached in the way its settings say.
    pub(super) fn new(settings: ExchangeSettings, before: Option<&Live>) -> Result<Live, Unusable> {
        let mut upstreams = HashMap::new();
        for provider in &settings.providers {
            let kept = before.and_then(|before| before.kept(provider));
            let upstream = match kept {
                Some(upstream) => upstream,
                None => {
                    let unusable = |source| Unusable { provider: provider.id.clone(), source };
                    Arc::new(Upstream::new(&provider.upstream).map_err(unusable)?)
                }
            };
            upstreams.insert(provider.id.clone(), upstream);
        }
        let routes = settings.routes.iter().map(|route| (route.name.clone(), route.targets.clone()));
        let providers = settings.providers.iter().map(|provider| CatalogueProvider {
            id: provider.id.clone(),
            models: provider.models.clone(),
            claims: provider.claims.clone(),
        });
        let catalogue =
            Catalogue::new(routes.collect(), providers.collect(), settings.default_provider.clone());
        let priorities = settings.routes.iter().map(|route| (route.name.clone(), route.priority)).collect();
        let places = settings.providers.iter().enumerate();
        let places = places.map(|(place, provider)| (provider.id.clone(), place)).collect();
        Ok(Live { catalogue, priorities, upstreams, places, settings })
    }

    /// The settings of a provider.
    pub(super) fn provider(&self, id: &ProviderId) -> Option<&Provider> {
        self.settings.providers.get(*self.places.get(id)?)
    }

    /// What a provider charges against its limits.
    pub(super) fn counting(&self, id: &ProviderId) -> Counting {
        self.provider(id).map(|provider| provider.counting).unwrap_or_default()
    }

    /// The door to a provider.
    pub(super) fn upstream(&self, provider: &ProviderId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(provider)
    }

    /// Whether the settings name the target: as a route's, or among its provider's models.
    pub(super) fn names(&self, target: &TargetId) -> bool {
        let listed =
            |provider: &Provider| provider.id == target.provider && provider.models.contains(&target.model);
        self.settings.routes.iter().any(|route| route.targets.contains(target))
            || self.settings.providers.iter().any(listed)
    }

    /// Where unread paths go: the default provider, else the only one. Paths that only one family has go there
    /// only if it speaks that family's dialects, else to the first provider that does.
    pub(super) fn provider_of_paths(&self, family: Option<Family>) -> Option<&ProviderId> {
        let default = match (&self.settings.default_provider, self.settings.providers.as_slice()) {
            (Some(provider), _) => Some(provider),
            (None, [only]) => Some(&only.id),
            (None, _) => None,
        };
        let Some(family) = family else { return default };
        let speaks = |provider: &Provider| {
            provider.upstream.spoken.iter().any(|spoken| spoken.dialect.family() == family)
        };
        let fitting = default.filter(|id| self.provider(id).is_some_and(speaks));
        let first = || self.settings.providers.iter().find(|provider| speaks(provider));
        fitting.or_else(|| first().map(|provider| &provider.id)).or(default)
    }

    /// What the desk needs to know.
    pub(super) fn limits(&self) -> Vec<(BudgetId, Limits)> {
        let own = |provider: &Provider| (BudgetId::from(provider.id.as_str()), provider.limits);
        self.settings.providers.iter().map(own).collect()
    }

    /// The budgets that a target draws on.
    pub(super) fn draws(&self, target: &TargetId) -> Arc<Draws> {
        let own = BudgetId::from(target.provider.as_str());
        Arc::new(Draws { configured: vec![own], pool: Some(BudgetId::from(target.to_string())) })
    }

    /// What the breakers need to know.
    pub(super) fn breakers(&self) -> Vec<(ProviderId, BreakerPolicy)> {
        self.settings.providers.iter().map(|provider| (provider.id.clone(), provider.breaker)).collect()
    }

    fn kept(&self, provider: &Provider) -> Option<Arc<Upstream>> {
        let same = |known: &&Provider| known.id == provider.id && known.upstream == provider.upstream;
        self.settings.providers.iter().find(same)?;
        self.upstreams.get(&provider.id).cloned()
    }
}
