//! Who may go, and when: buckets make a budget, and the desk owns the budgets and the queue.
//!
//! Pure: time comes in as `now`, what follows goes out as values. Knows providers by name only, and
//! nothing of routes, breakers, JSON or sockets.

mod ask;
mod bucket;
mod budget;
mod budgets;
mod choose;
mod counting;
mod day;
mod desk;
mod dimension;
mod fair;
mod gauge;
mod hand;
mod heard;
mod learn;
mod limits;
mod pace;
mod queue;
mod readings;
mod refused;
mod replay;
mod said;
mod saved;
mod told;

#[cfg(test)]
#[path = "strict_tests.rs"]
mod strict;

pub use ask::{Ask, Choice, Draws, Lack, Reason, Share, Ticket, Turn};
pub use budget::{Cost, Dimension, TooLarge};
pub use budgets::Strain;
pub use desk::Desk;
pub use gauge::{Known, Level};
pub use heard::{Meaning, Reading, Shortage};
pub use limits::{Counting, DayReset, Limits, OutputCounts, Priority, QueueSettings, Slices};
pub use readings::{allows_nothing, readings};
pub use replay::{Manner, Past, Replay, Replayed, Use, Waits};
pub use said::Said;
pub use saved::{SavedBudget, SavedDesk, SavedLimit};
pub use told::{BudgetView, Effect, Grant, Refusal, Standing, Why};
