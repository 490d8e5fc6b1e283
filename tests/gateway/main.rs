//! The gateway over real sockets: a daemon on a free port in front of simulated providers.
//!
//! - `world`: the daemon, its providers and a client for them.
//! - `beside`: what several tests do beside it.
//! - `answers`: what comes back, plain and streamed, and in which headers.
//! - `waiting`: who finds no room waits for it.
//! - `leaving`: clients that go away.
//! - `refused_for_now`: a provider's 429.
//! - `failover`: a provider that cannot serve.
//! - `breakers`: a provider that keeps failing.
//! - `broken_streams`: answers that go wrong after they have begun.
//! - `state`: what outlives the daemon.

mod answers;
mod beside;
mod breakers;
mod broken_streams;
mod failover;
mod leaving;
mod refused_for_now;
mod state;
mod waiting;
mod world;
