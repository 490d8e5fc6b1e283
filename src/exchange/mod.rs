//! One client request and all that is done for it.
//!
//! [`Gateway::serve`] and the loop under it are the way of a request from top to bottom; every step has its
//! file. Knows the dialects' facts, the desk, the breakers and the upstream, and is the only place where they
//! meet. Refuses to know sockets of clients, routes of the server, and where settings come from.

mod access_log;
mod affinity;
mod answer;
mod appraise;
mod attempt;
mod beginning;
mod bill;
mod client;
mod count;
mod day;
mod days;
mod deadline;
mod fault;
mod gateway;
mod headers;
mod health;
mod interpreter;
mod kept;
mod late;
mod learned;
mod live;
mod models;
mod passthrough;
mod relay;
mod router;
mod settings;
mod shortage;
mod story;
mod trace;
mod turnstile;
mod view;
mod ways;

pub use access_log::{Line, Logged, read_line};
pub use answer::{Answer, AnswerBody};
pub use client::Salt;
pub use fault::Fault;
pub use gateway::{Gateway, SavedState};
pub use kept::Kept;
pub use learned::SavedLearned;
pub use live::Unusable;
pub use passthrough::PassRequest;
pub use relay::Relay;
pub use settings::{
    DayEnd, ExchangeSettings, Group, KeepAlive, LearningSettings, Member, MemberModels, Provider, Route, Zone,
};
pub use story::{Chronicle, Telling};
pub use turnstile::{Reservation, Turnstile};
pub use ways::Skipped;

// The words in which the server speaks to the exchange.
pub use crate::upstream::{Hop, RequestBody};
pub use crate::wire::{Asked, ErrorBody, Surface, percent_decoded, recognise};

use crate::admission::{Ask, Counting, Reason};
use crate::ids::RequestId;
use crate::observe::StatusStep;
use crate::routing::{Next, Outcome};
use crate::units::Moment;
use crate::wire::{Call, Framing};
use appraise::Appraised;
use attempt::{Attempted, Sendable, attempt};
use beginning::{Begun, BegunKind, Failed, Spent};
use bill::Bill;
use bytes::Bytes;
use http::HeaderMap;
use kept::Wish;
use live::Live;
use router::Course;
use std::net::IpAddr;
use std::sync::Arc;
use trace::{Trace, shown};

/// A request in a dialect that is understood, with its whole body.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it is called.
    pub id: RequestId,
    /// What its request line says.
    pub asked: Asked,
    /// The query of its URL.
    pub query: Option<String>,
    /// Its headers as the client sent them.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Where it came from; `None` by a Unix socket.
    pub peer: Option<IpAddr>,
    /// When its last byte had come.
    pub arrived: Moment,
}

impl Gateway {
    /// Serves a request: always with an answer, be it a refusal. Dropping the future ends all that is done
    /// for it and settles what was used.
    pub async fn serve(self: &Arc<Self>, request: Request) -> Answer {
        kept::serve(self, request).await
    }

    /// The same, however long it takes. What the call turns out to ask is noted in `wish`.
    async fn answer(self: Arc<Self>, request: Request, wish: Arc<Wish>) -> Answer {
        let asked = &request.asked;
        let telling = self.chronicle.begin(
            self.clock,
            &request.id,
            request.arrived,
            asked.dialect.name(),
            asked.stream,
        );
        let mut waiting = self.watch_client(telling.clone());
        let mut trace = Trace::new(telling, wish);
        let mut answer = match self.exchange(&request, &mut trace).await {
            Ok(answer) => answer,
            Err(fault) => self.refuse(&request, &fault, &trace),
        };
        waiting.answered();
        headers::tell_used(&self, &request.headers, &mut answer).await;
        answer
    }

