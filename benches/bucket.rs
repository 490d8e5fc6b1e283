//! What it costs at the desk to come and go: alone, and past those who wait.
//!
//! Time is a number here and moves by itself, so that the figures are of the desk alone, without the lock and
//! the channel of the turnstile.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::{Ask, Choice, Cost, Desk, Effect, Limits, Priority, QueueSettings, Share};
use tidegate::ids::{ModelName, ProviderId, TargetId};
use tidegate::units::{Moment, Tokens, WallTime};

/// How many wait while somebody comes and goes.
const WAITING: [usize; 3] = [0, 100, 1_000];

/// How much time passes between two comings.
const STEP: Duration = Duration::from_micros(1);

/// Provider `roomy`, which never runs out, and provider `full`, which gives the first ten tokens and then one
/// a minute; and those who wait for it.
fn desk(waiting: usize) -> (Desk, Moment) {
    let roomy = NonZeroU32::MAX;
    let limits = |tokens: NonZeroU32, burst: NonZeroU32| Limits {
        requests_per_minute: Some(roomy),
        tokens_per_minute: Some(tokens),
        burst_requests: Some(roomy),
        burst_tokens: Some(burst),
        ..Limits::default()
    };
    let ten = NonZeroU32::MIN.saturating_add(9);
    let providers = [("roomy", limits(roomy, roomy)), ("full", limits(ten, ten))];
    let settings = QueueSettings { max_depth: 2_000, ..QueueSettings::default() };
    let mut desk = Desk::new(settings, providers.map(|(name, limits)| (ProviderId::from(name), limits)));
    for _ in 0..waiting {
        desk.enter(ask("full", Moment::START), Moment::START);
    }
    // The first of them got the only room there is.
    let granted = desk.take_effects().len();
    assert_eq!(granted, usize::from(waiting > 0));
    (desk, Moment::START)
}

/// Ten tokens, and all the time in the world.
fn ask(provider: &str, now: Moment) -> Ask {
    let target = TargetId { provider: ProviderId::from(provider), model: ModelName::from("m") };
    Ask {
        choices: vec![Choice { target, cost: cost(8, 2) }],
        priority: Priority::Normal,
        share: Share::default(),
        entered: now,
        patient_until: now,
        deadline: Moment::from_nanos(u64::MAX / 2),
    }
}

fn cost(input: u64, output: u64) -> Cost {
    Cost { input: Tokens(input), output: Tokens(output), output_is_guess: false }
}

/// Somebody comes to a provider with room, and is granted it.
fn enter_with_room(desk: &mut Desk, ask: &Ask, now: Moment) -> tidegate::admission::Ticket {
    let ticket = desk.enter(Ask { entered: now, ..ask.clone() }, now);
    let effects = desk.take_effects();
    assert!(matches!(effects.as_slice(), [Effect::Granted(grant)] if grant.ticket == ticket));
    ticket
}

fn come_and_go(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("desk");
    for waiting in WAITING {
        let roomy = ask("roomy", Moment::START);
        group.bench_function(BenchmarkId::new("enter and settle past", waiting), |bencher| {
            let (mut desk, mut now) = desk(waiting);
            bencher.iter(|| {
                now = now + STEP;
                let ticket = enter_with_room(&mut desk, &roomy, now);
                desk.settle(ticket, cost(8, 1), now);
            });
        });
        group.bench_function(BenchmarkId::new("enter and leave behind", waiting), |bencher| {
            // One more than the others, or the first to come would not wait.
            let (mut desk, now) = desk(waiting.max(1));
            let full = ask("full", now);
            bencher.iter(|| {
                let ticket = desk.enter(full.clone(), now);
                desk.leave(ticket, now);
                assert!(desk.take_effects().is_empty());
            });
        });
        group.bench_function(BenchmarkId::new("enter, penalise, poll past", waiting), |bencher| {
            let (mut desk, mut now) = desk(waiting);
            bencher.iter(|| {
                let ticket = enter_with_room(&mut desk, &roomy, now);
                desk.penalise(ticket, now + STEP, now);
                now = now + STEP;
                desk.poll(now);
            });
        });
    }
    group.finish();
}

fn save(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("desk");
    let (desk, now) = desk(1_000);
    group.bench_function("save two providers", |bencher| {
        bencher.iter(|| black_box(desk.save(now, WallTime(0))));
    });
    group.finish();
}

criterion_group!(benches, come_and_go, save);
criterion_main!(benches);
