//! All budgets, and what one call takes from several of them: from all or from none.
//!
//! Refuses to know who waits. Invariants: a call that is open counts once in each budget that it has taken from; the
//! pools are bounded, and one that somebody holds something in is never forgotten.

use super::ask::{Choice, Draws, Reason};
use super::budget::{Ahead, Budget, Cost, Room, Taken};
use super::heard::{Reading, Shortage};
use super::limits::{Limits, Priority, Slices};
use super::saved::SavedBudget;
use crate::ids::BudgetId;
use crate::units::Moment;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The most pools. Models are named by clients; those beyond it are not learned about.
const POOLS_MAX: usize = 2_000;

/// The budgets of a desk.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    configured: HashMap<BudgetId, Budget>,
    pools: HashMap<BudgetId, Pool>,
    /// The part of each burst that is kept for those for whom a person waits, in thousandths.
    pub(super) reserve: u32,
}

#[derive(Debug)]
struct Pool {
    budget: Budget,
    used: Moment,
}

/// How much is used of what a target draws on; the less the better for one more call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Strain {
    /// Whether it takes nobody at the moment: the provider has asked for silence.
    paused: bool,
    /// Of the budget that is emptiest: what is not there now, in thousandths of its limit. More than 1,000 is debt.
    used: u64,
    /// Exchanges at the provider.
    open: u32,
}

/// What a call has taken, budget by budget.
#[derive(Debug)]
pub(super) struct Taking {
    /// As it was taken; the same in every budget.
    pub(super) held: Cost,
    parts: Vec<(BudgetId, Taken)>,
}

impl Taking {
    pub(super) fn draws_on(&self, budget: &BudgetId) -> bool {
        self.parts.iter().any(|(known, _)| known == budget)
    }
}

impl Budgets {
    pub(super) fn get(&self, id: &BudgetId) -> Option<&Budget> {
        self.configured.get(id).or_else(|| self.pools.get(id).map(|pool| &pool.budget))
    }

    fn get_mut(&mut self, id: &BudgetId) -> Option<&mut Budget> {
        match self.configured.get_mut(id) {
            Some(budget) => Some(budget),
            None => self.pools.get_mut(id).map(|pool| &mut pool.budget),
        }
    }

    /// How much is used of these.
    pub(super) fn strain(&self, draws: &Draws, now: Moment) -> Strain {
        let mut strain = Strain::default();
        for budget in draws.all().filter_map(|id| self.get(id)) {
            let used = budget.levels(now).map(|(_, limit, available)| {
                let limit = limit.max(1);
                let missing = i128::from(limit) - i128::from(available);
                u64::try_from(missing * 1_000 / i128::from(limit)).unwrap_or(0)
            });
            strain.used = strain.used.max(used.max().unwrap_or(0));
            strain.open = strain.open.max(budget.open());
            strain.paused |= budget.paused_until() > now;
        }
        strain
    }

    /// Whether every configured budget of these is known.
    pub(super) fn know(&self, draws: &Draws) -> bool {
        !draws.configured.is_empty() && draws.configured.iter().all(|id| self.configured.contains_key(id))
    }

    /// `cost` with a guessed output cut to what every limit can hold.
    pub(super) fn fitted(&self, draws: &Draws, cost: Cost) -> Cost {
        draws.all().filter_map(|id| self.get(id)).fold(cost, |cost, budget| budget.fitted(cost))
    }

    /// When there would be room for the choice, if `ahead` went first; `None` if a budget is not known.
    pub(super) fn room(
        &self,
        choice: &Choice,
        ahead: &HashMap<BudgetId, Ahead>,
        priority: Priority,
        now: Moment,
    ) -> Option<Room> {
        if !self.know(&choice.draws) {
            return None;
        }
        let reserve = self.reserve_for(priority);
        let mut all = Room::Now;
        for id in choice.draws.all() {
            let Some(budget) = self.get(id) else { continue };
            let before = ahead.get(id).copied().unwrap_or_default();
            all = all.and(budget.room(choice.cost, Ahead { reserve, ..before }, now));
        }
        Some(all)
    }

