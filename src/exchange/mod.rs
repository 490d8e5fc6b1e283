//! One client request and all that is done for it.
//!
//! [`Gateway::serve`] and the loop under it are the way of a request from top to bottom; every step has its
//! file. Knows the dialects' facts, the desk, the breakers and the upstream, and is the only place where they
//! meet. Refuses to know sockets of clients, routes of the server, and where settings come from.

mod account;
mod affinity;
mod answer;
mod appraise;
mod attempt;
mod beginning;
mod count;
mod day;
mod fault;
mod gateway;
mod headers;
mod health;
mod interpreter;
mod live;
mod models;
mod passthrough;
mod relay;
mod router;
mod settings;
mod turnstile;
mod view;
mod ways;

pub use answer::{Answer, AnswerBody};
pub use fault::Fault;
pub use gateway::{Gateway, SavedState};
pub use live::Unusable;
pub use passthrough::PassRequest;
pub use relay::Relay;
pub use settings::{DayEnd, ExchangeSettings, Group, Member, MemberModels, Provider, Route, Zone};
pub use turnstile::{Reservation, Turnstile};
pub use ways::Skipped;

// The words in which the server speaks to the exchange.
pub use crate::upstream::{Hop, RequestBody};
pub use crate::wire::{Asked, ErrorBody, Surface, percent_decoded, recognise};

use crate::admission::{Ask, Cost, Counting};
use crate::dialect::Dialect;
use crate::ids::{RequestId, TargetId};
use crate::routing::{Next, Outcome, Window};
use crate::units::Moment;
use crate::wire::{Call, Framing};
use account::Account;
use appraise::Appraised;
use attempt::{Attempted, Sendable, attempt};
use beginning::{Begun, BegunKind, Failed, Spent};
use bytes::Bytes;
use http::HeaderMap;
use live::Live;
use router::Course;
use std::sync::Arc;
use std::time::Duration;

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
    /// When its last byte had come.
    pub arrived: Moment,
}

/// The longest that a provider is left in peace for a limit that is not over a day, whatever it says: a wrong
/// number would otherwise shut all its models for a day.
const SAID_WAIT_MAX: Duration = Duration::from_secs(3_600);
/// How long a provider is left in peace after a 429 that does not say when to come back.
const UNSAID_WAIT: Duration = Duration::from_secs(1);
/// The same for a limit over a day.
const UNSAID_DAY_WAIT: Duration = Duration::from_secs(10 * 60);
/// How long at least after the second 429 of one exchange, whatever was said; each further one doubles it.
/// A provider that keeps saying "at once" would otherwise be asked as fast as the network allows.
const REPEATED_WAIT: Duration = Duration::from_millis(250);
/// Doublings after which that wait grows no more.
const REPEATED_DOUBLINGS_MAX: u32 = 5;

impl Gateway {
    /// Serves a request: always with an answer, be it a refusal. Dropping the future ends all that is done
    /// for it and settles what was used.
    pub async fn serve(self: &Arc<Self>, request: Request) -> Answer {
        let mut waiting = self.watch_client();
        let mut trace = Trace::default();
        let answer = match self.exchange(&request, &mut trace).await {
            Ok(answer) => answer,
            Err(fault) => self.refuse(&request, &fault, &trace),
        };
        waiting.answered();
        answer
    }

