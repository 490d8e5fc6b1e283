//! The settings of a gateway, made ready for use. Swapped whole on a reload; an exchange keeps the one
//! that it began with.

use super::settings::{ExchangeSettings, Group, Provider};
use crate::admission::{Counting, Draws, Limits, Priority};
use crate::dialect::Family;
use crate::ids::{BudgetId, ModelName, ProviderId, TargetId};
use crate::routing::{BreakerPolicy, Catalogue, CatalogueProvider};
use crate::units::WallTime;
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
    /// Where each provider stands among the settings. One that has several accounts stands for its first.
    places: HashMap<ProviderId, usize>,
    /// The accounts of each provider that has several.
    accounts: HashMap<ProviderId, Vec<ProviderId>>,
}

/// The most targets of a plan, each account counted: the desk looks at all of them for everybody who waits.
const PLANNED_MAX: usize = 256;

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
        let mut accounts: HashMap<ProviderId, Vec<ProviderId>> = HashMap::new();
        let mut providers: Vec<CatalogueProvider> = Vec::new();
        let mut places = HashMap::new();
        for (place, provider) in settings.providers.iter().enumerate() {
            places.insert(provider.id.clone(), place);
            if let Some(name) = &provider.account_of {
                let others = accounts.entry(name.clone()).or_default();
                others.push(provider.id.clone());
                if others.len() > 1 {
                    continue;
                }
                places.insert(name.clone(), place);
            }
            providers.push(CatalogueProvider {
                id: provider.name().clone(),
                accounts: Vec::new(),
                models: provider.models.clone(),
                claims: provider.claims.clone(),
            });
        }
        for provider in &mut providers {
            provider.accounts = accounts.get(&provider.id).cloned().unwrap_or_default();
        }
        let catalogue = Catalogue::new(routes.collect(), providers, settings.default_provider.clone());
        let priorities = settings.routes.iter().map(|route| (route.name.clone(), route.priority)).collect();
        Ok(Live { catalogue, priorities, upstreams, places, accounts, settings })
    }

    /// Whether any provider has several accounts.
    pub(super) fn has_accounts(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// The targets with each account in the place of its provider, and the rank of each: accounts that one target
    /// stands for have the same.
    pub(super) fn expanded(&self, targets: Vec<TargetId>) -> Vec<(TargetId, usize)> {
        let ranked = targets.into_iter().enumerate().flat_map(|(rank, target)| {
            let accounts = self.accounts.get(&target.provider);
            let account = |id: &ProviderId| TargetId { provider: id.clone(), model: target.model.clone() };
            let expanded: Vec<TargetId> = match accounts {
                Some(accounts) => accounts.iter().map(account).collect(),
                None => vec![target],
            };
            expanded.into_iter().map(move |target| (target, rank))
        });
        ranked.take(PLANNED_MAX).collect()
    }

    /// The settings of a provider; of its first account, if it has several.
    pub(super) fn provider(&self, id: &ProviderId) -> Option<&Provider> {
        self.settings.providers.get(*self.places.get(id)?)
    }

    /// What a provider charges against its limits.
    pub(super) fn counting(&self, id: &ProviderId) -> Counting {
        self.provider(id).map(|provider| provider.counting).unwrap_or_default()
    }

    /// The door to a provider.
    pub(super) fn upstream(&self, provider: &ProviderId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(&self.provider(provider)?.id)
    }

    /// Whether the settings name the target: as a route's, or among its provider's models.
    pub(super) fn names(&self, target: &TargetId) -> bool {
        let Some(provider) = self.provider(&target.provider) else { return false };
        let is_it = |named: &TargetId| {
            named.model == target.model && [&provider.id, provider.name()].contains(&&named.provider)
        };
        provider.models.contains(&target.model)
            || self.settings.routes.iter().any(|route| route.targets.iter().any(is_it))
    }

    /// Where unread paths go: the default provider, else the only one. Paths that only one family has go there
    /// only if it speaks that family's dialects, else to the first provider that does.
    pub(super) fn provider_of_paths(&self, family: Option<Family>) -> Option<&ProviderId> {
        let default = match (&self.settings.default_provider, self.settings.providers.as_slice()) {
            (Some(provider), _) => Some(provider),
            (None, several) => {
                let (first, others) = several.split_first()?;
                others.iter().all(|other| other.name() == first.name()).then(|| first.name())
            }
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
        let shared = |group: &Group| Some((BudgetId::of_group(&group.name), group.limits?));
        let groups = self.settings.groups.iter().filter_map(shared);
        self.settings.providers.iter().map(own).chain(groups).collect()
    }

    /// The budgets that a target draws on.
    pub(super) fn draws(&self, target: &TargetId) -> Arc<Draws> {
        let groups = || self.groups_of(target);
        let limited = groups().filter(|group| group.limits.is_some());
        let learning = groups().find(|group| group.learn_together);
        let own = BudgetId::from(target.provider.as_str());
        let shared = limited.map(|group| BudgetId::of_group(&group.name));
        let pool = learning.map(|group| BudgetId::of_group_pool(&group.name));
        Arc::new(Draws {
            configured: std::iter::once(own).chain(shared).collect(),
            pool: Some(pool.unwrap_or_else(|| BudgetId::from(target.to_string()))),
        })
    }

    /// When the limits over a day of this budget come back next; `None` if they do so steadily. That of a pool is
    /// its provider's, or that of the first member of its group that has one.
    pub(super) fn next_day(&self, budget: &BudgetId, now: WallTime) -> Option<WallTime> {
        let owner = budget.as_str().split('/').next().unwrap_or_default();
        let group =
            self.settings.groups.iter().find(|group| BudgetId::of_group(&group.name).as_str() == owner);
        let end = match group {
            Some(group) => group.day_end.or_else(|| {
                let members = group.members.iter().filter(|_| group.learn_together);
                members.filter_map(|member| self.provider(&member.provider)?.day_end).next()
            }),
            None => self.provider(&ProviderId::from(owner)).and_then(|provider| provider.day_end),
        };
        end?.next(now)
    }

    /// Those groups that the target is a member of.
    fn groups_of<'live>(&'live self, target: &'live TargetId) -> impl Iterator<Item = &'live Group> {
        let name = self.provider(&target.provider).map_or(&target.provider, Provider::name);
        self.settings.groups.iter().filter(move |group| {
            group.members.iter().any(|member| {
                [&target.provider, name].contains(&&member.provider)
                    && member.models.hold(target.model.as_str())
            })
        })
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

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
