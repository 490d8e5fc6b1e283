//! Which targets a model name means.
//!
//! Knows no health and no room. Invariant: a name means the same targets each time, and every name that is
//! listed means something.

use crate::ids::{ModelName, ProviderId, TargetId};
use std::collections::{BTreeMap, BTreeSet};

/// The longest model name that is looked up, in bytes. Real ones stay below 100; what is longer would end up
/// as a key in breakers and metrics, at a client's will.
const NAME_MAX: usize = 256;

/// Names that are a guess away from the one that was asked for.
const SUGGESTIONS_MAX: usize = 3;

/// How alike a name must be to be suggested, from 0 to 1. Below, guesses turn random.
const SUGGESTION_LIKENESS: f64 = 0.8;

/// Every route and every provider, as far as names go.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    routes: BTreeMap<String, Vec<TargetId>>,
    providers: Vec<CatalogueProvider>,
    default: Option<ProviderId>,
    /// Who lists a model; `None` where several do.
    lists: BTreeMap<ModelName, Option<ProviderId>>,
    models: Vec<Listed>,
}

/// The names of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueProvider {
    /// The name by which targets mean it.
    pub id: ProviderId,
    /// Its accounts, where it has several; each may be meant alone.
    pub accounts: Vec<ProviderId>,
    /// Models known to be its own.
    pub models: Vec<ModelName>,
    /// Beginnings of model names that are its own, listed or not, such as `claude-`.
    pub claims: Vec<String>,
}

/// What a model name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who may serve it, in failover order; at least one.
    pub targets: Vec<TargetId>,
    /// The route that says so; `None` if the name led to its target without one.
    pub route: Option<ModelName>,
}

/// Nobody serves the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no provider serves the model")]
pub struct UnknownModel {
    /// Listed names that are much like it, the likeliest first.
    pub suggestions: Vec<String>,
}

/// One line of the list of models.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The name to ask for.
    pub id: String,
    /// The provider that serves it; `None` for a route, which may have several.
    pub owner: Option<ProviderId>,
}

impl Catalogue {
    /// The names of these routes and providers. Routes without targets are left out.
    pub fn new(
        routes: Vec<(ModelName, Vec<TargetId>)>,
        providers: Vec<CatalogueProvider>,
        default: Option<ProviderId>,
    ) -> Catalogue {
        let routes = routes.into_iter().filter(|(_, targets)| !targets.is_empty());
        let routes = routes.map(|(name, targets)| (name.as_str().to_owned(), targets)).collect();
        let mut lists = BTreeMap::new();
        for provider in &providers {
            let models: BTreeSet<&ModelName> = provider.models.iter().collect();
            for model in models {
                let several = lists.contains_key(model);
                lists.insert(model.clone(), (!several).then(|| provider.id.clone()));
            }
        }
        let mut catalogue = Catalogue { routes, providers, default, lists, models: Vec::new() };
        catalogue.models = catalogue.list();
        catalogue
    }

    /// What the name means: a route; else the provider in its prefix (`openai/gpt-4o-mini`); else the one
    /// provider that lists it; else the one with the longest claim on it; else the default provider; else
    /// the only one.
    ///
    /// # Errors
    /// None of these, or a name that is empty or longer than any real one.
    pub fn find(&self, model: &str) -> Result<Found, UnknownModel> {
        if model.is_empty() || model.len() > NAME_MAX {
            return Err(UnknownModel { suggestions: Vec::new() });
        }
        self.meaning(model).ok_or_else(|| UnknownModel { suggestions: self.suggestions(model) })
    }

    /// Every route, and every target that a route or a provider names, sorted. A target goes by its plain
    /// name where that finds it and nothing else, else with its provider's prefix.
    pub fn models(&self) -> &[Listed] {
        &self.models
    }

    fn meaning(&self, model: &str) -> Option<Found> {
        if let Some(targets) = self.routes.get(model) {
            return Some(Found { targets: targets.clone(), route: Some(model.into()) });
        }
        let target = self
            .by_prefix(model)
            .or_else(|| self.by_list(model))
            .or_else(|| self.by_claim(model))
            .or_else(|| self.by_default(model))?;
        Some(Found { targets: vec![target], route: None })
    }

    fn list(&self) -> Vec<Listed> {
        let listed = self.providers.iter().flat_map(|provider| {
            let target = |model: &ModelName| TargetId { provider: provider.id.clone(), model: model.clone() };
            provider.models.iter().map(target)
        });
        let targets: BTreeSet<TargetId> = self.routes.values().flatten().cloned().chain(listed).collect();
        let routes = self.routes.keys().map(|name| Listed { id: name.clone(), owner: None });
        let targets = targets.into_iter().filter_map(|target| {
            let finds = |name: &String| {
                let found = self.meaning(name);
                found.is_some_and(|found| found.route.is_none() && found.targets == [target.clone()])
            };
            let id = [target.model.as_str().to_owned(), target.to_string()].into_iter().find(finds)?;
            Some(Listed { id, owner: Some(target.provider) })
        });
        let mut all: Vec<Listed> = routes.chain(targets).collect();
        all.sort();
        all
    }

    fn by_prefix(&self, model: &str) -> Option<TargetId> {
        let (prefix, rest) = model.split_once('/')?;
        let ids =
            self.providers.iter().flat_map(|provider| [&provider.id].into_iter().chain(&provider.accounts));
        let provider = ids.into_iter().find(|id| id.as_str() == prefix)?;
        (!rest.is_empty()).then(|| TargetId { provider: provider.clone(), model: rest.into() })
    }

    fn by_list(&self, model: &str) -> Option<TargetId> {
        let provider = self.lists.get(&ModelName::from(model))?.clone()?;
        Some(TargetId { provider, model: model.into() })
    }

