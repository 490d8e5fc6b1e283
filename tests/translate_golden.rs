//! Requests, answers and streams of every conversation's dialect, translated into every other.
//!
//! A case is a file in `tests/golden/translate/KIND/DIALECT/`, where KIND is `requests` (`NAME.json`, or
//! `NAME.stream.json` where the path says that the answer streams), `answers` (`NAME.json`) or `streams`
//! (`NAME.sse`). Beside it stands `FILE.expect`: what becomes of it in each dialect. To add one, put the file there
//! and run the tests with `UPDATE_GOLDEN=1`, which writes what is expected; then read that with care.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read fails the test")]

use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tidegate::dialect::Dialect;
use tidegate::wire::translate::{
    Event, Losses, Scene, StreamReader, StreamWriter, read_answer, read_request, write_answer, write_request,
};
use tidegate::wire::{Frame, SseDecoder};

/// Longer than any event of the cases.
const EVENT_MAX: usize = 64 << 10;

#[test]
fn requests_become_what_is_expected() {
    for (from, path) in cases("requests", "json") {
        let body = std::fs::read(&path).unwrap();
        let stream = path.to_string_lossy().ends_with(".stream.json");
        let mut shown = String::new();
        for to in Dialect::CONVERSATIONS {
            writeln!(shown, "=== {to}").unwrap();
            let mut losses = Losses::default();
            let written = read_request(from, &body, stream, &mut losses)
                .and_then(|request| write_request(&request, to, model(to), &mut losses));
            match written {
                Ok(body) => writeln!(shown, "{}", pretty(&body)).unwrap(),
                Err(unfit) => writeln!(shown, "unfit: {unfit}").unwrap(),
            }
            if let Some(losses) = losses.show() {
                writeln!(shown, "losses: {losses}").unwrap();
            }
        }
        compare(&path, &shown);
    }
}

#[test]
fn answers_become_what_is_expected() {
    for (from, path) in cases("answers", "json") {
        let mut shown = String::new();
        match read_answer(from, &std::fs::read(&path).unwrap()) {
            Ok(answer) => {
                for to in Dialect::CONVERSATIONS {
                    let written = write_answer(&answer, to, &scene());
                    writeln!(shown, "=== {to}\n{}", pretty(&written)).unwrap();
                }
            }
            Err(unreadable) => writeln!(shown, "{unreadable}").unwrap(),
        }
        compare(&path, &shown);
    }
}

#[test]
fn streams_become_what_is_expected_however_they_are_cut() {
    for (from, path) in cases("streams", "sse") {
        let stream = Bytes::from(std::fs::read(&path).unwrap());
        let events = read_stream(from, &stream, stream.len());
        in_order(&events, &path);
        for size in [1, 2, 3, 7, 64, 1000] {
            let cut = read_stream(from, &stream, size);
            assert_eq!(cut, events, "{} in chunks of {size}", path.display());
        }
        let mut shown = String::new();
        for to in Dialect::CONVERSATIONS {
            let mut writer = StreamWriter::new(to, scene()).unwrap();
            let mut written = Vec::new();
            events.iter().for_each(|event| writer.write(event, &mut written));
            writeln!(shown, "=== {to}\n{}", String::from_utf8(written).unwrap().trim_end()).unwrap();
        }
        compare(&path, &shown);
    }
}

/// What a dialect's providers are like to be asked for.
fn model(to: Dialect) -> &'static str {
    match to {
        Dialect::Responses => "gpt-5.1",
        Dialect::Messages => "claude-sonnet-4-5",
        Dialect::Gemini => "gemini-2.5-pro",
        _ => "llama-3.3-70b",
    }
}

fn scene() -> Scene {
    Scene {
        id: "0123456789abcdef".to_owned(),
        created: 1_700_000_000,
        model: "asked-model".to_owned(),
        free_text_tools: BTreeSet::from(["apply_patch".to_owned()]),
        wants_usage: true,
        json_array: false,
    }
}

fn read_stream(from: Dialect, stream: &Bytes, size: usize) -> Vec<Event> {
    let mut decoder = SseDecoder::new(EVENT_MAX);
    let mut reader = StreamReader::new(from).unwrap();
    let mut events = Vec::new();
    for start in (0..stream.len()).step_by(size.max(1)) {
        decoder.push(stream.slice(start..(start + size).min(stream.len())));
        while let Some(frame) = decoder.next() {
            if let Frame::Event(event) = &frame
                && let Some(data) = &event.data
            {
                reader.on_event(data, &mut events);
            }
        }
    }
    reader.finish(&mut events);
    events
}

/// Holds what the hub promises of a stream that a provider did not cut off: it begins once, its parts come one
/// after the other, and it ends once.
#[track_caller]
fn in_order(events: &[Event], path: &Path) {
    let mut open = false;
    for (place, event) in events.iter().enumerate() {
        let right = match event {
            Event::Begin { .. } => place == 0,
            Event::Open(_) => !std::mem::replace(&mut open, true),
            Event::Delta(_) | Event::Sealed(_) => open,
            Event::Close => std::mem::take(&mut open),
            Event::Ping => true,
            Event::End { .. } => !open && place + 1 == events.len(),
            Event::Failed { .. } => place + 1 == events.len(),
        };
        assert!(right, "{}: {event:?} at {place} of {events:?}", path.display());
    }
}

/// Every case of a kind, in every dialect that has a folder.
fn cases(kind: &str, extension: &str) -> Vec<(Dialect, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/translate").join(kind);
    let mut cases = Vec::new();
    for dialect in Dialect::CONVERSATIONS {
        let Ok(files) = std::fs::read_dir(folder.join(dialect.name())) else { continue };
        let files = files.map(|entry| entry.unwrap().path());
        cases.extend(
            files.filter(|path| path.extension().is_some_and(|e| e == extension)).map(|p| (dialect, p)),
        );
    }
    assert!(!cases.is_empty(), "no cases of {kind}");
    cases
}

fn pretty(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
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
