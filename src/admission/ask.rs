//! What an exchange asks of the desk.

use super::budget::Cost;
use super::limits::Priority;
use crate::ids::{BudgetId, TargetId};
use crate::units::Moment;
use std::sync::Arc;

/// What one exchange is called at the desk, from its entry until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// The budgets that a target draws on: a call takes from all of them or from none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Draws {
    /// Those that the operator has set limits for: first the provider's own, then the groups that share one limit. A
    /// target is only served while all of them are known.
    pub configured: Vec<BudgetId>,
    /// The one that learns what the provider says of this model. It comes into being when it is first drawn on.
    pub pool: Option<BudgetId>,
}

impl Draws {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &BudgetId> {
        self.configured.iter().chain(&self.pool)
    }

    /// The provider's own.
    pub(super) fn own(&self) -> Option<&BudgetId> {
        self.configured.first()
    }
}

/// A target that would do, and what the call costs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The target.
    pub target: TargetId,
    /// What it draws on.
    pub draws: Arc<Draws>,
    /// The cost by that provider's way of counting.
    pub cost: Cost,
    /// Until then a choice before this one is waited for, if that is expected to have room by then.
    pub open_from: Moment,
}

/// Whose call it is, for those who wait to be served fairly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// The payer, who is owed the share.
    pub payer: u64,
    /// Which of its programs this is. Those of one payer divide its share among them.
    pub flow: u64,
    /// How large the share is, in thousandths of the usual one; 0 counts as 1.
    pub weight: u32,
}

impl Default for Share {
    fn default() -> Self {
        Share { payer: 0, flow: 0, weight: 1_000 }
    }
}

/// A place in the order of service, kept by an exchange that asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// The virtual time at which the client's share reaches the call.
    pub(super) start: u64,
    /// Of those that start together the one that came first goes first, however often it had to come back.
    pub(super) came: Ticket,
    /// The order of service in which that time is counted: the times of two cannot be compared. 0 is none.
    pub(super) within: u64,
}

/// What an exchange asks of the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The targets that would do, in the order in which they are wanted.
    pub choices: Vec<Choice>,
    /// Its class.
    pub priority: Priority,
    /// Whose it is.
    pub share: Share,
    /// When the exchange came.
    pub entered: Moment,
    /// The turn of an exchange that was granted room before and asks again after a failed attempt: it stays before
    /// those who came later, and is charged to its client's share once.
    pub turn: Option<Turn>,
    /// When it gives up.
    pub deadline: Moment,
}

/// What somebody waits or was refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The budget that has no room.
    pub budget: BudgetId,
    /// What it lacks.
    pub lack: Lack,
    /// Until when, as things stand; `None` if until another exchange ends.
    pub until: Option<Moment>,
}

/// What a budget lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lack {
    /// This limit is used up for now.
    Limit(super::budget::Dimension),
    /// The provider has asked for silence.
    Pause,
    /// As many exchanges are at the provider as may be.
    Places,
    /// There is room, but others wait for it who come first.
    Turn,
}
