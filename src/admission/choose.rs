//! Which choice a waiter gets: one pass over the queue, in order.
//!
//! Refuses to know tickets and effects. Invariant: who comes later takes nothing from a budget that somebody before it
//! is waiting for, so that the head accumulates room and a large call is not starved by small ones; but for what is
//! back before that one can use it, so that nobody waits longer for what was left to others.

use super::ask::{Ask, Choice, Lack, Reason};
use super::budget::{Ahead, Cost, Room};
use super::budgets::{Budgets, Taking};
use super::limits::Priority;
use super::told::{Refusal, Why};
use crate::ids::BudgetId;
use crate::units::Moment;
use std::collections::HashMap;

/// What becomes of one waiter.
pub(super) enum Decision<'ask> {
    /// The choice has been taken.
    Grant(&'ask Choice, Taking),
    /// It has waited long enough.
    Refuse(Refusal),
    /// It waits; nothing changes for it before `look_again` unless somebody gives back.
    Wait {
        /// When to look again.
        look_again: Moment,
        /// Whether nobody with the same choices can get anything either.
        blocked: bool,
    },
}

/// When a choice is expected to have room: at a moment, or (`None`) when another exchange ends.
type Expected = Option<Moment>;

/// One pass: the budgets, and what is kept free in them for those who were seen so far.
pub(super) struct Pass<'desk> {
    budgets: &'desk mut Budgets,
    ahead: HashMap<BudgetId, Ahead>,
    lent: HashMap<BudgetId, Lent>,
    now: Moment,
}

/// What must be back in a budget when those who were seen so far can use it.
struct Lent {
    cost: Cost,
    priority: Priority,
    /// Others before it.
    before: Ahead,
    by: Moment,
}

