//! Who waits, in the order of service: by class, and inside a class fairly between clients.
//!
//! Those who may go to the same places stand in one lane, so that a lane whose head can go nowhere need not be looked
//! at further. Lanes whose first choice is at the same provider, whichever account, share one fair order, a line;
//! between lines the one that came first goes first. Refuses to know budgets. Invariant: each waiter has one place,
//! and a place belongs to one waiter.

use super::ask::{Ask, Draws, Reason, Ticket, Turn};
use super::fair::Fair;
use super::limits::Priority;
use crate::ids::BudgetId;
use crate::units::{Moment, Tokens};
use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};
use std::sync::Arc;
use std::time::Duration;

/// What the waiters of a lane may draw on, choice by choice.
type LaneKey = Arc<[Arc<Draws>]>;

/// The order of service inside a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    class: Priority,
    turn: Turn,
    ticket: Ticket,
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ask: Ask,
    pub(super) turn: Turn,
    /// What it waited for first.
    pub(super) reason: Option<Reason>,
}

/// Where a waiter stands.
#[derive(Debug)]
struct Spot {
    lane: LaneKey,
    place: Place,
    ages_at: Option<Moment>,
}

/// The waiting asks.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<LaneKey, BTreeMap<Place, Waiter>>,
    spots: HashMap<Ticket, Spot>,
    deadlines: BTreeSet<(Moment, Ticket)>,
    ageing: BTreeSet<(Moment, Ticket)>,
    lines: HashMap<Box<str>, [Fair; 3]>,
    depths: [usize; 3],
}

impl Queue {
    /// Puts an ask into its place. One that has waited for `ageing` moves up a class.
    pub(super) fn push(&mut self, ticket: Ticket, ask: Ask, reason: Option<Reason>, ageing: Duration) {
        let tokens = ask.choices.first().map_or(Tokens::ZERO, |choice| choice.cost.total());
        let class = ask.priority;
        let fair = &mut self.line(&ask)[index(class)];
        let turn = match ask.turn {
            Some(turn) => {
                fair.wait(ask.share);
                turn
            }
            None => Turn { start: fair.enter(ask.share, tokens), came: ticket },
        };
        let ages_at = (above(class).is_some() && !ageing.is_zero()).then(|| ask.entered + ageing);
        self.ageing.extend(ages_at.map(|at| (at, ticket)));
        self.deadlines.insert((ask.deadline, ticket));
        self.depths[index(class)] += 1;
        let lane: LaneKey = ask.choices.iter().map(|choice| Arc::clone(&choice.draws)).collect();
        let place = Place { class, turn, ticket };
        self.lanes.entry(Arc::clone(&lane)).or_default().insert(place, Waiter { ask, turn, reason });
        self.spots.insert(ticket, Spot { lane, place, ages_at });
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let spot = self.spots.remove(&ticket)?;
        let waiter = self.take_out(&spot)?;
        self.deadlines.remove(&(waiter.ask.deadline, ticket));
        if let Some(at) = spot.ages_at {
            self.ageing.remove(&(at, ticket));
        }
        self.depths[index(waiter.ask.priority)] -= 1;
        let line = self.line(&waiter.ask);
        line[index(spot.place.class)].leave(waiter.ask.share);
        Some(waiter)
    }

    /// Removes one who is served.
    pub(super) fn serve(&mut self, ticket: Ticket) -> Option<Waiter> {
        let class = self.spots.get(&ticket)?.place.class;
        let waiter = self.remove(ticket)?;
        self.line(&waiter.ask)[index(class)].serve(waiter.turn.start);
        Some(waiter)
    }

    /// The turn of an ask that is served without waiting.
    pub(super) fn turn_of(&mut self, ticket: Ticket, ask: &Ask) -> Turn {
        let class = index(ask.priority);
        ask.turn.unwrap_or_else(|| Turn { start: self.line(ask)[class].now(), came: ticket })
    }

    /// Moves those up who have waited long enough, before everybody who waits there.
    pub(super) fn age(&mut self, now: Moment) {
        while let Some((at, ticket)) = self.ageing.first().copied().filter(|(at, _)| *at <= now) {
            self.ageing.remove(&(at, ticket));
            let Some(mut spot) = self.spots.remove(&ticket) else { continue };
            let (Some(class), Some(mut waiter)) = (above(spot.place.class), self.take_out(&spot)) else {
                continue;
            };
            let line = self.line(&waiter.ask);
            line[index(spot.place.class)].leave(waiter.ask.share);
            line[index(class)].wait(waiter.ask.share);
            waiter.turn.start = line[index(class)].now();
            spot.place = Place { class, turn: waiter.turn, ticket };
            spot.ages_at = None;
            self.lanes.entry(Arc::clone(&spot.lane)).or_default().insert(spot.place, waiter);
            self.spots.insert(ticket, spot);
        }
    }

    /// Forgets what clients have had in lines where nobody waits any more.
    pub(super) fn rest(&mut self) {
        if self.spots.is_empty() {
            self.lines.values_mut().flatten().filter(|fair| fair.is_idle()).for_each(Fair::rest);
        }
    }

