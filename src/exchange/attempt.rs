//! One upstream try: write the request as its target understands it, send it, and have the answer judged.
//!
//! Refuses to decide what follows: that is the plan's. Invariant: once an answer is called begun, nothing
//! is tried again.

use super::appraise::beside;
use super::beginning::{Begun, Failed, Listener, failed};
use super::live::Live;
use super::trace::Trace;
use super::turnstile::Reservation;
use super::ways::{Interpreted, Rendered, Way, way};
use super::{Gateway, Request};
use crate::admission::readings;
use crate::dialect::Dialect;
use crate::ids::{ProviderId, TargetId};
use crate::observe::{StatusStep, status_class};
use crate::routing::Outcome;
use crate::tokens::INLINE_BYTES_MAX;
use crate::upstream::{
    Forwardable, RequestBody, Spoken, UpstreamRequest, forwardable, forwardable_translated,
    query_for_provider,
};
use crate::wire::translate::{Losses, Scene, may_hold_foreign_seals, without_foreign_seals};
use crate::wire::{Call, Changes, Framing, patch};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Method};
use std::sync::Arc;

/// Every request of Anthropic's dialect must name the version of it that is meant; this is the one that is written.
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What is sent, whoever serves it.
#[derive(Debug)]
pub(super) struct Sendable<'a> {
    pub(super) request: &'a Request,
    pub(super) call: &'a Call,
    pub(super) interpreted: &'a Arc<Interpreted>,
    /// Where it is written down that it was sent.
    pub(super) trace: &'a Trace,
}

/// How a try ended.
#[derive(Debug)]
pub(super) enum Attempted {
    /// The answer has begun.
    Begun(Box<Begun>),
    /// It failed before the client could see anything.
    Failed(Box<Failed>),
    /// The target fell sick between planning and sending; nothing was sent.
    FellSick,
    /// The target's dialect has no words for what is asked; nothing was sent.
    Unfit(String),
}

/// A request as one target understands it.
struct Outgoing {
    request: UpstreamRequest,
    listener: Listener,
}

/// Sends to the reservation's target.
pub(super) async fn attempt(
    gateway: &Gateway,
    live: &Live,
    sendable: &Sendable<'_>,
    reservation: &mut Reservation,
) -> Attempted {
    let target = reservation.target().clone();
    let Some(upstream) = live.upstream(&target.provider).map(Arc::clone) else {
        return Attempted::Failed(Box::new(Failed::unsent(Outcome::Unreachable)));
    };
    let Outgoing { request, listener } = match outgoing(gateway, live, sendable, &target).await {
        Ok(outgoing) => outgoing,
        Err(why) => return Attempted::Unfit(why),
    };
    let Some(trial) = gateway.health.begin(&target) else { return Attempted::FellSick };
    // From here on the provider may be working: whoever goes away now has used what is held.
    reservation.note(reservation.held());
    let sent = gateway.clock.now();
    sendable.trace.telling.tell(StatusStep::Sent { attempt: sendable.trace.attempts });
    let ended = match upstream.send(request).await {
        Ok(reply) => {
            let daily = live.counting(&target.provider).requests_are_daily;
            let heard = readings(&reply.headers, gateway.clock.wall(), daily);
            if reply.status.is_success() {
                // What a refusal tells is heard together with what becomes of the reservation.
                reservation.hear(&heard);
            }
            listener.judged(gateway, reply, heard, sent).await
        }
        Err(failure) => Err(failed(&failure)),
    };
    match ended {
        Ok(begun) => {
            count(gateway, &target.provider, &status_class(begun.status.as_u16()));
            trial.begun();
            Attempted::Begun(Box::new(begun))
        }
        Err(failed) => {
            let answered = failed.status.map(|status| status.as_u16());
            count(gateway, &target.provider, &answered.map_or("none".to_owned(), status_class));
            let labels =
                [("provider", target.provider.to_string()), ("kind", failed.outcome.name().to_owned())];
            gateway.metrics.upstream_errors.get_or_create(&labels).inc();
            tracing::info!(
                request_id = %sendable.request.id,
                provider = %target.provider,
                model = %target.model,
                status = answered,
                outcome = failed.outcome.name(),
                "attempt failed"
            );
            trial.failed(&failed.outcome, answered);
            Attempted::Failed(Box::new(failed))
        }
    }
}

fn count(gateway: &Gateway, provider: &ProviderId, status: &str) {
    let labels = [("provider", provider.to_string()), ("status", status.to_owned())];
    gateway.metrics.upstream_requests.get_or_create(&labels).inc();
}

/// The request for a target; in short words why there is none.
async fn outgoing(
    gateway: &Gateway,
    live: &Live,
    sendable: &Sendable<'_>,
    target: &TargetId,
) -> Result<Outgoing, String> {
    match way(live, sendable.call.dialect, target) {
        Some(Way::Same(spoken)) => Ok(same(gateway, live, sendable, target, spoken).await?),
        Some(Way::Through(spoken)) => {
            let rendered = rendered(sendable.interpreted, spoken.dialect, target).await?;
            Ok(translated(gateway, live, sendable, target, spoken, rendered))
        }
        // A reload may have changed what the provider speaks.
        None => Err(format!("it does not speak {}", sendable.call.dialect)),
    }
}

