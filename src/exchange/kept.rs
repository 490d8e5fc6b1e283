//! Keeps a streaming client alive until its answer begins: the head goes out early, and a sign of life now and then.
//!
//! Knows when silence is too long and what each dialect's clients pass over in a stream; refuses to know why an
//! exchange waits. Invariant: the exchange runs within whoever polls for its answer, so that dropping the answer
//! drops the exchange and gives back all that it holds.

use super::answer::{Answer, AnswerBody};
use super::attempt::plain_id;
use super::late::{Late, in_stream};
use super::ways::Interpreted;
use super::{Gateway, KeepAlive, Request, deadline, headers};
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::ids::ModelName;
use crate::upstream::Failure;
use crate::wire::translate::Scene;
use crate::wire::{Call, Framing};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

const KEPT: HeaderName = HeaderName::from_static("x-tidegate-kept");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What the call of an exchange turns out to ask, for whoever waits beside it.
#[derive(Debug, Default)]
pub(super) struct Wish(OnceLock<Wished>);

#[derive(Clone, Debug)]
struct Wished {
    stream: bool,
    model: ModelName,
    wants_usage: bool,
}

impl Wish {
    /// The call has been read.
    pub(super) fn note(&self, call: &Call) {
        let Call { stream, wants_usage, .. } = *call;
        // An exchange reads its call once.
        let _ = self.0.set(Wished { stream, model: call.model.clone(), wants_usage });
    }

    /// Whether the call is known to ask for a stream.
    pub(super) fn is_stream(&self) -> bool {
        self.0.get().is_some_and(|wished| wished.stream)
    }
}

/// Whether a request would be kept alive if it asks for a stream.
pub(super) fn can_be(settings: KeepAlive, request: &Request) -> bool {
    let asked = &request.asked;
    settings.after.is_some() && asked.framing == Framing::Sse && sign_of_life(asked.dialect).is_some()
}

/// What the clients of a dialect pass over in a stream; `None` where they pass over nothing. Gemini's SDK takes a
/// comment for a part of the answer.
const fn sign_of_life(dialect: Dialect) -> Option<&'static [u8]> {
    match dialect {
        Dialect::Chat | Dialect::Completions | Dialect::Responses => Some(b": waiting\n\n"),
        Dialect::Messages => Some(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        Dialect::Gemini | Dialect::Embeddings | Dialect::GeminiEmbed | Dialect::GeminiBatchEmbed => None,
    }
}

/// Serves a request; one that asks for a stream with the head of the answer before its time if that is far off.
pub(super) async fn serve(gateway: &Arc<Gateway>, request: Request) -> Answer {
    let settings = gateway.live.load().settings.keepalive;
    let (wish, dialect) = (Arc::new(Wish::default()), request.asked.dialect);
    let sign = sign_of_life(dialect).filter(|_| can_be(settings, &request));
    let (Some(sign), Some(after)) = (sign, settings.after) else {
        return Arc::clone(gateway).answer(request, wish).await;
    };
    let borne = deadline::silence_borne(&request.headers).unwrap_or(Duration::MAX);
    // A client that bears none at all is not to be told of life without a pause.
    let every = settings.every.min(borne.max(SIGN_EVERY_MIN));
    let (mut look, clock, id) =
        (request.arrived + after.min(borne), gateway.clock, plain_id(request.id.as_str()));
    let interpreted = Interpreted::new(request.asked.clone(), request.body.clone());
    let reads_end = headers::reads_trailers(&request.headers);
    let mut exchange = Box::pin(Arc::clone(gateway).answer(request, Arc::clone(&wish)));
    let wished = loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            () = clock.sleep_until(look) => {}
        }
        match wish.0.get() {
            Some(wished) if wished.stream => break wished.clone(),
            Some(_) => return exchange.await,
            // A large body is still being read.
            None => look = clock.now() + every,
        }
    };
    gateway.metrics.kept_alive.get_or_create(&[("dialect", dialect.name().to_owned())]).inc();
    let scene = Scene {
        id,
        created: clock.wall().0 / 1_000,
        model: wished.model.to_string(),
        wants_usage: wished.wants_usage,
        ..Scene::default()
    };
    let late = Late { dialect, scene, interpreted };
    let answer = Box::pin(async move { in_stream(exchange.await, late).await });
    let timer = Box::pin(std::future::ready(()));
    let waiting = Waiting { answer, timer, clock, sign, every, held: None };
    let mut answer = early(Kept { stage: Stage::Waiting(waiting) });
    if reads_end {
        headers::announce_end(answer.headers_mut());
    }
    answer
}

