//! The pure owner of the budgets and of the queue: admission and choice of the target are one act.
//!
//! An ask names every target that would do. The desk grants the first while that has room within the
//! ask's patience; after that the first with room; until the deadline. What follows from a call leaves
//! as [`Effect`]s. Refuses to know clocks, tasks and channels: the turnstile has those.
//!
//! Invariants, checked in debug builds at the end of every public call: the open reservations of a
//! provider are as many as its budget counts; nobody both waits and holds a reservation; an entry never
//! leaves the queue deeper than its bound.

use super::budget::{Ahead, Budget, Cost, Dimension, Room, Taken, TooLarge};
use super::choose::{Decision, Pass};
use super::heard::Reading;
use super::limits::{Limits, Priority, QueueSettings};
use super::queue::{Ask, Queue, Ticket};
use super::saved::SavedDesk;
use crate::ids::{ProviderId, TargetId};
use crate::units::{Moment, Tokens, WallTime};
use std::collections::HashMap;
use std::time::Duration;

/// Room that was granted. It is held until the ticket is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who got it.
    pub ticket: Ticket,
    /// Where.
    pub target: TargetId,
    /// What is held.
    pub held: Cost,
}

/// Why there is no room, and when there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// When the same ask would find room if nothing else came; `None` if never.
    pub until: Option<Moment>,
}

/// The reasons of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The queue is as deep as it may be.
    QueueFull,
    /// The deadline came first, or would.
    Deadline,
    /// No target's limit could ever hold it.
    TooLarge(TooLarge),
    /// No target belongs to a provider that is configured.
    NoProvider,
    /// The desk is closed.
    Closed,
}

/// What a call to the desk has decided, for whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Room was granted.
    Granted(Grant),
    /// There is none, and the ticket is void.
    Refused(Ticket, Refusal),
}

/// What one provider's budget looks like to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetView {
    /// Whose it is.
    pub provider: ProviderId,
    /// Each limit with the units that could be taken now; negative in debt.
    pub levels: Vec<(Dimension, u64, i64)>,
    /// Exchanges at the provider.
    pub open: u32,
    /// How long the provider has asked for silence, from now.
    pub paused: Duration,
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    settings: QueueSettings,
    budgets: HashMap<ProviderId, Budget>,
    queue: Queue,
    open: HashMap<Ticket, Open>,
    effects: Vec<Effect>,
    next_ticket: u64,
    wakeup: Option<Moment>,
    closed: bool,
}

/// A reservation that has not been settled.
#[derive(Debug)]
struct Open {
    provider: ProviderId,
    taken: Taken,
}

impl Desk {
    /// A desk with full budgets.
    pub fn new(settings: QueueSettings, limits: impl IntoIterator<Item = (ProviderId, Limits)>) -> Desk {
        let budgets = limits.into_iter().map(|(id, limits)| (id, Budget::new(limits))).collect();
        Desk {
            settings,
            budgets,
            queue: Queue::default(),
            open: HashMap::new(),
            effects: Vec::new(),
            next_ticket: 0,
            wakeup: None,
            closed: false,
        }
    }