    fn by_claim(&self, model: &str) -> Option<TargetId> {
        let claim = |provider: &CatalogueProvider| {
            let fits = provider.claims.iter().filter(|claim| model.starts_with(claim.as_str()));
            fits.map(String::len).max()
        };
        let longest = self.providers.iter().filter_map(claim).max()?;
        let mut claiming = self.providers.iter().filter(|provider| claim(provider) == Some(longest));
        let only = claiming.next().filter(|_| claiming.next().is_none())?;
        Some(TargetId { provider: only.id.clone(), model: model.into() })
    }

    fn by_default(&self, model: &str) -> Option<TargetId> {
        let only = match self.providers.as_slice() {
            [only] => Some(&only.id),
            _ => None,
        };
        let provider = self.default.as_ref().or(only)?;
        Some(TargetId { provider: provider.clone(), model: model.into() })
    }

    fn suggestions(&self, model: &str) -> Vec<String> {
        // A name may have been typed with its prefix or without.
        let likeness = |id: &str| {
            let plain = id.rsplit_once('/').map_or(id, |(_, name)| name);
            strsim::jaro_winkler(model, id).max(strsim::jaro_winkler(model, plain))
        };
        let alike = self.models.iter().map(|listed| (likeness(&listed.id), &listed.id));
        let mut near: Vec<(f64, &String)> =
            alike.filter(|(likeness, _)| *likeness >= SUGGESTION_LIKENESS).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        near.into_iter().take(SUGGESTIONS_MAX).map(|(_, id)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> TargetId {
        let (provider, model) = name.split_once('/').unwrap();
        TargetId { provider: provider.into(), model: model.into() }
    }

    fn provider(id: &str, models: &[&str], claims: &[&str]) -> CatalogueProvider {
        CatalogueProvider {
            id: id.into(),
            accounts: vec![ProviderId::from(id).account("work")],
            models: models.iter().map(|model| (*model).into()).collect(),
            claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
        }
    }

    fn house(default: Option<&str>) -> Catalogue {
        Catalogue::new(
            vec![
                ("fast".into(), vec![target("openai/gpt-4o"), target("box/llama")]),
                ("none".into(), vec![]),
            ],
            vec![
                provider("openai", &["gpt-4o", "shared"], &["gpt-"]),
                provider("router", &["openai/gpt-4o", "vendor/x", "shared"], &[]),
                provider("box", &["llama", "fast"], &["gpt-oss", "qwen"]),
                provider("other", &[], &["qwen"]),
            ],
            default.map(ProviderId::from),
        )
    }

    fn check(catalogue: &Catalogue, model: &str, expected: &str) {
        let found = catalogue.find(model).map(|found| {
            let targets: Vec<String> = found.targets.iter().map(TargetId::to_string).collect();
            targets.join(" ")
        });
        assert_eq!(found.unwrap_or_else(|_| "nobody".to_owned()), expected, "{model}");
    }

    #[test]
    fn a_name_means_the_first_that_fits() {
        let catalogue = house(None);
        check(&catalogue, "fast", "openai/gpt-4o box/llama");
        assert_eq!(catalogue.find("fast").unwrap().route, Some("fast".into()));
        check(&catalogue, "openai/gpt-4o-mini", "openai/gpt-4o-mini");
        check(&catalogue, "openai/gpt-4o", "openai/gpt-4o");
        check(&catalogue, "openai@work/gpt-4o", "openai@work/gpt-4o");
        check(&catalogue, "vendor/x", "router/vendor/x");
        check(&catalogue, "router/openai/gpt-4o", "router/openai/gpt-4o");
        check(&catalogue, "llama", "box/llama");
        check(&catalogue, "box/fast", "box/fast");
        check(&catalogue, "gpt-5", "openai/gpt-5");
        check(&catalogue, "gpt-oss-120b", "box/gpt-oss-120b");
    }

    #[test]
    fn what_is_ambiguous_or_unknown_is_nobodys() {
        for model in ["shared", "qwen3", "unheard-of", "none", "openai/", "/gpt-4o", ""] {
            check(&house(None), model, "nobody");
        }
        check(&house(Some("other")), "shared", "other/shared");
        check(&house(Some("other")), "unheard-of", "other/unheard-of");
        check(&house(Some("other")), &"x".repeat(257), "nobody");
    }

    #[test]
    fn everything_goes_to_the_only_provider() {
        let catalogue = Catalogue::new(vec![], vec![provider("sim", &["sim"], &[])], None);
        check(&catalogue, "anything", "sim/anything");
        check(&catalogue, "vendor/anything", "sim/vendor/anything");
        check(&Catalogue::default(), "anything", "nobody");
    }

    #[test]
    fn every_listed_name_finds_its_owner_and_every_target_is_listed() {
        let catalogue = house(None);
        let listed = catalogue.models();
        let ids: Vec<&str> = listed.iter().map(|listed| listed.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "box/fast",
                "fast",
                "gpt-4o",
                "llama",
                "openai/shared",
                "router/openai/gpt-4o",
                "router/shared",
                "vendor/x"
            ]
        );
        for line in listed {
            let found = catalogue.find(&line.id).unwrap();
            match &line.owner {
                None => assert!(found.route.is_some()),
                Some(owner) => assert_eq!(&found.targets[0].provider, owner, "{}", line.id),
            }
        }
    }

    #[test]
    fn a_mistyped_name_is_met_with_a_likely_one() {
        let Err(unknown) = house(None).find("lama") else { panic!("found") };
        assert_eq!(unknown.suggestions, ["llama"]);
        let Err(unknown) = house(None).find("zzzz") else { panic!("found") };
        assert!(unknown.suggestions.is_empty());
    }
}
