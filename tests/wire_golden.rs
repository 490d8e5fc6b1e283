//! Bodies and streams as clients and providers send them, and what is read from them.
//!
//! A case is a file in `tests/golden/wire/DIALECT/`: `NAME.json` is the body of a call, `NAME.sse` a streamed
//! answer, `NAME.array` one that comes as a JSON array, and the same with `.expect` what comes of it. Where the
//! path names the model it is `gemini-2.5-pro`; a body `NAME.stream.json` was sent to the path that streams. To
//! add a case, put the file there and run the tests with `UPDATE_GOLDEN=1`, which writes what is expected; then
//! read that with care.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read fails the test")]

use bytes::Bytes;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tidegate::dialect::{Dialect, Family};
use tidegate::ids::ModelName;
use tidegate::wire::{
    Asked, Call, Changes, Content, EventDecoder, Frame, Framing, Seen, Tally, UsageScan, patch, read,
    strip_null_usage,
};

/// Longer than any event of the cases.
const EVENT_MAX: usize = 64 << 10;

#[test]
fn bodies_are_read_as_expected() {
    for (dialect, path) in cases("json") {
        let body = Bytes::from(std::fs::read(&path).unwrap());
        let shown = match read(&asked(dialect, &path), &body) {
            Ok((call, content)) => show_call(&body, &call, &content),
            Err(bad) => format!("refused: {bad}\n"),
        };
        compare(&path, &shown);
    }
}

#[test]
fn streams_are_read_as_expected_however_they_are_cut() {
    for (extension, framing) in [("sse", Framing::Sse), ("array", Framing::JsonArray)] {
        for (dialect, path) in cases(extension) {
            let stream = Bytes::from(std::fs::read(&path).unwrap());
            let whole = show_stream(dialect, framing, &stream, stream.len());
            for size in [1, 2, 3, 7, 64, 1000] {
                let cut = show_stream(dialect, framing, &stream, size);
                assert_eq!(cut, whole, "{} in chunks of {size}", path.display());
            }
            compare(&path, &whole);
        }
    }
}

#[test]
fn a_whole_answer_gives_the_same_usage_as_its_stream() {
    for (dialect, answer, event) in [
        (
            Dialect::Chat,
            r#"{"choices":[{"message":{"content":"\"usage\":{\"total_tokens\":1}"}}],"usage":USAGE}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#,
        ),
        (
            Dialect::Responses,
            r#"{"id":"r","error":null,"output":[{"usage":{"input_tokens":1}}],"usage":USAGE}"#,
            r#"{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":9,"output_tokens":3}}}"#,
        ),
        (
            Dialect::Messages,
            r#"{"type":"message","content":[{"text":"usage"}],"stop_reason":"end_turn","usage":USAGE}"#,
            r#"{"type":"message_delta","usage":{"input_tokens":2,"cache_read_input_tokens":7,"output_tokens":3}}"#,
        ),
        (
            Dialect::Gemini,
            r#"{"candidates":[{"usage":{"x":1}}],"usageMetadata":USAGE,"modelVersion":"m"}"#,
            r#"{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":1,"thoughtsTokenCount":2}}"#,
        ),
    ] {
        let (_, usage) = event.split_at(event.rfind(":{").unwrap() + 1);
        let usage = &usage[..=usage.find('}').unwrap()];
        let mut scan = UsageScan::new(dialect);
        answer.replace("USAGE", usage).as_bytes().chunks(5).for_each(|piece| scan.feed(piece));
        let mut tally = Tally::new(dialect);
        tally.on_event(event.as_bytes());
        let told = scan.usage().map(|usage| (usage.input.0, usage.output.0));
        assert_eq!(told, Some((9, 3)), "{dialect}");
        assert_eq!(scan.usage(), tally.usage(), "{dialect}");
        assert!(!scan.errored(), "{dialect}");
    }
}

/// The bytes of a case cut off at, and bent at, every place of it: deterministic, so that a failure comes again.
fn broken(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const MARKS: &[u8] = b"\"{[]}\\,:0n\xff ";
    (0..bytes.len()).flat_map(move |at| {
        let mut bent = bytes.to_vec();
        bent[at] = MARKS[(at * 7 + bytes.len()) % MARKS.len()];
        [bytes[..at].to_vec(), bent]
    })
}

#[test]
fn a_body_broken_anywhere_is_refused_or_can_still_be_patched() {
    for (dialect, path) in cases("json") {
        let asked = asked(dialect, &path);
        for body in broken(&std::fs::read(&path).unwrap()).step_by(3) {
            let body = Bytes::from(body);
            let Ok((call, _)) = read(&asked, &body) else { continue };
            let patched =
                patch(&body, &call, &Changes { model: Some("new/name"), include_usage: call.stream });
            let (again, _) = read(&asked, &patched).unwrap();
            let models: Vec<_> = again.spans.models.iter().map(|span| &patched[span.clone()]).collect();
            assert!(models.iter().all(|model| model.ends_with(b"new/name\"")), "{}", path.display());
            assert_eq!(models.len(), call.spans.models.len(), "{}", path.display());
        }
    }
}

