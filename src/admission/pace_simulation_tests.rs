//! A pool against a strict provider that says nothing of its limits but refusals, in virtual time.

use super::*;
use crate::admission::budget::{Ahead, Room};
use crate::admission::strict::{Kind, Strict};
use crate::units::Tokens;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const MINUTES: u64 = 30;

/// What is run.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    kind: Kind,
    /// What the provider limits, though it does not say so.
    dimension: Dimension,
    limit: f64,
    /// Tokens of a call, on average.
    tokens: u64,
    clients: usize,
    retry: Retry,
    /// The factor by which the limit changes in the middle.
    change: f64,
    /// The part of the limit that the clients want together; more than 1 is more than they get.
    demand: f64,
}

/// What a refusal says of the wait.
#[derive(Clone, Copy, Debug)]
enum Retry {
    Exact,
    WholeSeconds,
    /// Nothing; a second is waited, then two, and so on.
    Nothing,
}

#[derive(Debug, Default)]
struct Outcome {
    admitted: f64,
    requests: u64,
    refused: u64,
    /// Refusals in a row of one call, at most.
    in_row: u32,
    available: f64,
}

impl Outcome {
    fn used(&self) -> f64 {
        self.admitted / self.available
    }

    fn refused_per_1000(&self) -> f64 {
        self.refused as f64 * 1000.0 / (self.requests + self.refused) as f64
    }
}

/// Tokens held and used by a call, and how often it was refused.
#[derive(Clone, Copy, Debug, Default)]
struct Call {
    held: u64,
    truth: u64,
    refusals: u32,
}

enum Event {
    /// A client wants to make a call.
    Want(Call),
    /// Look again whether the first who waits may go.
    Look,
    Arrive(Call, Taken),
    Refused(Call, Taken, Moment),
    Done(Call, Taken),
}

struct World {
    scenario: Scenario,
    random: fastrand::Rng,
    provider: Strict,
    pool: Budget,
    waiting: std::collections::VecDeque<Call>,
    events: BinaryHeap<Reverse<(Moment, u64)>>,
    bodies: std::collections::HashMap<u64, Event>,
    next: u64,
    look: Option<Moment>,
    outcome: Outcome,
}

impl World {
    fn run(scenario: Scenario, seed: u64) -> Outcome {
        let mut world = World {
            scenario,
            random: fastrand::Rng::with_seed(seed),
            provider: Strict::full(scenario.kind, scenario.limit),
            pool: Budget::pool(Slices::default()),
            waiting: Default::default(),
            events: BinaryHeap::new(),
            bodies: Default::default(),
            next: 0,
            look: None,
            outcome: Outcome::default(),
        };
        for _ in 0..scenario.clients {
            world.want(Moment::START);
        }
        let end = Moment::START + Duration::from_secs(60 * MINUTES);
        let middle = Moment::START + Duration::from_secs(30 * MINUTES);
        let mut changed = scenario.change == 1.0;
        while let Some(Reverse((now, id))) = world.events.pop() {
            if now >= end {
                break;
            }
            if !changed && now >= middle {
                changed = true;
                world.provider.retune(scenario.limit * scenario.change, now);
            }
            let event = world.bodies.remove(&id).expect("each event has a body");
            world.on(event, now);
        }
        let minutes = MINUTES as f64 * f64::midpoint(1.0, scenario.change);
        let stored = if scenario.kind == Kind::Steady { 1.0 } else { 0.0 };
        world.outcome.available = scenario.limit * (minutes + stored);
        world.outcome
    }

    fn at(&mut self, at: Moment, event: Event) {
        self.next += 1;
        self.events.push(Reverse((at, self.next)));
        self.bodies.insert(self.next, event);
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }

    fn want(&mut self, now: Moment) {
        let tokens = self.scenario.tokens;
        let truth = self.random.u64(tokens / 2..tokens * 3 / 2 + 1);
        let held = truth + self.random.u64(0..truth / 2 + 1);
        // Clients together want so many calls a minute.
        let calls = match self.scenario.dimension {
            Dimension::RequestsPerMinute => self.scenario.limit,
            _ => self.scenario.limit / tokens as f64,
        };
        let pause = 60.0 * self.scenario.clients as f64 / (calls * self.scenario.demand);
        let pause = Duration::from_secs_f64(pause * (0.5 + self.random.f64()) * 0.5);
        self.at(now + pause, Event::Want(Call { held, truth, refusals: 0 }));
    }

