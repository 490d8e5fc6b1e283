//! Requests that are passed on unread, to the default provider, in any method, with bodies streamed both
//! ways. They are not estimated and not admitted: nothing is known of what they cost.

use super::attempt::path_and_query;
use super::{Answer, AnswerBody, Fault, Gateway};
use crate::dialect::Family;
use crate::ids::RequestId;
use crate::upstream::{
    AuthScheme, FailureKind, RequestBody, Spoken, UpstreamRequest, for_client, forwardable,
    query_for_provider,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::Arc;

/// A request to be passed on.
#[derive(Debug)]
pub struct PassRequest {
    /// What it is called.
    pub id: RequestId,
    /// Its method.
    pub method: Method,
    /// Whose paths these are, where only one family has them.
    pub family: Option<Family>,
    /// The path below the provider's base URL, with its leading slash.
    pub path: String,
    /// The query of its URL.
    pub query: Option<String>,
    /// Its headers as the client sent them.
    pub headers: HeaderMap,
    /// Its body, as it comes.
    pub body: RequestBody,
}

impl Gateway {
    /// Passes a request on, once: what it does is not known, so it is never tried again.
    pub async fn pass(&self, request: PassRequest) -> Answer {
        let request_family = request.family.unwrap_or_default();
        match self.passed(request).await {
            Ok(answer) => answer,
            Err(fault) => {
                self.metrics.refused.get_or_create(&[("reason", fault.name().to_owned())]).inc();
                fault.answer(self.clock.now(), request_family)
            }
        }
    }

    async fn passed(&self, request: PassRequest) -> Result<Answer, Fault> {
        let live = self.live.load_full();
        let provider = live.provider_of_paths(request.family).ok_or(Fault::NoDefault)?;
        // Of several accounts always the first: what such paths make, files and batches, belongs to one.
        let settings = live.provider(provider).ok_or(Fault::NoDefault)?;
        let provider = &settings.id;
        let upstream = live.upstream(provider).map(Arc::clone).ok_or(Fault::NoDefault)?;
        let (path, auth) = placed(&settings.upstream.spoken, request.family, &request.path);
        let sent = UpstreamRequest {
            method: request.method.clone(),
            path_and_query: path_and_query(&path, query_for_provider(request.query.as_deref()).as_deref()),
            auth,
            headers: forwardable(&request.headers, &self.hop),
            body: request.body,
        };
        self.metrics.passthrough.get_or_create(&[("provider", provider.to_string())]).inc();
        let reply = upstream.send(sent).await.map_err(|failure| match failure.kind {
            FailureKind::ClientBody => Fault::ClientBody,
            kind => Fault::NoAnswer {
                timed_out: matches!(kind, FailureKind::TimedOut | FailureKind::Idle),
                attempts: 1,
            },
        })?;
        let status = reply.status.as_u16();
        tracing::info!(request_id = %request.id, method = %request.method, %provider, status, "passed through");
        let mut answer = Answer::new(AnswerBody::Passed(reply.body));
        *answer.status_mut() = reply.status;
        *answer.headers_mut() = for_client(&reply.headers);
        let name = HeaderName::from_static("x-tidegate-provider");
        if let Ok(value) = HeaderValue::from_str(provider.as_str()) {
            answer.headers_mut().insert(name, value);
        }
        Ok(answer)
    }
}

/// Where a path stands at a provider, and the header for the key there: a family's paths may begin elsewhere than
/// the others, and want another header.
fn placed(spoken: &[Spoken], family: Option<Family>, path: &str) -> (String, Option<AuthScheme>) {
    let of_family = || spoken.iter().filter(|spoken| Some(spoken.dialect.family()) == family);
    let below = of_family().find_map(|spoken| {
        let rest = path.strip_prefix(spoken.dialect.path())?;
        let is_below = rest.is_empty() || rest.starts_with('/');
        (is_below && !spoken.path.contains('{')).then(|| (format!("{}{rest}", spoken.path), spoken.auth))
    });
    below.unwrap_or_else(|| (path.to_owned(), of_family().next().and_then(|spoken| spoken.auth)))
}
