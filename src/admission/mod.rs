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
mod desk;
mod fair;
mod heard;
mod limits;
mod queue;
mod saved;

pub use ask::{Ask, Choice, Draws, Lack, Reason, Share, Ticket, Turn};
pub use budget::{Cost, Dimension, TooLarge};
pub use budgets::Strain;
pub use desk::{BudgetView, Desk, Effect, Grant, Refusal, Standing, Why};
pub use heard::{Meaning, Reading, Shortage};
pub use limits::{Counting, DayReset, Limits, OutputCounts, Priority, QueueSettings, Slices};
pub use saved::{SavedBudget, SavedDesk};
