//! The built-in provider: a real HTTP server that speaks OpenAI, with enforced limits, delays and faults that
//! change while it runs.
//!
//! It stands in for a provider wherever one is needed (tests, benches, the start without any key), so that no
//! part of the gateway is ever tried against a mock. It refuses to know the gateway: it reads requests with a
//! reader of its own and counts tokens by a rule of its own (see `count`), so that the gateway's estimate and
//! the provider's truth differ as they do in life.
//!
//! Two invariants. Every request that arrives is counted exactly once when it ends: served, limited, failed, cut or
//! cancelled. Everything that waits here (gate, hang, stall) waits for an event, so that tests need no sleep.

mod account;
mod answer;
mod ask;
mod bucket;
mod calls;
mod chat;
mod control;
mod control_page;
mod count;
mod embeddings;
mod events;
mod faults;
mod files;
mod flow;
mod hash;
mod hold;
mod listen;
mod passing;
mod refusal;
mod routes;
mod schema;
mod settings;
mod shared;
mod stats;
mod text;
mod visit;

pub use control::Control;
pub use count::{message_tokens, text_tokens};
pub use faults::{FailNext, Faults};
pub use hash::{fingerprint, redact};
pub use listen::{Simulator, start};
pub use settings::{SimulatedLimits, SimulatorSettings};
pub use stats::{LastRequest, Stats};
