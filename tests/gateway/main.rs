//! The gateway over real sockets: a daemon on a free port in front of simulated providers.
//!
//! - `world`: the daemon, its providers and a client for them.
//! - `answers`: what comes back, plain and streamed, and in which headers.
//! - `odd`: providers that break off, fall silent, or answer in ways that none should.

mod answers;
mod odd;
mod world;