    /// Asks for room. The answer is an effect, at once or later.
    pub fn enter(&mut self, mut ask: Ask, now: Moment) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        if let Err(refusal) = self.admissible(&mut ask, now) {
            self.effects.push(Effect::Refused(ticket, refusal));
            return ticket;
        }
        // A bound that a reload has lowered is for those to come: who waits already was promised a turn.
        let bound = self.queue.len().max(self.settings.max_depth);
        self.queue.push(ticket, ask);
        self.serve(now);
        if self.closed && self.queue.contains(ticket) {
            self.refuse_closed(ticket, now);
            self.serve(now);
        } else if self.queue.len() > self.settings.max_depth && self.queue.contains(ticket) {
            let until = self.expected(ticket, now);
            self.queue.remove(ticket);
            self.effects.push(Effect::Refused(ticket, Refusal { why: Why::QueueFull, until }));
            // Nobody is to be woken for one who is gone.
            self.serve(now);
        }
        debug_assert!(self.queue.len() <= bound, "the queue is deeper than its bound");
        self.check();
        ticket
    }

    /// The exchange has gone away, or nothing was sent for it: its place is freed, and all that it held
    /// is given back, the request too.
    pub fn leave(&mut self, ticket: Ticket, now: Moment) {
        self.queue.remove(ticket);
        if let Some((open, budget)) = self.closed(ticket) {
            budget.undo(&open.taken, now);
        }
        self.serve(now);
        self.check();
    }

    /// Replaces what is held by what was used. A ticket that holds nothing is left alone.
    pub fn settle(&mut self, ticket: Ticket, truth: Cost, now: Moment) {
        if let Some((mut open, budget)) = self.closed(ticket) {
            budget.correct(&mut open.taken, truth, now);
            budget.close();
        }
        self.serve(now);
        self.check();
    }

    /// More output has come than is held: takes the difference while it is being used, so that others
    /// see it before the end.
    pub fn true_up(&mut self, ticket: Ticket, output: Tokens, now: Moment) {
        if let Some(open) = self.open.get_mut(&ticket)
            && output > open.taken.held.output
            && let Some(budget) = self.budgets.get_mut(&open.provider)
        {
            let truth = Cost { output, ..open.taken.held };
            budget.correct(&mut open.taken, truth, now);
        }
        self.check();
    }

    /// An answer to this ticket's call has told of limits. Called before the ticket is settled.
    pub fn hear(&mut self, _ticket: Ticket, _readings: &[Reading], _now: Moment) {}

    /// The provider has refused for want of room: what is held is given back, and nobody is sent there
    /// before `until`.
    pub fn penalise(&mut self, ticket: Ticket, until: Moment, now: Moment) {
        if let Some((mut open, budget)) = self.closed(ticket) {
            let refused = open.taken.held;
            budget.correct(&mut open.taken, Cost::default(), now);
            budget.close();
            budget.pause(until, refused, now);
        }
        self.serve(now);
        self.check();
    }

    /// Refuses everybody who waits, and from now on everybody who would have to. What is open stays so until
    /// it is settled.
    pub fn close(&mut self, now: Moment) {
        self.closed = true;
        let waiting: Vec<Ticket> = self.queue.iter().map(|(ticket, _)| ticket).collect();
        for ticket in waiting {
            self.refuse_closed(ticket, now);
        }
        self.serve(now);
        self.check();
    }

    /// Grants and refuses what the time that has passed allows.
    pub fn poll(&mut self, now: Moment) {
        self.serve(now);
        self.check();
    }

    /// What has been decided since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When [`Desk::poll`] has something to do if nobody calls before.
    pub fn next_wakeup(&self) -> Option<Moment> {
        self.wakeup
    }

    /// Takes over new settings. Budgets keep how full they are; those of providers that are gone are
    /// forgotten with their reservations; those who wait for them alone are refused.
    pub fn retune(
        &mut self,
        settings: QueueSettings,
        limits: impl IntoIterator<Item = (ProviderId, Limits)>,
        now: Moment,
    ) {
        self.settings = settings;
        let mut old = std::mem::take(&mut self.budgets);
        for (provider, limits) in limits {
            let mut budget = old.remove(&provider).unwrap_or_else(|| Budget::new(limits));
            budget.retune(limits, now);
            self.budgets.insert(provider, budget);
        }
        self.open.retain(|_, open| self.budgets.contains_key(&open.provider));
        self.refuse_hopeless(now);
        self.serve(now);
        self.check();
    }

    /// How many wait in each class.
    pub fn depths(&self) -> [(Priority, usize); 3] {
        self.queue.depths()
    }

    /// Every budget as it stands, by name.
    pub fn view(&self, now: Moment) -> Vec<BudgetView> {
        let mut views: Vec<BudgetView> = self
            .budgets
            .iter()
            .map(|(provider, budget)| BudgetView {
                provider: provider.clone(),
                levels: budget.levels(now).collect(),
                open: budget.open(),
                paused: budget.paused_until().since(now),
            })
            .collect();
        views.sort_by(|a, b| a.provider.cmp(&b.provider));
        views
    }

    /// The state that outlives the process. What open reservations hold counts as used.
    pub fn save(&self, now: Moment, wall: WallTime) -> SavedDesk {
        let budgets = self.budgets.iter().map(|(id, budget)| (id.as_str().to_owned(), budget.save(now)));
        SavedDesk { version: 1, wall_ms: wall.0, budgets: budgets.collect() }
    }

    /// Takes over what an earlier process saved. The time between refills; a clock that went backwards
    /// refills nothing.
    pub fn restore(&mut self, saved: &SavedDesk, now: Moment, wall: WallTime) {
        let elapsed = wall.since(WallTime(saved.wall_ms));
        for (provider, budget) in &mut self.budgets {
            if let Some(saved) = saved.budgets.get(provider.as_str()) {
                budget.restore(saved, elapsed, now);
            }
        }
        self.check();
    }

    /// Strikes the choices that can never be had, and refuses where none is left or the soonest would
    /// come too late even with an empty queue.
    fn admissible(&self, ask: &mut Ask, now: Moment) -> Result<(), Refusal> {
        let mut too_large = None;
        let mut soonest: Option<Moment> = None;
        ask.choices.retain_mut(|choice| {
            let Some(budget) = self.budgets.get(&choice.target.provider) else { return false };
            choice.cost = budget.fitted(choice.cost);
            match budget.room(choice.cost, Ahead::default(), now) {
                Room::Never(why) => {
                    too_large = Some(why);
                    return false;
                }
                Room::Now | Room::WhenOneEnds => soonest = Some(now),
                Room::At(at) => soonest = Some(soonest.map_or(at, |known| known.min(at))),
            }
            true
        });
        match (soonest, too_large) {
            (None, Some(why)) => Err(Refusal { why: Why::TooLarge(why), until: None }),
            (None, None) => Err(Refusal { why: Why::NoProvider, until: None }),
            // The deadline ends waiting. What has room at once is granted after it too, or an exchange
            // whose first provider was silent for long could not move on to an idle second one.
            (Some(at), _) if at > ask.deadline.max(now) => {
                Err(Refusal { why: Why::Deadline, until: Some(at) })
            }
            (Some(_), _) => Ok(()),
        }
    }

    fn refuse_closed(&mut self, ticket: Ticket, now: Moment) {
        self.queue.remove(ticket);
        self.effects.push(Effect::Refused(ticket, Refusal { why: Why::Closed, until: Some(now) }));
    }

    /// Refuses those who wait for nothing that the budgets could still give them.
    fn refuse_hopeless(&mut self, now: Moment) {
        let refusal = |ask: &Ask| self.admissible(&mut ask.clone(), now).err();
        let hopeless = self.queue.iter().filter_map(|(ticket, ask)| Some((ticket, refusal(ask)?)));
        let hopeless: Vec<_> = hopeless.filter(|(_, refusal)| refusal.why != Why::Deadline).collect();
        for (ticket, refusal) in hopeless {
            self.queue.remove(ticket);
            self.effects.push(Effect::Refused(ticket, refusal));
        }
    }

    /// An open reservation that is open no more, and its budget.
    fn closed(&mut self, ticket: Ticket) -> Option<(Open, &mut Budget)> {
        let open = self.open.remove(&ticket)?;
        let budget = self.budgets.get_mut(&open.provider)?;
        Some((open, budget))
    }

    /// Goes once through the queue in order: grants, refuses, and finds out when to look again. Ends
    /// early where nobody who comes later can get anything, unless somebody's time is over.
    fn serve(&mut self, now: Moment) {
        let expired = self.queue.next_deadline().is_some_and(|deadline| deadline <= now);
        let mut pass = Pass::new(&mut self.budgets, now);
        let mut wakeup: Option<Moment> = None;
        let decided = self.effects.len();
        for (ticket, ask) in self.queue.iter() {
            if pass.is_over() && !expired {
                break;
            }
            match pass.decide(ask) {
                Decision::Grant(choice, taken) => {
                    let (target, held) = (choice.target.clone(), taken.held);
                    self.open.insert(ticket, Open { provider: target.provider.clone(), taken });
                    self.effects.push(Effect::Granted(Grant { ticket, target, held }));
                }
                Decision::Refuse(refusal) => self.effects.push(Effect::Refused(ticket, refusal)),
                Decision::Wait { look_again } => {
                    wakeup = Some(wakeup.map_or(look_again, |known| known.min(look_again)));
                }
            }
        }
        for effect in &self.effects[decided..] {
            let (Effect::Granted(Grant { ticket, .. }) | Effect::Refused(ticket, _)) = effect;
            self.queue.remove(*ticket);
        }
        self.wakeup = wakeup.into_iter().chain(self.queue.next_deadline()).min();
    }

    /// When the waiter with this ticket may expect room, those before it included.
    fn expected(&mut self, ticket: Ticket, now: Moment) -> Option<Moment> {
        let mut pass = Pass::new(&mut self.budgets, now);
        for (waiting, ask) in self.queue.iter() {
            if waiting == ticket {
                return pass.soonest(ask).map(|(_, at)| at.unwrap_or(now));
            }
            pass.keep_free(ask.choices.first()?);
        }
        None
    }

    fn check(&self) {
        debug_assert!(self.queue.is_consistent(), "a waiter without its place");
        debug_assert!(
            self.open.keys().all(|ticket| !self.queue.contains(*ticket)),
            "somebody both waits and holds a reservation"
        );
        debug_assert!(
            self.budgets.iter().all(|(provider, budget)| {
                self.open.values().filter(|open| open.provider == *provider).count() == budget.open() as usize
            }),
            "a budget counts other reservations than are open"
        );
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
