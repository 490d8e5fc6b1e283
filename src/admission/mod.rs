//! Who may go, and when: buckets make a budget, and the desk owns the budgets and the queue.
//!
//! Pure: time comes in as `now`, what follows goes out as values. Knows providers by name only, and
//! nothing of routes, breakers, JSON or sockets.

mod bucket;
mod budget;
mod choose;
mod counting;
mod desk;
mod heard;
mod limits;
mod queue;
mod replay;
mod saved;

pub use budget::{Cost, Dimension, TooLarge};
pub use desk::{BudgetView, Desk, Effect, Grant, Refusal, Why};
pub use heard::{Meaning, Reading, Shortage};
pub use limits::{Counting, Limits, OutputCounts, Priority, QueueSettings};
pub use queue::{Ask, Choice, Share, Ticket};
pub use replay::{Manner, Past, Replay, Replayed, Use, Waits};
pub use saved::{SavedBudget, SavedDesk};
