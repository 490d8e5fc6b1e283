//! How many tokens a call would cost: asked of a provider that can tell, else estimated.
//!
//! Nothing is generated, so nothing is admitted: providers count such requests apart. Invariant: a client that asks
//! gets a number whenever its request can be read; agents that get none count by asking for whole answers.

use super::attempt::{brought_home, name_version, path_and_query};
use super::beginning::{is_kind, is_success_or_clients_fault};
use super::live::Live;
use super::ways::{Way, way};
use super::{Answer, AnswerBody, Fault, Gateway, Request, router};
use crate::dialect::Dialect;
use crate::upstream::{Reply, RequestBody, UpstreamRequest, for_client, forwardable, query_for_provider};
use crate::wire::{Call, Changes, count_path, patch};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long a provider is waited for. An agent counts before each of its turns, and an estimate now is worth more
/// to it than a number later.
const PATIENCE: Duration = Duration::from_secs(5);

const COUNTED_BY: HeaderName = HeaderName::from_static("x-tidegate-counted-by");

impl Gateway {
    /// Answers with a number of input tokens, in the shape of the client's dialect.
    pub async fn count(self: &Arc<Self>, request: Request) -> Answer {
        match self.counted(&request).await {
            Ok(answer) => answer,
            Err(fault) => {
                self.metrics.refused.get_or_create(&[("reason", fault.name().to_owned())]).inc();
                fault.answer(self.clock.now(), request.asked.dialect.family())
            }
        }
    }

    async fn counted(self: &Arc<Self>, request: &Request) -> Result<Answer, Fault> {
        let live = self.live.load_full();
        let appraised = self.appraise(&live, request).await?;
        if let Some(answer) = self.counted_by_provider(&live, request, &appraised.call).await? {
            return Ok(answer);
        }
        let input = appraised.cost.input.0;
        let body = match request.asked.dialect {
            Dialect::Gemini => json!({ "totalTokens": input }),
            Dialect::Responses => json!({"object": "response.input_tokens", "input_tokens": input}),
            _ => json!({ "input_tokens": input }),
        };
        let mut answer = Answer::new(AnswerBody::whole(body.to_string().into_bytes()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers_mut().insert(COUNTED_BY, HeaderValue::from_static("tidegate"));
        Ok(answer)
    }

    /// Asks the first target that speaks the client's dialect, once. `None` if there is none, or it has no such
    /// path, no room, or no answer.
    async fn counted_by_provider(
        &self,
        live: &Live,
        request: &Request,
        call: &Call,
    ) -> Result<Option<Answer>, Fault> {
        let dialect = request.asked.dialect;
        let mut targets = router::find(live, &call.model)?.targets;
        targets.retain(|target| matches!(way(live, dialect, target), Some(Way::Same(_))));
        targets.truncate(1);
        let accounts: Vec<_> = live.expanded(targets).into_iter().map(|(target, _)| target).collect();
        // Whichever account is well: counting is the same at all.
        let well = self.health.well(&accounts, self.clock.now()).unwrap_or_default();
        let Some(target) = well.first() else { return Ok(None) };
        let Some(Way::Same(spoken)) = way(live, dialect, target) else { return Ok(None) };
        let Some(upstream) = live.upstream(&target.provider) else { return Ok(None) };
        let model = target.model.as_str();
        let path = match count_path(dialect) {
            Some(tail) => Some(format!("{}{tail}", spoken.path_of(model, false))),
            None => spoken.path_with_verb(model, "countTokens"),
        };
        let Some(path) = path else { return Ok(None) };
        let query = query_for_provider(request.query.as_deref());
        let changes = Changes { model: Some(model), include_usage: false };
        let body = brought_home(dialect, model, patch(&request.body, call, &changes)).await;
        let Ok(body) = body else { return Ok(None) };
        let mut headers = forwardable(&request.headers, &self.hop);
        name_version(&mut headers, live, target, dialect);
        let sent = UpstreamRequest {
            method: Method::POST,
            path_and_query: path_and_query(&path, query.as_deref()),
            auth: spoken.auth,
            headers,
            body: RequestBody::Whole(body),
        };
        let now = self.clock.now();
        let reply = tokio::select! {
            reply = upstream.send(sent) => reply,
            () = self.clock.sleep_until(now + PATIENCE) => return Ok(None),
        };
        let Ok(Reply { status, headers, body }) = reply else { return Ok(None) };
        if !is_success_or_clients_fault(status) || !is_kind(&headers, "application/json") {
            return Ok(None);
        }
        let mut answer = Answer::new(AnswerBody::Passed(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = for_client(&headers);
        answer.headers_mut().insert(COUNTED_BY, HeaderValue::from_static("provider"));
        Ok(Some(answer))
    }
}
