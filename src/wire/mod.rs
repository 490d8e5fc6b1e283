//! Bytes in, facts out: what a client asks and what a provider answers, and the few patches between.

mod call;
mod chat;
mod completions;
mod embeddings;
mod json;
mod media;
mod patch;
mod read;
mod recognise;
mod sse;
mod usage;
mod usage_scan;

pub use call::{BadCall, Call, Content, Image, Spans};
pub use patch::{Changes, patch};
pub use read::read;
pub use recognise::{Surface, recognise};
pub use sse::{Frame, SseDecoder, SseEvent};
pub use usage::Usage;
pub use usage_scan::UsageScan;
