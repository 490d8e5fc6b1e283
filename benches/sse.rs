//! What it costs to cut a streamed answer into events and to count it.
//!
//! A chat answer of 1,000 chunks as OpenAI sends it, in network chunks of several sizes. The figures are for the
//! whole stream; per second they are bytes and events.

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tidegate::dialect::Dialect;
use tidegate::wire::{Frame, SseDecoder, Tally, strip_null_usage};

const EVENTS: usize = 1_000;
const EVENT_MAX: usize = 1 << 20;

fn stream() -> Bytes {
    let words =
        ["The", " tide", " rises", ",", " the", " \\\"tide\\\"", " falls", ".\\n", " caf\u{e9}", " and"];
    let mut text = String::new();
    for word in words.iter().cycle().take(EVENTS - 2) {
        text.push_str(concat!(
            r#"data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","#,
            r#""created":1700000000,"model":"gpt-4o-2024-08-06","service_tier":"default","#,
            r#""system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":""#,
        ));
        text.push_str(word);
        text.push_str("\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
    }
    text.push_str("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":998}}\n\n");
    text.push_str("data: [DONE]\n\n");
    text.into()
}

/// Cuts and, if `tally` is given, counts; returns the number of events.
fn run(chunks: &[Bytes], mut tally: Option<Tally>, strip: bool) -> usize {
    let mut decoder = SseDecoder::new(EVENT_MAX);
    let mut events = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(frame) = decoder.next() {
            let Frame::Event(event) = frame else { continue };
            events += 1;
            if let (Some(tally), Some(data)) = (&mut tally, &event.data) {
                black_box(tally.on_event(data));
            }
            if strip {
                black_box(strip_null_usage(&event));
            }
        }
    }
    black_box(tally);
    events
}

fn sse(criterion: &mut Criterion) {
    let stream = stream();
    let mut group = criterion.benchmark_group("sse");
    group.throughput(Throughput::ElementsAndBytes {
        elements: u64::try_from(EVENTS).unwrap_or(0),
        bytes: u64::try_from(stream.len()).unwrap_or(0),
    });
    for size in [1 << 10, 4 << 10, 16 << 10] {
        let chunks: Vec<Bytes> = (0..stream.len())
            .step_by(size)
            .map(|at| stream.slice(at..(at + size).min(stream.len())))
            .collect();
        assert_eq!(run(&chunks, None, false), EVENTS);
        for (name, counted, strip) in [
            ("decode", false, false),
            ("decode and tally", true, false),
            ("decode, tally, strip", true, true),
        ] {
            group.bench_with_input(BenchmarkId::new(name, size), &chunks, |bencher, chunks| {
                let tally = || counted.then(|| Tally::new(Dialect::Chat));
                bencher.iter_batched(tally, |tally| run(chunks, tally, strip), BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, sse);
criterion_main!(benches);
