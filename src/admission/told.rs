//! What the desk tells: effects for those whom a call has concerned, and how things stand.
//!
//! Values alone; nothing here decides.

use super::ask::{Reason, Ticket, Turn};
use super::budget::{Cost, TooLarge};
use super::gauge::Level;
use crate::ids::{BudgetId, TargetId};
use crate::units::Moment;
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
    /// Its place in the order of service, for an exchange that asks again.
    pub turn: Turn,
    /// What it had to wait for; `None` if it did not wait.
    pub reason: Option<Reason>,
}

/// Why there is no room, and when there will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// When the same ask would find room if nothing else came; `None` if never.
    pub until: Option<Moment>,
    /// What it waited for, where it waited.
    pub reason: Option<Reason>,
}

impl Refusal {
    pub(super) fn of(why: Why, until: Option<Moment>) -> Refusal {
        Refusal { why, until, reason: None }
    }
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

/// What one budget looks like to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetView {
    /// Which.
    pub budget: BudgetId,
    /// Whether it learns its limits from the provider.
    pub is_pool: bool,
    /// Each limit as it stands.
    pub levels: Vec<Level>,
    /// Exchanges at the provider.
    pub open: u32,
    /// How long the provider has asked for silence, from now.
    pub paused: Duration,
}

/// Where one who waits stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many are served before it, as things are.
    pub before: usize,
    /// What it waits for.
    pub reason: Option<Reason>,
    /// When it may expect room; `None` if when another exchange ends.
    pub expected: Option<Moment>,
}
