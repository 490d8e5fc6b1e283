//! The pure owner of the budgets and of the queue: admission and choice of the target are one act.
//!
//! An ask names every target that would do. The desk grants the first while that has room within the
//! ask's patience; after that the first with room; until the deadline. What follows from a call leaves
//! as [`Effect`]s. Refuses to know clocks, tasks and channels: the turnstile has those.
//!
//! Invariants, checked in debug builds at the end of every public call: the open reservations of a
//! provider are as many as its budget counts; nobody both waits and holds a reservation; an entry never
//! leaves the queue deeper than its bound.

use super::ask::{Ask, Draws, Reason, Ticket};
use super::budget::{Budget, Cost, Room};
use super::budgets::{Budgets, Strain, Taking};
use super::choose::{Decision, Pass};
use super::heard::{Reading, Shortage};
use super::limits::{Limits, Priority, QueueSettings};
use super::queue::Queue;
use super::saved::SavedDesk;
use super::told::{BudgetView, Effect, Grant, Refusal, Standing, Why};
use crate::ids::BudgetId;
use crate::units::{Moment, Tokens, WallTime};
use std::collections::HashMap;

/// The desk.
#[derive(Debug)]
pub struct Desk {
    settings: QueueSettings,
    budgets: Budgets,
    queue: Queue,
    open: HashMap<Ticket, Taking>,
    effects: Vec<Effect>,
    next_ticket: u64,
    wakeup: Option<Moment>,
    closed: bool,
}

impl Desk {
    /// A desk with full budgets.
    pub fn new(settings: QueueSettings, limits: impl IntoIterator<Item = (BudgetId, Limits)>) -> Desk {
        let mut desk = Desk {
            settings,
            budgets: Budgets::default(),
            queue: Queue::default(),
            open: HashMap::new(),
            effects: Vec::new(),
            next_ticket: 0,
            wakeup: None,
            closed: false,
        };
        desk.retune(settings, limits, Moment::START);
        desk
    }

    /// Asks for room. The answer is an effect, at once or later.
    pub fn enter(&mut self, mut ask: Ask, now: Moment) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        if let Err(refusal) = self.admissible(&mut ask, now) {
            self.effects.push(Effect::Refused(ticket, refusal));
            return ticket;
        }
        if self.queue.is_empty() && self.granted_at_once(ticket, &ask, now) {
            self.check();
            return ticket;
        }
        // A bound that a reload has lowered is for those to come: who waits already was promised a turn.
        let bound = self.queue.len().max(self.settings.max_depth);
        let reason = Pass::new(&mut self.budgets, now).reason(&ask);
        self.queue.push(ticket, ask, reason, self.settings.ageing);
        self.serve(now);
        if self.closed && self.queue.contains(ticket) {
            self.refuse_closed(ticket, now);
            self.serve(now);
        } else if self.queue.len() > self.settings.max_depth && self.queue.contains(ticket) {
            let until = self.standing(ticket, now).map(|standing| standing.expected.unwrap_or(now));
            let waiter = self.queue.remove(ticket);
            let reason = waiter.and_then(|waiter| waiter.reason);
            self.effects.push(Effect::Refused(ticket, Refusal { why: Why::QueueFull, until, reason }));
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
        if let Some(taking) = self.open.remove(&ticket) {
            self.budgets.undo(&taking, now);
        }
        self.serve(now);
        self.check();
    }

    /// Replaces what is held by what was used. A ticket that holds nothing is left alone.
    pub fn settle(&mut self, ticket: Ticket, truth: Cost, now: Moment) {
        if let Some(mut taking) = self.open.remove(&ticket) {
            self.budgets.correct(&mut taking, truth, now);
            self.budgets.close(&taking);
        }
        self.serve(now);
        self.check();
    }

    /// More output has come than is held: takes the difference while it is being used, so that others
    /// see it before the end.
    pub fn true_up(&mut self, ticket: Ticket, output: Tokens, now: Moment) {
        if let Some(taking) = self.open.get_mut(&ticket)
            && output > taking.held.output
        {
            let truth = Cost { output, ..taking.held };
            self.budgets.correct(taking, truth, now);
        }
        self.check();
    }

    /// The provider has let the call in, and its answer says this of its limits.
    pub fn hear(&mut self, ticket: Ticket, readings: &[Reading], now: Moment) {
        if let Some(taking) = self.open.get(&ticket) {
            self.budgets.hear(taking, readings, now);
        }
        self.serve(now);
        self.check();
    }

