//! A provider's answer: its head, and its body as it comes.
//!
//! Knows no dialect and reads no byte. Invariant: an answer ends cleanly only if the provider ended it so; and
//! dropping the body cancels the request.

use super::failure::{Failure, FailureKind};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Reply {
    /// The provider's status.
    pub status: StatusCode,
    /// The provider's headers but those of the connection; see [`super::for_client`] for what goes on.
    pub headers: HeaderMap,
    /// The rest.
    pub body: ReplyBody,
}

/// The bytes of an answer as they come, then its end or one [`Failure`].
pub struct ReplyBody {
    /// Gone after the end, so that the connection is free or closed as early as can be.
    body: Option<reqwest::Body>,
    idle_timeout: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    is_silent: bool,
}

impl ReplyBody {
    pub(super) fn new(body: reqwest::Body, idle_timeout: Duration) -> ReplyBody {
        ReplyBody { body: Some(body), idle_timeout, silence: None, is_silent: false }
    }

    /// Ready when nothing has come for the idle timeout. The time counts from when more was first asked for
    /// in vain, so that a slow reader is not taken for a silent provider.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_silent {
            self.is_silent = true;
            let sleep = tokio::time::sleep(self.idle_timeout);
            match &mut self.silence {
                Some(silence) => silence.as_mut().set(sleep),
                None => self.silence = Some(Box::pin(sleep)),
            }
        }
        self.silence.as_mut().map_or(Poll::Pending, |silence| silence.as_mut().poll(cx))
    }

    fn end(&mut self, failure: Option<Failure>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.body = None;
        Poll::Ready(failure.map(Err))
    }
}

impl Stream for ReplyBody {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(body) = &mut self.body {
            let frame = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.poll_silence(cx));
                    return self.end(Some(Failure::plain(FailureKind::Idle)));
                }
            };
            self.is_silent = false;
            match frame {
                None => return self.end(None),
                Some(Err(error)) => return self.end(Some(error.into())),
                // Trailers belong to the connection and are not passed on.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody").field("ended", &self.body.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use futures_util::{StreamExt, stream};
    use std::convert::Infallible;

    #[tokio::test(start_paused = true)]
    async fn only_the_silence_since_the_last_bytes_counts() {
        let clock = Clock::start();
        let chunks = stream::iter(0..5).then(move |n| async move {
            clock.sleep_until(clock.now() + Duration::from_secs(40)).await;
            Ok::<_, Infallible>(Bytes::from(vec![n]))
        });
        let body = reqwest::Body::wrap_stream(chunks.chain(stream::pending()));
        let mut body = ReplyBody::new(body, Duration::from_secs(60));
        for n in 0..5 {
            assert_eq!(body.next().await, Some(Ok(Bytes::from(vec![n]))));
        }
        let last = clock.now();
        assert_eq!(body.next().await, Some(Err(Failure::plain(FailureKind::Idle))));
        assert_eq!(clock.now().since(last).as_secs(), 60);
        assert_eq!(body.next().await, None);
    }
}