impl<'desk> Pass<'desk> {
    pub(super) fn new(budgets: &'desk mut Budgets, now: Moment) -> Pass<'desk> {
        Pass { budgets, ahead: HashMap::new(), lent: HashMap::new(), now }
    }

    /// The first choice that has room. One that opens later is passed over while one before it is expected to have
    /// room by then.
    pub(super) fn decide<'ask>(&mut self, ask: &'ask Ask) -> Decision<'ask> {
        if self.follows(ask) {
            return Decision::Wait { look_again: ask.deadline, blocked: true };
        }
        let mut soonest: Option<(&Choice, Expected)> = None;
        for choice in &ask.choices {
            let in_time = |at: Expected| at.is_none_or(|at| at <= choice.open_from);
            if self.now < choice.open_from && soonest.is_some_and(|(_, at)| in_time(at)) {
                continue;
            }
            if let Some(taking) = self.take(choice, ask.priority) {
                return Decision::Grant(choice, taking);
            }
            if let Some(at) = self.expected(choice, ask.priority)
                && soonest.is_none_or(|(_, known)| rank(at) < rank(known))
            {
                soonest = Some((choice, at));
            }
        }
        let Some((choice, at)) = soonest else {
            return Decision::Refuse(Refusal { why: Why::NoProvider, until: None, reason: None });
        };
        if self.now >= ask.deadline {
            let until = self.soonest(ask).map(|(_, at)| at.unwrap_or(self.now));
            return Decision::Refuse(Refusal { why: Why::Deadline, until, reason: self.reason(ask) });
        }
        self.keep_free(choice, ask.priority, at);
        let opens = ask.choices.iter().skip(1).map(|choice| choice.open_from);
        let moments = at.into_iter().chain(opens).filter(|at| *at > self.now);
        let blocked = ask.choices.iter().all(|choice| self.is_kept(choice));
        Decision::Wait { look_again: moments.fold(ask.deadline, Ord::min), blocked }
    }

    /// Who has one choice alone, and others before it there, can only wait: this spares the arithmetic.
    fn follows(&mut self, ask: &Ask) -> bool {
        let [only] = ask.choices.as_slice() else { return false };
        if self.now >= ask.deadline || !self.is_kept(only) {
            return false;
        }
        for budget in only.draws.all() {
            if let Some(ahead) = self.ahead.get_mut(budget) {
                ahead.add(only.cost);
            }
        }
        true
    }

    /// The choice that is expected to have room first, and when. One whose moment is known goes before
    /// one that waits for another exchange to end: the former needs room to be kept for it.
    pub(super) fn soonest<'ask>(&self, ask: &'ask Ask) -> Option<(&'ask Choice, Expected)> {
        let choices = ask.choices.iter();
        let expected = choices.filter_map(|choice| Some((choice, self.expected(choice, ask.priority)?)));
        expected.min_by_key(|(_, at)| rank(*at))
    }

    /// What the first choice lacks.
    pub(super) fn reason(&self, ask: &Ask) -> Option<Reason> {
        let choice = ask.choices.first()?;
        let lack = self.budgets.lack(choice, ask.priority, self.now);
        lack.or_else(|| Some(Reason { budget: choice.draws.own()?.clone(), lack: Lack::Turn, until: None }))
    }

    /// Keeps room for this choice, which is expected to be had at `at`, from those who come later in the pass. What
    /// one budget has is left to others as long as it is back before another one has room: or a model that its
    /// provider refuses for a minute would hold up all the others.
    pub(super) fn keep_free(&mut self, choice: &Choice, priority: Priority, at: Expected) {
        let (nobody, now) = (Ahead::default(), self.now);
        for budget in choice.draws.all() {
            if let Some(ahead) = self.ahead.get_mut(budget) {
                ahead.add(choice.cost);
                continue;
            }
            let is_there = || self.budgets.has_room(budget, choice.cost, nobody, priority, now, now);
            match at.filter(|at| *at > now && is_there()) {
                Some(by) => self.lend(budget, choice.cost, priority, by),
                None => self.ahead.entry(budget.clone()).or_default().add(choice.cost),
            }
        }
    }

    fn lend(&mut self, budget: &BudgetId, cost: Cost, priority: Priority, by: Moment) {
        match self.lent.get_mut(budget) {
            Some(lent) => {
                lent.before.add(lent.cost);
                *lent = Lent { cost, priority: lent.priority.max(priority), by: lent.by.min(by), ..*lent };
            }
            None => {
                self.lent.insert(budget.clone(), Lent { cost, priority, before: Ahead::default(), by });
            }
        }
    }

    /// Whether all that was left to others is back in time if the choice is taken. What is not is kept from now on:
    /// who comes later must not overtake one who had to leave it.
    fn is_back_in_time(&mut self, choice: &Choice, priority: Priority) -> bool {
        let nobody = HashMap::new();
        let (budgets, now) = (&*self.budgets, self.now);
        if self.lent.is_empty() || budgets.room(choice, &nobody, priority, now) != Some(Room::Now) {
            return true;
        }
        let late = |budget: &&BudgetId| {
            self.lent.get(*budget).is_some_and(|lent| {
                let mut before = lent.before;
                before.add(choice.cost);
                !budgets.has_room(budget, lent.cost, before, lent.priority, lent.by, now)
            })
        };
        let late: Vec<&BudgetId> = choice.draws.all().filter(late).collect();
        for budget in &late {
            if let Some(lent) = self.lent.remove(*budget) {
                let ahead = self.ahead.entry((*budget).clone()).or_insert(lent.before);
                ahead.add(lent.cost);
            }
        }
        late.is_empty()
    }

    /// Whether somebody before waits for one of the choice's budgets.
    fn is_kept(&self, choice: &Choice) -> bool {
        choice.draws.all().any(|budget| self.ahead.contains_key(budget))
    }

    fn take(&mut self, choice: &Choice, priority: Priority) -> Option<Taking> {
        if self.is_kept(choice) || !self.is_back_in_time(choice, priority) {
            return None;
        }
        self.budgets.take(choice, priority, self.now)
    }

    /// When the choice is expected to have room; `None` if never.
    fn expected(&self, choice: &Choice, priority: Priority) -> Option<Expected> {
        match self.budgets.room(choice, &self.ahead, priority, self.now)? {
            Room::Now => Some(Some(self.now)),
            Room::WhenOneEnds => Some(None),
            Room::At(at) => Some(Some(at)),
            Room::Never(_) => None,
        }
    }
}

/// The later the larger; the end of another exchange is later than any moment.
fn rank(at: Expected) -> Moment {
    at.unwrap_or(Moment::from_nanos(u64::MAX))
}
