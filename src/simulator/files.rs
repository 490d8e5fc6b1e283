//! `/v1/files`: takes a multipart upload and tells what arrived; the contents are hashed, not kept.
//!
//! Reads only as much of RFC 7578 as clients write: parts between boundaries, each with a `content-disposition`.

use super::calls::read_visited;
use super::hash::fingerprint;
use super::refusal::Refusal;
use super::shared::Shared;
use super::visit::Visit;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Json;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use memchr::memmem;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The largest upload, in bytes.
const UPLOAD_MAX: usize = 64 * 1024 * 1024;

/// The longest name or purpose that is remembered, in bytes.
const NAME_MAX: usize = 256;

/// A file as OpenAI describes one, and the hash of what arrived.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StoredFile {
    id: String,
    object: &'static str,
    bytes: usize,
    created_at: u64,
    filename: String,
    purpose: String,
    status: &'static str,
    fingerprint: String,
}

/// `POST /v1/files`
pub(super) async fn upload(
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<StoredFile>, Refusal> {
    let body = read_visited(&visit, body, UPLOAD_MAX).await?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = parameter(kind, "boundary").filter(|_| kind.starts_with("multipart/form-data"));
    let boundary = boundary.ok_or_else(|| Refusal::invalid("Send the file as multipart/form-data."))?;
    let parts = parts(&body, &boundary);
    let file = parts.iter().find(|part| part.name == "file").ok_or_else(|| Refusal::missing("file"))?;
    let purpose = parts.iter().find(|part| part.name == "purpose");
    let stored = StoredFile {
        id: visit.shared.id("file-", visit.number),
        object: "file",
        bytes: file.content.len(),
        created_at: visit.shared.clock.wall().0 / 1_000,
        filename: shortened(file.filename.as_deref().unwrap_or_default()),
        purpose: shortened(&purpose.map(|part| String::from_utf8_lossy(part.content)).unwrap_or_default()),
        status: "processed",
        fingerprint: fingerprint(file.content),
    };
    visit.shared.remember(stored.clone());
    Ok(Json(stored))
}

/// `GET /v1/files`
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"object": "list", "data": shared.files(), "has_more": false}))
}

/// `GET /v1/files/{id}`
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<StoredFile>, Refusal> {
    let file = shared.files().into_iter().find(|file| file.id == id);
    file.map(Json).ok_or_else(|| Refusal::elsewhere(StatusCode::NOT_FOUND, "No such file."))
}

struct Part<'a> {
    name: String,
    filename: Option<String>,
    content: &'a [u8],
}

/// The parts between the boundaries; what is malformed is left out.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let line = format!("--{boundary}");
    let finder = memmem::Finder::new(&line);
    let starts: Vec<usize> = finder.find_iter(body).collect();
    let between = starts.windows(2).filter_map(|pair| body.get(pair[0] + line.len()..pair[1]));
    between
        .filter_map(|part| {
            let part = part.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n")?;
            let end = memmem::find(part, b"\r\n\r\n")?;
            let head = std::str::from_utf8(&part[..end]).ok()?;
            let disposition = head.lines().find(|line| {
                line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"))
            })?;
            let name = parameter(disposition, "name")?;
            Some(Part { name, filename: parameter(disposition, "filename"), content: &part[end + 4..] })
        })
        .collect()
}

/// A parameter of a header's value, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(NAME_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_with_their_names_and_exact_bytes() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
            --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a b.bin\"\r\nContent-Type: a/b\r\n\r\n\
            \x00\xff\r\n\r\n--\r\n--x--\r\n";
        let parts = parts(body, "x");
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].name.as_str(), parts[0].content), ("purpose", &b"assistants"[..]));
        assert_eq!(parts[1].filename.as_deref(), Some("a b.bin"));
        assert_eq!(parts[1].content, b"\x00\xff\r\n\r\n--");
    }

    #[test]
    fn malformed_bodies_have_no_parts() {
        for body in
            [&b""[..], b"--x", b"--x\r\n--x", b"--x--", b"--x\r\n\xff\r\n\r\n\r\n--x", b"--x\r\n\r\n--x"]
        {
            assert!(parts(body, "x").is_empty());
        }
        parts(b"--x\r\n\r\n--x", "");
    }
}
