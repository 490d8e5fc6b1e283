//! Which choice a waiter gets: one pass over the queue, in order.
//!
//! Refuses to know tickets and effects. Invariant: who comes later takes nothing from a budget that
//! somebody before it is waiting for, so that the head accumulates room and a large call is not starved
//! by small ones.

use super::budget::{Ahead, Budget, Room};
use super::desk::{Refusal, Why};
use super::queue::{Ask, Choice};
use crate::ids::ProviderId;
use crate::units::Moment;
use std::collections::HashMap;

/// What becomes of one waiter.
pub(super) enum Decision<'ask> {
    /// The choice has been taken.
    Grant(&'ask Choice),
    /// It has waited long enough.
    Refuse(Refusal),
    /// It waits; nothing changes for it before `look_again` unless somebody gives back.
    Wait {
        /// When to look again.
        look_again: Moment,
    },
}

/// One pass: the budgets, and what is kept free in them for those who were seen so far.
pub(super) struct Pass<'desk> {
    budgets: &'desk mut HashMap<ProviderId, Budget>,
    ahead: HashMap<ProviderId, Ahead>,
    now: Moment,
}

impl<'desk> Pass<'desk> {
    pub(super) fn new(budgets: &'desk mut HashMap<ProviderId, Budget>, now: Moment) -> Pass<'desk> {
        Pass { budgets, ahead: HashMap::new(), now }
    }

    /// The first choice while it has room or is expected to have within the ask's patience; after that
    /// the first with room.
    pub(super) fn decide<'ask>(&mut self, ask: &'ask Ask) -> Decision<'ask> {
        let awaited = match ask.choices.first() {
            Some(first) if self.take(first) => return Decision::Grant(first),
            Some(first) => self.awaited(first, ask.patient_until),
            None => None,
        };
        if awaited.is_none()
            && let Some(choice) = ask.choices.iter().skip(1).find(|choice| self.take(choice))
        {
            return Decision::Grant(choice);
        }
        let Some((choice, at)) = awaited.or_else(|| self.soonest(ask)) else {
            return Decision::Refuse(Refusal { why: Why::NoProvider, until: None });
        };
        if self.now >= ask.deadline {
            let until = self.soonest(ask).map(|(_, at)| at);
            return Decision::Refuse(Refusal { why: Why::Deadline, until });
        }
        self.keep_free(choice);
        let patience_ends = (ask.choices.len() > 1).then_some(ask.patient_until);
        let moments = [Some(at), patience_ends].into_iter().flatten().filter(|at| *at > self.now);
        Decision::Wait { look_again: moments.fold(ask.deadline, Ord::min) }
    }

    /// The choice that is expected to have room first, and when.
    pub(super) fn soonest<'ask>(&self, ask: &'ask Ask) -> Option<(&'ask Choice, Moment)> {
        let expected = ask.choices.iter().filter_map(|choice| Some((choice, self.expected(choice)?)));
        expected.min_by_key(|(_, at)| *at)
    }

    /// Keeps room for this choice from those who come later in the pass.
    pub(super) fn keep_free(&mut self, choice: &Choice) {
        self.ahead.entry(choice.target.provider.clone()).or_default().add(choice.cost);
    }

    fn take(&mut self, choice: &Choice) -> bool {
        let provider = &choice.target.provider;
        !self.ahead.contains_key(provider)
            && self.budgets.get_mut(provider).is_some_and(|budget| budget.take(choice.cost, self.now))
    }

    /// The first choice and its moment, if it is worth being patient for.
    fn awaited<'ask>(&self, first: &'ask Choice, patient_until: Moment) -> Option<(&'ask Choice, Moment)> {
        let at = self.expected(first)?;
        (self.now < patient_until && at <= patient_until).then_some((first, at))
    }

    /// When the choice is expected to have room. What waits for another exchange to end has no known
    /// time and counts as now.
    fn expected(&self, choice: &Choice) -> Option<Moment> {
        let before = self.ahead.get(&choice.target.provider).copied().unwrap_or_default();
        match self.budgets.get(&choice.target.provider)?.room(choice.cost, before, self.now) {
            Room::Now | Room::WhenOneEnds => Some(self.now),
            Room::At(at) => Some(at),
            Room::Never(_) => None,
        }
    }
}