    /// Takes the choice's cost from all of its budgets, or nothing from any.
    pub(super) fn take(&mut self, choice: &Choice, priority: Priority, now: Moment) -> Option<Taking> {
        if !self.know(&choice.draws) {
            return None;
        }
        if let Some(pool) = &choice.draws.pool {
            let own = choice.draws.own().and_then(|own| self.configured.get(own));
            let slices = own.map(|own| own.limits().slices).unwrap_or_default();
            self.open_pool(pool, slices, now);
        }
        let reserve = self.reserve_for(priority);
        let mut taking = Taking { held: choice.cost, parts: Vec::with_capacity(2) };
        for id in choice.draws.all() {
            let Some(budget) = self.get_mut(id) else { continue };
            let stays = Ahead { reserve, ..Ahead::default() };
            let fits = reserve == 0 || budget.room(choice.cost, stays, now) == Room::Now;
            match fits.then(|| budget.take(choice.cost, now)).flatten() {
                Some(taken) => taking.parts.push((id.clone(), taken)),
                None => {
                    self.undo(&taking, now);
                    return None;
                }
            }
        }
        Some(taking)
    }

    /// The first budget of the choice that has no room for it now, and what it lacks.
    pub(super) fn lack(&self, choice: &Choice, priority: Priority, now: Moment) -> Option<Reason> {
        let reserve = self.reserve_for(priority);
        let budgets = choice.draws.all().filter_map(|id| Some((id, self.get(id)?)));
        let lacks = budgets.filter_map(|(id, budget)| {
            let (lack, until) = budget.lack(choice.cost, reserve, now)?;
            Some(Reason { budget: id.clone(), lack, until })
        });
        // The one that takes longest is what is waited for; the first of several.
        lacks.reduce(|one, other| if other.until > one.until { other } else { one })
    }

    /// Whether a budget has room for `cost` by then if `ahead` went first.
    pub(super) fn has_room(
        &self,
        id: &BudgetId,
        cost: Cost,
        ahead: Ahead,
        priority: Priority,
        by: Moment,
        now: Moment,
    ) -> bool {
        let reserve = self.reserve_for(priority);
        self.get(id).is_none_or(|budget| match budget.room(cost, Ahead { reserve, ..ahead }, now) {
            Room::Now => true,
            Room::At(at) => at <= by,
            Room::WhenOneEnds | Room::Never(_) => false,
        })
    }

    /// Undoes a take of which nobody has heard.
    pub(super) fn undo(&mut self, taking: &Taking, now: Moment) {
        for (id, taken) in &taking.parts {
            if let Some(budget) = self.get_mut(id) {
                budget.undo(taken, now);
            }
        }
    }

    /// Replaces what is held by `truth`.
    pub(super) fn correct(&mut self, taking: &mut Taking, truth: Cost, now: Moment) {
        for (id, taken) in &mut taking.parts {
            if let Some(budget) = self.get_mut(id) {
                budget.correct(taken, truth, now);
            }
        }
        taking.held = truth;
    }

    /// The call is over.
    pub(super) fn close(&mut self, taking: &Taking) {
        for (id, _) in &taking.parts {
            if let Some(budget) = self.get_mut(id) {
                budget.close();
            }
        }
    }

    /// The provider has let the call in and said what is left.
    pub(super) fn hear(&mut self, taking: &Taking, readings: &[Reading], now: Moment) {
        for (id, taken) in &taking.parts {
            if let Some(pool) = self.pools.get_mut(id) {
                pool.budget.hear(taken, readings, now);
            }
        }
    }

