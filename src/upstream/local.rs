//! One question to a gateway that runs, by a command beside it. No key, no redirect, no retry.

use super::failure::{Failure, FailureKind};
use http::StatusCode;
use std::path::Path;
use std::time::Duration;

/// How long the whole of it may take: what is asked lies in the memory of the other process.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read. A story has at most 64 events, a list 50 lines.
const ANSWER_MAX: usize = 4 << 20;

/// Asks for `http://...`, through a Unix socket where one is named. Gives the status and the body.
///
/// # Errors
/// There is no answer, or none that can be meant.
pub async fn ask(url: &str, socket: Option<&Path>) -> Result<(StatusCode, Vec<u8>), Failure> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .tls_certs_only([])
        .timeout(PATIENCE);
    if let Some(socket) = socket {
        builder = builder.unix_socket(socket);
    }
    // The client is built for TLS even where it speaks none. Fails if there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut answer = builder.build()?.get(url).send().await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > ANSWER_MAX {
            return Err(Failure::plain(FailureKind::Protocol));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((answer.status(), bytes))
}