    /// The way of a request.
    async fn exchange(self: &Arc<Self>, request: &Request, trace: &mut Trace) -> Result<Answer, Fault> {
        let live = self.live.load_full();
        let Appraised { call, found, skipped, cost, prompt, interpreted } =
            self.appraise(&live, request).await?;
        trace.estimated = Some(cost);
        trace.stream = call.stream;
        self.skip(skipped, trace);
        if found.targets.is_empty() {
            return Err(Fault::Unfit(trace.skipped.clone()));
        }
        let priority = router::priority(&live, &found, &request.headers)?;
        let sendable = Sendable { request, call: &call, interpreted: &interpreted };
        let mut course = Course::new(&live, found, cost, priority, self.clock.now());
        course.continues(self, &live, prompt);
        loop {
            let ask = course.ask(self, &live, self.clock.now())?;
            let mut reservation = self.wait_for_room(ask, trace).await?;
            course.turn = Some(reservation.turn());
            let asked_before = trace.target.clone();
            self.granted(&course, &reservation, trace);
            match attempt(self, &live, &sendable, &mut reservation).await {
                Attempted::Begun(begun) => {
                    self.told(call.dialect, &begun, trace);
                    course.served_by(self, &live, reservation.target());
                    let counting = live.counting(&reservation.target().provider);
                    let account = self.open_account(request, counting, &begun, reservation, trace);
                    let hide_usage = hides_usage(&call, &begun);
                    return Ok(answer_with(*begun, account, hide_usage, request.asked.framing, trace));
                }
                Attempted::FellSick => {
                    trace.was_not_asked(asked_before);
                    reservation.give_back();
                }
                Attempted::Unfit(why) => {
                    trace.was_not_asked(asked_before);
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
                    let after = self.after_failure(&mut course, failed, reservation, counting, trace);
                    if let Some(answer) = after.await? {
                        self.gave_back(request, &answer, trace);
                        return Ok(answer);
                    }
                }
            }
        }
    }