    /// The provider has refused the call for want of room; what it held has been given back. That concerns the pool:
    /// one model that is used up does not hold up the others.
    pub(super) fn refused(&mut self, taking: &Taking, shortage: &Shortage, now: Moment) {
        let configured = taking.parts.iter().filter_map(|(id, _)| self.configured.get(id));
        let ceiling = configured.map(|budget| *budget.limits()).reduce(Limits::least);
        let pools = taking.parts.iter().filter(|(id, _)| self.pools.contains_key(id));
        let concerned: Vec<&(BudgetId, Taken)> = pools.collect();
        // Without a pool those that were configured are all there is to be silent with.
        let concerned = if concerned.is_empty() { taking.parts.iter().collect() } else { concerned };
        for (id, taken) in concerned {
            if let Some(budget) = self.get_mut(id) {
                budget.refused(taken, shortage, ceiling.as_ref(), now);
            }
        }
    }

    /// A day's limits of this budget come back then.
    pub(super) fn day_ends(&mut self, id: &BudgetId, at: Moment, now: Moment) {
        if let Some(budget) = self.get_mut(id) {
            budget.day_ends(at, now);
        }
    }

    /// Takes over new limits. What calls hold in budgets that are gone is forgotten.
    pub(super) fn retune(&mut self, limits: impl IntoIterator<Item = (BudgetId, Limits)>, now: Moment) {
        let mut old = std::mem::take(&mut self.configured);
        for (id, limits) in limits {
            let mut budget = old.remove(&id).unwrap_or_else(|| Budget::new(limits));
            budget.retune(limits, now);
            self.configured.insert(id, budget);
        }
    }

    /// Forgets what is held in budgets that are not known.
    pub(super) fn forget_unknown(&self, taking: &mut Taking) {
        taking.parts.retain(|(id, _)| self.get(id).is_some());
    }

    /// Every budget, and whether it is a pool.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&BudgetId, &Budget, bool)> {
        let configured = self.configured.iter().map(|(id, budget)| (id, budget, false));
        configured.chain(self.pools.iter().map(|(id, pool)| (id, &pool.budget, true)))
    }

    pub(super) fn save(&self, now: Moment) -> [BTreeMap<String, SavedBudget>; 2] {
        let saved = |pools: bool| {
            let of_kind = self.iter().filter(|(_, _, pool)| *pool == pools);
            of_kind.map(|(id, budget, _)| (id.as_str().to_owned(), budget.save(now))).collect()
        };
        [saved(false), saved(true)]
    }

    pub(super) fn restore(
        &mut self,
        [configured, pools]: [&BTreeMap<String, SavedBudget>; 2],
        elapsed: Duration,
        now: Moment,
    ) {
        for (id, budget) in &mut self.configured {
            if let Some(saved) = configured.get(id.as_str()) {
                budget.restore(saved, elapsed, now);
            }
        }
        for (id, saved) in pools.iter().take(POOLS_MAX) {
            let id = BudgetId::from(id.as_str());
            self.open_pool(&id, Slices::default(), now);
            if let Some(pool) = self.pools.get_mut(&id) {
                pool.budget.restore(saved, elapsed, now);
            }
        }
    }

    fn reserve_for(&self, priority: Priority) -> u32 {
        if priority == Priority::Interactive { 0 } else { self.reserve }
    }

    /// Makes sure that the pool is there, unless there are too many that are in use.
    fn open_pool(&mut self, id: &BudgetId, slices: Slices, now: Moment) {
        if let Some(pool) = self.pools.get_mut(id) {
            pool.used = now;
            if pool.budget.slices() != slices {
                pool.budget.retune(Limits { slices, ..Limits::default() }, now);
            }
            return;
        }
        if self.configured.contains_key(id) {
            return;
        }
        if self.pools.len() >= POOLS_MAX {
            let idle = self.pools.iter().filter(|(_, pool)| pool.budget.open() == 0);
            let oldest = idle.min_by_key(|(_, pool)| pool.used).map(|(id, _)| id.clone());
            match oldest {
                Some(oldest) => self.pools.remove(&oldest),
                None => return,
            };
        }
        self.pools.insert(id.clone(), Pool { budget: Budget::pool(slices), used: now });
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