    /// When the first of those who wait gives up.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// When the first of those who wait gives up or moves up.
    pub(super) fn next_change(&self) -> Option<Moment> {
        let ages = self.ageing.first().map(|(at, _)| *at);
        self.next_deadline().into_iter().chain(ages).min()
    }

    /// Everybody in the order of service.
    pub(super) fn in_order(&self) -> InOrder<'_> {
        InOrder { heads: self.lanes.iter().map(Head::new).collect(), last: 0 }
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        let spot = self.spots.get(&ticket)?;
        self.lanes.get(&spot.lane)?.get(&spot.place)
    }

    pub(super) fn tickets(&self) -> Vec<Ticket> {
        self.in_order().map(|(ticket, _)| ticket).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.spots.contains_key(&ticket)
    }

    /// How many wait in each class that clients named.
    pub(super) fn depths(&self) -> [(Priority, usize); 3] {
        Priority::ALL.map(|priority| (priority, self.depths[index(priority)]))
    }

    fn take_out(&mut self, spot: &Spot) -> Option<Waiter> {
        let lane = self.lanes.get_mut(&spot.lane)?;
        let waiter = lane.remove(&spot.place);
        if lane.is_empty() {
            self.lanes.remove(&spot.lane);
        }
        waiter
    }

    fn line(&mut self, ask: &Ask) -> &mut [Fair; 3] {
        let owner = ask.choices.first().and_then(|choice| line_of(&choice.draws)).unwrap_or_default();
        if !self.lines.contains_key(owner) {
            self.lines.insert(owner.into(), Default::default());
        }
        self.lines.get_mut(owner).expect("it was just made sure that it is there")
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.deadlines.len() == self.spots.len()
            && self.lanes.values().map(BTreeMap::len).sum::<usize>() == self.spots.len()
            && self.depths.iter().sum::<usize>() == self.spots.len()
            && self.lines.values().flatten().all(Fair::is_consistent)
            && self.spots.iter().all(|(ticket, spot)| {
                let waiter = self.lanes.get(&spot.lane).and_then(|lane| lane.get(&spot.place));
                spot.place.ticket == *ticket && waiter.is_some_and(|waiter| waiter.turn == spot.place.turn)
            })
    }
}

/// A walk through the queue in the order of service.
#[derive(Debug)]
pub(super) struct InOrder<'queue> {
    /// One for each lane; those of one line are neighbours.
    heads: Vec<Head<'queue>>,
    last: usize,
}

#[derive(Debug)]
struct Head<'queue> {
    line: Option<&'queue str>,
    next: Option<(&'queue Place, &'queue Waiter)>,
    rest: btree_map::Iter<'queue, Place, Waiter>,
}

impl<'queue> Head<'queue> {
    fn new((key, waiters): (&'queue LaneKey, &'queue BTreeMap<Place, Waiter>)) -> Head<'queue> {
        let mut rest = waiters.iter();
        Head { line: key.first().and_then(|draws| line_of(draws)), next: rest.next(), rest }
    }
}

impl InOrder<'_> {
    /// Leaves out the rest of the lane in which the last one stood.
    pub(super) fn skip_lane(&mut self) {
        self.heads[self.last].next = None;
    }

    /// The lane of the one that is next: the first of its line, and its line before the others.
    fn soonest(&self) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (at, head) in self.heads.iter().enumerate() {
            let Some((place, waiter)) = head.next else { continue };
            let before = best.and_then(|best| Some((self.heads[best].line, self.heads[best].next?)));
            let goes_first = before.is_none_or(|(line, (other, theirs))| {
                if line == head.line {
                    place < other
                } else {
                    let rank =
                        |place: &Place, waiter: &Waiter| (place.class, waiter.ask.entered, place.ticket);
                    rank(place, waiter) < rank(other, theirs)
                }
            });
            if goes_first {
                best = Some(at);
            }
        }
        best
    }
}

impl<'queue> Iterator for InOrder<'queue> {
    type Item = (Ticket, &'queue Waiter);

    fn next(&mut self) -> Option<Self::Item> {
        self.last = self.soonest()?;
        let head = &mut self.heads[self.last];
        let (place, waiter) = head.next.take()?;
        head.next = head.rest.next();
        Some((place.ticket, waiter))
    }
}

/// The line in which a call with this first choice stands. Which account that names is a matter of chance, so whose
/// turn it is must not hang on it. Accounts of one provider are neighbours among the lanes, because their names are.
fn line_of(draws: &Draws) -> Option<&str> {
    draws.own().map(BudgetId::owner)
}

fn index(class: Priority) -> usize {
    class as usize
}

/// The class that one who has waited long moves up to.
fn above(class: Priority) -> Option<Priority> {
    match class {
        Priority::Interactive => None,
        Priority::Normal => Some(Priority::Interactive),
        Priority::Batch => Some(Priority::Normal),
    }
}
