//! Gemini's `generateContent`, into the hub and out of it.
//!
//! - `keys`: keys in either spelling that Google reads, and its schemas.
//! - `request_read`, `request_write`: requests; `config_read`, `config_write` are their settings.
//! - `answer`: whole answers, why they end and what they cost; `parts` are pieces of requests and answers.
//! - `stream_read`, `stream_write`: streams.
//!
//! Refuses to know the other dialects. Invariant: what is written is what Google's servers and libraries take.

mod answer;
mod config_read;
mod config_write;
mod keys;
mod parts;
mod request_read;
mod request_write;
mod stream_read;
mod stream_write;
#[cfg(test)]
mod tests;

pub(super) use answer::{read_answer, write_answer};
pub(super) use config_write::signs;
pub(super) use request_read::read_request;
pub(super) use request_write::{UNSIGNED, write_request};
pub(super) use stream_read::StreamReader;
pub(super) use stream_write::StreamWriter;