/// The least between two signs of life.
const SIGN_EVERY_MIN: Duration = Duration::from_millis(250);

/// The head of an answer that has not begun.
fn early(kept: Kept) -> Answer {
    let mut answer = Answer::new(AnswerBody::Kept(Box::new(kept)));
    let headers =
        [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache"), (BUFFERING, "no"), (KEPT, "true")];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The body of an answer whose head has gone out before it began.
#[derive(Debug)]
pub struct Kept {
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting(Waiting),
    Answering(AnswerBody),
}

struct Waiting {
    answer: BoxFuture<'static, AnswerBody>,
    /// Ends when the next sign of life is due.
    timer: BoxFuture<'static, ()>,
    clock: Clock,
    sign: &'static [u8],
    every: Duration,
    held: Option<Box<dyn Send>>,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Kept {
    /// Keeps `held` until the answer begins.
    pub(super) fn hold(&mut self, held: Box<dyn Send>) {
        if let Stage::Waiting(waiting) = &mut self.stage {
            waiting.held = Some(held);
        }
    }

    /// The next bytes: of the answer if it has begun, else a sign of life if one is due.
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Stage::Waiting(waiting) = &mut self.stage {
            match waiting.answer.as_mut().poll(context) {
                // What is held goes with the stage.
                Poll::Ready(body) => self.stage = Stage::Answering(body),
                Poll::Pending => {
                    ready!(waiting.timer.as_mut().poll(context));
                    let next = waiting.clock.now() + waiting.every;
                    waiting.timer = Box::pin(waiting.clock.sleep_until(next));
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(waiting.sign)))));
                }
            }
        }
        match &mut self.stage {
            Stage::Answering(body) => Pin::new(body).poll_frame(context),
            Stage::Waiting(_) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    /// An answer that begins after so many milliseconds, with a sign of life every ten.
    fn kept(clock: Clock, begins: u64) -> AnswerBody {
        let begins = clock.now() + Duration::from_millis(begins);
        let answer = Box::pin(async move {
            clock.sleep_until(begins).await;
            AnswerBody::whole("answer")
        });
        let (timer, every) = (Box::pin(std::future::ready(())), Duration::from_millis(10));
        let waiting = Waiting { answer, timer, clock, sign: b".", every, held: None };
        early(Kept { stage: Stage::Waiting(waiting) }).into_body()
    }

    async fn heard(mut body: AnswerBody, clock: Clock) -> Vec<(u128, String)> {
        let (began, mut heard) = (clock.now(), Vec::new());
        while let Some(frame) = body.frame().await {
            let data = frame.expect("nothing fails").into_data().expect("it is data");
            let text = String::from_utf8_lossy(&data).into_owned();
            heard.push((clock.now().since(began).as_millis(), text));
        }
        heard
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_comes_at_once_and_then_now_and_then_until_the_answer_begins() {
        let clock = Clock::start();
        let all = heard(kept(clock, 25), clock).await;
        let all: Vec<_> = all.iter().map(|(at, text)| format!("{at} {text}")).collect();
        assert_eq!(all, ["0 .", "10 .", "20 .", "25 answer"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_has_begun_meanwhile_needs_no_sign() {
        let clock = Clock::start();
        let body = kept(clock, 5);
        clock.sleep_until(clock.now() + Duration::from_millis(7)).await;
        assert_eq!(heard(body, clock).await, [(0, "answer".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_held_until_the_answer_begins_and_no_longer() {
        let (clock, held) = (Clock::start(), Arc::new(()));
        let mut body = kept(clock, 5);
        body.hold_until_begun(Arc::clone(&held));
        body.frame().await;
        assert_eq!(Arc::strong_count(&held), 2);
        body.frame().await;
        assert_eq!(Arc::strong_count(&held), 1);
        body.hold_until_begun(Arc::clone(&held));
        AnswerBody::whole("x").hold_until_begun(Arc::clone(&held));
        assert_eq!(Arc::strong_count(&held), 1);
        let mut leaving = kept(clock, 5);
        leaving.hold_until_begun(Arc::clone(&held));
        drop(leaving);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
