//! Reading what a client sends: its request's name, and its body within bounds of size and time.

use super::bodies::{Bodies, Held};
use super::rejection::Rejection;
use crate::clock::Clock;
use crate::dialect::Family;
use crate::ids::RequestId;
use crate::server::ServerSettings;
use crate::units::Moment;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http_body_util::BodyExt;
use std::io;
use std::time::Duration;

/// The longest request id that is taken over from a client.
const ID_MAX: usize = 128;

/// The slowest that a body may come, in bytes a second, once it has had the time of one silence. A client
/// that sends a byte a second would otherwise hold its memory for as long as it likes.
const RATE_MIN: usize = 16 * 1_024;

/// The client's own name for the request if it can be used in logs and headers, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> RequestId {
    let usable =
        |id: &&str| !id.is_empty() && id.len() <= ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
    match headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(usable) {
        Some(id) => RequestId::from(id),
        None => RequestId::from(format!("req_{}", uuid::Uuid::now_v7().simple())),
    }
}

/// Whose client this is, by what it asks for and by headers: one that Anthropic demands of every client, and one by
/// which Google's SDKs tell of themselves, which use `/v1` as well.
pub(super) fn family_of(path: &str, headers: &HeaderMap) -> Family {
    let openais = path.strip_prefix("/v1beta/openai").filter(|rest| rest.starts_with('/'));
    let googles = path.starts_with("/v1beta/") || headers.contains_key("x-goog-api-client");
    // Once more, because SDKs are pointed at /v1 and append it themselves.
    let place = openais.unwrap_or(path);
    let place = below_v1(place).map_or(place, |place| below_v1(place).unwrap_or(place));
    let messages =
        place.strip_prefix("/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if googles && openais.is_none() {
        Family::Gemini
    } else if headers.contains_key("anthropic-version") || messages {
        Family::Anthropic
    } else if place.starts_with("/models/") && GOOGLES_VERBS.iter().any(|verb| place.ends_with(verb)) {
        Family::Gemini
    } else {
        Family::OpenAi
    }
}

/// What a path under `/models/` ends in that only Google has.
const GOOGLES_VERBS: [&str; 5] =
    [":generateContent", ":streamGenerateContent", ":countTokens", ":embedContent", ":batchEmbedContents"];

fn below_v1(path: &str) -> Option<&str> {
    path.strip_prefix("/v1").filter(|rest| rest.starts_with('/'))
}

/// The whole body, and its part of the room for bodies. If its length is announced it waits for room before any
/// of it is read. Otherwise it takes room as it comes and never waits: two that each hold a part and wait for
/// more could wait for each other.
///
/// # Errors
/// It is too large, too slow, breaks off, or finds no room.
pub(super) async fn whole_body(
    mut body: Body,
    bodies: &Bodies,
    settings: &ServerSettings,
    clock: Clock,
) -> Result<(Bytes, Held), Rejection> {
    let limit = settings.body_max;
    let announced = http_body::Body::size_hint(&body).exact().unwrap_or(0);
    if announced > limit as u64 {
        return Err(Rejection::BodyTooLarge(limit));
    }
    let patience = clock.now() + settings.body_idle_timeout;
    let mut held = tokio::select! {
        biased;
        held = bodies.hold(usize::try_from(announced).unwrap_or(limit)) => held,
        () = clock.sleep_until(patience) => return Err(Rejection::BodiesFull),
    };
    let began = clock.now();
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let came = first.as_ref().map_or(0, Bytes::len) + rest.len();
        let deadline = deadline(began, clock.now(), came, settings.body_idle_timeout);
        let frame = tokio::select! {
            biased;
            frame = body.frame() => match frame {
                None => break,
                Some(Err(_)) => return Err(Rejection::BodyBroken),
                Some(Ok(frame)) => frame,
            },
            () = clock.sleep_until(deadline) => return Err(Rejection::BodyTooSlow),
        };
        let Ok(data) = frame.into_data() else { continue };
        if came + data.len() > limit {
            return Err(Rejection::BodyTooLarge(limit));
        }
        if !held.grow(came + data.len()) {
            return Err(Rejection::BodiesFull);
        }
        // Most bodies come in one piece and are not copied.
        match &first {
            None => first = Some(data),
            Some(start) => {
                if rest.is_empty() {
                    rest.reserve(usize::try_from(announced).unwrap_or(0).clamp(came + data.len(), limit));
                    rest.extend_from_slice(start);
                    first = Some(Bytes::new());
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    let whole = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    Ok((whole, held))
}

/// Silence ends it, and so does a pace below the slowest.
fn deadline(began: Moment, now: Moment, came: usize, idle: Duration) -> Moment {
    let allowed = idle + Duration::from_secs((came / RATE_MIN) as u64);
    (began + allowed).min(now + idle)
}

/// The body as it comes, for a request that is passed on. Silence breaks it off.
pub(super) fn streamed_body(
    body: Body,
    settings: &ServerSettings,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    let idle = settings.body_idle_timeout;
    let pieces = Box::pin(body.into_data_stream());
    futures_util::stream::unfold(Some(pieces), move |pieces| async move {
        let mut pieces = pieces?;
        match tokio::time::timeout(idle, pieces.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_a_pace_too_slow_end_a_body() {
        let at = |seconds| Moment::START + Duration::from_secs(seconds);
        let idle = Duration::from_secs(30);
        assert_eq!(deadline(at(0), at(0), 0, idle), at(30));
        assert_eq!(deadline(at(0), at(20), 20, idle), at(30), "a byte a second is no progress");
        assert_eq!(
            deadline(at(0), at(20), 100 * RATE_MIN, idle),
            at(50),
            "silence counts from the last piece"
        );
    }

    #[test]
    fn a_usable_request_id_is_kept_and_any_other_replaced() {
        let with = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", id.parse().expect("a test's header is valid"));
            request_id(&headers).to_string()
        };
        assert_eq!(with("abc-1"), "abc-1");
        for unusable in ["", "a b", &"x".repeat(129)] {
            assert!(with(unusable).starts_with("req_"), "{unusable}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
