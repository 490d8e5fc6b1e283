//! Who may go, and when: buckets make a budget, and the desk owns the budgets and the queue.
//!
//! Pure: time comes in as `now`, what follows goes out as values. Knows providers by name only, and
//! nothing of routes, breakers, JSON or sockets.

#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod bucket;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod budget;
mod choose;
mod counting;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod day;
mod desk;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod dimension;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod gauge;
mod hand;
mod heard;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod learn;
mod limits;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod pace;
mod queue;
#[cfg_attr(not(test), allow(dead_code, reason = "the desk does not make pools yet"))]
mod refused;
mod saved;

#[cfg(test)]
#[path = "strict_tests.rs"]
mod strict;

pub use budget::{Cost, Dimension, TooLarge};
pub use desk::{BudgetView, Desk, Effect, Grant, Refusal, Why};
pub use gauge::{Known, Level};
pub use heard::{Meaning, Reading, Shortage};
pub use limits::{Counting, DayReset, Limits, OutputCounts, Priority, QueueSettings, Slices};
pub use queue::{Ask, Choice, Ticket};
pub use saved::{SavedBudget, SavedDesk, SavedLimit};
