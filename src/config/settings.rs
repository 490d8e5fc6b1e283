//! All settings of the gateway, together as they are loaded and reloaded.
//!
//! Each part owns its own type; here they only lie side by side.

use super::env::Env;
use super::paths;
use crate::exchange::ExchangeSettings;
use crate::observe::LogSettings;
use crate::server::ServerSettings;
use crate::store::StoreSettings;

/// Everything that a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the gateway listens.
    pub server: ServerSettings,
    /// Providers, routes, and the rules between them.
    pub exchange: ExchangeSettings,
    /// Where state is kept.
    pub store: StoreSettings,
    /// What is logged.
    pub log: LogSettings,
}

impl Settings {
    /// What holds where nothing is written: no provider, everything else usual.
    pub fn usual(env: &Env) -> Settings {
        Settings {
            server: ServerSettings::default(),
            exchange: ExchangeSettings::default(),
            store: StoreSettings { path: Some(paths::state_directory(env)), ..StoreSettings::default() },
            log: LogSettings::default(),
        }
    }
}
