//! What the operator sees: log, metrics, status.

mod settings;

pub use settings::{LogFormat, LogSettings};