    fn on(&mut self, event: Event, now: Moment) {
        match event {
            Event::Want(call) => self.waiting.push_back(call),
            Event::Look => {}
            Event::Arrive(call, taken) => self.arrive(call, taken, now),
            Event::Refused(call, mut taken, until) => {
                self.pool.correct(&mut taken, Cost::default(), now);
                self.pool.close();
                let shortage = Shortage { meaning: Meaning::Minute, until, dimension: None, limit: None };
                self.pool.refused(&taken, &shortage, None, now);
                self.waiting.push_front(Call { refusals: call.refusals + 1, ..call });
            }
            Event::Done(call, mut taken) => {
                self.pool.correct(&mut taken, cost(call.truth), now);
                self.pool.close();
                self.want(now);
            }
        }
        while let Some(call) = self.waiting.front().copied() {
            if let Some(taken) = self.pool.take(cost(call.held), now) {
                self.waiting.pop_front();
                let way = self.millis(20..80);
                self.at(now + way, Event::Arrive(call, taken));
            } else if let Room::At(at) = self.pool.room(cost(call.held), Ahead::default(), now) {
                if self.look.is_none_or(|look| look <= now || at < look) {
                    self.look = Some(at);
                    self.at(at, Event::Look);
                }
                return;
            } else {
                panic!("no room and no moment for it");
            }
        }
    }

    fn arrive(&mut self, call: Call, taken: Taken, now: Moment) {
        let units = Dimension::weigh(self.scenario.dimension, cost(call.truth)) as f64;
        let way = self.millis(20..80);
        match self.provider.admit(units, now) {
            Ok(()) => {
                self.outcome.admitted += units;
                self.outcome.requests += 1;
                let served = self.millis(300..3_000);
                self.at(now + way + served, Event::Done(call, taken));
            }
            Err(wait) => {
                self.outcome.refused += 1;
                self.outcome.in_row = self.outcome.in_row.max(call.refusals + 1);
                let wait = match self.scenario.retry {
                    Retry::Exact => wait,
                    Retry::WholeSeconds => Duration::from_secs(wait.as_secs() + 1),
                    Retry::Nothing => Duration::from_secs(1 << call.refusals.min(5)),
                };
                self.at(now + way, Event::Refused(call, taken, now + way + wait));
            }
        }
    }
}

fn cost(tokens: u64) -> Cost {
    Cost { input: Tokens(tokens), output: Tokens::ZERO, output_is_guess: false }
}

const USUAL: Scenario = Scenario {
    kind: Kind::Steady,
    dimension: Dimension::TokensPerMinute,
    limit: 600_000.0,
    tokens: 1_000,
    clients: 64,
    retry: Retry::Exact,
    change: 1.0,
    demand: 3.0,
};

/// Runs a scenario; at least `used` of the limit is used, and at most `refused` of a thousand requests are refused.
#[track_caller]
fn check(scenario: Scenario, used: f64, refused: f64) {
    for seed in 0..2 {
        let outcome = World::run(scenario, seed);
        let (got, lost) = (outcome.used(), outcome.refused_per_1000());
        println!("{:.1} % used, {lost:.2} of 1,000 refused", got * 100.0);
        assert!(got >= used && lost <= refused, "{got} used, {lost} refused: {scenario:?}");
    }
}

#[test]
fn a_limit_on_tokens_that_nobody_says_is_found_and_used() {
    check(USUAL, 0.98, 1.0);
}

#[test]
fn a_limit_on_requests_that_nobody_says_is_found_and_used() {
    check(Scenario { dimension: Dimension::RequestsPerMinute, limit: 600.0, ..USUAL }, 0.98, 1.2);
}

#[test]
fn a_limit_that_comes_back_at_every_full_minute_is_found_too() {
    check(Scenario { kind: Kind::Window, ..USUAL }, 0.95, 1.5);
}

#[test]
fn without_any_word_of_the_wait_the_pace_is_found_too() {
    check(Scenario { retry: Retry::Nothing, ..USUAL }, 0.98, 1.0);
    check(Scenario { retry: Retry::WholeSeconds, ..USUAL }, 0.98, 1.0);
}

#[test]
fn a_limit_that_changes_is_followed() {
    check(Scenario { change: 0.5, ..USUAL }, 0.97, 3.0);
    check(Scenario { change: 2.0, ..USUAL }, 0.83, 1.0);
}

#[test]
fn a_small_limit_is_overrun_a_few_times_an_hour() {
    check(Scenario { limit: 60_000.0, ..USUAL }, 0.97, 6.0);
}
