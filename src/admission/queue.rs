//! Who waits, in the order of service: by class, and inside a class fairly between clients.
//!
//! Those who may go to the same places stand in one lane, so that a lane whose head can go nowhere need not be looked
//! at further. Lanes whose first choice is at the same provider, whichever account, share one fair order, a line;
//! between lines the one that came first goes first. Refuses to know budgets. Invariant: each waiter has one place,
//! and a place belongs to one waiter.

use super::ask::{Ask, Draws, Reason, Share, Ticket, Turn};
use super::fair::Fair;
use super::limits::Priority;
use crate::ids::BudgetId;
use crate::units::{Moment, Tokens};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, btree_map};
use std::sync::Arc;
use std::time::Duration;

/// Those who have moved up a class are served there as one more client of the usual weight: neither can the class
/// starve them, nor can they, of whom there may be many, starve it.
const AGED: Share = Share { payer: u64::MAX, flow: u64::MAX, weight: 1_000 };

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
    /// Its class when it came.
    named: Priority,
    /// To whose share it is charged, and how much.
    share: Share,
    charged: u64,
    ages_at: Option<Moment>,
}

/// The orders of service of one line, one for each class.
#[derive(Debug)]
struct Line {
    /// Never the same as that of a line that was before.
    id: u64,
    classes: [Fair; 3],
}

impl Line {
    fn within(&self, class: Priority) -> u64 {
        self.id * 3 + class as u64
    }
}

/// The waiting asks.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<LaneKey, BTreeMap<Place, Waiter>>,
    spots: HashMap<Ticket, Spot>,
    deadlines: BTreeSet<(Moment, Ticket)>,
    ageing: BTreeSet<(Moment, Ticket)>,
    lines: HashMap<Box<str>, Line>,
    /// Lines that there ever were.
    lines_made: u64,
    depths: [usize; 3],
}

impl Queue {
    /// Puts an ask into its place. One that has waited for `ageing` moves up a class.
    pub(super) fn push(&mut self, ticket: Ticket, ask: Ask, reason: Option<Reason>, ageing: Duration) {
        let (class, share) = (ask.priority, ask.share);
        let tokens = size(&ask);
        let line = self.line(&ask);
        let within = line.within(class);
        let fair = &mut line.classes[index(class)];
        let (turn, charged) = match ask.turn {
            Some(turn) => {
                fair.wait(share);
                let start = if turn.within == within { turn.start } else { fair.now() };
                (Turn { start, within, ..turn }, 0)
            }
            None => {
                let tag = fair.enter(share, tokens);
                (Turn { start: tag.start, came: ticket, within }, tag.size)
            }
        };
        let ages_at = (above(class).is_some() && !ageing.is_zero()).then(|| ask.entered + ageing);
        self.ageing.extend(ages_at.map(|at| (at, ticket)));
        self.deadlines.insert((ask.deadline, ticket));
        self.depths[index(class)] += 1;
        let lane: LaneKey = ask.choices.iter().map(|choice| Arc::clone(&choice.draws)).collect();
        let place = Place { class, turn, ticket };
        self.lanes.entry(Arc::clone(&lane)).or_default().insert(place, Waiter { ask, turn, reason });
        self.spots.insert(ticket, Spot { lane, place, named: class, share, charged, ages_at });
    }

    /// Removes one who is not served.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let (waiter, spot) = self.take(ticket)?;
        let line = self.line(&waiter.ask);
        line.classes[index(spot.place.class)].refund(spot.share, spot.charged);
        Some(waiter)
    }

    /// Removes one who is served.
    pub(super) fn serve(&mut self, ticket: Ticket) -> Option<Waiter> {
        let (waiter, spot) = self.take(ticket)?;
        self.line(&waiter.ask).classes[index(spot.place.class)].serve(waiter.turn.start);
        Some(waiter)
    }

    fn take(&mut self, ticket: Ticket) -> Option<(Waiter, Spot)> {
        let spot = self.spots.remove(&ticket)?;
        let waiter = self.take_out(&spot)?;
        self.deadlines.remove(&(waiter.ask.deadline, ticket));
        if let Some(at) = spot.ages_at {
            self.ageing.remove(&(at, ticket));
        }
        self.depths[index(spot.named)] -= 1;
        self.line(&waiter.ask).classes[index(spot.place.class)].leave(spot.share);
        Some((waiter, spot))
    }

    /// The turn of an ask that is served without waiting.
    pub(super) fn turn_of(&self, ticket: Ticket, ask: &Ask) -> Turn {
        let new = || match self.lines.get(owner(ask)) {
            Some(line) => {
                let start = line.classes[index(ask.priority)].now();
                Turn { start, came: ticket, within: line.within(ask.priority) }
            }
            None => Turn { start: 0, came: ticket, within: 0 },
        };
        ask.turn.unwrap_or_else(new)
    }

    /// Moves those up who have waited long enough. From then on they are of that class in every way.
    pub(super) fn age(&mut self, now: Moment) {
        while let Some((at, ticket)) = self.ageing.first().copied().filter(|(at, _)| *at <= now) {
            self.ageing.remove(&(at, ticket));
            let Some(mut spot) = self.spots.remove(&ticket) else { continue };
            let (Some(class), Some(mut waiter)) = (above(spot.place.class), self.take_out(&spot)) else {
                continue;
            };
            let line = self.line(&waiter.ask);
            line.classes[index(spot.place.class)].leave(spot.share);
            let tag = line.classes[index(class)].enter(AGED, size(&waiter.ask));
            waiter.turn = Turn { start: tag.start, within: line.within(class), ..waiter.turn };
            waiter.ask.priority = class;
            spot.place = Place { class, turn: waiter.turn, ticket };
            (spot.share, spot.charged, spot.ages_at) = (AGED, tag.size, None);
            self.lanes.entry(Arc::clone(&spot.lane)).or_default().insert(spot.place, waiter);
            self.spots.insert(ticket, spot);
        }
    }

    /// Forgets what clients have had when nobody waits anywhere: there was enough for all.
    pub(super) fn rest(&mut self) {
        if self.spots.is_empty() {
            self.lines.clear();
        }
    }

    /// How many of those who wait were to give up by now.
    pub(super) fn expired(&self, now: Moment) -> usize {
        self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).count()
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
        InOrder::new(&self.lanes)
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

    fn line(&mut self, ask: &Ask) -> &mut Line {
        let owner = owner(ask);
        if !self.lines.contains_key(owner) {
            self.lines_made += 1;
            self.lines.insert(owner.into(), Line { id: self.lines_made, classes: Default::default() });
        }
        self.lines.get_mut(owner).expect("it was just made sure that it is there")
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.deadlines.len() == self.spots.len()
            && self.lanes.values().map(BTreeMap::len).sum::<usize>() == self.spots.len()
            && self.depths.iter().sum::<usize>() == self.spots.len()
            && self.lines.values().flat_map(|line| &line.classes).all(Fair::is_consistent)
            && self.spots.iter().all(|(ticket, spot)| {
                let waiter = self.lanes.get(&spot.lane).and_then(|lane| lane.get(&spot.place));
                spot.place.ticket == *ticket && waiter.is_some_and(|waiter| waiter.turn == spot.place.turn)
            })
    }
}