#[test]
fn a_stream_broken_anywhere_loses_no_byte() {
    for (extension, framing) in [("sse", Framing::Sse), ("array", Framing::JsonArray)] {
        for (dialect, path) in cases(extension) {
            for stream in broken(&std::fs::read(&path).unwrap()).step_by(11) {
                show_stream(dialect, framing, &Bytes::from(stream), 50);
            }
        }
    }
}

fn asked(dialect: Dialect, case: &Path) -> Asked {
    let asked = Asked::in_body(dialect);
    if dialect.family() != Family::Gemini {
        return asked;
    }
    let stream = case.to_string_lossy().ends_with(".stream.json");
    Asked { model: Some(ModelName::from("gemini-2.5-pro")), stream, ..asked }
}

fn cases(extension: &str) -> Vec<(Dialect, PathBuf)> {
    let mut cases = Vec::new();
    for dialect in Dialect::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire").join(dialect.name());
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        cases.extend(
            files.filter(|path| path.extension().is_some_and(|e| e == extension)).map(|p| (dialect, p)),
        );
    }
    assert!(!cases.is_empty(), "no cases *.{extension}");
    cases
}

fn compare(case: &Path, shown: &str) {
    let expect = PathBuf::from(format!("{}.expect", case.display()));
    #[allow(clippy::disallowed_methods, reason = "the switch of this test is no setting of the program")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        std::fs::write(&expect, shown).unwrap();
    }
    let wanted = std::fs::read_to_string(&expect).unwrap_or_default();
    assert_eq!(shown, wanted, "{} (UPDATE_GOLDEN=1 rewrites)", expect.display());
}

fn show_call(body: &Bytes, call: &Call, content: &Content<'_>) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, value: String| writeln!(shown, "{name}: {value}").unwrap();
    line("model", call.model.to_string());
    line("stream", format!("{}, wants usage {}", call.stream, call.wants_usage));
    line("output cap", call.output_cap.map_or("none".to_owned(), |cap| cap.to_string()));
    line("choices", call.choices.to_string());
    line("messages", format!("{}, names {}", content.messages, content.names));
    line("audio seconds", content.audio_seconds.to_string());
    line("encoded", content.encoded.to_string());
    content.texts.iter().for_each(|text| line("text", format!("{text:?}")));
    content.schemas.iter().for_each(|schema| line("schema", format!("{schema:?}")));
    for image in &content.images {
        let size = image.size.map_or("unknown".to_owned(), |(width, height)| format!("{width}x{height}"));
        line("image", format!("{size}{}", if image.low_detail { ", low detail" } else { "" }));
    }
    let patched = patch(body, call, &Changes { model: Some("new/name"), include_usage: call.stream });
    let differs = patched.iter().zip(body).take_while(|(new, old)| new == old).count();
    let alike = patched.iter().rev().zip(body.iter().rev()).take_while(|(new, old)| new == old).count();
    let alike = alike.min(body.len() - differs).min(patched.len() - differs);
    let was = String::from_utf8_lossy(&body[differs..body.len() - alike]);
    let is = String::from_utf8_lossy(&patched[differs..patched.len() - alike]);
    line("patch", format!("at {differs} {was:?} becomes {is:?}"));
    shown
}

fn show_stream(dialect: Dialect, framing: Framing, stream: &Bytes, size: usize) -> String {
    let mut decoder = EventDecoder::new(framing, EVENT_MAX);
    let mut tally = Tally::new(dialect);
    let mut shown = String::new();
    let mut passed = Vec::new();
    for start in (0..stream.len()).step_by(size.max(1)) {
        decoder.push(stream.slice(start..(start + size).min(stream.len())));
        while let Some(frame) = decoder.next() {
            passed.extend_from_slice(frame.raw());
            show_frame(&frame, &mut tally, &mut shown);
        }
    }
    let rest = decoder.finish().unwrap_or_default();
    passed.extend_from_slice(&rest);
    assert_eq!(stream, &passed, "no byte is lost");
    let mut line = |name: &str, value: String| writeln!(shown, "{name}: {value}").unwrap();
    line("output so far", tally.output().to_string());
    line("usage", tally.usage().map_or("none".to_owned(), |usage| format!("{usage:?}")));
    line("done", format!("{}, errored {}", tally.done(), tally.errored()));
    if dialect.family() != Family::OpenAi || dialect == Dialect::Responses {
        line("finished", tally.finished().to_string());
    }
    if dialect == Dialect::Responses {
        line("mark", format!("{:?}", tally.mark()));
    }
    line("rest", format!("{:?}", String::from_utf8_lossy(&rest).trim_matches('\n')));
    shown
}

fn show_frame(frame: &Frame, tally: &mut Tally, shown: &mut String) {
    let Frame::Event(event) = frame else {
        return writeln!(shown, "oversized").unwrap();
    };
    // Where the last line ending is cut, its halves come with different frames.
    let given = strip_null_usage(event);
    let given = String::from_utf8_lossy(&given).trim_matches(['\r', '\n']).to_owned();
    match &event.data {
        Some(data) => {
            let seen: Seen = tally.on_event(data);
            let name = event.name.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            writeln!(shown, "{seen:?} {name}: {given}").unwrap();
        }
        // White space behind an array comes as it is cut.
        None if given.is_empty() => {}
        None => writeln!(shown, "nothing: {given}").unwrap(),
    }
}
