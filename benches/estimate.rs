//! The pace of counting by kind of text, the cost of whole estimates, and what the memo saves of it.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use tidegate::dialect::Dialect;
use tidegate::ids::ModelName;
use tidegate::tokens::{Encoding, Estimator, EstimatorSettings, Memo};
use tidegate::units::Tokens;
use tidegate::wire::{Call, Content, Spans};

const BYTES: usize = 100_000;

/// Words from a fixed list in an order that does not repeat, so that no cache of pieces flatters.
fn varied(words: &[&str], seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(BYTES + 32);
    while text.len() < BYTES {
        text.push_str(words[random.usize(..words.len())]);
        if random.u8(..) < 40 {
            text.push_str(&random.u16(..).to_string());
        }
    }
    text
}

fn kinds() -> [(&'static str, String); 6] {
    let prose = [
        " the",
        " wonder",
        " of",
        " gateways",
        ", and",
        " is",
        " unhurriedly",
        ". It",
        " waits",
        " cannot",
        " don't",
        ".\n\n",
    ];
    let code = [
        "fn ",
        "let x = ",
        "self.",
        "items",
        "(",
        ") {\n    ",
        "\n}\n",
        " => ",
        "Some(value)",
        "&mut ",
        "// Why.\n",
        "HashMap",
    ];
    let json = [
        "{\"id\":",
        "\"name\":\"",
        "\",",
        "true,",
        "null,",
        "},",
        "[1.5,",
        "],",
        "\"created_at\":\"",
        "\"k\":{",
        "\\n",
    ];
    let cjk = [
        "今天",
        "天气",
        "很好，",
        "我们",
        "公园",
        "吧。",
        "日本語",
        "の",
        "テキスト",
        "한국어 ",
        "문장입니다. ",
        "漢字",
    ];
    [
        ("prose", varied(&prose, 1)),
        ("code", varied(&code, 2)),
        ("json", varied(&json, 3)),
        ("cjk", varied(&cjk, 4)),
        ("hostile_spaces", " ".repeat(BYTES)),
        ("hostile_letter", "a".repeat(BYTES)),
    ]
}

fn counting(criterion: &mut Criterion) {
    let encoding = Encoding::of_model("gpt-4o");
    encoding.count("the vocabulary is loaded by this");
    let mut group = criterion.benchmark_group("count");
    for (kind, text) in kinds() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(kind), &text, |bencher, text| {
            bencher.iter(|| encoding.count(black_box(text)));
        });
    }
    group.finish();
}

fn conversation(turns: u32, words: &str, each: usize) -> Content<'_> {
    let mut texts = Vec::new();
    for turn in 0..turns as usize {
        let start = words.floor_char_boundary(turn * 97 % (words.len() - each));
        texts.push(Cow::Borrowed(if turn % 2 == 0 { "user" } else { "assistant" }));
        texts.push(Cow::Borrowed(&words[start..words.floor_char_boundary(start + each)]));
    }
    Content { texts, messages: turns, ..Content::default() }
}

fn chat() -> Call {
    Call {
        dialect: Dialect::Chat,
        model: ModelName::from("gpt-4o"),
        stream: true,
        wants_usage: false,
        output_cap: None,
        choices: 1,
        user: None,
        spans: Spans { models: Vec::new(), stream_options: None, include_usage: None, insert: 1 },
    }
}

fn estimating(criterion: &mut Criterion) {
    let estimator = Estimator::new(EstimatorSettings { output_guess: Tokens(1000) });
    let call = chat();
    let [(_, prose), ..] = kinds();
    let small = conversation(3, &prose, 150);
    let large = conversation(100, &prose, 2000);
    criterion.bench_function("estimate/small_chat", |bencher| {
        bencher.iter(|| estimator.estimate("gpt-4o", black_box(&call), black_box(&small)));
    });
    criterion.bench_function("estimate/conversation_200_kb", |bencher| {
        bencher.iter(|| estimator.estimate("gpt-4o", black_box(&call), black_box(&large)));
    });
    let schemas = vec![
        r#"{"type":"function","function":{"name":"read_file","description":"Reads a file.","parameters":{"type":"object","properties":{"path":{"type":"string","description":"Where it is."}},"required":["path"]}}}"#;
        20
    ];
    let tools = Content { schemas, ..conversation(3, &prose, 150) };
    criterion.bench_function("estimate/small_chat_with_20_tools", |bencher| {
        bencher.iter(|| estimator.estimate("gpt-4o", black_box(&call), black_box(&tools)));
    });
}

/// A conversation of 200 kB by its first estimate, and by one after it with one more turn. The memo is as large as a
/// gateway's, and what is not measured fills it for each round.
fn remembering(criterion: &mut Criterion) {
    const TURNS: u32 = 100;
    let plain = Estimator::new(EstimatorSettings { output_guess: Tokens(1000) });
    let call = chat();
    let [(_, prose), ..] = kinds();
    let first = conversation(TURNS, &prose, 2000);
    let second = conversation(TURNS + 1, &prose, 2000);
    let fresh = || plain.clone().with_memo(Arc::new(Memo::new(65_536)));
    let mut group = criterion.benchmark_group("remember");
    group.bench_function("first_time", |bencher| {
        let run = |estimator: Estimator| estimator.estimate("gpt-4o", black_box(&call), black_box(&first));
        bencher.iter_batched(fresh, run, BatchSize::SmallInput);
    });
    group.bench_function("one_turn_more", |bencher| {
        let filled = || {
            let estimator = fresh();
            estimator.estimate("gpt-4o", &call, &first);
            estimator
        };
        let run = |estimator: Estimator| estimator.estimate("gpt-4o", black_box(&call), black_box(&second));
        bencher.iter_batched(filled, run, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, counting, estimating, remembering);
criterion_main!(benches);
