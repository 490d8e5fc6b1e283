//! tidegate stands between programs and LLM providers and makes every request wait the right time
//! instead of failing.
//!
//! Layers, lowest first; an item may name only what stands above it in this list
//! (`tests/tidy.rs` holds the exact table):
//!
//! - `units`, `ids`, `dialect`, `secret`, `clock`, `tasks`: words that everything shares.
//! - [`wire`], [`tokens`], [`admission`], [`routing`]: pure. No socket, no clock read, no randomness, no log.
//! - [`upstream`], [`store`], [`observe`], [`simulator`]: the outside world, one door each.
//! - [`exchange`]: one client request and all that is done for it. Read [`exchange::Gateway::serve`] first.
//! - [`server`]: sockets, guard, health, metrics.
//! - [`config`]: what a person writes, made into the settings types of the parts above.
//! - [`daemon`]: the one place that puts the parts together; [`cli`]: one file a command.

pub mod admission;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dialect;
pub mod exchange;
pub mod ids;
pub mod observe;
pub mod routing;
pub mod secret;
pub mod server;
pub mod simulator;
pub mod store;
pub mod tasks;
pub mod tokens;
pub mod units;
pub mod upstream;
pub mod wire;