    /// Waits for room; how long is told, be it in vain.
    async fn wait_for_room(&self, ask: Ask, trace: &mut Trace) -> Result<Reservation, Fault> {
        let asked = self.clock.now();
        let entered = self.turnstile.enter(ask).await;
        trace.waited += match &entered {
            Ok(reservation) => reservation.waited(),
            Err(_) => self.clock.now().since(asked),
        };
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
        match (failed.outcome, failed.spent) {
            (Outcome::RateLimited { retry_after, window }, _) => {
                reservation.penalise(now + trace.wait_after_refusal(retry_after, window));
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

    /// Notes what an answer that has begun says of the way that it took.
    fn told(&self, client: Dialect, begun: &Begun, trace: &mut Trace) {
        trace.dropped = begun.losses.show();
        trace.translated = begun.translated_from.map(|spoken| (client, spoken));
        if let Some((from, to)) = trace.translated {
            let labels = [("from", from.name().to_owned()), ("to", to.name().to_owned())];
            self.metrics.translated.get_or_create(&labels).inc();
        }
    }

    /// Notes targets that cannot be told what is asked.
    fn skip(&self, skipped: Vec<Skipped>, trace: &mut Trace) {
        for Skipped { target, .. } in &skipped {
            let labels = [("provider", target.provider.to_string())];
            self.metrics.targets_skipped.get_or_create(&labels).inc();
        }
        trace.skipped.extend(skipped);
    }

    /// Notes a grant: what the client and the operator will be told of it.
    fn granted(&self, course: &Course, reservation: &Reservation, trace: &mut Trace) {
        let target = reservation.target();
        let labels =
            [("provider", target.provider.to_string()), ("priority", course.priority.name().to_owned())];
        let waited = reservation.waited().as_secs_f64();
        self.metrics.queue_wait.get_or_create(&labels).observe(waited);
        if let Some((outcome, before)) = &trace.last_failure {
            self.metrics.retries.get_or_create(&[("reason", outcome.name().to_owned())]).inc();
            if before.provider != target.provider {
                let labels = [("from", before.provider.to_string()), ("to", target.provider.to_string())];
                self.metrics.failovers.get_or_create(&labels).inc();
            }
        }
        trace.attempts += 1;
        trace.target = Some(target.clone());
        trace.reserved = Some(reservation.held());
    }

    fn open_account(
        self: &Arc<Self>,
        request: &Request,
        counting: Counting,
        begun: &Begun,
        reservation: Reservation,
        trace: &Trace,
    ) -> Account {
        Account {
            gateway: Arc::clone(self),
            id: request.id.clone(),
            dialect: request.asked.dialect,
            stream: matches!(begun.kind, BegunKind::Events { .. }),
            target: reservation.target().clone(),
            estimate: trace.estimated.unwrap_or_default(),
            counting,
            attempts: trace.attempts,
            waited: trace.waited,
            arrived: request.arrived,
            sent: begun.sent,
            status: begun.status.as_u16(),
            first_byte: None,
            counted: Default::default(),
            held: reservation.held(),
            reservation: Some(reservation),
        }
    }

    /// Counts and logs an exchange that ends with the provider's own refusal.
    fn gave_back(&self, request: &Request, answer: &Answer, trace: &Trace) {
        let status = answer.status().as_u16();
        let provider = trace.target.as_ref().map_or("none", |target| target.provider.as_str());
        self.count_answer(request.asked.dialect, provider, status);
        tracing::info!(
            request_id = %request.id,
            dialect = request.asked.dialect.name(),
            provider,
            status,
            reason = trace.last_failure.as_ref().map(|(outcome, _)| outcome.name()),
            attempts = trace.attempts,
            "exchange refused by the provider"
        );
    }

    /// Turns a fault into an answer, counted and logged.
    fn refuse(&self, request: &Request, fault: &Fault, trace: &Trace) -> Answer {
        let mut answer = fault.answer_to(request, trace.stream, self.clock.now());
        headers::tell(answer.headers_mut(), trace);
        let status = answer.status().as_u16();
        self.metrics.refused.get_or_create(&[("reason", fault.name().to_owned())]).inc();
        let provider = trace.target.as_ref().map_or("none", |target| target.provider.as_str());
        self.count_answer(request.asked.dialect, provider, status);
        tracing::info!(
            request_id = %request.id,
            dialect = request.asked.dialect.name(),
            status,
            reason = fault.name(),
            attempts = trace.attempts,
            "exchange refused"
        );
        answer
    }
}

/// What has happened so far, for headers and the log.
#[derive(Debug, Default)]
struct Trace {
    estimated: Option<Cost>,
    reserved: Option<Cost>,
    attempts: u32,
    target: Option<TargetId>,
    /// For room, over all attempts; the time at providers is none of it.
    waited: Duration,
    last_failure: Option<(Outcome, TargetId)>,
    /// How many 429s there were.
    refusals: u32,
    /// Whether the call asks for a stream.
    stream: bool,
    /// Targets that could not be told what is asked.
    skipped: Vec<Skipped>,
    /// The client's dialect and the target's, where they differ.
    translated: Option<(Dialect, Dialect)>,
    /// What the translation could not carry.
    dropped: Option<String>,
}

impl Trace {
    /// What was granted was not sent: nobody was asked since `before`.
    fn was_not_asked(&mut self, before: Option<TargetId>) {
        self.attempts -= 1;
        self.target = before;
    }

    /// How long to leave a provider in peace after one more 429.
    fn wait_after_refusal(&mut self, said: Option<Duration>, window: Window) -> Duration {
        let unsaid = if window == Window::Day { UNSAID_DAY_WAIT } else { UNSAID_WAIT };
        let repeated = self
            .refusals
            .checked_sub(1)
            .map_or(Duration::ZERO, |again| REPEATED_WAIT * (1 << again.min(REPEATED_DOUBLINGS_MAX)));
        self.refusals += 1;
        let longest = if window == Window::Day { Duration::MAX } else { SAID_WAIT_MAX };
        said.unwrap_or(unsaid).max(repeated).min(longest)
    }
}

/// Whether the client must not see a usage that only we asked for.
fn hides_usage(call: &Call, begun: &Begun) -> bool {
    let asked_for = call.dialect.asks_for_usage() && call.stream;
    asked_for && !call.wants_usage && begun.translated_from.is_none()
}

fn answer_with(begun: Begun, account: Account, hide_usage: bool, framing: Framing, trace: &Trace) -> Answer {
    let mut answer = Answer::new(AnswerBody::whole(Bytes::new()));
    *answer.status_mut() = begun.status;
    *answer.headers_mut() = headers::begun(&begun, trace);
    *answer.body_mut() = AnswerBody::Relayed(Box::new(Relay::new(begun, account, hide_usage, framing)));
    answer
}

/// The live settings, as an exchange uses them.
type LiveSettings = arc_swap::ArcSwap<Live>;
