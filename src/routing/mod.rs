//! Who serves an exchange, and what follows from an answer.

mod backoff;
mod breaker;
mod breakers;
mod catalogue;
mod outcome;
mod plan;
mod policy;
mod retry_after;
mod rfc3339;

pub use backoff::backoff;
pub use breaker::{Breaker, StillOpen, Transition, Verdict};
pub use breakers::{BREAKERS_MAX, Breakers, SavedBreaker, SavedBreakers};
pub use catalogue::{Catalogue, CatalogueProvider, Found, Listed, UnknownModel};
pub use outcome::{ErrorFacts, Outcome, Window, judge};
pub use plan::{Next, Plan};
pub use policy::{BreakerPolicy, RetryPolicy};
pub use retry_after::retry_after;
pub use rfc3339::parse_rfc3339;
