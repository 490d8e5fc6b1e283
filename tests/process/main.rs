//! The program as a process: what a service manager, a shell and a power cut see of it.
//!
//! - `child`: starting it, reading what it says, sending it signals.
//! - `life`: drains, reloads, crashes.
//! - `exits`: why it does not start.
//! - `explain`: why a request waited.
//! - `systemd`: readiness, watchdog, inherited sockets.
//! - `plan`: its own log, replayed.
//! - `secrets`: where a key never appears.

mod child;
mod exits;
mod explain;
mod life;
mod plan;
mod secrets;
mod systemd;
