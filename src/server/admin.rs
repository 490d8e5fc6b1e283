//! `/admin/exchanges`: what happened in the last exchanges. Behind the same guard as everything, and read alone.

use super::App;
use crate::exchange::percent_decoded;
use crate::ids::RequestId;
use crate::observe::{StatusExchange, StatusStory};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::json;

/// Where the stories are.
pub(super) const EXCHANGES: &str = "/admin/exchanges";

/// How many are listed: a page that is read by a person.
const LISTED: usize = 50;

/// What is told of one exchange.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    story: StatusStory,
    /// Where it stands.
    state: crate::observe::StatusWord,
    /// How many earlier exchanges of the same name are kept too.
    earlier: u32,
    /// The time now, in the same measure as that of the events.
    now_us: u64,
}

/// What is told of the last of them.
#[derive(Serialize)]
struct Listed {
    kept: usize,
    kept_max: usize,
    exchanges: Vec<StatusExchange>,
}

/// The newest, in short.
pub(super) async fn exchanges(State(app): State<App>) -> Response {
    let (kept, kept_max) = app.gateway.chronicle().kept();
    let exchanges = app.gateway.chronicle().newest(LISTED);
    fresh(Json(Listed { kept, kept_max, exchanges }).into_response())
}

/// One of them.
pub(super) async fn exchange(State(app): State<App>, uri: Uri) -> Response {
    let written = uri.path().strip_prefix(EXCHANGES).unwrap_or_default();
    let id = percent_decoded(written.trim_start_matches('/'));
    let chronicle = app.gateway.chronicle();
    let Some((story, earlier)) = chronicle.find(&RequestId::from(&*id)) else {
        let (kept, kept_max) = chronicle.kept();
        let message = format!(
            "No exchange of this id is known: it never came here, was passed through unread, or is no longer among \
             the last {kept_max} that are kept (`exchanges_kept` under [log]). GET {EXCHANGES} lists the newest."
        );
        let error = json!({"message": message, "type": "invalid_request_error", "code": "unknown_exchange"});
        let body = Json(json!({"error": error, "kept": kept, "kept_max": kept_max}));
        return fresh((StatusCode::NOT_FOUND, body).into_response());
    };
    let now = app.gateway.clock().wall().0.saturating_sub(story.arrived_ms).saturating_mul(1_000);
    let last = story.events.last().map_or(0, |event| event.at_us);
    // The wall may have been set back since.
    fresh(Json(Told { state: story.state(), story, earlier, now_us: now.max(last) }).into_response())
}

fn fresh(mut answer: Response) -> Response {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
