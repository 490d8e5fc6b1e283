//! Bytes in, facts out: what a client asks and what a provider answers, and the few patches between.
//!
//! Everything here is pure and bounded, and survives any bytes. Parses only what must be known; what passes
//! through keeps its bytes.

mod array;
mod call;
mod chat;
mod completions;
mod embeddings;
mod framing;
mod gemini;
mod json;
mod media;
mod messages;
mod parts;
mod patch;
mod pieces;
mod provider_error;
mod read;
mod recognise;
mod refusal;
mod responses;
mod sse;
mod strip;
mod tally;
pub mod translate;
mod usage;
mod usage_scan;

pub use array::ArrayDecoder;
pub use call::{BadCall, Call, Content, Image, Spans};
pub use completions::stream_of_text;
pub use framing::{EventDecoder, Framing};
pub use patch::{Changes, patch};
pub use provider_error::{ProviderError, Quota};
pub use read::read;
pub use recognise::{Asked, Surface, count_path, percent_decoded, recognise};
pub use refusal::{ErrorBody, THREAD_UNSUPPORTED, event_of_error};
pub use sse::{Frame, SseDecoder, SseEvent};
pub use strip::strip_null_usage;
pub use tally::{Mark, Seen, Tally};
pub use usage::Usage;
pub use usage_scan::UsageScan;
