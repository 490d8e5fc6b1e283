//! What has happened so far in one exchange, for headers, the log, metrics and its story.
//!
//! Written in one place, so that all of them tell the same. Decides nothing.

use super::beginning::{Begun, Failed};
use super::client::Client;
use super::kept::Wish;
use super::learned::Lesson;
use super::router::Course;
use super::shortage::Refusals;
use super::story::{Telling, clipped, clipped_model};
use super::ways::Skipped;
use super::{Answer, Fault, Gateway, Request, Reservation, access_log, headers};
use crate::admission::{Cost, Lack, Priority, Reason, Share};
use crate::dialect::Dialect;
use crate::ids::TargetId;
use crate::observe::{StatusNext, StatusReason, StatusStep, StatusTokens};
use crate::routing::{Next, Outcome};
use crate::units::Moment;
use crate::wire::Call;
use std::sync::Arc;
use std::time::Duration;

/// What has happened so far, for headers and the log.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) telling: Telling,
    pub(super) estimated: Option<Cost>,
    /// What the usage of who was asked last will teach.
    pub(super) lesson: Lesson,
    pub(super) reserved: Option<Cost>,
    pub(super) attempts: u32,
    pub(super) target: Option<TargetId>,
    /// For room, over all attempts; the time at providers is none of it.
    pub(super) waited: Duration,
    /// The longest of its waits, and what it was for.
    pub(super) queued_for: Option<(Duration, StatusReason)>,
    pub(super) last_failure: Option<(Outcome, TargetId)>,
    pub(super) refusals: Refusals,
    /// Whose it is, as soon as that is known.
    pub(super) client: Option<Client>,
    pub(super) priority: Priority,
    /// The target that would have been liked best.
    pub(super) wanted: Option<TargetId>,
    pub(super) wish: Arc<Wish>,
    /// Targets that could not be told what is asked.
    pub(super) skipped: Vec<Skipped>,
    /// The client's dialect and the target's, where they differ.
    pub(super) translated: Option<(Dialect, Dialect)>,
    /// What the translation could not carry.
    pub(super) dropped: Option<String>,
}

impl Trace {
    pub(super) fn new(telling: Telling, wish: Arc<Wish>) -> Trace {
        Trace {
            telling,
            estimated: None,
            lesson: Lesson::default(),
            reserved: None,
            attempts: 0,
            target: None,
            waited: Duration::ZERO,
            queued_for: None,
            last_failure: None,
            refusals: Refusals::default(),
            client: None,
            priority: Priority::default(),
            wanted: None,
            wish,
            skipped: Vec::new(),
            translated: None,
            dropped: None,
        }
    }

    /// What is known once the call is read.
    pub(super) fn read(&mut self, call: &Call, cost: Cost, targets: &[TargetId]) {
        self.estimated = Some(cost);
        self.wish.note(call);
        self.wanted = targets.first().cloned();
        self.telling.head(|story| {
            story.model = Some(clipped_model(&call.model));
            story.stream = call.stream;
            story.estimated = Some(StatusTokens { input: cost.input.0, output: cost.output.0 });
            story.targets = targets.to_vec();
        });
    }

    /// Whose it is, and so who is charged for waiting.
    pub(super) fn came_from(&mut self, client: Client) -> Share {
        self.telling.head(|story| story.client = Some(clipped(&client.to_string()).into()));
        self.client.insert(client).share()
    }

    /// Its class is known.
    pub(super) fn classed(&mut self, priority: Priority) {
        self.priority = priority;
        self.telling.head(|story| story.priority = Some(priority.name().into()));
    }

    /// How long one wait for room took, and what it was for.
    pub(super) fn waited(&mut self, wait: Duration, reason: Option<StatusReason>) {
        self.waited += wait;
        if let Some(reason) = reason
            && self.queued_for.as_ref().is_none_or(|(longest, _)| wait >= *longest)
        {
            self.queued_for = Some((wait, reason));
        }
    }

    /// How an attempt failed, and what follows.
    pub(super) fn judged(&self, failed: &Failed, next: Next, pause: Option<Duration>, now: Moment) {
        let told_wait = match failed.outcome {
            // What was granted was not sent, and the story says so already.
            Outcome::Unfit => return,
            Outcome::RateLimited { retry_after, .. }
            | Outcome::Overloaded { retry_after }
            | Outcome::ServerError { retry_after }
            | Outcome::Conflict { retry_after } => retry_after,
            _ => None,
        };
        let next = match (next, pause) {
            (Next::WaitForRoom, Some(pause)) => StatusNext::PausedMs(millis(pause)),
            (Next::RetryAt(moment), _) => StatusNext::RetryInMs(millis(moment.since(now))),
            (Next::WaitForRoom | Next::MoveOn, _) => StatusNext::MoveOn,
            (Next::Exhausted, _) => StatusNext::Exhausted,
            (Next::Done | Next::GiveBack, _) => StatusNext::GiveBack,
        };
        self.telling.tell(StatusStep::Judged {
            status: failed.status.map(|status| status.as_u16()),
            outcome: failed.outcome.name().into(),
            told_wait_ms: told_wait.map(millis),
            next,
        });
    }

