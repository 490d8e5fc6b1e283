//! Which choice a waiter gets: one pass over the queue, in order.
//!
//! Refuses to know tickets and effects. Invariant: who comes later takes nothing from a budget that
//! somebody before it is waiting for, so that the head accumulates room and a large call is not starved
//! by small ones.

use super::budget::{Ahead, Budget, Room, Taken};
use super::desk::{Refusal, Why};
use super::queue::{Ask, Choice};
use crate::ids::ProviderId;
use crate::units::Moment;
use std::collections::HashMap;

/// What becomes of one waiter.
pub(super) enum Decision<'ask> {
    /// The choice has been taken.
    Grant(&'ask Choice, Taken),
    /// It has waited long enough.
    Refuse(Refusal),
    /// It waits; nothing changes for it before `look_again` unless somebody gives back.
    Wait {
        /// When to look again.
        look_again: Moment,
    },
}

/// When a choice is expected to have room: at a moment, or (`None`) when another exchange ends.
type Expected = Option<Moment>;

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

    /// Whether somebody waits for every budget there is, so that nobody who comes later gets anything.
    pub(super) fn is_over(&self) -> bool {
        self.ahead.len() == self.budgets.len()
    }

    /// The first choice while it has room or is expected to have within the ask's patience; after that
    /// the first with room.
    pub(super) fn decide<'ask>(&mut self, ask: &'ask Ask) -> Decision<'ask> {
        if self.follows(ask) {
            return Decision::Wait { look_again: ask.deadline };
        }
        let awaited = match ask.choices.first() {
            Some(first) => {
                if let Some(taken) = self.take(first) {
                    return Decision::Grant(first, taken);
                }
                self.awaited(first, ask.patient_until)
            }
            None => None,
        };
        if awaited.is_none() {
            for choice in ask.choices.iter().skip(1) {
                if let Some(taken) = self.take(choice) {
                    return Decision::Grant(choice, taken);
                }
            }
        }
        let Some((choice, at)) = awaited.or_else(|| self.soonest(ask)) else {
            return Decision::Refuse(Refusal { why: Why::NoProvider, until: None });
        };
        if self.now >= ask.deadline {
            let until = self.soonest(ask).map(|(_, at)| at.unwrap_or(self.now));
            return Decision::Refuse(Refusal { why: Why::Deadline, until });
        }
        self.keep_free(choice);
        let patience_ends = (ask.choices.len() > 1).then_some(ask.patient_until);
        let moments = [at, patience_ends].into_iter().flatten().filter(|at| *at > self.now);
        Decision::Wait { look_again: moments.fold(ask.deadline, Ord::min) }
    }

    /// Who has one choice alone, and others before it there, can only wait: this spares the arithmetic
    /// for most of a long queue.
    fn follows(&mut self, ask: &Ask) -> bool {
        let [only] = ask.choices.as_slice() else { return false };
        let Some(ahead) = self.ahead.get_mut(&only.target.provider) else { return false };
        if self.now < ask.deadline {
            ahead.add(only.cost);
        }
        self.now < ask.deadline
    }

    /// The choice that is expected to have room first, and when. One whose moment is known goes before
    /// one that waits for another exchange to end: the former needs room to be kept for it.
    pub(super) fn soonest<'ask>(&self, ask: &'ask Ask) -> Option<(&'ask Choice, Expected)> {
        let expected = ask.choices.iter().filter_map(|choice| Some((choice, self.expected(choice)?)));
        expected.min_by_key(|(_, at)| at.unwrap_or(Moment::from_nanos(u64::MAX)))
    }

    /// Keeps room for this choice from those who come later in the pass.
    pub(super) fn keep_free(&mut self, choice: &Choice) {
        self.ahead.entry(choice.target.provider.clone()).or_default().add(choice.cost);
    }

    fn take(&mut self, choice: &Choice) -> Option<Taken> {
        let provider = &choice.target.provider;
        if self.ahead.contains_key(provider) {
            return None;
        }
        self.budgets.get_mut(provider)?.take(choice.cost, self.now)
    }

    /// The first choice and its moment, if it is worth being patient for. Another exchange may end at
    /// any time.
    fn awaited<'ask>(&self, first: &'ask Choice, patient_until: Moment) -> Option<(&'ask Choice, Expected)> {
        let at = self.expected(first)?;
        let in_time = at.is_none_or(|at| at <= patient_until);
        (self.now < patient_until && in_time).then_some((first, at))
    }

    /// When the choice is expected to have room; `None` if never.
    fn expected(&self, choice: &Choice) -> Option<Expected> {
        let before = self.ahead.get(&choice.target.provider).copied().unwrap_or_default();
        match self.budgets.get(&choice.target.provider)?.room(choice.cost, before, self.now) {
            Room::Now => Some(Some(self.now)),
            Room::WhenOneEnds => Some(None),
            Room::At(at) => Some(Some(at)),
            Room::Never(_) => None,
        }
    }
}
