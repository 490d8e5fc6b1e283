//! How much of a provider's limit clients get out of it, and how often they run into it.
//!
//! Thirty-two clients that retry as the official SDKs do share an account of 600,000 tokens a minute that is
//! enforced strictly: straight, and through the gateway that knows the limit. Both begin with what the gateway
//! allows at once, so that no unused room of the past hides a call that comes too early.

mod world;

use futures_util::future::join_all;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::clock::Clock;
use tidegate::simulator::{SimulatedLimits, SimulatorSettings};
use tidegate::units::{Moment, parse_duration};
use tokio::runtime::Runtime;
use world::World;

const TOKENS_PER_MINUTE: u32 = 600_000;
const CLIENTS: usize = 32;

/// Until what could be spent at once is spent, and everybody waits; then what is measured.
const WARM_UP: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(20);

/// As the official SDKs: two retries, from half a second to eight, less up to a quarter at random.
const RETRIES: u32 = 2;
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// How long a client rests after a call that has failed for good.
const REST: Duration = Duration::from_secs(1);

/// What a client asks for.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    /// The cap of the answer, in tokens.
    cap: u64,
    /// The length of the answer that comes, if it is not cut by the cap.
    length: u32,
}

const LOADS: [Load; 2] = [
    Load { name: "answers as long as their cap", cap: 60, length: 500 },
    Load { name: "answers half as long as their cap", cap: 120, length: 60 },
];

/// What one client has seen in the measured time.
#[derive(Clone, Copy, Default)]
struct Client {
    tokens: u64,
    served: u64,
    errors: u64,
}

#[derive(Clone, Copy)]
struct Period {
    clock: Clock,
    begin: Moment,
    end: Moment,
}

impl Period {
    fn contains(self, moment: Moment) -> bool {
        (self.begin..self.end).contains(&moment)
    }
}

/// One call after the other until the time is over. Counts those that end in the measured time.
async fn client(world: &World, base: &str, load: Load, number: u64, period: Period) -> Client {
    let mut random = fastrand::Rng::with_seed(number);
    let mut seen = Client::default();
    while period.clock.now() < period.end {
        let prompt = world::prose(random.usize(200..1_000), random.u64(..));
        let body = json!({
            "model": "sim", "max_tokens": load.cap, "messages": [{"role": "user", "content": prompt}],
        });
        let tokens = persistent(world, base, &body.to_string(), &mut random).await;
        let failed = tokens.is_none();
        if period.contains(period.clock.now()) {
            seen.tokens += tokens.unwrap_or(0);
            seen.served += u64::from(tokens.is_some());
            seen.errors += u64::from(failed);
        }
        if failed {
            tokio::time::sleep(REST).await;
        }
    }
    seen
}

/// Sends a call until it is served or the retries are used up. Gives the tokens that the provider counted.
async fn persistent(world: &World, base: &str, body: &str, random: &mut fastrand::Rng) -> Option<u64> {
    for retry in 0..=RETRIES {
        let request = world.client.post(format!("{base}/chat/completions"));
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let mut told = None;
        if let Ok(answer) = request.send().await {
            if answer.status().is_success() {
                let answer: serde_json::Value = answer.json().await.ok()?;
                return answer["usage"]["total_tokens"].as_u64();
            }
            told = retry_after(&answer);
            if !matches!(answer.status().as_u16(), 408 | 409 | 429 | 500..) {
                return None;
            }
        }
        let own = BACKOFF.saturating_mul(1 << retry).min(BACKOFF_MAX).mul_f64(1.0 - random.f64() / 4.0);
        if retry < RETRIES {
            tokio::time::sleep(told.unwrap_or(own)).await;
        }
    }
    None
}

/// What the provider says about coming back, if the SDKs would heed it.
fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let header = |name: &str| answer.headers().get(name)?.to_str().ok();
    let wait = match header("retry-after-ms") {
        Some(millis) => parse_duration(&format!("{millis}ms")),
        None => parse_duration(&format!("{}s", header("retry-after")?)),
    };
    wait.filter(|wait| !wait.is_zero() && *wait <= Duration::from_secs(60))
}

/// Runs all clients one way, and says how it went.
async fn measured(load: Load, through: bool) -> String {
    let limit = NonZeroU32::new(TOKENS_PER_MINUTE);
    let mut behaviour = SimulatorSettings::unlimited();
    behaviour.limits =
        SimulatedLimits { tokens_per_minute: limit.map(|limit| limit.get().into()), ..Default::default() };
    behaviour.faults.output_tokens = load.length;
    let world = World::start(behaviour, Limits { tokens_per_minute: limit, ..Limits::default() }).await;
    let [(_, direct), (_, gateway)] = world.ways();
    let base = if through { gateway } else { direct.clone() };

    // The gateway allows a sixth at once; the other five are spent here, as the cap of a short answer.
    let spent = u64::from(TOKENS_PER_MINUTE) * 5 / 6;
    let body = json!({"model": "sim", "max_tokens": spent, "messages": [{"role": "user", "content": "hi"}]});
    let mut random = fastrand::Rng::with_seed(0);
    persistent(&world, &direct, &body.to_string(), &mut random).await.expect("the account is full");

    let clock = Clock::start();
    let begin = clock.now() + WARM_UP;
    let period = Period { clock, begin, end: begin + MEASURED };
    let clients = (1..).take(CLIENTS).map(|number| client(&world, &base, load, number, period));
    let counts = async {
        clock.sleep_until(period.begin).await;
        let before = world.simulator.control.stats();
        clock.sleep_until(period.end).await;
        (before, world.simulator.control.stats())
    };
    let (clients, (before, after)) = futures_util::join!(join_all(clients), counts);
    world.stop().await;

    let received = after.received - before.received;
    let allowed = f64::from(TOKENS_PER_MINUTE) * MEASURED.as_secs_f64() / 60.0;
    let way = if through { "through" } else { "direct" };
    let mut row = String::new();
    let _ = write!(
        row,
        "{:<36}{way:<10}{:>8.1} %{:>8.1} %{:>10.1}{:>8}{:>8}{:>8.4}",
        load.name,
        100.0 * float(after.tokens_charged - before.tokens_charged) / allowed,
        100.0 * float(clients.iter().map(|client| client.tokens).sum()) / allowed,
        1_000.0 * float(after.limited - before.limited) / float(received.max(1)),
        clients.iter().map(|client| client.served).sum::<u64>(),
        clients.iter().map(|client| client.errors).sum::<u64>(),
        jain(clients.iter().map(|client| float(client.tokens))),
    );
    row
}

/// Jain's index of fairness: 1 if all have the same, one over their number if one has everything.
fn jain(shares: impl Iterator<Item = f64>) -> f64 {
    let (count, sum, squares) = shares.fold((0.0, 0.0, 0.0), |(count, sum, squares), share| {
        (count + 1.0, sum + share, squares + share * share)
    });
    if squares > 0.0 { sum * sum / (count * squares) } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52, for percentages")]
fn float(count: u64) -> f64 {
    count as f64
}

fn main() {
    let runtime = Runtime::new().expect("threads can be started");
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "{:<36}{:<10}{:>10}{:>10}{:>10}{:>8}{:>8}{:>8}",
        "", "", "charged", "used", "429/1000", "served", "errors", "Jain"
    );
    for load in LOADS {
        for through in [false, true] {
            let row = runtime.block_on(measured(load, through));
            let _ = writeln!(out, "{row}");
        }
    }
}