    /// The way of a request.
    async fn exchange(self: &Arc<Self>, request: &Request, trace: &mut Trace) -> Result<Answer, Fault> {
        let live = self.live.load_full();
        trace.client = Some(self.client(&live, request, None));
        let appraised = self.appraise(&live, request).await?;
        let Appraised { call, found, skipped, mut sizing, cost, prompt, interpreted } = appraised;
        trace.read(&call, cost, &found.targets);
        let client = self.client(&live, request, call.user.as_deref());
        let share = trace.came_from(client);
        sizing.client = share.flow;
        self.skip(skipped, trace);
        if found.targets.is_empty() {
            return Err(Fault::Unfit(trace.skipped.clone()));
        }
        let priority = router::priority(&live, &found, &request.headers)?;
        trace.classed(priority);
        let entered = self.clock.now();
        let deadline = deadline::of(&live.settings, request, call.stream, entered)?;
        let mut course = Course::new(&live, found, sizing, (priority, share), entered, deadline);
        course.continues(self, &live, prompt);
        loop {
            let ask = course.ask(self, &live, self.clock.now())?;
            let mut reservation = self.wait_for_room(ask, trace).await?;
            course.turn = Some(reservation.turn());
            let asked_before = trace.target.clone();
            self.granted(&course, &reservation, trace);
            let sendable = Sendable { request, call: &call, interpreted: &interpreted, trace };
            match attempt(self, &live, &sendable, &mut reservation).await {
                Attempted::Begun(begun) => {
                    self.told(call.dialect, &begun, trace);
                    course.served_by(self, &live, reservation.target());
                    let counting = live.counting(&reservation.target().provider);
                    let bill = self.open_bill(request, counting, &begun, reservation, trace);
                    let hide_usage = hides_usage(&call, &begun);
                    return Ok(answer_with(*begun, bill, hide_usage, request.asked.framing, trace));
                }
                Attempted::FellSick => {
                    trace.was_not_asked(asked_before, "its breaker has opened");
                    reservation.give_back();
                }
                Attempted::Unfit(why) => {
                    trace.was_not_asked(asked_before, "it cannot be told what is asked");
                    let target = reservation.target().clone();
                    self.skip(vec![Skipped { target, why }], trace);
                    let failed = Failed::unsent(Outcome::Unfit);
                    let counting = Counting::default();
                    let after = self.after_failure(&mut course, failed, reservation, counting, trace);
                    if let Some(answer) = after.await? {
                        self.gave_back(request, &answer, trace);
                        return Ok(answer);
                    }
                }
                Attempted::Failed(failed) => {
                    let counting = live.counting(&reservation.target().provider);
                    let after = self.after_failure(&mut course, *failed, reservation, counting, trace);
                    if let Some(answer) = after.await? {
                        self.gave_back(request, &answer, trace);
                        return Ok(answer);
                    }
                }
            }
        }
    }

    /// Waits for room; how long and for what is told, be it in vain.
    async fn wait_for_room(&self, ask: Ask, trace: &mut Trace) -> Result<Reservation, Fault> {
        let asked = self.clock.now();
        let before = self.waiting_before(ask.priority);
        let telling = trace.telling.clone();
        let waits =
            |reason: &Reason| telling.tell(StatusStep::Waiting { reason: shown(reason, asked), before });
        let entered = self.turnstile.enter(ask, waits).await;
        let (wait, reason) = match &entered {
            Ok(reservation) => (reservation.waited(), reservation.reason()),
            Err(refusal) => (self.clock.now().since(asked), refusal.reason.as_ref()),
        };
        trace.waited(wait, reason.map(|reason| shown(reason, asked)));
        entered.map_err(Fault::Refused)
    }

