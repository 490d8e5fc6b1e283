//! Sockets and routes: everything that a client can reach.

mod settings;

pub use settings::{ListenAddress, ServerSettings};
