//! The one door to providers. Reports facts; others judge them.

mod address;
mod client;
mod credential;
mod failure;
mod headers;
mod local;
mod query;
mod reply;
mod settings;

pub use client::{BuildError, RequestBody, RequestBytes, Upstream, UpstreamRequest};
pub use failure::{Failure, FailureKind};
pub use headers::{Forwardable, Hop, for_client, forwardable, forwardable_translated};
pub use local::ask;
pub use query::{credential_in_query, query_for_provider};
pub use reply::{Reply, ReplyBody};
pub use settings::{AuthScheme, BadHeader, Credential, DefaultHeaders, Spoken, UpstreamSettings};
