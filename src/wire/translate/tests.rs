//! What holds of every dialect, tried with requests and answers made up by chance.

mod edges;
mod hostile;
mod made_up;
mod refused;

use super::*;
use crate::wire::{Frame, SseDecoder};
use bytes::Bytes;
use made_up::{answer, request};
use proptest::prelude::*;

/// The dialects whose requests are tried here; `native_tests` tries the others'.
const TRIED: [Dialect; 2] = [Dialect::Chat, Dialect::Responses];

fn scene() -> Scene {
    Scene { id: "0123".to_owned(), model: "asked".to_owned(), wants_usage: true, ..Scene::default() }
}

fn stream(to: Dialect, events: &[Event]) -> Vec<u8> {
    let mut writer = StreamWriter::new(to, scene()).unwrap();
    let mut written = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut written));
    written
}

fn events(from: Dialect, stream: Vec<u8>) -> Vec<Event> {
    let mut decoder = SseDecoder::new(1 << 20);
    let mut reader = StreamReader::new(from).unwrap();
    let mut events = Vec::new();
    decoder.push(Bytes::from(stream));
    while let Some(frame) = decoder.next() {
        let Frame::Event(event) = frame else { panic!("an event beyond the limit") };
        if let Some(data) = event.data {
            reader.on_event(&data, &mut events);
        }
    }
    reader.finish(&mut events);
    events
}

/// Puts a stream together again, having checked that it keeps to the order that the hub promises.
fn whole(events: &[Event]) -> Answer {
    let mut answer = Answer::default();
    let mut open: Option<Part> = None;
    for (place, event) in events.iter().enumerate() {
        match event {
            Event::Begin { id, model, .. } => {
                assert_eq!(place, 0, "it begins once");
                answer.id.clone_from(id);
                answer.model.clone_from(model);
            }
            Event::Open(opened) => {
                assert!(open.is_none(), "one part is open at a time");
                open = Some(match opened {
                    Opened::Text => Part::Text(String::new()),
                    Opened::Refusal => Part::Refusal(String::new()),
                    Opened::Thought => Part::Thought(Thought::default()),
                    Opened::ToolCall(call) => Part::ToolCall(call.clone()),
                    Opened::Whole(part) => part.clone(),
                });
            }
            Event::Delta(more) => match open.as_mut().unwrap() {
                Part::Text(text) | Part::Refusal(text) => text.push_str(more),
                Part::Thought(thought) => thought.text.push_str(more),
                Part::ToolCall(call) => call.input.push_str(more),
                other => panic!("{other:?} comes whole"),
            },
            Event::Sealed(seal) => match open.as_mut().unwrap() {
                Part::Thought(thought) => thought.seal = Some(seal.clone()),
                other => panic!("{other:?} has no seal"),
            },
            Event::Close => answer.parts.push(open.take().unwrap()),
            Event::Ping => {}
            Event::End { stop, usage } => {
                assert!(open.is_none() && place + 1 == events.len(), "it ends last, with nothing open");
                answer.stop = stop.clone();
                answer.usage = *usage;
            }
            Event::Failed { .. } => assert_eq!(place + 1, events.len(), "a failure comes last"),
        }
    }
    answer
}

/// What must be the same; identifiers are a dialect's own.
fn kept(answer: Answer) -> Answer {
    Answer { id: String::new(), ..answer }
}

fn requests() -> impl Strategy<Value = (Dialect, Request)> {
    prop::sample::select(&TRIED[..]).prop_flat_map(|dialect| (Just(dialect), request(dialect)))
}

fn answers() -> impl Strategy<Value = (Dialect, Answer)> {
    prop::sample::select(&Dialect::CONVERSATIONS[..])
        .prop_flat_map(|dialect| (Just(dialect), answer(dialect)))
}

proptest! {
    #[test]
    fn a_request_that_a_dialect_can_say_comes_back_as_it_was((dialect, request) in requests()) {
        let mut losses = Losses::default();
        let body = write_request(&request, dialect, "some-model", &mut losses).unwrap();
        let back = read_request(dialect, &body, request.stream, &mut losses).unwrap();
        prop_assert_eq!(back, request);
        prop_assert_eq!(losses.show(), None);
    }

    #[test]
    fn an_answer_that_a_dialect_can_say_comes_back_as_it_was((dialect, answer) in answers()) {
        let body = write_answer(&answer, dialect, &scene());
        prop_assert_eq!(kept(read_answer(dialect, &body).unwrap()), answer);
    }

    #[test]
    fn a_stream_that_a_dialect_can_say_comes_back_as_it_was((dialect, answer) in answers()) {
        let back = whole(&events(dialect, stream(dialect, &events_of(answer.clone()))));
        prop_assert_eq!(kept(back), answer);
    }
}
