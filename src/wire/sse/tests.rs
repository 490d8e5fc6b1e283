//! The decoder against every split point, and against another decoder.

use super::*;
use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

type Seen = Vec<(Option<String>, String)>;

/// Pushes the chunks; gives all frames and the rest, having checked that no byte was lost.
fn frames(chunks: &[&[u8]], limit: usize) -> (Vec<Frame>, Option<Bytes>) {
    let mut decoder = SseDecoder::new(limit);
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        frames.extend(std::iter::from_fn(|| decoder.next()));
    }
    let rest = decoder.finish();
    let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.raw().to_vec()).collect();
    bytes.extend(rest.iter().flatten());
    assert_eq!(bytes, chunks.concat(), "bytes are lost or made up");
    (frames, rest)
}

fn seen(frames: &[Frame]) -> Seen {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let events = frames.iter().filter_map(|frame| match frame {
        Frame::Event(event) => Some((event.name.as_ref().map(text), text(event.data.as_ref()?))),
        Frame::Oversized(_) => None,
    });
    events.collect()
}

fn check(stream: &str, wanted: &[(Option<&str>, &str)]) {
    let wanted: Seen =
        wanted.iter().map(|(name, data)| (name.map(str::to_owned), (*data).to_owned())).collect();
    let bytes = stream.as_bytes();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(seen(&frames(&chunks, 1000).0), wanted, "split at {first} and {second} of {stream:?}");
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(seen(&frames(&single, 1000).0), wanted);
}

#[test]
fn every_line_ending_ends_an_event_at_every_split() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = "data: a@data:b@@: note@@event: x@id: 7@data:  c@@data@@retry: 3@@".replace('@', end);
        check(&stream, &[(None, "a\nb"), (Some("x"), " c"), (None, "")]);
    }
    check("data: a\r\ndata: b\r\rdata: c\n\r\n", &[(None, "a\nb"), (None, "c")]);
    check("\r\n\r\n\n\rdata: [DONE]\r\n\n", &[(None, "[DONE]")]);
}

#[test]
fn a_byte_order_mark_counts_at_the_start_only() {
    check("\u{feff}data: a\n\ndata: b\n\n", &[(None, "a"), (None, "b")]);
    check("\u{feff}\ndata: a\n\n", &[(None, "a")]);
    check("data: a\n\n\u{feff}data: b\n\n\u{feff}\ndata: c\n\n", &[(None, "a"), (None, "c")]);
    check("\u{feff}\r\ndata: a\n\n", &[(None, "a")]);
}

#[test]
fn fields_are_told_by_their_exact_name() {
    check("Data: a\ndata : b\n data: c\ndatax: d\n:data: e\n\n", &[]);
    check("event: x\nevent:\ndata: a\n\nevent: y\n\ndata: b\n\n", &[(None, "a"), (None, "b")]);
    check("data: a\n", &[]);
}

#[test]
fn an_event_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\nda");
    let mut decoder = SseDecoder::new(100);
    decoder.push(chunk.clone());
    let Some(Frame::Event(first)) = decoder.next() else { panic!("no event") };
    assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
    assert_eq!(first.data.unwrap().as_ptr(), chunk[6..].as_ptr());
    assert_eq!(decoder.next().unwrap().raw().as_ptr(), chunk[9..].as_ptr());
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.finish().unwrap(), "da");
}

#[test]
fn a_carriage_return_delays_nothing_and_its_line_feed_is_no_event() {
    let mut decoder = SseDecoder::new(100);
    decoder.push(Bytes::from_static(b"data: a\r\n\r"));
    assert_eq!(decoder.next().unwrap().raw(), "data: a\r\n\r");
    decoder.push(Bytes::from_static(b"\n"));
    assert_eq!(decoder.next(), None);
    decoder.push(Bytes::from_static(b"data: b\r\n\r\n"));
    assert_eq!(decoder.next().unwrap().raw(), "\ndata: b\r\n\r\n");
    assert_eq!(decoder.finish(), None);
}

#[test]
fn chunks_may_wait() {
    let mut decoder = SseDecoder::new(100);
    for chunk in ["data: a\n", "", "\ndata: b\n\n", "data"] {
        decoder.push(Bytes::from_static(chunk.as_bytes()));
    }
    assert_eq!(decoder.next().unwrap().raw(), "data: a\n\n");
    assert_eq!(decoder.finish().unwrap(), "data: b\n\ndata");
}

#[test]
fn an_event_beyond_the_limit_is_handed_on_in_pieces() {
    let stream = format!("data: a\n\ndata: {}\ndata: x\n\ndata: b\n\n", "y".repeat(50)).into_bytes();
    for size in 1..=stream.len() {
        let chunks: Vec<&[u8]> = stream.chunks(size).collect();
        let (frames, rest) = frames(&chunks, 20);
        assert_eq!(seen(&frames), [(None, "a".to_owned()), (None, "b".to_owned())], "chunks of {size}");
        assert_eq!(rest, None);
        let longest = frames.iter().map(|frame| frame.raw().len()).max().unwrap();
        assert!(longest <= 20 + size.max(68), "memory follows the limit, not the event");
    }
}

fn lines() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("data: ".to_owned()),
        Just("data:".to_owned()),
        Just("event: x".to_owned()),
        Just(": note".to_owned()),
        Just("id".to_owned()),
        Just("[DONE]".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\r".to_owned()),
        Just("\r\n".to_owned()),
        Just("\r\n\r\n".to_owned()),
        "[a-z: é😀]{0,4}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn oracle(stream: &str) -> Seen {
    let chunks = futures_util::stream::iter([Ok::<_, ()>(stream.as_bytes().to_vec())]);
    let events = chunks.eventsource().collect::<Vec<_>>().now_or_never().expect("all bytes are there");
    let named = |name: String| Some(name).filter(|name| name != "message");
    events.into_iter().map(|event| event.unwrap()).map(|event| (named(event.event), event.data)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_agree_with_another_decoder_however_they_are_cut(
        stream in lines(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        // The other decoder waits for the byte after a carriage return, so the stream ends in a comment.
        let stream = format!("{stream}\n: end");
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream.as_bytes()[cut[0]..cut[1]]).collect();
        prop_assert_eq!(seen(&frames(&chunks, 10_000).0), oracle(&stream));
    }

    #[test]
    fn any_bytes_come_out_as_they_went_in(
        chunks in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..12),
            0..12,
        ),
        limit in 0_usize..40,
    ) {
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        frames(&chunks, limit);
    }
}