/// A walk through the queue in the order of service: the first of each line, and that line first whose first one came
/// first.
#[derive(Debug)]
pub(super) struct InOrder<'queue> {
    /// The heads of the lanes of each line.
    lines: Vec<BinaryHeap<Reverse<Head<'queue>>>>,
    order: BinaryHeap<Reverse<(Rank, usize)>>,
    /// The line of the one that was last, and the rest of its lane.
    last: Option<(usize, Option<Rest<'queue>>)>,
}

/// The order between lines.
type Rank = (Priority, Moment, Ticket);

type Rest<'queue> = btree_map::Iter<'queue, Place, Waiter>;

#[derive(Debug)]
struct Head<'queue> {
    place: &'queue Place,
    waiter: &'queue Waiter,
    rest: Rest<'queue>,
}

impl<'queue> InOrder<'queue> {
    fn new(lanes: &'queue BTreeMap<LaneKey, BTreeMap<Place, Waiter>>) -> InOrder<'queue> {
        let mut walk = InOrder { lines: Vec::new(), order: BinaryHeap::new(), last: None };
        let mut before = None;
        for (key, waiters) in lanes {
            // The lanes of one line are neighbours.
            let line = key.first().and_then(|draws| line_of(draws));
            if before != Some(line) {
                before = Some(line);
                walk.lines.push(BinaryHeap::new());
            }
            let heads = walk.lines.last_mut().expect("the first lane has begun one");
            heads.extend(Head::first(waiters.iter()).map(Reverse));
        }
        (0..walk.lines.len()).for_each(|line| walk.put(line));
        walk
    }

    /// Leaves out the rest of the lane in which the last one stood.
    pub(super) fn skip_lane(&mut self) {
        if let Some((_, rest)) = &mut self.last {
            *rest = None;
        }
    }

    /// Puts a line to its place among the others.
    fn put(&mut self, line: usize) {
        if let Some(Reverse(head)) = self.lines[line].peek() {
            let rank = (head.place.class, head.waiter.ask.entered, head.place.ticket);
            self.order.push(Reverse((rank, line)));
        }
    }
}

impl<'queue> Iterator for InOrder<'queue> {
    type Item = (Ticket, &'queue Waiter);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((line, rest)) = self.last.take() {
            self.lines[line].extend(rest.and_then(Head::first).map(Reverse));
            self.put(line);
        }
        let Reverse((_, line)) = self.order.pop()?;
        let Reverse(head) = self.lines[line].pop()?;
        self.last = Some((line, Some(head.rest)));
        Some((head.place.ticket, head.waiter))
    }
}

impl<'queue> Head<'queue> {
    fn first(mut rest: Rest<'queue>) -> Option<Head<'queue>> {
        let (place, waiter) = rest.next()?;
        Some(Head { place, waiter, rest })
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(other.place)
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Head<'_> {}

/// The line in which a call with this first choice stands. Which account that names is a matter of chance, so whose
/// turn it is must not hang on it. Accounts of one provider are neighbours among the lanes, because their names are.
fn line_of(draws: &Draws) -> Option<&str> {
    draws.own().map(BudgetId::owner)
}

/// The name of the line in which the ask stands.
fn owner(ask: &Ask) -> &str {
    ask.choices.first().and_then(|choice| line_of(&choice.draws)).unwrap_or_default()
}

fn size(ask: &Ask) -> Tokens {
    ask.choices.first().map_or(Tokens::ZERO, |choice| choice.cost.total())
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
