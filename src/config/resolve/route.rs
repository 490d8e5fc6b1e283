//! Routes: public model names and their targets.
//!
//! Invariant: every target names a provider of the file, and no route is empty.

use super::super::raw::RawRoute;
use super::super::reading::Named;
use super::{Resolver, provider_instead};
use crate::admission::Priority;
use crate::exchange::Route;
use crate::ids::TargetId;
use toml::Spanned;

/// The longest name of a model, in bytes. The longest in use are paths of about a hundred.
pub(super) const MODEL_NAME_MAX: usize = 256;

/// The most routes.
const ROUTES_MAX: usize = 10_000;

/// The most targets of a route. Failover through more than this would outlast every client.
const TARGETS_MAX: usize = 64;

impl Resolver<'_> {
    pub(super) fn routes(&mut self, written: Vec<Named<RawRoute>>, providers: &[String]) -> Vec<Route> {
        if let Some(one_more) = written.get(ROUTES_MAX) {
            let wrong = format!("there are more than {ROUTES_MAX} routes");
            self.mistake(one_more.name.span(), "route", wrong, "write fewer");
        }
        written.into_iter().take(ROUTES_MAX).filter_map(|route| self.route(route, providers)).collect()
    }

    fn route(&mut self, Named { name, section }: Named<RawRoute>, providers: &[String]) -> Option<Route> {
        let at = format!("route.{}", super::super::mistake::named(name.get_ref()));
        if !is_model_name(name.get_ref()) {
            let wrong = "a route must be named like a model";
            self.mistake(name.span(), &at, wrong, "write [route.\"gpt-4o\"], at most 256 bytes on one line");
        }
        let key = format!("{at}.targets");
        let classes = Priority::ALL.map(|class| (class.name(), class));
        let priority = self.choice(section.priority, &format!("{at}.priority"), &classes);
        let Some(written) = section.targets else {
            if self.is_wrong(&key) {
                return None;
            }
            let wrong = "a route must say in `targets` who serves it";
            self.mistake(name.span(), &at, wrong, "write targets = [\"provider/model\", ...]");
            return None;
        };
        if written.get_ref().is_empty() || written.get_ref().len() > TARGETS_MAX {
            let wrong = format!("`targets` must hold from 1 to {TARGETS_MAX} targets");
            self.mistake(written.span(), &key, wrong, "write targets = [\"provider/model\", ...]");
        }
        let mut targets: Vec<TargetId> = Vec::new();
        for text in written.into_inner() {
            let Some(target) = self.target(&text, &key, providers) else { continue };
            if targets.contains(&target) {
                self.mistake(text.span(), &key, "this target is already in the list", "take it out");
            }
            targets.push(target);
        }
        Some(Route { name: name.into_inner().into(), targets, priority: priority.unwrap_or_default() })
    }

    fn target(&mut self, text: &Spanned<String>, key: &str, providers: &[String]) -> Option<TargetId> {
        // At the first slash: names of models hold slashes, names of providers do not.
        let Some((provider, model)) = text.get_ref().split_once('/') else {
            let wrong = "a target must name a provider and a model";
            self.mistake(text.span(), key, wrong, "write \"provider/model\"");
            return None;
        };
        if !is_model_name(model) {
            let wrong = "a target must name a model behind the slash";
            self.mistake(text.span(), key, wrong, "write \"provider/model\"");
            return None;
        }
        if !providers.iter().any(|known| known == provider) {
            let wrong = "this target names a provider that is not here";
            self.mistake(text.span(), key, wrong, provider_instead(provider, providers));
            return None;
        }
        Some(TargetId { provider: provider.into(), model: model.into() })
    }
}

/// Whether this can be the name of a model: not empty, of bounded length, without control characters.
pub(super) fn is_model_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MODEL_NAME_MAX && !name.contains(char::is_control)
}
