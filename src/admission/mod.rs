//! Who may go, and when: budgets, the queue, and the desk that owns both.

mod limits;

pub use limits::{Limits, Priority, QueueSettings};
