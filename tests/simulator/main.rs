//! The simulated provider over real sockets, as a client sees it.
//!
//! - `world`: a simulator on port 0 and a client
//! - `chat`, `completions`, `embeddings`, `responses`, `messages`, `gemini`: what is answered, a file a dialect
//! - `dialects`: what is the same in all of them
//! - `keys`: which keys are taken, and where
//! - `errors`: what is refused, and how
//! - `limits`: what is enforced
//! - `counting`: what counts against it, and what is told of it
//! - `faults`: how answers fail
//! - `streams`: how streams break
//! - `holds`: who waits inside, and how they are let go
//! - `control_page`: the same over HTTP
//! - `passing`: files, speech, echo

#![allow(clippy::unwrap_used, reason = "a world that cannot be made fails the test")]

mod chat;
mod completions;
mod control_page;
mod counting;
mod dialects;
mod embeddings;
mod errors;
mod faults;
mod gemini;
mod holds;
mod keys;
mod limits;
mod messages;
mod passing;
mod responses;
mod streams;
mod world;
