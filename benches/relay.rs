//! What it costs to go through the gateway and not straight to the provider, end to end over loopback.
//!
//! Client, daemon and simulated provider share one process. Criterion measures the time of a request; what is
//! printed before is the processor time of the whole process, whose ratio hardly depends on how busy the
//! machine is otherwise.

mod world;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::clock::Clock;
use tidegate::simulator::SimulatorSettings;
use tidegate::units::Moment;
use tokio::runtime::Runtime;
use world::World;

/// Requests at a time.
const CONCURRENCY: [usize; 2] = [1, 32];

/// Processor time is counted in hundredths of a second: a run must take many of them.
const COUNTED_TIME: Duration = Duration::from_secs(4);

/// One kind of call.
struct Case {
    name: &'static str,
    body: Bytes,
}

fn cases() -> [Case; 3] {
    let small = json!({
        "model": "sim", "max_tokens": 20,
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Which way does the tide run at noon?"},
        ],
    });
    let turn = |n: u64| {
        let role = if n.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": world::prose(2_000, n)})
    };
    let conversation =
        json!({"model": "sim", "max_tokens": 20, "messages": (0..98).map(turn).collect::<Vec<_>>()});
    // Besides its words a stream has the role, the end, the usage and `[DONE]`.
    let streamed = json!({
        "model": "sim", "stream": true,
        "messages": [{"role": "user", "content": "Write 196 words about the sea."}],
    });
    [("small", small), ("200 KB", conversation), ("200 chunks", streamed)]
        .map(|(name, body)| Case { name, body: body.to_string().into() })
}

/// Sends `count` calls, `at_once` of them at a time, and reads every answer to its end.
async fn run(world: &World, base: &str, case: &Case, count: u64, at_once: usize) {
    let one = async || {
        let request = world.client.post(format!("{base}/chat/completions"));
        let request = request.header("content-type", "application/json").body(case.body.clone());
        let mut answer = request.send().await.expect("it answers");
        assert_eq!(answer.status(), 200);
        let mut length = 0;
        while let Some(chunk) = answer.chunk().await.expect("the answer is whole") {
            length += chunk.len();
        }
        assert!(length > 200);
    };
    let (mut running, mut begun) = (FuturesUnordered::new(), 0);
    while begun < count || !running.is_empty() {
        while begun < count && running.len() < at_once {
            running.push(one());
            begun += 1;
        }
        running.next().await;
    }
}

/// Processor milliseconds of one request, of the whole process.
async fn counted(world: &World, base: &str, case: &Case, at_once: usize) -> Option<f64> {
    let (mut requests, batch) = (0_u32, 64);
    let (began, before) = (Clock::start(), processor_time()?);
    while elapsed(began) < COUNTED_TIME {
        run(world, base, case, u64::from(batch), at_once).await;
        requests += batch;
    }
    let used = processor_time()?.saturating_sub(before);
    Some(used.as_secs_f64() * 1e3 / f64::from(requests))
}

/// Prints the processor time of every case in both ways. Seconds a thousand requests are milliseconds each.
async fn compare(world: &World, cases: &[Case]) {
    let mut table = format!(
        "processor seconds of client, gateway and provider together, for 1,000 requests\n{:<24}{:>10}{:>10}{:>10}\n",
        "", "direct", "through", "ratio"
    );
    for case in cases {
        for at_once in CONCURRENCY {
            let [(_, direct), (_, through)] = world.ways();
            // Once before the count: connections, the vocabulary.
            run(world, &through, case, 64, at_once).await;
            run(world, &direct, case, 64, at_once).await;
            let direct = counted(world, &direct, case, at_once).await;
            let through = counted(world, &through, case, at_once).await;
            let (Some(direct), Some(through)) = (direct, through) else { return };
            let label = format!("{}, {at_once} at a time", case.name);
            let ratio = through / direct;
            let _ = writeln!(table, "{label:<24}{direct:>10.3}{through:>10.3}{ratio:>10.2}");
        }
    }
    let _ = std::io::stdout().write_all(table.as_bytes());
}

/// Processor time that this process has used, in user and in system mode. `None` where the system has no
/// `/proc`. Linux counts it in hundredths of a second on every machine (`USER_HZ`).
fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may hold anything; the times are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let ticks: u64 = times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn elapsed(began: Clock) -> Duration {
    began.now().since(Moment::START)
}

fn relay(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads can be started");
    let world = runtime.block_on(World::start(SimulatorSettings::unlimited(), Limits::default()));
    let cases = cases();
    runtime.block_on(compare(&world, &cases));
    let mut group = criterion.benchmark_group("relay");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    for case in &cases {
        for at_once in CONCURRENCY {
            for (way, base) in world.ways() {
                let id = BenchmarkId::new(format!("{} {way}", case.name), at_once);
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|count| {
                        let began = Clock::start();
                        runtime.block_on(run(&world, &base, case, count, at_once));
                        elapsed(began)
                    });
                });
            }
        }
    }
    group.finish();
    runtime.block_on(world.stop());
}

criterion_group!(benches, relay);
criterion_main!(benches);
