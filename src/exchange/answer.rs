//! What goes back to a client: a head, and a body that is whole, relayed, passed on or kept alive until it begins.

use super::headers::at_end;
use super::kept::Kept;
use super::relay::Relay;
use crate::upstream::{Failure, ReplyBody};
use bytes::Bytes;
use futures_util::Stream;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An answer.
pub type Answer = Response<AnswerBody>;

/// The body of an answer. Dropping it before its end tells that the client has gone away.
#[derive(Debug)]
pub enum AnswerBody {
    /// Known from the start; taken when it is sent.
    Whole(Option<Bytes>),
    /// Relayed and counted.
    Relayed(Box<Relay>),
    /// Passed on unread.
    Passed(ReplyBody),
    /// Kept alive until it begins.
    Kept(Box<Kept>),
}

impl AnswerBody {
    /// A body that is known from the start.
    pub fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
        AnswerBody::Whole(Some(bytes.into()))
    }

    /// Keeps `held` until the answer begins, which is until now unless it is [`AnswerBody::Kept`].
    pub fn hold_until_begun(&mut self, held: impl Send + 'static) {
        if let AnswerBody::Kept(kept) = self {
            kept.hold(Box::new(held));
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let bytes = match self.get_mut() {
            AnswerBody::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            AnswerBody::Relayed(relay) => match ready!(Pin::new(relay.as_mut()).poll_next(context)) {
                None => return Poll::Ready(relay.take_end().map(|used| Ok(Frame::trailers(at_end(used))))),
                some => Poll::Ready(some),
            },
            AnswerBody::Passed(body) => Pin::new(body).poll_next(context),
            AnswerBody::Kept(kept) => return kept.poll_frame(context),
        };
        bytes.map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, AnswerBody::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            AnswerBody::Relayed(_) | AnswerBody::Passed(_) | AnswerBody::Kept(_) => SizeHint::default(),
        }
    }
}