/// The client's own bytes, but for what must be changed, and what only other providers can read.
async fn same(
    gateway: &Gateway,
    live: &Live,
    sendable: &Sendable<'_>,
    target: &TargetId,
    spoken: &Spoken,
) -> Result<Outgoing, String> {
    let Sendable { request, call, .. } = sendable;
    let changes = Changes {
        model: Some(target.model.as_str()),
        include_usage: call.stream && call.dialect.asks_for_usage(),
    };
    let path = spoken.path_of(target.model.as_str(), call.stream);
    let query = query_for_provider(request.query.as_deref());
    let mut headers = forwardable(&request.headers, &gateway.hop);
    name_version(&mut headers, live, target, call.dialect);
    let body = patch(&request.body, call, &changes);
    let body = brought_home(call.dialect, target.model.as_str(), body).await?;
    Ok(Outgoing {
        request: UpstreamRequest {
            method: Method::POST,
            path_and_query: path_and_query(&path, query.as_deref()),
            auth: spoken.auth,
            headers,
            body: RequestBody::Whole(body),
        },
        listener: Listener {
            spoken: call.dialect,
            client: call.dialect,
            stream: call.stream,
            framing: request.asked.framing,
            scene: None,
            losses: Losses::default(),
        },
    })
}

/// The body without what only other providers can read, off the async threads where that takes long.
pub(super) async fn brought_home(dialect: Dialect, model: &str, body: Bytes) -> Result<Bytes, String> {
    if body.len() <= INLINE_BYTES_MAX || !may_hold_foreign_seals(dialect, model, &body) {
        return Ok(without_foreign_seals(dialect, model, body));
    }
    let model = model.to_owned();
    let work = beside(move || without_foreign_seals(dialect, &model, body));
    work.await.map_err(|_| "it could not be read".to_owned())
}

/// Writes the request in the target's dialect, off the async threads where that takes long.
async fn rendered(
    interpreted: &Arc<Interpreted>,
    to: Dialect,
    target: &TargetId,
) -> Result<Rendered, String> {
    let rendered = if interpreted.bytes() <= INLINE_BYTES_MAX {
        interpreted.render(to, target.model.as_str())
    } else {
        let (interpreted, model) = (Arc::clone(interpreted), target.model.clone());
        let work = beside(move || interpreted.render(to, model.as_str()));
        work.await.map_err(|_| "it could not be translated".to_owned())?
    };
    rendered.map_err(|unfit| unfit.to_string())
}

fn translated(
    gateway: &Gateway,
    live: &Live,
    sendable: &Sendable<'_>,
    target: &TargetId,
    spoken: &Spoken,
    rendered: Rendered,
) -> Outgoing {
    let Sendable { request, call, .. } = sendable;
    let mut headers = forwardable_translated(&request.headers, &gateway.hop);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if call.stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    name_version(&mut headers, live, target, spoken.dialect);
    let path = spoken.path_of(target.model.as_str(), call.stream);
    // Events can be told apart while they come; the array that Gemini sends without this, too, but not as easily.
    let query = (call.stream && spoken.dialect == Dialect::Gemini).then_some("alt=sse");
    let scene = Scene {
        id: plain_id(request.id.as_str()),
        created: gateway.clock.wall().0 / 1_000,
        model: call.model.to_string(),
        free_text_tools: rendered.free_text_tools,
        wants_usage: call.wants_usage,
        json_array: request.asked.framing == Framing::JsonArray,
    };
    Outgoing {
        request: UpstreamRequest {
            method: Method::POST,
            path_and_query: path_and_query(&path, query),
            auth: spoken.auth,
            headers,
            body: RequestBody::Whole(rendered.body),
        },
        listener: Listener {
            spoken: spoken.dialect,
            client: call.dialect,
            stream: call.stream,
            framing: Framing::Sse,
            scene: Some(scene),
            losses: rendered.losses,
        },
    }
}

/// Names the version of Anthropic's dialect where neither the client nor the configuration does: who tries it by
/// hand forgets it.
pub(super) fn name_version(headers: &mut Forwardable, live: &Live, target: &TargetId, dialect: Dialect) {
    let settled = live.provider(&target.provider).map(|provider| &provider.upstream.headers);
    let is_settled = settled.is_some_and(|headers| headers.names().any(|name| *name == ANTHROPIC_VERSION));
    let is_named = is_settled || headers.as_map().contains_key(&ANTHROPIC_VERSION);
    if dialect == Dialect::Messages && !is_named {
        headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
    }
}

/// The letters and digits of a request's name, which may be the client's own.
pub(super) fn plain_id(id: &str) -> String {
    const LENGTH_MAX: usize = 40;
    id.chars().filter(char::is_ascii_alphanumeric).take(LENGTH_MAX).collect()
}

pub(super) fn path_and_query(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}
