//! What the operator sees: log, metrics, status. Knows values, not where they come from.

mod logging;
mod metrics;
mod settings;
mod status;
mod story;
mod vitals;

pub use logging::start as start_logging;
pub use metrics::{Labels, Metrics, seconds, status_class};
pub use settings::{LogFormat, LogSettings};
pub use status::{
    BreakerStatus, GroupStatus, Health, LastError, LevelStatus, Phase, PoolStatus, ProviderStatus, Status,
    StoreStatus,
};
pub use story::{
    StatusEvent, StatusExchange, StatusNext, StatusReason, StatusStep, StatusStory, StatusTokens, StatusWord,
};
pub use vitals::Vitals;