    /// Tells the desk and the plan how an attempt failed, and waits if the plan says so. An answer or a
    /// fault ends the exchange.
    async fn after_failure(
        &self,
        course: &mut Course,
        failed: Failed,
        reservation: Reservation,
        counting: Counting,
        trace: &mut Trace,
    ) -> Result<Option<Answer>, Fault> {
        let now = self.clock.now();
        let target = reservation.target().clone();
        let mut pause = None;
        reservation.hear(&failed.readings);
        match (failed.outcome, failed.spent) {
            (Outcome::RateLimited { retry_after, window }, _) => {
                let shortage = trace.refusals.shortage(&target, window, retry_after, failed.said, now);
                pause = Some(shortage.until.since(now));
                reservation.penalise(&shortage);
            }
            (_, Spent::Nothing) => reservation.give_back(),
            (_, Spent::Request) if failed.status.is_some_and(|status| status.is_client_error()) => {
                reservation.settle(Default::default());
            }
            // It had let the call in, and charged what it charges then.
            (_, Spent::Request) => {
                let charged = counting.settled(reservation.held(), Default::default(), Default::default());
                reservation.settle(charged);
            }
            (_, Spent::Unknown) => drop(reservation),
        }
        let next = course.plan.on(&target, &failed.outcome, now, fastrand::f64());
        trace.judged(&failed, next, pause, now);
        let is_unfit = failed.outcome == Outcome::Unfit;
        if !is_unfit {
            trace.last_failure = Some((failed.outcome, target));
        }
        match next {
            Next::WaitForRoom | Next::MoveOn => {
                course.refusal = failed.answer.or(course.refusal.take());
                Ok(None)
            }
            Next::RetryAt(moment) => {
                self.clock.sleep_until(moment).await;
                Ok(None)
            }
            Next::Done | Next::GiveBack | Next::Exhausted => {
                // Who could not even be asked has no say in what the client is told of those who were.
                let earlier = course.refusal.take().filter(|_| is_unfit);
                match failed.answer.or(earlier) {
                    Some(answer) => Ok(Some(headers::given_back(answer, trace))),
                    None if is_unfit && trace.attempts == 0 => Err(Fault::Unfit(trace.skipped.clone())),
                    None => Err(Fault::NoAnswer {
                        timed_out: matches!(trace.last_failure, Some((Outcome::TimedOut, _))),
                        attempts: trace.attempts,
                    }),
                }
            }
        }
    }

    fn open_bill(
        self: &Arc<Self>,
        request: &Request,
        counting: Counting,
        begun: &Begun,
        reservation: Reservation,
        trace: &Trace,
    ) -> Bill {
        Bill {
            gateway: Arc::clone(self),
            telling: trace.telling.clone(),
            id: request.id.clone(),
            dialect: request.asked.dialect,
            stream: matches!(begun.kind, BegunKind::Events { .. }),
            target: reservation.target().clone(),
            estimate: trace.estimated.unwrap_or_default(),
            lesson: trace.lesson,
            client: trace.client.clone(),
            priority: trace.priority,
            counting,
            attempts: trace.attempts,
            waited: trace.waited,
            arrived: request.arrived,
            sent: begun.sent,
            status: begun.status.as_u16(),
            first_byte: None,
            counted: Default::default(),
            used: None,
            held: reservation.held(),
            reservation: Some(reservation),
        }
    }
}

/// Whether the client must not see a usage that only we asked for.
fn hides_usage(call: &Call, begun: &Begun) -> bool {
    let asked_for = call.dialect.asks_for_usage() && call.stream;
    asked_for && !call.wants_usage && begun.translated_from.is_none()
}

fn answer_with(begun: Begun, bill: Bill, hide_usage: bool, framing: Framing, trace: &Trace) -> Answer {
    let mut answer = Answer::new(AnswerBody::whole(Bytes::new()));
    *answer.status_mut() = begun.status;
    *answer.headers_mut() = headers::begun(&begun, trace);
    *answer.body_mut() = AnswerBody::Relayed(Box::new(Relay::new(begun, bill, hide_usage, framing)));
    answer
}

/// The live settings, as an exchange uses them.
type LiveSettings = arc_swap::ArcSwap<Live>;
