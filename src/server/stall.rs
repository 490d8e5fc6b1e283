//! A connection whose writes fail when its reader has taken nothing for too long.
//!
//! hyper waits for a reader for ever, and while it waits it does not ask for more of the answer: whatever the
//! exchange holds, a place at the provider among it, would be held as long as a client pleases. Knows nothing
//! of HTTP. Invariant: time counts only while a write is wanted and not one byte is taken, so neither a
//! connection at rest nor a reader that is merely slow is ever cut.

use prometheus_client::metrics::counter::Counter;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream in both directions, with a bound on how long a write may be stuck.
#[derive(Debug)]
pub(super) struct StallBound<S> {
    stream: S,
    patience: Duration,
    /// There while a write is stuck.
    deadline: Option<Pin<Box<Sleep>>>,
    stalled: Counter,
}

impl<S> StallBound<S> {
    /// Writes to `stream` fail with [`io::ErrorKind::TimedOut`] when nothing was taken for `patience`; then
    /// `stalled` counts one more.
    pub(super) fn new(stream: S, patience: Duration, stalled: Counter) -> StallBound<S> {
        StallBound { stream, patience, deadline: None, stalled }
    }

    /// Lets through what has happened; what is stuck fails when its time is over.
    fn bound<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        self.deadline = None;
        self.stalled.inc();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallBound<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.bound(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.bound(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.bound(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(context);
        this.bound(shut, context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallBound<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::{advance, timeout};

    const PATIENCE: Duration = Duration::from_secs(120);

    /// A connection that takes eight bytes until its other end reads.
    fn pair() -> (StallBound<DuplexStream>, DuplexStream, Counter) {
        let (near, far) = tokio::io::duplex(8);
        let stalled = Counter::default();
        (StallBound::new(near, PATIENCE, stalled.clone()), far, stalled)
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_when_its_time_is_over_and_no_sooner() {
        let (mut near, _far, stalled) = pair();
        near.write_all(&[0; 8]).await.expect("there is room");
        let early = timeout(PATIENCE - Duration::from_secs(1), near.write_all(b"x")).await;
        assert!(early.is_err(), "still waiting");
        assert_eq!(stalled.get(), 0);
        let error = near.write_all(b"x").await.expect_err("nobody reads");
        assert_eq!((error.kind(), stalled.get()), (io::ErrorKind::TimedOut, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_byte_now_and_then_is_waited_for() {
        let (mut near, mut far, stalled) = pair();
        near.write_all(&[0; 8]).await.expect("there is room");
        for _ in 0..10 {
            let stuck = timeout(PATIENCE - Duration::from_secs(1), near.write_all(b"x")).await;
            assert!(stuck.is_err(), "still waiting");
            far.read_u8().await.expect("it is open");
            near.write_all(b"x").await.expect("a byte was taken");
        }
        assert_eq!(stalled.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_at_rest_is_left_alone() {
        let (mut near, mut far, stalled) = pair();
        for _ in 0..3 {
            near.write_all(b"hello").await.expect("there is room");
            near.flush().await.expect("it is open");
            far.read_exact(&mut [0; 5]).await.expect("it was sent");
            advance(PATIENCE * 10).await;
        }
        assert_eq!(stalled.get(), 0);
    }
}
