//! The gateway over real sockets: a daemon on a free port in front of simulated providers.
//!
//! - `world`: the daemon, its providers and a client for them.
//! - `beside`: what several tests do beside it.
//! - `answers`: what comes back, plain and streamed, and in which headers.
//! - `waiting`: who finds no room waits for it.
//! - `leaving`: clients that go away.
//! - `refused_for_now`: a provider's 429.

mod answers;
mod beside;
mod leaving;
mod refused_for_now;
mod waiting;
mod world;
