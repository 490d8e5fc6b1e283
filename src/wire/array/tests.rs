//! The decoder against every split point, and against the JSON parser.

use super::*;
use proptest::prelude::*;

/// Pushes the chunks; gives all frames and the rest, having checked that no byte was lost.
fn frames(chunks: &[&[u8]], limit: usize) -> (Vec<Frame>, Option<Bytes>) {
    let mut decoder = ArrayDecoder::new(limit);
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        frames.extend(std::iter::from_fn(|| decoder.next()));
        assert!(decoder.pieces.head.len() <= limit.max(1), "memory follows the limit");
    }
    let rest = decoder.finish();
    let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.raw().to_vec()).collect();
    bytes.extend(rest.iter().flatten());
    assert_eq!(bytes, chunks.concat(), "bytes are lost or made up");
    assert!(frames.iter().all(|frame| !frame.raw().is_empty()), "a frame has bytes");
    (frames, rest)
}

fn seen(frames: &[Frame]) -> Vec<String> {
    let data = frames.iter().filter_map(|frame| match frame {
        Frame::Event(event) => event.data.as_ref(),
        Frame::Oversized(_) => None,
    });
    data.map(|data| String::from_utf8_lossy(data).into_owned()).collect()
}

fn check(stream: &str, wanted: &[&str]) {
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
fn elements_are_found_at_every_split() {
    check("[{\"a\":1}\r\n,\r\n{\"b\":[2]}\r\n]\n", &["{\"a\":1}", "{\"b\":[2]}"]);
    check("[{\"a\":{\"b\":[{}]}},{}]", &["{\"a\":{\"b\":[{}]}}", "{}"]);
    check(" \n[[1,[2]],\"x\",7, null,true ]", &["[1,[2]]", "\"x\"", "7", "null", "true"]);
    check("[]", &[]);
}

#[test]
fn brackets_within_strings_are_text() {
    check(r#"[{"a":"]}\"]\\"},{"[{":"\\\""}]"#, &[r#"{"a":"]}\"]\\"}"#, r#"{"[{":"\\\""}"#]);
    check(r#"["[\"]",1]"#, &[r#""[\"]""#, "1"]);
}

#[test]
fn the_closing_bracket_is_a_frame_without_data() {
    let (frames, rest) = frames(&[b"[{}\r\n]\n"], 100);
    let raws: Vec<&[u8]> = frames.iter().map(|frame| frame.raw().as_ref()).collect();
    assert_eq!(raws, [b"[{}".as_slice(), b"\r\n]", b"\n"]);
    assert_eq!((seen(&frames), rest), (vec!["{}".to_owned()], None));
}

#[test]
fn an_array_that_breaks_off_leaves_its_rest() {
    let (frames, rest) = frames(&[b"[{},\n{\"a\":\"]"], 100);
    assert_eq!(seen(&frames), ["{}"]);
    assert_eq!(rest.unwrap(), ",\n{\"a\":\"]");
}

#[test]
fn what_is_no_array_passes_as_it_comes() {
    for garbage in ["{\"error\":{}}", "data: {}\n\n", "\"[{}]\"", "<html>[{}]", "[}{}]", "[:1]"] {
        check(garbage, &[]);
        let (_, rest) = frames(&[garbage.as_bytes()], 3);
        assert_eq!(rest, None, "nothing waits");
    }
    check("[{}][{}]", &["{}"]);
}

#[test]
fn an_element_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"[{\"a\":1},{");
    let mut decoder = ArrayDecoder::new(100);
    decoder.push(chunk.clone());
    let Some(Frame::Event(first)) = decoder.next() else { panic!("no element") };
    assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
    assert_eq!(first.data.unwrap().as_ptr(), chunk[1..].as_ptr());
    assert_eq!(decoder.next(), None);
}

#[test]
fn an_element_beyond_the_limit_is_handed_on_in_pieces() {
    let stream = format!("[1,{{\"a\":\"{}\"}},2]", "]}".repeat(30)).into_bytes();
    for size in 1..=stream.len() {
        let chunks: Vec<&[u8]> = stream.chunks(size).collect();
        let (frames, _) = frames(&chunks, 20);
        assert_eq!(seen(&frames), ["1", "2"], "chunks of {size}");
    }
}

#[test]
fn any_depth_is_read() {
    let deep = format!("[{}{},1]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(seen(&frames(&[deep.as_bytes()], 1_000_000).0)[1], "1");
    let open = "[{".repeat(100_000);
    assert_eq!(seen(&frames(&[open.as_bytes()], 1_000).0), [""; 0]);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[\\[\\]{}\",\\\\a é]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[\\]}\"a]{0,3}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn elements_agree_with_the_parser_however_they_are_cut(
        values in proptest::collection::vec(value(), 0..5),
        pretty in any::<bool>(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let stream = if pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) };
        let stream = stream.unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        let read: Vec<serde_json::Value> =
            seen(&frames(&chunks, 10_000).0).iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        prop_assert_eq!(read, values);
    }

    #[test]
    fn any_bytes_come_out_as_they_went_in(
        chunks in proptest::collection::vec(
            proptest::collection::vec(
                prop_oneof![proptest::sample::select(b"[]{}\",:\\ 1a\n".to_vec()), any::<u8>()],
                0..12,
            ),
            0..12,
        ),
        limit in 0_usize..40,
    ) {
        let mut chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        frames(&chunks, limit);
        chunks.insert(0, b"[");
        frames(&chunks, limit);
    }
}
