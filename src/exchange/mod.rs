//! One client request and all that is done for it.

mod settings;

pub use settings::{ExchangeSettings, Provider, Route};
