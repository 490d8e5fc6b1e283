//! One client request and all that is done for it.

mod settings;
mod turnstile;

pub use settings::{ExchangeSettings, Provider, Route};
pub use turnstile::{Reservation, Turnstile};
