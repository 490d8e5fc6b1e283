//! One small HTTP/1.1 question to a server that may not be there: which models it has.
//!
//! Not a client: no redirects, no reuse, no encryption, no credential. Everything that comes back is
//! bounded and mistrusted, because anything may stand on the port.

use super::super::base_url::BaseUrl;
use crate::ids::ModelName;
use serde::Deserialize;
use std::borrow::Cow;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read. A list of models has some hundred bytes a model.
const ANSWER_MAX: u64 = 1 << 20;

/// The most models that are kept of one list, and the longest name; more is no list of one machine's models.
const MODELS_MAX: usize = 1_000;
const NAME_MAX: usize = 256;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `None` if the body is no list of models.
    pub(super) models: Option<Vec<ModelName>>,
}

/// Asks for `{base}/models`.
///
/// # Errors
/// When nobody answers, or what answers does not speak HTTP/1.
pub(super) async fn models(base: &BaseUrl) -> io::Result<Reply> {
    let mut stream = TcpStream::connect((base.host(), base.port())).await?;
    let host = if base.host().contains(':') { format!("[{}]", base.host()) } else { base.host().to_owned() };
    let question = format!(
        "GET {}/models HTTP/1.1\r\nhost: {host}:{}\r\naccept: application/json\r\nconnection: close\r\n\r\n",
        base.path(),
        base.port()
    );
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(ANSWER_MAX);
    // A server may keep the connection open in spite of the request, so that its end cannot be waited for.
    loop {
        let length = stream.read_buf(&mut answer).await?;
        if let Some(reply) = read_reply(&answer, length == 0)? {
            return Ok(reply);
        }
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The reply, once all of it is there.
pub(super) fn read_reply(answer: &[u8], ended: bool) -> io::Result<Option<Reply>> {
    let known = answer.len().min(7);
    if !answer.starts_with(&b"HTTP/1."[..known]) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Some(head) = memchr::memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = (String::from_utf8_lossy(&answer[..head]), &answer[head + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let Some(status) = status else { return Err(io::ErrorKind::InvalidData.into()) };
    let header = |name: &str| {
        let mut named = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        named.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let chunked = header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let body = match (chunked, length) {
        (true, _) => unchunk(body).map(Cow::Owned),
        (false, Some(length)) => body.get(..length).map(Cow::Borrowed),
        (false, None) => ended.then_some(Cow::Borrowed(body)),
    };
    match body {
        Some(body) if status == 200 => Ok(Some(Reply { status, models: read_models(&body) })),
        Some(_) => Ok(Some(Reply { status, models: None })),
        None if ended => Ok(Some(Reply { status, models: None })),
        None => Ok(None),
    }
}

/// The body without its chunk sizes; `None` until the last chunk is there.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = memchr::memmem::find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

fn read_models(body: &[u8]) -> Option<Vec<ModelName>> {
    #[derive(Deserialize)]
    struct List {
        // Ollama says `null` where it has no model.
        data: Option<Vec<Entry>>,
        object: Option<String>,
    }
    #[derive(Deserialize)]
    struct Entry {
        id: String,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    let data = match list.data {
        Some(data) => data,
        None if list.object.as_deref() == Some("list") => Vec::new(),
        None => return None,
    };
    let usable = |id: &String| !id.is_empty() && id.len() <= NAME_MAX && !id.contains(char::is_control);
    Some(
        data.into_iter().map(|entry| entry.id).filter(usable).take(MODELS_MAX).map(ModelName::from).collect(),
    )
}
