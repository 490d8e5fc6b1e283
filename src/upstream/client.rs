//! Sends one request to one provider.
//!
//! Refuses to retry, to follow, to decode and to judge: whoever asked does. Invariants: the key goes nowhere but
//! under the base URL, and there is no limit on how long an answer may take as a whole, only on its silences.

use super::address::Address;
use super::credential::KeyHeader;
use super::failure::{ClientBodyBroke, Failure, FailureKind};
use super::headers::{Forwardable, without_hop_by_hop};
use super::reply::{Reply, ReplyBody};
use super::settings::{AuthScheme, DefaultHeaders, UpstreamSettings};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shorter than the minute for which most providers and load balancers keep an idle connection, so that we
/// close it and not they, in the moment of its next use.
const POOL_IDLE: Duration = Duration::from_secs(55);

/// How often a shared connection is asked whether it is still there. A dead one would otherwise take every
/// exchange on it along until the idle timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// One provider, with its pool of connections. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: reqwest::Client,
    address: Address,
    key: Option<KeyHeader>,
    headers: DefaultHeaders,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
}

/// What to send.
#[derive(Debug)]
pub struct UpstreamRequest {
    /// The method, as the client's.
    pub method: Method,
    /// What follows the base URL: a path that is empty or begins with a slash, and a query.
    pub path_and_query: String,
    /// The headers but for the key.
    pub headers: Forwardable,
    /// The header that carries the key, where it is not the provider's usual one.
    pub auth: Option<AuthScheme>,
    /// The body.
    pub body: RequestBody,
}

/// The bytes of a body as they come.
pub type RequestBytes = Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send>>;

/// The body of a request.
pub enum RequestBody {
    /// None.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// As it comes from the client.
    Stream {
        /// The bytes; an error breaks the request off.
        bytes: RequestBytes,
        /// How many there will be, if the client has said so; else the body is sent in chunks.
        length: Option<u64>,
    },
}

/// Settings that no client can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The base URL cannot be used; says why.
    #[error("{0}")]
    Address(&'static str),
    /// The key holds characters that no header may.
    #[error("the key holds characters that cannot be sent, such as a line break")]
    Key,
    /// TLS cannot be set up; most often the machine has no CA certificates.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl Upstream {
    /// A client for one provider. Connects to nothing.
    ///
    /// # Errors
    /// The base URL or the key cannot be used, or the address is https and there are no certificates to
    /// check it by.
    pub fn new(settings: &UpstreamSettings) -> Result<Upstream, BuildError> {
        let address = Address::parse(&settings.base_url).map_err(BuildError::Address)?;
        let address = address.with_query(settings.query.as_deref());
        let key = match &settings.credential {
            Some(credential) => Some(KeyHeader::new(credential).ok_or(BuildError::Key)?),
            None => None,
        };
        // Fails if there is one already, which is then as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Whoever can set a variable of the environment must not be able to read the traffic.
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true);
        let builder = if address.is_encrypted() {
            builder
                .http2_adaptive_window(true)
                .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .http2_keep_alive_while_idle(true)
        } else {
            // Without this the client would look for certificates that it never needs, and fail where the
            // machine has none.
            builder.http1_only().tls_certs_only([])
        };
        let client = builder.build().map_err(|error| BuildError::Tls(Failure::from(error).detail))?;
        Ok(Upstream {
            client,
            address,
            key,
            headers: settings.headers.clone(),
            first_byte_timeout: settings.first_byte_timeout,
            idle_timeout: settings.idle_timeout,
        })
    }

    /// Sends the request and waits for the head of the answer, whatever its status. Sends once. A body that
    /// is still flowing keeps the wait from running out. Dropping the future, or later the reply's body,
    /// cancels.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(&self, request: UpstreamRequest) -> Result<Reply, Failure> {
        let Some(destination) = self.address.join(&request.path_and_query) else {
            return Err(Failure::plain(FailureKind::Path));
        };
        let mut headers = request.headers.into_map();
        self.headers.fill(&mut headers);
        if let Some(key) = &self.key {
            key.put(&mut headers, request.auth, &destination);
        }
        let pieces = Arc::new(AtomicU64::new(0));
        let body = match request.body {
            RequestBody::Empty => None,
            RequestBody::Whole(bytes) => Some(bytes.into()),
            RequestBody::Stream { bytes, length } => {
                if let Some(length) = length {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
                let pieces = Arc::clone(&pieces);
                let counted = bytes.inspect(move |_| {
                    pieces.fetch_add(1, Ordering::Relaxed);
                });
                Some(reqwest::Body::wrap_stream(counted.map_err(ClientBodyBroke)))
            }
        };
        let mut outgoing = reqwest::Request::new(request.method, destination.into_url());
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = body;

        let answer = self.head(outgoing, &pieces).await?;
        let (parts, body) = http::Response::from(answer).into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody has asked for it, and a client that is told so would take what follows for a tunnel.
            return Err(Failure::plain(FailureKind::Protocol));
        }
        Ok(Reply {
            status: parts.status,
            headers: without_hop_by_hop(&parts.headers),
            body: ReplyBody::new(body, self.idle_timeout),
        })
    }

    /// Waits for the head until nothing has gone either way for the first byte's timeout: at most twice as
    /// long as that after the last piece of the body.
    async fn head(
        &self,
        outgoing: reqwest::Request,
        pieces: &AtomicU64,
    ) -> Result<reqwest::Response, Failure> {
        let mut answer = std::pin::pin!(self.client.execute(outgoing));
        loop {
            let before = pieces.load(Ordering::Relaxed);
            match tokio::time::timeout(self.first_byte_timeout, answer.as_mut()).await {
                Ok(answer) => return Ok(answer?),
                Err(_) if pieces.load(Ordering::Relaxed) == before => {
                    return Err(Failure::plain(FailureKind::TimedOut));
                }
                Err(_) => {}
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestBody::Empty => f.write_str("Empty"),
            RequestBody::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            RequestBody::Stream { length, .. } => write!(f, "Stream({length:?})"),
        }
    }
}
