//! Who serves an exchange, and what follows from an answer.

mod policy;

pub use policy::{BreakerPolicy, RetryPolicy};
