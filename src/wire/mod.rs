//! Bytes in, facts out: what a client asks and what a provider answers, and the few patches between.

mod call;
mod usage;

pub use call::{BadCall, Call, Content, Image, Spans};
pub use usage::Usage;
