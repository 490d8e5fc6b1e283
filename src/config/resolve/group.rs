//! Groups: targets of several providers or accounts that share one limit.
//!
//! Invariants: every member names a provider of the file; a group says what its members share; no target learns
//! together with two groups.

use super::super::mistake::named;
use super::super::raw::{RawGroup, RawLimits};
use super::super::reading::Named;
use super::limits::Allowance;
use super::provider::is_plain_name;
use super::{Resolver, provider_instead, route};
use crate::admission::Slices;
use crate::exchange::{Group, Member, MemberModels};
use crate::ids::ACCOUNT_MARK;
use toml::Spanned;

/// The most groups. Each target is looked up in all of them.
const GROUPS_MAX: usize = 100;

/// The most members of a group.
const MEMBERS_MAX: usize = 64;

const EXAMPLE: &str = "write members = [\"openai\", \"anthropic/claude-opus-4*\"]";

impl Resolver<'_> {
    pub(super) fn groups(&mut self, written: Vec<Named<RawGroup>>, providers: &[String]) -> Vec<Group> {
        if let Some(one_more) = written.get(GROUPS_MAX) {
            let wrong = format!("there are more than {GROUPS_MAX} groups");
            self.mistake(one_more.name.span(), "group", wrong, "write fewer");
        }
        let mut groups: Vec<Group> = Vec::new();
        for Named { name, section } in written.into_iter().take(GROUPS_MAX) {
            let span = name.span();
            let Some(group) = self.group(Named { name, section }, providers) else { continue };
            let other = groups.iter().find(|other| {
                let meets = |member: &Member| other.members.iter().any(|known| meet(known, member));
                group.learn_together && other.learn_together && group.members.iter().any(meets)
            });
            if let Some(other) = other {
                let key = format!("group.{}.learn_together", named(&group.name));
                let wrong = format!("a member learns together with group {} already", other.name);
                self.mistake(span, &key, wrong, "let each target learn together with one group");
            }
            groups.push(group);
        }
        groups
    }

    fn group(&mut self, Named { name, section }: Named<RawGroup>, providers: &[String]) -> Option<Group> {
        let at = format!("group.{}", named(name.get_ref()));
        let key = |key: &str| format!("{at}.{key}");
        if !is_plain_name(name.get_ref()) {
            let wrong = "a group's name may hold letters, digits, `-`, `_` and `.`, at most 64";
            self.mistake(name.span(), &at, wrong, "write [group.shared]");
        }
        let learn_together = section.learn_together.is_some_and(Spanned::into_inner);
        let open = Allowance::open(Slices::default(), None);
        let has_limits = self.is_wrong(&key("limits")) || section.limits.is_some();
        let allowance = match section.limits {
            Some(written) if matches!(written.get_ref(), RawLimits::Learn) => {
                let wrong = "the limits of a group must be a table";
                let instead = "write learn_together = true for limits that the members learn together";
                self.mistake(written.span(), &key("limits"), wrong, instead);
                None
            }
            Some(written) => Some(self.limits(Some(written), &key("limits"), open)),
            None => None,
        };
        if !has_limits && !learn_together {
            let wrong = "this group does not say what its members share";
            let instead = "write limits = { tokens_per_minute = 40_000 }, or learn_together = true";
            self.mistake(name.span(), &at, wrong, instead);
        }
        let Some(written) = section.members else {
            if !self.is_wrong(&key("members")) {
                let wrong = "a group must say in `members` who shares";
                self.mistake(name.span(), &at, wrong, EXAMPLE);
            }
            return None;
        };
        if written.get_ref().is_empty() || written.get_ref().len() > MEMBERS_MAX {
            let wrong = format!("`members` must hold from 1 to {MEMBERS_MAX} members");
            self.mistake(written.span(), &key("members"), wrong, EXAMPLE);
        }
        let members = written.into_inner();
        Some(Group {
            members: members
                .iter()
                .filter_map(|text| self.member(text, &key("members"), providers))
                .collect(),
            limits: allowance.map(|allowance| allowance.limits),
            day_end: allowance.and_then(|allowance| allowance.day_end),
            name: name.into_inner(),
            learn_together,
        })
    }

    /// `provider`, `provider/model`, or `provider/beginning*`.
    fn member(&mut self, text: &Spanned<String>, key: &str, providers: &[String]) -> Option<Member> {
        let (provider, model) = match text.get_ref().split_once('/') {
            Some((provider, model)) => (provider, Some(model)),
            None => (text.get_ref().as_str(), None),
        };
        if !providers.iter().any(|known| known == provider) {
            let wrong = "this member names a provider that is not here";
            self.mistake(text.span(), key, wrong, provider_instead(provider, providers));
            return None;
        }
        let models = match model {
            None | Some("*") => MemberModels::All,
            Some(model) => {
                let (beginning, is_whole) = match model.strip_suffix('*') {
                    Some(beginning) => (beginning, false),
                    None => (model, true),
                };
                if !route::is_model_name(beginning) || beginning.contains('*') {
                    let wrong =
                        "a member must name a model behind the slash, with at most one `*`, at its end";
                    self.mistake(text.span(), key, wrong, EXAMPLE);
                    return None;
                }
                if is_whole {
                    MemberModels::One(model.into())
                } else {
                    MemberModels::Beginning(beginning.into())
                }
            }
        };
        Some(Member { provider: provider.into(), models })
    }
}

/// Whether some target belongs to both.
fn meet(one: &Member, other: &Member) -> bool {
    let (one_is, other_is) = (one.provider.as_str(), other.provider.as_str());
    let holds = |provider: &str, account: &str| {
        account.strip_prefix(provider).is_some_and(|rest| rest.is_empty() || rest.starts_with(ACCOUNT_MARK))
    };
    (holds(one_is, other_is) || holds(other_is, one_is)) && one.models.meet(&other.models)
}
