//! A pool against a strict provider whose headers are lost, late, out of order and wrong, in virtual time.

use super::*;
use crate::admission::budget::{Cost, Dimension};
use crate::admission::heard::{Meaning, Shortage};
use crate::admission::strict::{Kind, Strict};
use crate::units::Tokens;
use std::time::Duration;

/// Virtual time goes in steps of half a second.
const STEP: Duration = Duration::from_millis(500);
const MINUTE: u32 = 120;
/// Until then everything goes wrong; one window later the level must be right.
const TROUBLE: u32 = 2 * MINUTE;
const END: u32 = 5 * MINUTE;

struct Call {
    taken: Taken,
    held: u64,
    truth: u64,
}

enum News {
    Reading(Taken, Reading),
    Done(Call),
    Refused(Call, Moment),
}

struct World {
    random: fastrand::Rng,
    provider: Strict,
    pool: Budget,
    /// On their way to the provider, in order.
    sent: Vec<Call>,
    news: Vec<(u32, News)>,
    grain: u64,
    open: u32,
    newest: Order,
    sent_late: u64,
    refused_late: u64,
    /// What was used then, as a part of the limit.
    used_late: f64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let kind = *random.choice(&[Kind::Steady, Kind::Window]).expect("there are two");
        let limit = random.u64(6_000..1_200_000);
        World {
            provider: Strict::full(kind, limit as f64),
            pool: Budget::pool(Slices::default()),
            sent: Vec::new(),
            news: Vec::new(),
            grain: *random.choice(&[1, 10, 1_000]).expect("there are three"),
            open: 0,
            newest: 0,
            sent_late: 0,
            refused_late: 0,
            used_late: 0.0,
            random,
        }
    }

    fn step(&mut self, step: u32) {
        let now = Moment::START + STEP * step;
        if step < TROUBLE {
            self.trouble(now);
        }
        for call in std::mem::take(&mut self.sent) {
            self.arrive(call, step, now);
        }
        let (due, later) = std::mem::take(&mut self.news).into_iter().partition(|(when, _)| *when <= step);
        self.news = later;
        let mut due: Vec<(u32, News)> = due;
        self.random.shuffle(&mut due);
        for (_, news) in due {
            self.deliver(news, step, now);
        }
        self.send(step, now);
        assert_eq!(self.pool.open(), self.open, "reservations that nobody holds");
        assert!(self.pool.gauges.len() <= Dimension::ALL.len() + 1);
    }

    /// Others use the account, and the limit changes.
    fn trouble(&mut self, now: Moment) {
        let limit = self.provider.limit;
        if self.random.u32(0..8) == 0 {
            let left = self.provider.left(now);
            self.provider.change(-(limit * self.random.f64() / 20.0).min(left), now);
        }
        if self.random.u32(0..TROUBLE) == 0 {
            let factor = if self.random.bool() { 0.5 } else { 2.0 };
            self.provider.retune((limit * factor).round().clamp(3_000.0, 2_400_000.0), now);
        }
    }

    fn arrive(&mut self, call: Call, step: u32, now: Moment) {
        self.sent_late += u64::from(step >= TROUBLE + MINUTE);
        if let Err(wait) = self.provider.admit(call.held as f64, now) {
            self.refused_late += u64::from(step >= TROUBLE + MINUTE);
            return self.news.push((step + 1, News::Refused(call, now + wait)));
        }
        let reading = self.reading(step, now);
        let answered = step + self.random.u32(1..10);
        if step >= TROUBLE || self.random.u32(0..3) > 0 {
            self.news.push((answered, News::Reading(call.taken.clone(), reading)));
        }
        self.news.push((answered + self.random.u32(0..30), News::Done(call)));
    }

    fn reading(&mut self, step: u32, now: Moment) -> Reading {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
        let (limit, left) = (self.provider.limit as u64, self.provider.left(now) as u64);
        let mut reading = Reading {
            dimension: Dimension::TokensPerMinute,
            limit: Some(limit),
            remaining: Some((left + self.grain / 2) / self.grain * self.grain),
            full_in: None,
            grain: self.grain,
        };
        if step < TROUBLE && self.random.u32(0..4) == 0 {
            reading.limit = self.random.bool().then(|| self.random.u64(1..3_000_000));
            reading.remaining = self.random.bool().then(|| self.random.u64(0..3_000_000));
        }
        reading
    }

    fn deliver(&mut self, news: News, step: u32, now: Moment) {
        match news {
            News::Reading(taken, reading) => {
                self.pool.hear(&taken, &[reading], now);
                if step >= TROUBLE + MINUTE && taken.order > self.newest {
                    self.check(&taken, now);
                }
                self.newest = self.newest.max(taken.order);
            }
            News::Done(mut call) => {
                // The provider gives back when we do, so that the difference of the two is the pool's alone.
                if step >= TROUBLE + MINUTE {
                    self.used_late += call.truth as f64 / self.provider.limit;
                }
                self.provider.change((call.held - call.truth) as f64, now);
                self.pool.correct(&mut call.taken, cost(call.truth), now);
                self.close();
            }
            News::Refused(mut call, until) => {
                self.pool.correct(&mut call.taken, Cost::default(), now);
                self.close();
                let dimension = self.random.bool().then_some(Dimension::TokensPerMinute);
                let shortage = Shortage { meaning: Meaning::Minute, until, dimension, limit: None };
                self.pool.refused(&call.taken, &shortage, None, now);
            }
        }
    }

    fn close(&mut self) {
        self.pool.close();
        self.open -= 1;
    }

    /// We believe in no more than the provider has, beside what is on its way there, rounding, and what has come in
    /// since the call that told.
    fn check(&mut self, taken: &Taken, now: Moment) {
        let (_, limit, level) = self.pool.levels(now).next().expect("the provider has said its limit");
        let left = self.provider.left(now);
        let on_the_way: u64 = self.sent.iter().map(|call| call.held).sum();
        let came = now.since(taken.at).as_secs_f64() * self.provider.limit / 60.0;
        let most = left + on_the_way as f64 + self.grain as f64 + 2.0 + came;
        assert!(
            limit as f64 <= self.provider.limit,
            "a limit of {limit} where {} is right",
            self.provider.limit
        );
        assert!(level as f64 <= most, "a level of {level} where {left} is left, {on_the_way} on the way");
    }

    fn send(&mut self, step: u32, now: Moment) {
        let busy = !(step / 50).is_multiple_of(3) || step >= TROUBLE;
        for _ in 0..if busy { self.random.u32(0..5) } else { 0 } {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small and not negative"
            )]
            let held = (self.provider.limit as u64 / 100).max(2);
            let held = self.random.u64(held / 2..held * 2);
            let Some(taken) = self.pool.take(cost(held), now) else { return };
            if self.random.u32(0..20) == 0 {
                // A client has left before anything was sent.
                self.pool.undo(&taken, now);
                continue;
            }
            self.open += 1;
            let truth = self.random.u64(0..=held);
            self.sent.push(Call { taken, held, truth });
        }
    }
}

fn cost(tokens: u64) -> Cost {
    Cost { input: Tokens(tokens), output: Tokens::ZERO, output_is_guess: false }
}

#[test]
fn a_level_is_wrong_for_no_longer_than_a_window_after_headers_are_right_again() {
    let (mut sent, mut refused, mut most, mut least_used) = (0, 0, 0, f64::MAX);
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        for step in 0..END {
            world.step(step);
        }
        sent += world.sent_late;
        refused += world.refused_late;
        most = most.max(world.refused_late);
        least_used = least_used.min(world.used_late / f64::from((END - TROUBLE) / MINUTE - 1));
    }
    println!(
        "{sent} sent after headers were right again, {refused} refused, {most} at most in one run, {least_used:.2} used \
         at least"
    );
    assert!(refused * 1_000 <= sent, "{refused} of {sent} were refused");
    assert!(most <= 10, "{most} were refused in one run");
    assert!(least_used > 0.5, "{least_used} of a limit was used");
}
