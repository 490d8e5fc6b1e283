//! Who may serve an exchange: the plan, with sick targets left out, and what it asks of the desk.

use super::Gateway;
use super::affinity::{Holder, Prompt, worth};
use super::beginning::GivenBack;
use super::fault::Fault;
use super::learned::Sizing;
use super::live::Live;
use crate::admission::{Ask, Choice, Priority, Share, Turn};
use crate::ids::{ModelName, ProviderId, TargetId};
use crate::routing::{Found, Plan};
use crate::units::Moment;
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The header with which a client names its class.
const PRIORITY_HEADER: &str = "x-tidegate-priority";

/// How much of an unknown model's name is shown in an error.
const SHOWN_NAME_MAX: usize = 80;

/// The course of one exchange, from its plan to its end.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) plan: Plan,
    /// The call, as it was estimated for its first target.
    pub(super) sizing: Sizing,
    /// Where each target stands in the order of failover; accounts of one provider stand together.
    ranks: HashMap<TargetId, usize>,
    /// What it may continue, and the account that has read that.
    prompt: Prompt,
    holder: Option<Holder>,
    /// The last refusal of a provider that could be given back.
    pub(super) refusal: Option<GivenBack>,
    pub(super) priority: Priority,
    pub(super) entered: Moment,
    /// Whose it is.
    pub(super) share: Share,
    /// Its place in the order of service, once it was granted room.
    pub(super) turn: Option<Turn>,
    patience: Duration,
    deadline: Moment,
}

/// What a model name means here.
pub(super) fn find(live: &Live, model: &ModelName) -> Result<Found, Fault> {
    live.catalogue.find(model.as_str()).map_err(|unknown| Fault::UnknownModel {
        model: model.as_str().chars().take(SHOWN_NAME_MAX).collect(),
        suggestions: unknown.suggestions,
    })
}

/// The class of an exchange: what its client names, else what its route says.
pub(super) fn priority(live: &Live, found: &Found, headers: &HeaderMap) -> Result<Priority, Fault> {
    let of_route = || found.route.as_ref().and_then(|route| live.priorities.get(route)).copied();
    match headers.get(PRIORITY_HEADER) {
        None => Ok(of_route().unwrap_or_default()),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(Priority::from_name)
            .ok_or(Fault::BadHeader { name: PRIORITY_HEADER, must_be: "interactive, normal or batch" }),
    }
}

impl Course {
    pub(super) fn new(
        live: &Live,
        found: Found,
        sizing: Sizing,
        (priority, share): (Priority, Share),
        entered: Moment,
        deadline: Moment,
    ) -> Course {
        let ranked = live.expanded(found.targets);
        // A target that is named twice has its first rank.
        let ranks = ranked.iter().rev().cloned().collect();
        let targets = ranked.into_iter().map(|(target, _)| target).collect();
        Course {
            plan: Plan::new(targets, live.settings.retry, deadline),
            ranks,
            prompt: Prompt::default(),
            holder: None,
            sizing,
            refusal: None,
            priority,
            share,
            entered,
            turn: None,
            patience: live.settings.queue.patience,
            deadline,
        }
    }

    /// Looks up who has read the beginning of its prompt.
    pub(super) fn continues(&mut self, gateway: &Gateway, live: &Live, prompt: Prompt) {
        let life = |account: &ProviderId| live.provider(account).map(|provider| provider.cache_life);
        self.holder = gateway.affinity.holder(&prompt, life, self.entered);
        self.prompt = prompt;
    }

    /// Remembers who has read the prompt.
    pub(super) fn served_by(&self, gateway: &Gateway, live: &Live, target: &TargetId) {
        let provider = live.provider(&target.provider);
        if provider.is_some_and(|provider| provider.account_of.is_some() && !provider.cache_life.is_zero()) {
            let holder = Holder { account: target.provider.clone(), tokens: self.sizing.estimate.input };
            gateway.affinity.has_read(&self.prompt, holder, gateway.clock.now());
        }
    }

    /// What to ask of the desk: all targets of the plan that are not known to be sick.
    pub(super) fn ask(&self, gateway: &Gateway, live: &Live, now: Moment) -> Result<Ask, Fault> {
        let targets =
            gateway.health.well(self.plan.remaining(), now).map_err(|until| Fault::AllSick { until })?;
        let rank = |target: &TargetId| self.ranks.get(target);
        let mut choices = Vec::with_capacity(targets.len());
        for peers in targets.chunk_by(|one, other| rank(one) == rank(other)) {
            let open_from = if choices.is_empty() { self.entered } else { self.entered + self.patience };
            let choice = |target: &TargetId| {
                let foresight = gateway.learned.foresee(&self.sizing, target);
                let cost = foresight.reserved(live.counting(&target.provider));
                Choice { draws: live.draws(target), target: target.clone(), cost, open_from }
            };
            choices.extend(match peers {
                [only] => vec![choice(only)],
                several => self.in_turn(gateway, live, several.iter().map(choice).collect()),
            });
        }
        Ok(Ask {
            choices,
            priority: self.priority,
            share: self.share,
            entered: self.entered,
            turn: self.turn,
            deadline: self.deadline,
        })
    }

    /// Accounts in the order in which they are wanted: the one that has read the beginning of the prompt, then the
    /// one of which the least is used. The others open when waiting for the first does not pay any more.
    fn in_turn(&self, gateway: &Gateway, live: &Live, mut accounts: Vec<Choice>) -> Vec<Choice> {
        let holds =
            |choice: &Choice| self.holder.as_ref().filter(|held| held.account == choice.target.provider);
        let holder = accounts.iter().find_map(holds);
        // Only where there is a choice, or conversations of a regular length would always begin at the same.
        if holder.is_none() {
            let turn = gateway.turns.fetch_add(1, Ordering::Relaxed) % accounts.len();
            accounts.rotate_left(turn);
        }
        let strains = gateway.turnstile.strains(&accounts);
        let mut strained: Vec<_> = strains.into_iter().zip(accounts).collect();
        strained.sort_by_key(|(strain, _)| *strain);
        let mut accounts: Vec<Choice> = strained.into_iter().map(|(_, choice)| choice).collect();
        let Some(holder) = holder else { return accounts };
        for choice in accounts.iter_mut().filter(|choice| holds(choice).is_none()) {
            let other = live.provider(&choice.target.provider);
            let pays = other.map_or(Duration::ZERO, |other| worth(holder.tokens, other, self.patience));
            choice.open_from = choice.open_from + pays;
        }
        // After the holder the one that opens first: the desk passes over no more than the end of the list.
        accounts.sort_by_key(|choice| (holds(choice).is_none(), choice.open_from));
        accounts
    }
}
