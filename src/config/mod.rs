//! What a person writes, made into the settings of the parts.
//!
//! ```text
//! text -> reading + raw (what stands where) -> resolve (what it means) -> Settings, or every mistake at once
//! no file -> discover (environment, servers on this machine) -> Settings
//! ```
//!
//! Knows the settings types of all parts and none of their behaviour; only the daemon and the commands know
//! it. Invariant: no key gets into a message, a report or a debug print.

mod base_url;
mod diff;
mod discover;
mod env;
mod expand;
mod load;
mod mask;
mod mistake;
mod paths;
mod raw;
mod reading;
mod report;
mod resolve;
mod secret_source;
mod settings;
mod vendors;

pub use crate::server::ListenAddress;
pub use diff::{Changes, diff};
pub use discover::{Answer, Candidate, Found, answering, discover, from_environment, local_candidates};
pub use env::Env;
pub use load::{ConfigError, Loaded, listen_addresses, load, read};
pub use mistake::{Mistake, Mistakes};
pub use paths::{Chosen, ConfigPlace, config_place, state_directory, usual_config_places};
pub use resolve::loopback_address;
pub use settings::Settings;