    /// What was granted was not sent: nobody was asked since `before`.
    pub(super) fn was_not_asked(&mut self, before: Option<TargetId>, why: &str) {
        self.telling.tell(StatusStep::NotSent { why: clipped(why) });
        self.attempts -= 1;
        self.target = before;
    }
}

impl Gateway {
    /// Notes what an answer that has begun says of the way that it took.
    pub(super) fn told(&self, client: Dialect, begun: &Begun, trace: &mut Trace) {
        trace.telling.tell(StatusStep::Begun { status: begun.status.as_u16() });
        trace.dropped = begun.losses.show();
        trace.translated = begun.translated_from.map(|spoken| (client, spoken));
        if let Some((from, to)) = trace.translated {
            let labels = [("from", from.name().to_owned()), ("to", to.name().to_owned())];
            self.metrics.translated.get_or_create(&labels).inc();
            trace.telling.tell(StatusStep::Translated {
                from: from.name().into(),
                to: to.name().into(),
                dropped: trace.dropped.as_deref().map(clipped),
            });
        }
    }

    /// Notes targets that cannot be told what is asked.
    pub(super) fn skip(&self, skipped: Vec<Skipped>, trace: &mut Trace) {
        for Skipped { target, why } in &skipped {
            let labels = [("provider", target.provider.to_string())];
            self.metrics.targets_skipped.get_or_create(&labels).inc();
            trace.telling.tell(StatusStep::Skipped { target: target.clone(), why: clipped(why) });
        }
        trace.skipped.extend(skipped);
    }

    /// How many wait in this class or a higher one.
    pub(super) fn waiting_before(&self, priority: Priority) -> u32 {
        let ahead = self.turnstile.depths().into_iter().filter(|(class, _)| *class <= priority);
        u32::try_from(ahead.map(|(_, depth)| depth).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Notes a grant: what the client and the operator will be told of it.
    pub(super) fn granted(&self, course: &Course, reservation: &Reservation, trace: &mut Trace) {
        let target = reservation.target();
        let labels =
            [("provider", target.provider.to_string()), ("priority", course.priority.name().to_owned())];
        let waited = reservation.waited();
        self.metrics.queue_wait.get_or_create(&labels).observe(waited.as_secs_f64());
        trace.telling.tell(StatusStep::Granted {
            target: target.clone(),
            held: reservation.held().total().0,
            waited_us: u64::try_from(waited.as_micros()).unwrap_or(u64::MAX),
        });
        if let Some((outcome, before)) = &trace.last_failure {
            self.metrics.retries.get_or_create(&[("reason", outcome.name().to_owned())]).inc();
            if before.provider != target.provider {
                let labels = [("from", before.provider.to_string()), ("to", target.provider.to_string())];
                self.metrics.failovers.get_or_create(&labels).inc();
            }
        }
        trace.attempts += 1;
        trace.target = Some(target.clone());
        let foresight = self.learned.foresee(&course.sizing, target);
        (trace.estimated, trace.lesson) = (Some(foresight.cost), foresight.lesson);
        trace.reserved = Some(reservation.held());
    }

    /// Counts and logs an exchange that ends with the provider's own refusal.
    pub(super) fn gave_back(&self, request: &Request, answer: &Answer, trace: &Trace) {
        let status = answer.status().as_u16();
        let provider = trace.target.as_ref().map_or("none", |target| target.provider.as_str());
        self.count_answer(request.asked.dialect, provider, status);
        trace.telling.tell(StatusStep::GivenBack { status });
        access_log::gave_back(request, status, trace, self.clock.now());
    }

    /// Turns a fault into an answer, counted and logged.
    pub(super) fn refuse(&self, request: &Request, fault: &Fault, trace: &Trace) -> Answer {
        let mut answer = fault.answer_to(request, trace.wish.is_stream(), self.clock.now());
        headers::tell(answer.headers_mut(), trace);
        let status = answer.status().as_u16();
        self.metrics.refused.get_or_create(&[("reason", fault.name().to_owned())]).inc();
        let provider = trace.target.as_ref().map_or("none", |target| target.provider.as_str());
        self.count_answer(request.asked.dialect, provider, status);
        let (reason, detail) = (fault.name().into(), clipped(&fault.words(self.clock.now()).message));
        trace.telling.tell(StatusStep::Refused { reason, status, detail });
        access_log::refused(request, status, fault, trace, self.clock.now());
        answer
    }
}

/// What is waited for, since `since`, as it is told.
pub(super) fn shown(reason: &Reason, since: Moment) -> StatusReason {
    let budget = reason.budget.clone();
    match reason.lack {
        Lack::Limit(dimension) => StatusReason::Limit { budget, limit: dimension.name().into() },
        Lack::Places => StatusReason::Concurrent { budget },
        Lack::Pause => {
            let ms = reason.until.map_or(0, |until| millis(until.since(since)));
            StatusReason::Paused { budget, ms }
        }
        Lack::Turn => StatusReason::Queue,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
