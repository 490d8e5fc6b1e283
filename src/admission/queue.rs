//! Who waits, in the order of service: by class, and inside a class by who came first.
//!
//! Refuses to know budgets. Invariant: each waiter has one place, and a place belongs to one waiter.

use super::budget::Cost;
use super::limits::Priority;
use crate::ids::TargetId;
use crate::units::Moment;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What one exchange is called at the desk, from its entry until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// A target that would do, and what the call costs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The target.
    pub target: TargetId,
    /// The cost by that provider's way of counting.
    pub cost: Cost,
}

/// Whose call it is, for a fair queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// Who pays: those who came with one credential.
    pub group: u64,
    /// Which of the group: one session, user or machine.
    pub flow: u64,
    /// How much of the room it gets beside others, in thousandths of the usual.
    pub weight: u32,
}

impl Default for Share {
    fn default() -> Self {
        Share { group: 0, flow: 0, weight: 1_000 }
    }
}

/// What an exchange asks of the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The targets that would do, in failover order.
    pub choices: Vec<Choice>,
    /// Its class.
    pub priority: Priority,
    /// Whose it is.
    pub share: Share,
    /// When the exchange came. One that asks again after a failed attempt keeps its first time, and so
    /// its place before those who came later.
    pub entered: Moment,
    /// Until when only the first choice will do, as long as it can be had by then.
    pub patient_until: Moment,
    /// When it gives up.
    pub deadline: Moment,
}

/// The order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    priority: Priority,
    entered: Moment,
    pub(super) ticket: Ticket,
}

/// The waiting asks.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Place, Ask>,
    places: HashMap<Ticket, Place>,
    deadlines: BTreeSet<(Moment, Ticket)>,
}

impl Queue {
    pub(super) fn push(&mut self, ticket: Ticket, ask: Ask) {
        let place = Place { priority: ask.priority, entered: ask.entered, ticket };
        self.places.insert(ticket, place);
        self.deadlines.insert((ask.deadline, ticket));
        self.waiting.insert(place, ask);
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Ask> {
        let place = self.places.remove(&ticket)?;
        let ask = self.waiting.remove(&place)?;
        self.deadlines.remove(&(ask.deadline, ticket));
        Some(ask)
    }

    /// When the first of those who wait gives up.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The asks in the order of service.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ticket, &Ask)> {
        self.waiting.iter().map(|(place, ask)| (place.ticket, ask))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.places.contains_key(&ticket)
    }

    /// How many wait in each class.
    pub(super) fn depths(&self) -> [(Priority, usize); 3] {
        Priority::ALL.map(|priority| {
            (priority, self.waiting.keys().filter(|place| place.priority == priority).count())
        })
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.places.len() == self.waiting.len()
            && self.deadlines.len() == self.waiting.len()
            && self.places.iter().all(|(ticket, place)| {
                place.ticket == *ticket
                    && self.waiting.get(place).is_some_and(|ask| ask.entered == place.entered)
            })
    }
}
