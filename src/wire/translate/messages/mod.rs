//! Anthropic's messages, into the hub and out of it.
//!
//! - `request_read`, `request_write`: requests; `knobs` are their settings of thinking and sampling.
//! - `content_read`, `content_write`: blocks, of requests and answers.
//! - `answer`: whole answers, why they end and what they cost.
//! - `stream_read`, `stream_write`: streams.
//!
//! Refuses to know the other dialects. Invariant: what is written is what Anthropic's servers and libraries take.

mod answer;
mod content_read;
mod content_write;
mod knobs;
mod request_read;
mod request_write;
mod stream_read;
mod stream_write;
#[cfg(test)]
mod tests;

pub(super) use answer::{read_answer, write_answer};
pub use request_read::THREAD;
pub(super) use request_read::read_request;
pub(super) use request_write::write_request;
pub(super) use stream_read::StreamReader;
pub(super) use stream_write::StreamWriter;
