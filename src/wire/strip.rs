//! Takes the empty `usage` out of an event for a client that did not ask for usage.
//!
//! A provider that is asked for usage puts `"usage":null` into every chunk but the extra one. Invariant: only
//! that key goes, all other bytes of the event stay.

use super::json;
use super::sse::SseEvent;
use bytes::Bytes;
use memchr::memmem;
use std::ops::Range;

/// The bytes of the event without a `usage` that is `null`; the same bytes, not copied, where there is none,
/// or more than one, or where the data spans several lines, which no provider sends.
pub fn strip_null_usage(event: &SseEvent) -> Bytes {
    let Some(cut) = null_usage(event) else { return event.raw.clone() };
    let mut left = Vec::with_capacity(event.raw.len());
    left.extend_from_slice(&event.raw[..cut.start]);
    left.extend_from_slice(&event.raw[cut.end..]);
    left.into()
}

/// Where the key, its value and one comma stand in the event's bytes.
fn null_usage(event: &SseEvent) -> Option<Range<usize>> {
    let data = event.data.as_ref()?;
    memmem::find(data, b"\"usage\"")?;
    let text = std::str::from_utf8(data).ok()?;
    let mut found = None;
    let mut times = 0;
    json::fields(text, |key, value| {
        if key == "\"usage\"" {
            times += 1;
            found = (value == "null").then_some((key, value));
        }
    })
    .ok()?;
    let (key, value) = found.filter(|_| times == 1)?;
    let start = json::offset(&event.raw, key.as_bytes())?;
    let end = json::offset(&event.raw, value.as_bytes())? + value.len();
    let behind = event.raw[end..].trim_ascii_start();
    if behind.first() == Some(&b',') {
        return Some(start..event.raw.len() - behind.len() + 1);
    }
    let before = event.raw[..start].trim_ascii_end();
    let start = if before.last() == Some(&b',') { before.len() - 1 } else { start };
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, SseDecoder};

    fn check(raw: &str, wanted: &str) {
        let mut decoder = SseDecoder::new(1000);
        let bytes = Bytes::copy_from_slice(raw.as_bytes());
        decoder.push(bytes.clone());
        let Some(Frame::Event(event)) = decoder.next() else { panic!("no event in {raw}") };
        let left = strip_null_usage(&event);
        assert_eq!(left, wanted);
        assert_eq!(left.as_ptr() == bytes.as_ptr(), raw == wanted, "copied only if changed");
    }

    #[test]
    fn an_empty_usage_goes_with_one_comma() {
        check("data: {\"a\":1,\"usage\":null}\n\n", "data: {\"a\":1}\n\n");
        check("data: {\"usage\":null,\"a\":1}\n\n", "data: {\"a\":1}\n\n");
        check("data: {\"a\":1, \"usage\" : null , \"b\":2}\r\n\r\n", "data: {\"a\":1,  \"b\":2}\r\n\r\n");
        check("data: {\"a\":1 , \"usage\": null }\n\n", "data: {\"a\":1  }\n\n");
        check(": c\nid: 1\ndata:{\"usage\":null}\n\n", ": c\nid: 1\ndata:{}\n\n");
    }

    #[test]
    fn everything_else_stays() {
        for raw in [
            "data: {\"a\":1,\"usage\":{\"total_tokens\":1}}\n\n",
            "data: {\"a\":{\"usage\":null},\"b\":\"\\\"usage\\\":null\"}\n\n",
            "data: {\"usage\":null,\"usage\":null}\n\n",
            "data: {\"usage\":null\n\n",
            "data: [DONE]\n\n",
            ": \"usage\":null\n\n",
            "data: {\"a\":1,\ndata: \"usage\":null}\n\n",
        ] {
            check(raw, raw);
        }
    }
}