    /// The provider has refused for want of room: what is held is given back, and nobody is sent there
    /// before the shortage is over.
    pub fn penalise(&mut self, ticket: Ticket, shortage: &Shortage, now: Moment) {
        if let Some(mut taking) = self.open.remove(&ticket) {
            self.budgets.correct(&mut taking, Cost::default(), now);
            self.budgets.close(&taking);
            self.budgets.refused(&taking, shortage, now);
        }
        self.serve(now);
        self.check();
    }

    /// Refuses everybody who waits, and from now on everybody who would have to. What is open stays so until
    /// it is settled.
    pub fn close(&mut self, now: Moment) {
        self.closed = true;
        for ticket in self.queue.tickets() {
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

    /// Takes over new settings. Budgets keep how full they are; those that are gone are forgotten with what is held
    /// in them; those who wait for them alone are refused.
    pub fn retune(
        &mut self,
        settings: QueueSettings,
        limits: impl IntoIterator<Item = (BudgetId, Limits)>,
        now: Moment,
    ) {
        self.settings = settings;
        self.budgets.reserve = settings.reserve;
        self.budgets.retune(limits, now);
        for taking in self.open.values_mut() {
            self.budgets.forget_unknown(taking);
        }
        self.refuse_hopeless(now);
        self.serve(now);
        self.check();
    }

    /// The day's limits of a budget that come back all at once do so then.
    pub fn day_ends(&mut self, budget: &BudgetId, at: Moment, now: Moment) {
        self.budgets.day_ends(budget, at, now);
        self.serve(now);
        self.check();
    }

    /// How many wait in each class.
    pub fn depths(&self) -> [(Priority, usize); 3] {
        self.queue.depths()
    }

    /// Every budget as it stands, by name.
    pub fn view(&self, now: Moment) -> Vec<BudgetView> {
        let view = |(id, budget, is_pool): (&BudgetId, &Budget, bool)| BudgetView {
            budget: id.clone(),
            is_pool,
            levels: budget.views(now).collect(),
            open: budget.open(),
            paused: budget.paused_until().since(now),
        };
        let mut views: Vec<BudgetView> = self.budgets.iter().map(view).collect();
        views.sort_by(|a, b| a.budget.cmp(&b.budget));
        views
    }

    /// How much is used of what a target draws on.
    pub fn strain(&self, draws: &Draws, now: Moment) -> Strain {
        self.budgets.strain(draws, now)
    }

    /// The state that outlives the process. What open reservations hold counts as used.
    pub fn save(&self, now: Moment, wall: WallTime) -> SavedDesk {
        let [budgets, pools] = self.budgets.save(now);
        SavedDesk { version: 1, wall_ms: wall.0, budgets, pools }
    }

    /// Takes over what an earlier process saved. The time between refills; a clock that went backwards
    /// refills nothing.
    pub fn restore(&mut self, saved: &SavedDesk, now: Moment, wall: WallTime) {
        let elapsed = wall.since(WallTime(saved.wall_ms));
        self.budgets.restore([&saved.budgets, &saved.pools], elapsed, now);
        self.check();
    }

    /// Where the waiter with this ticket stands, those before it included.
    pub fn standing(&mut self, ticket: Ticket, now: Moment) -> Option<Standing> {
        let mut pass = Pass::new(&mut self.budgets, now);
        for (before, (waiting, waiter)) in self.queue.in_order().enumerate() {
            if waiting == ticket {
                let (_, expected) = pass.soonest(&waiter.ask)?;
                return Some(Standing { before, reason: waiter.reason.clone(), expected });
            }
            pass.keep_free(waiter.ask.choices.first()?, waiter.ask.priority, None);
        }
        None
    }

    /// What the waiter with this ticket waited for first.
    pub fn reason(&self, ticket: Ticket) -> Option<&Reason> {
        self.queue.get(ticket)?.reason.as_ref()
    }

    /// Strikes the choices that can never be had, and refuses where none is left or the soonest would
    /// come too late even with an empty queue.
    fn admissible(&self, ask: &mut Ask, now: Moment) -> Result<(), Refusal> {
        let mut too_large = None;
        let mut soonest: Option<Moment> = None;
        let (budgets, nobody) = (&self.budgets, HashMap::new());
        ask.choices.retain_mut(|choice| {
            choice.cost = budgets.fitted(&choice.draws, choice.cost);
            match budgets.room(choice, &nobody, ask.priority, now) {
                None => return false,
                Some(Room::Never(why)) => {
                    too_large = Some(why);
                    return false;
                }
                Some(Room::Now | Room::WhenOneEnds) => soonest = Some(now),
                Some(Room::At(at)) => soonest = Some(soonest.map_or(at, |known| known.min(at))),
            }
            true
        });
        match (soonest, too_large) {
            (None, Some(why)) => Err(Refusal::of(Why::TooLarge(why), None)),
            (None, None) => Err(Refusal::of(Why::NoProvider, None)),
            // The deadline ends waiting. What has room at once is granted after it too, or an exchange
            // whose first provider was silent for long could not move on to an idle second one.
            (Some(at), _) if at > ask.deadline.max(now) => {
                let reason = ask.choices.first().and_then(|choice| budgets.lack(choice, ask.priority, now));
                Err(Refusal { why: Why::Deadline, until: Some(at), reason })
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// With nobody before it, an ask that has room need not go through the queue.
    fn granted_at_once(&mut self, ticket: Ticket, ask: &Ask, now: Moment) -> bool {
        let Decision::Grant(choice, taking) = Pass::new(&mut self.budgets, now).decide(ask) else {
            return false;
        };
        let (target, held) = (choice.target.clone(), taking.held);
        let turn = self.queue.turn_of(ticket, ask);
        self.open.insert(ticket, taking);
        self.effects.push(Effect::Granted(Grant { ticket, target, held, turn, reason: None }));
        true
    }

    fn refuse_closed(&mut self, ticket: Ticket, now: Moment) {
        self.queue.remove(ticket);
        self.effects.push(Effect::Refused(ticket, Refusal::of(Why::Closed, Some(now))));
    }

    /// Refuses those who wait for nothing that the budgets could still give them.
    fn refuse_hopeless(&mut self, now: Moment) {
        let refusal = |ask: &Ask| self.admissible(&mut ask.clone(), now).err();
        let waiting = self.queue.in_order();
        let hopeless = waiting.filter_map(|(ticket, waiter)| Some((ticket, refusal(&waiter.ask)?)));
        let hopeless: Vec<_> = hopeless.filter(|(_, refusal)| refusal.why != Why::Deadline).collect();
        for (ticket, refusal) in hopeless {
            self.queue.remove(ticket);
            self.effects.push(Effect::Refused(ticket, refusal));
        }
    }

    /// Serves until nothing follows: who has gone leaves the order of the others between the lines changed.
    fn serve(&mut self, now: Moment) {
        self.queue.age(now);
        let wakeup = loop {
            let (wakeup, decided) = self.pass(now);
            if !decided {
                break wakeup;
            }
        };
        self.queue.rest();
        self.wakeup = wakeup.into_iter().chain(self.queue.next_change()).min();
    }

    /// Goes once through the queue in order: grants, refuses, and finds out when to look again. Tells that, and
    /// whether anything was decided. A lane whose head can get nothing is gone through no further, unless the time of
    /// somebody who is not met yet is over.
    fn pass(&mut self, now: Moment) -> (Option<Moment>, bool) {
        let mut wakeup: Option<Moment> = None;
        let decided = self.effects.len();
        let mut expired = self.queue.expired(now);
        let mut pass = Pass::new(&mut self.budgets, now);
        let mut waiting = self.queue.in_order();
        while let Some((ticket, waiter)) = waiting.next() {
            let turn = waiter.turn;
            expired -= usize::from(waiter.ask.deadline <= now);
            match pass.decide(&waiter.ask) {
                Decision::Grant(choice, taking) => {
                    let (target, held) = (choice.target.clone(), taking.held);
                    self.open.insert(ticket, taking);
                    let reason = waiter.reason.clone();
                    self.effects.push(Effect::Granted(Grant { ticket, target, held, turn, reason }));
                }
                Decision::Refuse(refusal) => {
                    let reason = waiter.reason.clone().or(refusal.reason);
                    self.effects.push(Effect::Refused(ticket, Refusal { reason, ..refusal }));
                }
                Decision::Wait { look_again, blocked } => {
                    wakeup = Some(wakeup.map_or(look_again, |known| known.min(look_again)));
                    if blocked && expired == 0 {
                        waiting.skip_lane();
                    }
                }
            }
        }
        for effect in &self.effects[decided..] {
            match effect {
                Effect::Granted(Grant { ticket, .. }) => self.queue.serve(*ticket),
                Effect::Refused(ticket, _) => self.queue.remove(*ticket),
            };
        }
        (wakeup, self.effects.len() > decided)
    }

    fn check(&self) {
        debug_assert!(self.queue.is_consistent(), "a waiter without its place");
        debug_assert!(
            self.open.keys().all(|ticket| !self.queue.contains(*ticket)),
            "somebody both waits and holds a reservation"
        );
        debug_assert!(
            self.budgets.iter().all(|(id, budget, _)| {
                self.open.values().filter(|taking| taking.draws_on(id)).count() == budget.open() as usize
            }),
            "a budget counts other reservations than are open"
        );
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "desk_order_tests.rs"]
mod order_tests;

#[cfg(test)]
#[path = "starvation_tests.rs"]
mod starvation_tests;
