//! What outlives the process.

mod settings;

pub use settings::StoreSettings;
