//! The one door to providers. Reports facts; others judge them.

mod settings;

pub use settings::{AuthScheme, Credential, UpstreamSettings};
