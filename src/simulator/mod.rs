//! The built-in provider: a real HTTP server that speaks OpenAI's, Anthropic's and Google's languages, with enforced
//! limits, delays and faults that change while it runs.
//!
//! It stands in for a provider wherever one is needed (tests, benches, the start without any key), so that no
//! part of the gateway is ever tried against a mock. It refuses to know the gateway: it reads requests with
//! readers of its own and counts tokens by a rule of its own (see `count`), so that the gateway's estimate and
//! the provider's truth differ as they do in life.
//!
//! What is said is composed once, in no language: `ask` is a request after its reading, `answer` what is said to it,
//! `tools` which tools it calls, `usage` what it used. A dialect is a folder with a reader, a writer (a `speech`) and its
//! paths: `chat`, `responses`, `messages`, `gemini`. `calls` and `flow` admit, delay, break and stream all of them alike.
//!
//! What counts is decided in `account`, which is pure and public, so that it may be driven in virtual time as well.
//!
//! Two invariants. Every request that arrives is counted exactly once when it ends: served, limited, failed, cut or
//! cancelled. Everything that waits here (gate, hang, stall) waits for an event, so that tests need no sleep.

mod account;
mod answer;
mod ask;
mod base64;
mod bucket;
mod calendar;
mod calls;
mod chat;
mod control;
mod control_page;
mod count;
mod counting;
mod denial;
mod embeddings;
mod family;
mod faults;
mod files;
mod flow;
mod gemini;
mod hash;
mod hold;
mod limit_headers;
mod listen;
mod messages;
mod models;
mod passing;
mod prompt;
mod refusal;
mod refusal_shapes;
mod responses;
mod routes;
mod schema;
mod seen;
mod settings;
mod shared;
mod speech;
mod stats;
mod stored;
mod text;
mod tools;
mod usage;
mod visit;

pub use account::{Account, Charge, Demand, Kind, Standing};
pub use control::Control;
pub use count::{message_tokens, text_tokens};
pub use counting::{CountingWindow, LimitHeaders, OutputCharge, SimulatedCounting};
pub use denial::Denial;
pub use faults::{FailNext, Faults};
pub use hash::{fingerprint, redact};
pub use listen::{Simulator, start};
pub use settings::{SimulatedLimits, SimulatorSettings};
pub use stats::{LastRequest, Share, Stats};
